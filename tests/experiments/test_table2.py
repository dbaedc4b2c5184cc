"""The stages of Table 2: what is said about them, and at their smallest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.paper import TABLE2
from experiments.table2 import OTHERS, STAGES, check_iu


def test_claims_are_computed_from_the_numbers() -> None:
    paper = {kind: values[2] for kind, values in TABLE2.items()}
    assert all(check_iu(paper).values()) and len(check_iu(paper)) == 4
    other = paper | {'fcn8s': 70.0, 'fcn32s': 40.0, 'fcn-pool4': 50.0, 'fcn32s-lower-lr': 41.0}
    assert list(check_iu(other).values()) == [False, True, False, True, True]
    assert list(check_iu(other, noise=15.0).values()) == [None, None, None, True, True]
    equal = check_iu({'fcn32s-fixed': 9.0, 'fcn32s': 9.0, 'fcn16s': 9.5})
    assert next(iter(equal.values())) is None


def test_table2(quick: Callable[..., dict[str, Any]]) -> None:
    values = quick('table2')['percent']
    assert set(values) == {*STAGES, *OTHERS}
    assert all(50 < pixel <= 100 and 0 < iu < pixel for pixel, _, iu, _ in values.values())


@pytest.mark.slow
def test_the_real_backbone_learns_real_images(
    quick: Callable[..., dict[str, Any]], shared: Callable[[str], Path]
) -> None:
    real = (
        *('--backbone', 'googlenet', '--data', shared('data/voc')),
        *('--weights', shared('weights/bvlc_googlenet.caffemodel')),
    )
    values = quick('table2', *real, stem='table2-googlenet')['percent']
    assert set(values) == set(STAGES)
    assert all(0 < pixel <= 100 for pixel, *_ in values.values())


def test_figure4(quick: Callable[..., dict[str, Any]]) -> None:
    raw = quick('figure4')
    assert list(raw['near_outlines']) == ['FCN-32s', 'FCN-16s', 'FCN-8s']
    assert len(raw['shown']) == 4
