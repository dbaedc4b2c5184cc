"""Tables 4 and 5 at their smallest: every net trained from its parents, scored and set beside the paper's figures."""

import json

import pytest

from experiments import EXPERIMENTS, table4, table5
from experiments.study import Study
from fcn.metrics import METRICS
from fcn.nets import find
from fcn.solvers import Run


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder to run in, whose classifier and data the experiments share."""
    root = tmp_path_factory.mktemp('experiments')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield root


def ran(name, place):
    """The report of an experiment in its quick form, and its raw numbers."""
    module = {'table4': table4, 'table5': table5}[name]
    module.run(Study(EXPERIMENTS[name], runs=place / 'runs', out=place / 'out', quick=True))
    return (place / 'out' / f'{name}.md').read_text(), json.loads(
        (place / 'out' / f'{name}.json').read_text()
    )


@pytest.mark.slow
def test_table4_trains_the_five_inputs_by_the_chain_of_parents(place):
    text, kept = ran('table4', place)
    raw = kept['raw']
    assert list(raw) == [f'mini-{kind}' for kind, _ in table4.PAPER.values()]
    for name, values in raw.items():
        run = json.loads((place / 'runs' / 'quick' / name / 'run.json').read_text())
        assert len(run['starts_from']) == len(find(name).parents)
        assert all(0 < values['metrics'][metric] < 1 for metric in METRICS)
        assert (
            f'{100 * values["metrics"]["mean_iu"]:.1f}' in text and f'{values["paper"][2]}' in text
        )
    fused = json.loads((place / 'runs/quick/mini-nyud-fcn32s-color-hha/run.json').read_text())
    assert [path.rpartition(':')[2] for path in fused['starts_from']] == ['color', 'hha']
    assert text.count(' here too.') + text.count('**not so here**') == len(table4.CLAIMS)
    assert (place / 'out' / 'table4-rooms.png').stat().st_size > 10_000


@pytest.mark.slow
def test_table5_compares_both_labellings_with_each_alone(place):
    text, kept = ran('table5', place)
    both, semantic, geometric = kept['raw'].values()
    assert set(both['metrics']) == {'sem', 'geo'}
    assert set(semantic['metrics']) == {'sem'} and set(geometric['metrics']) == {'geo'}
    for values in (both, semantic, geometric):
        assert values['seconds_an_image'] > 0 and values['seconds_an_iteration'] > 0
    assert '| both, in the paper | 85.2 | 51.7 | 39.5 | 76.1 | – | 94.3 | – | – |' in text
    assert (
        text.count(' here too.') + text.count('**not so here**') + text.count('undecided here') == 4
    )
    alone = Run(place / 'runs' / 'quick' / 'mini-siftflow-fcn16s-geo').log.read()
    assert [record for record in alone if 'validation' in record]


def test_the_papers_figures_are_those_of_the_table_of_nets():
    for name, figures in table4.PAPER.values():
        assert figures[2] == find(name).published
    assert table5.PAPER[2] == find('siftflow-fcn16s').published


def test_claims_hold_or_not_by_the_scores():
    paper = {title: {'mean_iu': figures[2] / 100} for title, (_, figures) in table4.PAPER.items()}
    assert all(table4.said(paper).values()) and len(table4.said(paper)) == len(table4.CLAIMS)
    turned = {title: {'mean_iu': -values['mean_iu']} for title, values in paper.items()}
    assert not any(table4.said(turned).values())
    noisy = table4.said(paper, noise=1.25)
    assert [held for words, held in noisy.items() if '+1.2' in words] == [None]
    assert list(noisy.values()).count(True) == len(noisy) - 1


def test_how_much_longer_the_fused_nets_learn_is_counted():
    names = {name: 100 for name, _ in table4.PAPER.values()}
    words = table4.longer(names | {'nyud-fcn32s-color-hha': 30, 'nyud-fcn16s-color-hha': 20})
    assert (
        '`nyud-fcn32s-color-hha` has 30 iterations more than `nyud-fcn32s-color` and `nyud-fcn32s-hha`'
        in words
    )
    assert '`nyud-fcn16s-color-hha` has 20 iterations more than `nyud-fcn32s-color-hha`' in words
    assert table4.longer(dict.fromkeys(names)) == ''  # as published


@pytest.mark.parametrize(
    ('iu', 'accuracy', 'seconds', 'holds'),
    [(0.5, 0.9, 1.1, True), (0.495, 0.895, 1.1, True), (0.48, 0.88, 1.3, False)],
)
def test_both_at_once_are_judged_by_points_and_seconds(iu, accuracy, seconds, holds):
    found = {
        'both': {'sem': {'mean_iu': iu}, 'geo': {'pixel_accuracy': accuracy}},
        'semantic alone': {'sem': {'mean_iu': 0.5}},
        'geometric alone': {'geo': {'pixel_accuracy': 0.9}},
    }
    rounds = {
        'both': ([seconds] * 3,) * 2,
        'semantic alone': ([1.0] * 3,) * 2,
        'geometric alone': ([0.9] * 3,) * 2,
    }
    assert list(table5.said(found, rounds).values()) == [holds] * 4


def test_what_seeds_or_rounds_differ_by_decides_nothing():
    found = {
        'both': {'sem': {'mean_iu': 0.47}, 'geo': {'pixel_accuracy': 0.9}},
        'semantic alone': {'sem': {'mean_iu': 0.5}},
        'geometric alone': {'geo': {'pixel_accuracy': 0.9}},
    }
    rounds = {
        'both': ([0.9, 1.2, 1.5], [1.0]),
        'semantic alone': ([1.0] * 3, [1.0]),
        'geometric alone': ([0.9] * 3, [1.0]),
    }
    assert list(table5.said(found, rounds, noise=2.5).values()) == [None, True, None, None]
    assert list(table5.said(found, rounds, noise=1.5).values()) == [False, True, None, None]
