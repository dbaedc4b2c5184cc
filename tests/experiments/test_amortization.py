"""Whole images against patches, at its smallest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments import EXPERIMENTS, amortization
from experiments.settings import Settings
from experiments.study import Study
from fcn.errors import FCNError


class FakePage:
    """A page of raw numbers alone."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw


def test_amortization(quick: Callable[..., dict[str, Any]]) -> None:
    (passes,) = quick('amortization').values()
    assert set(passes) == {'forward', 'backward'}
    for values in passes.values():
        assert values['side'] == (500 - 104) // 32 + 1
        assert values['ratio'] == pytest.approx(values['patches'] / values['whole'])
        assert values['ratio'] > 1


@pytest.mark.parametrize(
    ('ratios', 'verdict'),
    [((6, 7), True), ((6, 3), False), ((4.94, 7), None), ((4.94, 3), False)],
)
def test_a_ratio_is_judged_by_its_rounds(ratios: tuple[float, float], verdict: bool | None) -> None:
    patches = [6.0, 6.1, 6.2]
    passes = {
        what: dict(wholes=[6 / ratio] * 3, by_patches=patches)
        for what, ratio in zip('fb', ratios, strict=True)
    }
    page = FakePage({'mini-vgg': passes})
    assert list(amortization.check_claims(page).values()) == [verdict]


def test_data_is_refused(tmp_path: Path) -> None:
    settings = Settings(EXPERIMENTS['amortization'], 'vgg16', tmp_path, out=tmp_path / 'out')
    with pytest.raises(FCNError, match=r'^amortization:.*--data'):
        amortization.measure(Study(settings))
    assert not (tmp_path / 'out').exists()
