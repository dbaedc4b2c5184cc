"""Whole images against patches, at its smallest."""

import pytest


@pytest.mark.slow
def test_amortization(quick):
    (passes,) = quick('amortization').values()
    assert set(passes) == {'forward', 'backward'}
    for found in passes.values():
        assert found['side'] == (500 - 104) // 32 + 1
        assert found['ratio'] == pytest.approx(found['patches'] / found['whole']) and found['ratio'] > 1
