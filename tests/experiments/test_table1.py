"""What Table 1 computes from the nets is the paper's."""

from types import SimpleNamespace

import pytest

from experiments.table1 import PAPER, depth, run_of, said, score_field
from fcn.nets import deploy_net, find


@pytest.mark.slow
@pytest.mark.parametrize('name', PAPER)
def test_fields_and_depths_are_computed(name):
    _, _, layers, _, field, stride = PAPER[name]
    assert depth(deploy_net(find(name))) == layers
    assert (score_field(name).size, score_field(name).stride) == (field, stride)


@pytest.mark.slow
def test_table1(quick):
    found = quick('table1')['found']
    assert [values['field'] for values in found.values()] == [355, 404, 907, 246]
    assert all(values['stride'] == 32 and values['ms'] > 0 for values in found.values())
    assert [name for name, values in found.items() if values['mean_iu'] is not None] == [
        'mini-fcn32s'
    ]
    assert [values['run'] for values in found.values()] == [None, None, None, 'mini-fcn32s']


@pytest.mark.parametrize(
    ('there', 'taken'),
    [
        (['voc-fcn32s', 'voc-fcn32s-cvpr'], 'voc-fcn32s-cvpr'),
        (['voc-fcn32s'], 'voc-fcn32s'),
        ([], None),
    ],
)
def test_the_run_of_the_tables_recipe_comes_first(there, taken):
    study = SimpleNamespace(
        data='VOC2012', found=lambda net: f'run of {net}' if net in there else None
    )
    assert run_of(study, 'voc-fcn32s') == ((taken, f'run of {taken}') if taken else None)


@pytest.mark.parametrize(
    ('googlenet', 'order'),
    [
        ([0.5, 0.5, 0.6, 0.6], True),
        ([0.1, 0.1, 0.2, 0.2], False),
        ([0.3, 0.3, 0.4, 0.9], None),
        ([0.5], None),
    ],
)
def test_the_order_of_times_is_undecided_where_trials_overlap(googlenet, order):
    found = dict(
        zip(
            PAPER,
            (
                dict(layers=layers, millions=millions, field=field, stride=stride)
                for _, _, layers, millions, field, stride in PAPER.values()
            ),
            strict=True,
        )
    )
    seconds = {
        'voc-fcn-alexnet': [0.3, 0.3, 0.4, 0.4],
        'voc-fcn32s': [2.0] * 4,
        'voc-fcn-googlenet': googlenet,
    }
    assert list(said(found, seconds).values()) == [True, order]
