"""Tables 4 and 5 at their smallest: every net trained from its parents, scored and set next to the
paper's figures."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import EXPERIMENTS, paper, table4, table5
from experiments.pages import write_page
from experiments.records import Record, read_record
from experiments.settings import Settings
from experiments.study import run
from fcn.metrics import METRICS
from fcn.nets import find
from fcn.solvers import Run


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to run in, whose classifier and data the experiments share."""
    root = tmp_path_factory.mktemp('experiments')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield root


def ran(name: str, place: Path) -> tuple[str, Record]:
    """The page of an experiment in its quick form, as it would be with verdicts, and its record."""
    out = place / 'out'
    page = run(Settings(EXPERIMENTS[name], runs=place / 'runs', out=out, quick=True))
    assert 'no verdicts' in page.read_text()
    record = read_record(out / f'{name}.json')
    replace(record, quick=False).save(out / f'{name}.json')
    return write_page(out, name).read_text(), record


@pytest.mark.slow
def test_table4_trains_the_five_inputs_by_the_chain_of_parents(place: Path) -> None:
    text, record = ran('table4', place)
    assert list(record.raw) == [f'mini-{kind}' for kind in table4.KINDS.values()]
    for name, values in record.raw.items():
        about = json.loads((place / 'runs' / 'quick' / name / 'run.json').read_text())
        assert len(about['starts_from']) == len(find(name).parents)
        assert all(0 < values['metrics'][metric] < 1 for metric in METRICS)
        assert f'{100 * values["metrics"]["mean_iu"]:.1f}' in text
        assert f'{values["paper"][2]}' in text
    fused = json.loads((place / 'runs/quick/mini-nyud-fcn32s-color-hha/run.json').read_text())
    assert [path.rpartition(':')[2] for path in fused['starts_from']] == ['color', 'hha']
    assert text.count(' here too.') + text.count('**not so here**') == len(table4.CLAIMS)
    assert (place / 'out' / 'table4-rooms.png').stat().st_size > 10_000


@pytest.mark.slow
def test_table5_compares_both_labellings_with_each_alone(place: Path) -> None:
    text, record = ran('table5', place)
    both, semantic, geometric = record.raw['nets'].values()
    assert set(both['metrics']) == {'sem', 'geo'}
    assert set(semantic['metrics']) == {'sem'} and set(geometric['metrics']) == {'geo'}
    for values in (both, semantic, geometric):
        assert values['seconds_an_image'] > 0 and values['seconds_an_iteration'] > 0
    assert '| both, in the paper | – | 85.2 | 51.7 | 39.5 | 76.1 | – | 94.3 | – | – |' in text
    verdicts = (' here too.', '**not so here**', 'undecided here')
    assert sum(map(text.count, verdicts)) == 4
    alone = Run(place / 'runs' / 'quick' / 'mini-siftflow-fcn16s-geo').log.read()
    assert [one for one in alone if 'validation' in one]
    assert record.runs['mini-siftflow-fcn16s'].earlier == 0  # trained here


def test_the_papers_figures_are_those_of_the_table_of_nets() -> None:
    for name, figures in paper.TABLE4.items():
        assert figures[2] == find(name).published
    assert paper.TABLE5[2] == find('siftflow-fcn16s').published


def test_claims_hold_or_not_by_the_scores() -> None:
    ours = {title: {'mean_iu': paper.TABLE4[kind][2] / 100} for title, kind in table4.KINDS.items()}
    claims = table4.check_metrics(ours)
    assert all(claims.values()) and len(claims) == len(table4.CLAIMS)
    turned = {title: {'mean_iu': -values['mean_iu']} for title, values in ours.items()}
    assert not any(table4.check_metrics(turned).values())
    noisy = table4.check_metrics(ours, noise=1.25)
    assert [verdict for claim, verdict in noisy.items() if '+1.2' in claim] == [None]
    assert list(noisy.values()).count(True) == len(noisy) - 1


def test_how_much_longer_the_fused_nets_learn_is_counted() -> None:
    names = dict.fromkeys(paper.TABLE4, 100)
    text = table4.longer(names | {'nyud-fcn32s-color-hha': 30, 'nyud-fcn16s-color-hha': 20})
    parents = '`nyud-fcn32s-color` and `nyud-fcn32s-hha`'
    assert f'`nyud-fcn32s-color-hha` has 30 iterations more than {parents}' in text
    fused = '`nyud-fcn32s-color-hha`'
    assert f'`nyud-fcn16s-color-hha` has 20 iterations more than {fused}' in text
    assert table4.longer(dict.fromkeys(names)) == ''  # as published


def results(iu: float, accuracy: float) -> table5.Results:
    """What table5 compares: a net for both, and two whose scores are 0.5 and 0.9."""
    return {
        'both': {'sem': {'mean_iu': iu}, 'geo': {'pixel_accuracy': accuracy}},
        'semantic alone': {'sem': {'mean_iu': 0.5}},
        'geometric alone': {'geo': {'pixel_accuracy': 0.9}},
    }


@pytest.mark.parametrize(
    ('iu', 'accuracy', 'seconds', 'verdict'),
    [(0.5, 0.9, 1.1, True), (0.495, 0.895, 1.1, True), (0.48, 0.88, 1.3, False)],
)
def test_both_at_once_are_judged_by_points_and_seconds(
    iu: float, accuracy: float, seconds: float, verdict: bool | None
) -> None:
    rounds = {
        'both': ([seconds] * 3,) * 2,
        'semantic alone': ([1.0] * 3,) * 2,
        'geometric alone': ([0.9] * 3,) * 2,
    }
    assert list(table5.check_scores(results(iu, accuracy)).values()) == [verdict] * 2
    assert [table5.about_as_fast(rounds, index) for index in (0, 1)] == [verdict] * 2


def test_what_seeds_or_rounds_differ_by_decides_nothing() -> None:
    rounds = {
        'both': ([0.9, 1.2, 1.5], [1.0]),
        'semantic alone': ([1.0] * 3, [1.0]),
        'geometric alone': ([0.9] * 3, [1.0]),
    }
    assert list(table5.check_scores(results(0.47, 0.9), noise=2.5).values()) == [None, True]
    assert list(table5.check_scores(results(0.47, 0.9), noise=1.5).values()) == [False, True]
    assert [table5.about_as_fast(rounds, index) for index in (0, 1)] == [None, None]
