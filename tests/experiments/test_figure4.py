"""Figure 4: what lies near an outline, and what its numbers say."""

import numpy as np
import pytest

from experiments.figure4 import BAND, is_rising, near_outlines


def test_as_many_pixels_lie_near_an_outline_on_either_side() -> None:
    truth = np.zeros((3, 20), np.uint8)
    truth[:, 10:] = 1
    expected = np.zeros(20, bool)
    expected[10 - BAND : 10 + BAND] = True
    for turned in (truth, truth[:, ::-1]):
        assert (near_outlines(turned) == expected).all()
        assert (near_outlines(turned.T) == expected[:, np.newaxis]).all()


def test_near_is_within_the_band_of_another_class() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 255], (30, 24), p=[0.98, 0.01, 0.01]).astype(np.uint8)
    y, x = np.indices(truth.shape)
    expected = [
        (abs(y - row) + abs(x - column))[truth != truth[row, column]].min() <= BAND
        for row, column in np.ndindex(truth.shape)
    ]
    assert np.array_equal(near_outlines(truth).ravel(), expected) and 0 < np.mean(expected) < 1
    assert not near_outlines(np.ones((9, 9), np.uint8)).any()


@pytest.mark.parametrize(
    ('values', 'noise', 'verdict'),
    [
        ((50, 60, 70), None, True),
        ((50, 70, 60), None, False),
        ((50, 60, 60.5), 1, None),
        ((50, 40, 40.5), 1, False),
    ],
)
def test_an_order_depends_on_every_step(
    values: list[float], noise: float | None, verdict: bool | None
) -> None:
    assert is_rising(values, noise) is verdict
