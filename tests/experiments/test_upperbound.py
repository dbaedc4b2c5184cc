"""Down- and upsampled truths, against plain calculations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from experiments.paper import UPPER_BOUND
from experiments.upperbound import (
    bounds,
    check_bounds,
    count_labels,
    frequent,
    nearest,
    without_void,
)
from fcn.data_layers import VOC, VOID


def test_void_takes_the_nearest_class() -> None:
    label = np.array([[1, 255, 255, 255, 2], [1, 255, 255, 255, 2]], np.uint8)
    whole = without_void(label)
    assert whole[:, [0, 1]].tolist() == [[1, 1]] * 2 and whole[:, [3, 4]].tolist() == [[2, 2]] * 2
    assert (without_void(np.full((2, 2), VOID)) == VOID).all()


def test_every_pixel_by_the_middle_of_its_cell() -> None:
    label = np.arange(35).reshape(5, 7).astype(np.uint8)
    by_hand = [
        [label[min(y // 3 * 3 + 1, 4), min(x // 3 * 3 + 1, 6)] for x in range(7)] for y in range(5)
    ]
    assert nearest(label, 3).tolist() == by_hand
    assert (nearest(label, 1) == label).all() and (frequent(label, 1) == label).all()


def test_the_most_frequent_class_of_each_cell_and_straight_outlines() -> None:
    label = np.zeros((32, 32), np.uint8)
    label[:, 16:] = 5
    label[3, 4] = 2  # the only one in its cell
    coarse = frequent(label, 8)
    assert set(np.unique(coarse)) == {0, 5} and (coarse == np.where(np.arange(32) < 16, 0, 5)).all()
    disc = (np.hypot(*(np.mgrid[:64, :64] - 32)) < 20).astype(np.uint8)
    wrong = frequent(disc, 8) != disc
    edge = np.minimum(distance_transform_edt(disc), distance_transform_edt(1 - disc) + disc * 99)
    assert 0 < wrong.sum() < (nearest(disc, 8) != disc).sum() and edge[wrong].max() < 8


def test_no_loss_without_downsampling(voc: Path) -> None:
    dataset = VOC(voc, 'seg11valid')
    found = bounds(dataset, dataset.names, (8, 1))
    assert found['nearest'][1] == found['frequent'][1] == 100 and found['nearest'][8] < 100


def test_bounds_of_real_images_are_compared_with_the_papers() -> None:
    found = {
        method: UPPER_BOUND | {64: UPPER_BOUND[64] - gap}
        for method, gap in (('nearest', 1.9), ('frequent', 2.1))
    }
    claims = check_bounds(found, (62.7, 'FCN-8s'), True)
    assert list(claims.values()) == [True, False, True]
    assert '-1.9, at 64' in next(iter(claims))


def test_the_miniatures_bound_is_compared_with_its_own_best() -> None:
    best = 67.8, 'FCN-8s'
    assert list(check_bounds({'nearest': {32: 47.1}}, best, False).values()) == [False]
    assert list(check_bounds({'nearest': {32: 78.0}}, best, False).values()) == [True]
    assert check_bounds({'nearest': {32: 47.1}}, None, False) == {}


def test_how_many_labels_of_how_many() -> None:
    assert count_labels(252, 'seg11valid', True) == "252 labels of seg11valid's 736 in the paper"
    assert count_labels(736, 'seg11valid', True) == 'the 736 labels of seg11valid'
    assert 'miniature' in count_labels(200, 'val', False)


def test_upperbound(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick('upperbound')['mean_iu']
    for values in found.values():
        assert list(values) == ['128', '64', '32', '16', '8', '4']
        assert list(values.values()) == sorted(values.values()) and values['4'] > 90


def test_upperbound_of_a_real_set(quick: Callable[..., dict[str, Any]], voc: Path) -> None:
    assert quick('upperbound', '--data', voc, stem='upperbound-voc')['images'] == 4
