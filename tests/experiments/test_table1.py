"""What Table 1 computes from the nets is the paper's."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.paper import TABLE1
from experiments.table1 import check_claims, classifier_field, depth, run_of, time_order
from fcn.nets import deploy_net, find


@pytest.mark.parametrize('name', TABLE1)
def test_fields_and_depths_are_computed(name: str) -> None:
    paper, field = TABLE1[name], classifier_field(name)
    assert depth(deploy_net(find(name))) == paper.layers
    assert (field.size, field.stride) == (paper.field, paper.stride)


def test_table1(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick('table1')['found']
    assert [values['field'] for values in found.values()] == [355, 404, 907, 246]
    assert all(values['stride'] == 32 and values['ms'] > 0 for values in found.values())
    scored = [name for name, values in found.items() if values['mean_iu'] is not None]
    assert scored == ['mini-fcn32s']
    assert [values['run'] for values in found.values()] == [None, None, None, 'mini-fcn32s']


@pytest.mark.parametrize(
    ('finished', 'taken'),
    [
        (['voc-fcn32s', 'voc-fcn32s-cvpr'], 'voc-fcn32s-cvpr'),
        (['voc-fcn32s'], 'voc-fcn32s'),
        ([], None),
    ],
)
def test_the_run_of_the_tables_recipe_comes_first(finished: list[str], taken: str | None) -> None:
    runs = {net: f'run of {net}' for net in finished}
    study = SimpleNamespace(
        settings=SimpleNamespace(mini=False), runs=SimpleNamespace(finished=runs.get)
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
def test_the_order_of_times_is_undecided_where_trials_overlap(
    googlenet: list[float], order: bool | None
) -> None:
    found = {
        name: dict(
            layers=paper.layers, millions=paper.millions, field=paper.field, stride=paper.stride
        )
        for name, paper in TABLE1.items()
    }
    seconds = {
        'voc-fcn-alexnet': [0.3, 0.3, 0.4, 0.4],
        'voc-fcn32s': [2.0] * 4,
        'voc-fcn-googlenet': googlenet,
    }
    page = SimpleNamespace(raw=dict(found=found, time_order=time_order(seconds)))
    assert list(check_claims(page).values()) == [True, order]
    found['voc-fcn32s']['field'] += 1
    assert list(check_claims(page).values()) == [False, order]
