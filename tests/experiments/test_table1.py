"""What Table 1 computes from the nets is the paper's."""

import pytest

from experiments.table1 import PAPER, depth, score_field
from nets import deploy_net, find


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
    assert [name for name, values in found.items() if values['mean_iu'] is not None] == ['mini-fcn32s']
