"""Every net of the miniature, as in test_voc."""

import pytest

from fcn.nets import NETS
from tests.sweep.steps import check_net

ALL = [name for name, config in NETS.items() if config.data.startswith('mini')]


@pytest.mark.parametrize('name', ALL)
@pytest.mark.usefixtures('place')
def test_net(name: str) -> None:
    check_net(name, ALL)


def test_the_sweeps_have_every_net() -> None:
    from tests.sweep import test_other_sets, test_voc

    assert sorted([*test_voc.ALL, *test_other_sets.ALL, *ALL]) == sorted(NETS)
