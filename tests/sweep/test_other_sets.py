"""Every net of PASCAL-Context, NYUDv2 and SIFT Flow, as in test_voc."""

import pytest

from fcn.nets import NETS
from tests.sweep.steps import check_net

ALL = [
    name for name, config in NETS.items() if config.data in ('pascal-context', 'nyud', 'siftflow')
]


@pytest.mark.slow
@pytest.mark.parametrize('name', ALL)
@pytest.mark.usefixtures('place')
def test_net(name: str) -> None:
    check_net(name, ALL)
