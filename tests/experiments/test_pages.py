"""Pages: what they say about time, iterations and verdicts, and which other pages they link."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_runs import ITERATIONS
from support import ROOT

from experiments import EXPERIMENTS, table2, voc_googlenet
from experiments.claims import all_hold, exceeds, format_claims
from experiments.links import links
from experiments.pages import Page, duration, how, rewrite, write_page
from experiments.records import Figure, Record, RunRecord, is_record, read_figures, read_record
from experiments.study import Study

RESULTS = ROOT / 'results'
STEMS = sorted(path.stem for path in RESULTS.glob('*.json') if is_record(path))


def record(**changed: Any) -> Record:
    """The record of table2, of the nets 32s and 16s, by default on the miniature."""
    percent = {'fcn32s-fixed': 40.0, 'fcn32s': 50.0, 'fcn16s': 60.0}
    raw = dict(percent={kind: [80.0, 70.0, iu, 65.0] for kind, iu in percent.items()})
    nets = 'mini-fcn32s', 'mini-fcn16s'
    return Record(
        **dict(
            experiment='table2',
            backbone='mini',
            real=False,
            quick=False,
            command='python -m experiments table2 figure4',
            commit='abc',
            date='2026-01-01',
            machine='a machine',
            seconds=100.0,
            raw=raw,
            scored_on=200,
            runs={net: RunRecord(1600, 2.0, 2.0) for net in nets},
        )
        | changed
    )


def written(tmp_path: Path, *records: Record) -> str:
    """The page of the first of the records, which are saved in tmp_path."""
    for one in records:
        stem = f'{one.experiment}-{one.backbone}' if one.real else one.experiment
        one.save(tmp_path / f'{stem}.json')
    return write_page(tmp_path, 'table2').read_text()


def test_verdicts_are_combined_and_written() -> None:
    assert all_hold([True, True]) is True
    assert all_hold([True, None]) is None
    assert all_hold([None, False]) is False
    pairs = ((2.0, 1.0), (-2.0, None), (0.5, 1.0), (-0.5, 1.0))
    assert [exceeds(*pair) for pair in pairs] == [True, False, None, None]
    lines = format_claims({'One': True, 'Two': False, 'Three': None}).splitlines()
    assert [('**' in line, 'undecided' in line) for line in lines] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_a_study_writes_a_record_and_its_page(tmp_path: Path, study: Callable[..., Study]) -> None:
    it = study('upperbound')
    factors = {factor: 50.94 for factor in (128, 64, 32, 16, 8, 4)}
    raw = dict(mean_iu={'nearest': factors, 'frequent': factors}, images=3, split='val')
    path = it.report(raw)
    assert path == tmp_path / 'out' / 'upperbound.md'
    text = path.read_text()
    assert text.startswith('# upperbound: ') and '| 128 | 50.9 | 50.9 |' in text
    kept = read_record(path.with_suffix('.json'))
    assert kept.raw == json.loads(json.dumps(raw)) and kept.machine and kept.seconds >= 0
    assert f'{kept.seconds:.0f} s' in text and kept.machine in text
    assert it.picture('curve') == tmp_path / 'out' / 'upperbound-curve.png'


@pytest.mark.parametrize(
    ('earlier', 'told'),
    [
        ((0.0, 0.0), ['100 s']),
        ((2.0, 0.0), ['100 s', '120 s', '220 s']),  # its own, that of runs before, all
        ((None, None), ['100 s', '4.0 minutes']),
    ],
)
def test_the_whole_time_is_told_with_that_of_earlier_runs(
    earlier: tuple[float | None, ...], told: list[str]
) -> None:
    runs = {str(index): RunRecord(40, 2.0, time) for index, time in enumerate(earlier)}
    text = duration(record(runs=runs))
    assert re.findall(r'[\d.]+ (?:s|minutes)\b', text) == told
    assert ('leaves out' in text) == (earlier[0] is None)


def test_a_score_stands_next_to_its_iterations(tmp_path: Path) -> None:
    text = written(tmp_path, record())
    assert '| FCN-32s | 1600 | 80.0 |' in text


def test_a_quick_page_gives_no_verdicts(tmp_path: Path) -> None:
    assert 'so here too' in written(tmp_path, record())
    text = written(tmp_path, record(quick=True))
    assert not re.search('so here|undecided here', text) and 'no verdicts' in text
    assert not read_figures(tmp_path / 'table2.json')


def test_real_images_have_verdicts_of_their_own(tmp_path: Path) -> None:
    values = {'fcn32s-fixed': 40.0, 'fcn32s': 30.0, 'fcn16s': 31.0}
    real = record(
        backbone='googlenet',
        real=True,
        raw=dict(percent={kind: [80.0, 70.0, iu, 65.0] for kind, iu in values.items()}),
        runs={'voc-fcn-googlenet': RunRecord(4000, 9.0, 0.0)},
    )
    text = written(tmp_path, record(), real)
    order = re.findall(r'The order of the stages .*: (.*)\.', text)
    assert order == ['so here too', '**not so here**']
    assert '| 30.0 | 4000 |' in text  # next to its iterations
    (tmp_path / 'table2-googlenet.json').unlink()
    assert 'real images' not in written(tmp_path, record())
    quick = replace(real, quick=True)
    assert 'real images' not in written(tmp_path, record(), quick)


def test_noise_decides_what_is_undecided(tmp_path: Path) -> None:
    variants = {'plain': {'mean_iu': [30.0, 41.0, 35.0]}}
    balancing = record(experiment='balancing', raw=dict(variants=variants))
    balancing.save(tmp_path / 'balancing.json')
    record().save(tmp_path / 'table2.json')
    page = Page(tmp_path, 'table2')
    assert page.noise == 11 and '11.0 points' in page.seeds()
    assert list(table2.check_claims(page).values()) == [None]
    assert 'undecided here' in page.verdicts(table2.check_claims)


def test_pages_that_disagree_link_each_other_and_say_why(tmp_path: Path) -> None:
    figures = {
        'one': Figure('net', 21.5, 1600, 'one seed'),
        'same': Figure('net', 21.54, 1600, 'one seed'),
        'other': Figure('net', 28.0, 4000, 'one seed'),
        'elsewhere': Figure('another net', 3.0, 10, 'one seed'),
    }
    for stem, figure in figures.items():
        (tmp_path / f'{stem}.json').write_text(json.dumps({'figures': [vars(figure)]}))
    found = links(tmp_path, 'one', [figures['one']])
    assert found.pages == ['other']
    assert '[other](other.md) | 28.0 | 4000' in found.section
    back = links(tmp_path, 'other', [figures['other']])
    assert back.pages == ['one', 'same']
    assert '[one](one.md), [same](same.md) | 21.5 | 1600 | one seed' in back.section
    assert links(tmp_path, 'elsewhere', [figures['elsewhere']]) == ('', [])


def test_a_new_page_lets_others_link_back(tmp_path: Path) -> None:
    variants = {
        name: {metric: [60.0, 61.0] for metric in ('pixel_accuracy', 'mean_accuracy', 'mean_iu')}
        | {'frequency_weighted_iu': [1.0, 2.0]}
        for name in ('plain', 'balanced')
    }
    raw = dict(iterations=1600, images=800, variants=variants)
    record(experiment='balancing', raw=raw).save(tmp_path / 'balancing.json')
    write_page(tmp_path, 'balancing')
    assert 'table2.md' not in (tmp_path / 'balancing.md').read_text()
    assert '[balancing](balancing.md) | 60.5 | 1600' in written(tmp_path, record())
    assert '[table2](table2.md) | 50.0 | 1600' in (tmp_path / 'balancing.md').read_text()


def test_how_names_what_is_special_about_runs(tmp_path: Path) -> None:
    record(published=['a-net'], differing={'b-net': ['seed'], 'c-net': []}).save(
        tmp_path / 'table2.json'
    )
    text = how(Page(tmp_path, 'table2'))
    assert '`a-net`' in text and '`b-net`' in text and 'seed' in text and 'c-net' not in text


@pytest.mark.parametrize('stem', STEMS)
def test_committed_pages_are_what_their_records_give(stem: str, tmp_path: Path) -> None:
    """So nobody has edited a page and not its record, and the rules hold for all of them."""
    for path in RESULTS.glob('*.json'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert write_page(tmp_path, stem).read_text() == (RESULTS / f'{stem}.md').read_text()
    assert (tmp_path / f'{stem}.json').read_text() == (RESULTS / f'{stem}.json').read_text()


def test_pages_are_written_again_by_the_command(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    for path in RESULTS.glob('table2*.json'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    result = command('-m', 'experiments', 'table2', '--rewrite', '--out', tmp_path)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in rewrite(tmp_path, 'table2')] == [
        'table2-googlenet.md',
        'table2.md',
    ]
    assert (tmp_path / 'table2.md').read_text().startswith('# table2: ')


def test_all_committed_pages_that_disagree_link_each_other() -> None:
    """Handwritten pages too."""
    figures = {path.stem: read_figures(path) for path in RESULTS.glob('*.json')}
    pairs = {
        (one, other)
        for one, ours in figures.items()
        for other, theirs in figures.items()
        for figure in ours
        for different in theirs
        if figure.net == different.net and round(figure.mean_iu, 1) != round(different.mean_iu, 1)
    }
    assert ('table2-googlenet', 'voc-googlenet') in pairs
    for one, other in pairs:
        text = (RESULTS / f'{one}.md').read_text()
        assert one == other or f'[{other}]({other}.md)' in text, (one, other)


def test_the_page_of_googlenet_is_what_its_record_gives(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    for path in RESULTS.glob('*.json'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    result = command('-m', 'experiments.voc_googlenet', '--rewrite', '--out', tmp_path)
    assert result.returncode == 0, result.stderr
    name = f'{voc_googlenet.NAME}.md'
    assert (tmp_path / name).read_text() == (RESULTS / name).read_text()


def test_a_page_on_trained_nets_is_measured(
    quick: Callable[..., dict[str, Any]], folder: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    """By run folders and what score.py leaves, as of GoogLeNet."""
    quick('figure6')
    runs, net = folder / 'runs' / 'quick', 'mini-fcn8s'
    data, scores = folder / 'data' / 'mini-quick', tmp_path / 'scores'
    scored = command(
        'score.py', net, '--runs', runs, '--data', data, '--out', scores / net, '--gpu', -1
    )
    assert scored.returncode == 0, scored.stderr
    photos = sorted((data / 'JPEGImages').glob('val_*'))[:2]
    result = command(
        *['-m', 'experiments.voc_googlenet', '--nets', net, '--runs', runs, '--scores', scores],
        *['--out', tmp_path, '--photos', *photos],
    )
    assert result.returncode == 0, result.stderr
    kept = json.loads((tmp_path / 'voc-googlenet.json').read_text())
    expected = json.loads((scores / net / 'metrics.json').read_text())
    assert kept['nets'][net]['mean_iu'] == expected['mean_iu']
    assert kept['nets'][net]['images'] == 40
    text = (tmp_path / 'voc-googlenet.md').read_text()
    assert f'| `{net}` | {ITERATIONS} | ' in text and f'{100 * expected["mean_iu"]:.1f}' in text
    for name in ('voc-googlenet-curves.png', 'voc-googlenet-overlays.jpg'):
        assert f']({name})' in text and (tmp_path / name).stat().st_size > 10_000


def test_every_experiment_has_a_committed_page() -> None:
    assert {read_record(RESULTS / f'{stem}.json').experiment for stem in STEMS} == set(EXPERIMENTS)
