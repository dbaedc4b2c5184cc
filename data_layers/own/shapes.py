"""Shapes of annotations, and the pixels that they cover.

COCO and YOLO measure from the picture's corner: a pixel is covered if its centre is, as in COCO's
own masks. LabelMe and Supervisely draw the outline as well; so do we, with Pillow, as LabelMe does.
"""

import base64
import binascii
import io
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from fcn.errors import DataError

MAX_COORDINATE = 1e6
MAX_POINTS = 1_000_000
AT_ONCE = 1 << 20  # edges times rows: more would be gigabytes
Size = tuple[int, int]  # height, width


class Shape(NamedTuple):
    """A named part of a picture: `cover` returns its pixels, H×W bool, for a size (H, W). `crowd`
    tells that it is a crowd of COCO: of its name, but not drawn one by one."""

    name: str
    cover: Callable[[Size], np.ndarray]
    crowd: bool = False


class Annotation(NamedTuple):
    """The shapes of one picture, the last on top, and its size (H, W) if the format tells it.
    `passed_over` are the kinds of those that have no area, such as lines. `picture` is the path of
    the picture that the format tells, or ''."""

    size: Size | None
    shapes: Sequence[Shape]
    passed_over: Sequence[str] = ()
    picture: str = ''


def points_of(values: Any, where: str | Path) -> np.ndarray:
    """Return points, N×2 float64, of [[x, y], …] or [x, y, x, y, …].

    Raises DataError for what is none, and for numbers that are not finite or of no picture.
    """
    try:
        points = np.asarray(values, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f'{where}: has points that are no pairs of numbers; draw it anew'
        ) from error
    if len(points) > MAX_POINTS or not (np.abs(points) <= MAX_COORDINATE).all():
        raise DataError(f'{where}: its points lie in no picture; draw it anew')
    return points


def area(rings: Sequence[np.ndarray], size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, whose centres lie in a polygon: in an odd number of its rings.

    A ring is N×2 (x, y) from the picture's corner. What lies outside of the picture is cut off.
    """
    corners = np.concatenate(rings)
    left, top = np.floor(corners.min(0)).clip(0, size[::-1]).astype(int)
    right, bottom = np.ceil(corners.max(0)).clip(0, size[::-1]).astype(int)
    # Whether an odd number of edges crosses the middle of a row just left of a pixel's centre.
    crossed = np.zeros((bottom - top, right - left + 1), np.uint8)
    middles = np.arange(top, bottom) + 0.5
    edges = np.concatenate([np.stack([ring, np.roll(ring, -1, axis=0)], 1) for ring in rings])
    edges = np.where(edges[:, :1, 1:] <= edges[:, 1:, 1:], edges, edges[:, ::-1])  # downwards
    step = max(AT_ONCE // (len(middles) + 1), 1)
    for some in (edges[first : first + step] for first in range(0, len(edges), step)):
        (x0, y0), (x1, y1) = some.transpose(1, 2, 0)
        edge, row = np.nonzero((y0[:, None] <= middles) & (middles < y1[:, None]))
        x = x0[edge] + (middles[row] - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
        columns = np.ceil(x - 0.5).clip(left, right).astype(int)
        np.bitwise_xor.at(crossed, (row, columns - left), 1)
    covered = np.zeros(size, bool)
    covered[top:bottom, left:right] = np.bitwise_xor.accumulate(crossed, axis=1)[:, :-1]
    return covered


def drawn(draw: Callable[[ImageDraw.ImageDraw], None], size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, that `draw` gives 1 in Pillow's way: with the outline."""
    canvas = Image.new('L', (size[1], size[0]))
    draw(ImageDraw.Draw(canvas))
    return np.asarray(canvas) > 0


def polygon(exterior: np.ndarray, interior: Sequence[np.ndarray], size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, of a polygon with its outline, without its holes."""

    def draw(canvas: ImageDraw.ImageDraw) -> None:
        for ring, value in [(exterior, 1), *((hole, 0) for hole in interior)]:
            canvas.polygon([tuple(point) for point in ring.tolist()], value, value)

    return drawn(draw, size)


def rectangle(points: np.ndarray, size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, of a rectangle of two corners, 2×2."""
    (x0, y0), (x1, y1) = np.sort(points, axis=0).tolist()
    return drawn(lambda canvas: canvas.rectangle((x0, y0, x1, y1), 1, 1), size)


def circle(points: np.ndarray, size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, of a circle of a centre and a point of its line, 2×2."""
    (x, y), radius = points[0], math.dist(*points.tolist())
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def bitmap(mask: np.ndarray, left: int, top: int, size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, of a mask (h×w bool) that lies at (left, top)."""
    covered = np.zeros(size, bool)
    part = mask[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    if part.size:
        top, left = max(top, 0), max(left, 0)
        covered[top : top + part.shape[0], left : left + part.shape[1]] = part
    return covered


def read_bytes(text: Any, where: str | Path) -> bytes:
    """Return the bytes of a text in base64. Raises DataError if it is none."""
    try:
        return base64.b64decode(text, validate=False)
    except (TypeError, ValueError, binascii.Error) as error:
        raise DataError(f'{where}: has a bitmap that is no base64; export it again') from error


def read_bitmap(content: bytes, size: Size, where: str | Path) -> np.ndarray:
    """Return the mask, h×w bool, in a PNG no larger than a picture of a size.

    Where it has an alpha channel, the mask is what is not transparent.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content), formats=('PNG',)) as image:
                if image.width > size[1] or image.height > size[0]:
                    raise ValueError(f'{image.width}×{image.height} is larger than its picture')
                if 'A' in image.getbands():
                    return np.asarray(image.getchannel('A')) > 0
                return np.asarray(image.convert('L' if image.mode != 'P' else 'P')) > 0
    except Exception as error:  # Pillow's readers raise many kinds on bytes they did not expect.
        raise DataError(f'{where}: has a damaged bitmap ({error}); export it again') from error
