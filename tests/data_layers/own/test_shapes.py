"""The pixels that shapes cover."""

import numpy as np
import pytest
from drawn_sets import SIZE, inside

from fcn.data_layers.own.coco import run_lengths
from fcn.data_layers.own.shapes import area, bitmap, circle, points_of, polygon, rectangle
from fcn.errors import DataError

RNG = np.random.default_rng(0)
STARS = [
    np.stack([20 + r * np.cos(angle), 15 + r * np.sin(angle)], 1)
    for r, angle in (
        (RNG.uniform(4, 40, count), np.sort(RNG.uniform(0, 2 * np.pi, count)))
        for count in RNG.integers(5, 12, 20)
    )
]


@pytest.mark.parametrize('star', STARS)
def test_an_area_is_the_pixels_whose_centres_are_inside(star: np.ndarray) -> None:
    """The stars leave the picture on all sides."""
    np.testing.assert_array_equal(area([star], SIZE), inside(star.tolist()))


def test_touching_areas_leave_no_gap_and_do_not_overlap() -> None:
    corner = np.array([[0, 0], [40, 0], [0, 30]], float)
    other = np.array([[40, 0], [40, 30], [0, 30]], float)
    assert (area([corner], SIZE) ^ area([other], SIZE)).all()


def test_an_inner_ring_is_a_hole() -> None:
    outer = np.array([[2, 2], [30, 2], [30, 20], [2, 20]], float)
    inner = np.array([[5, 5], [10, 5], [10, 10], [5, 10]], float)
    expected = np.zeros(SIZE, bool)
    expected[2:20, 2:30] = True
    expected[5:10, 5:10] = False
    np.testing.assert_array_equal(area([outer, inner], SIZE), expected)
    drawn = polygon(outer, [inner], SIZE)
    assert drawn[2, 2] and drawn[20, 30] and drawn[4, 4] and not drawn[5:11, 5:11].any()


# pycocotools says to NumPy what NumPy no longer wants to hear.
OLD = pytest.mark.filterwarnings('ignore:__array__:DeprecationWarning')


@OLD
@pytest.mark.parametrize('star', STARS)
def test_an_area_is_nearly_what_pycocotools_draws(star: np.ndarray) -> None:
    masks = pytest.importorskip('pycocotools.mask')
    height, width = 200, 300
    star = (star - (20, 15)) * 3 + (150, 100)
    coded = masks.frPyObjects([star.ravel().tolist()], height, width)
    theirs = masks.decode(coded)[..., 0] > 0
    ours = area([star], (height, width))
    assert ours.sum() > 100
    # They round corners to fifths of a pixel: at most the outline differs.
    eroded = ours[1:-1, 1:-1] & ours[:-2, 1:-1] & ours[2:, 1:-1] & ours[1:-1, :-2] & ours[1:-1, 2:]
    assert theirs[1:-1, 1:-1][eroded].all()
    assert (ours != theirs).mean() < 0.01


@OLD
@pytest.mark.parametrize('seed', range(10))
def test_run_lengths_are_those_of_pycocotools(seed: int) -> None:
    masks = pytest.importorskip('pycocotools.mask')
    rng = np.random.default_rng(seed)
    mask = (rng.random((200, 300)) < rng.random()) if seed % 2 else np.indices((200, 300))[0] > 9
    coded = masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    held = run_lengths(coded['counts'].decode(), [200, 300], '', (200, 300))
    np.testing.assert_array_equal(held, mask)


@pytest.mark.parametrize(
    'counts',
    ['', 'zzz', '`' * 100, 'é', '0', [1200.5], [-1, 1201], [10**30], [1201], 7, [[]], None],
)
def test_run_lengths_that_do_not_fill_the_picture_are_refused(counts: object) -> None:
    with pytest.raises(DataError):
        run_lengths(counts, [30, 40], 'here', SIZE)
    with pytest.raises(DataError):
        run_lengths([1200], [40, 30], 'here', SIZE)


def test_rectangles_and_circles() -> None:
    expected = np.zeros(SIZE, bool)
    expected[3:9, 2:21] = True
    np.testing.assert_array_equal(rectangle(np.array([[20.0, 3], [2, 8]]), SIZE), expected)
    disc = circle(np.array([[20.0, 15], [26, 15]]), SIZE)
    assert disc.sum() == pytest.approx(np.pi * 36, rel=0.05)
    assert disc[15, 14] and disc[15, 26] and not disc[15, 27]


@pytest.mark.parametrize('far', [1e6, -1e6, 60.0, -60.0])
def test_what_lies_outside_is_cut_off(far: float) -> None:
    points = np.array([[far, far], [far + 5, far], [far, far + 5]])
    for covered in (
        area([points], SIZE),
        polygon(points, (), SIZE),
        rectangle(points[:2], SIZE),
        circle(points[:2], SIZE),
        bitmap(np.ones((5, 5), bool), int(far), int(far), SIZE),
    ):
        assert covered.shape == SIZE and not covered.any()


def test_a_bitmap_lies_where_it_is_put() -> None:
    mask = np.array([[1, 0, 1], [1, 1, 1]], bool)
    covered = bitmap(mask, 38, -1, SIZE)
    assert covered.sum() == 2 and covered[0, 38:].all()


@pytest.mark.parametrize(
    'values',
    [None, 'ab', [1], [1, 2, 3], [[1, 2, 3]], [[1], [2, 3]], [1, float('inf')], [1, 1e7], [{}, {}]],
)
def test_points_that_are_none_are_refused(values: object) -> None:
    with pytest.raises(DataError, match='here'):
        points_of(values, 'here')
