"""LabelMe: a JSON file of shapes for each picture."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fcn.errors import DataError
from fcn.text import printable, shortened

from .found import Found, Options, assemble_shapes
from .listing import Listing, place
from .pairing import pair
from .shapes import (
    Annotation,
    Shape,
    Size,
    bitmap,
    circle,
    points_of,
    polygon,
    read_bitmap,
    read_bytes,
    rectangle,
)
from .texts import head, load_json, name_of

MAX_BYTES = 256 << 20  # with the picture itself, as LabelMe stores it
NO_AREA = frozenset({'point', 'points', 'line', 'linestrip'})


def labelme(listing: Listing, options: Options) -> Found | None:
    """Read pictures with a LabelMe file of the same name each, next to them or in a folder."""
    files = [path for path in listing.of_ending('.json') if _is_one(listing.root / path)]
    if not files:
        return None
    images = [one for one in listing.images if one.role in ('', 'image')]
    pairs = pair(images, [place(path)._replace(role='label') for path in files], listing.root)
    return assemble_shapes(listing, options, 'labelme', pairs, None, read_labelme)


def _is_one(path: Path) -> bool:
    text = head(path)
    return '"shapes"' in text or '"imageData"' in text


def read_labelme(path: Path, picture: str = '') -> Annotation:
    """Return the shapes of a LabelMe file. Raises DataError for what is none."""
    data = load_json(path, MAX_BYTES)
    if not isinstance(data, Mapping) or not isinstance(data.get('shapes'), list):
        raise DataError(f'{path}: is no file of LabelMe: it has no `shapes`; export it again')
    shapes, passed = [], []
    for number, one in enumerate(data['shapes'], 1):
        where = f'{path}: shape {number}'
        name = name_of(one.get('label')) if isinstance(one, Mapping) else None
        if name is None:
            raise DataError(f'{where} has no `label`; give it one')
        kind = one.get('shape_type', 'polygon')
        points = points_of(one.get('points'), where)
        if str(kind) in NO_AREA:
            passed.append(kind)
        elif kind == 'polygon' and len(points) < 3:
            passed.append('polygon of fewer than three points')
        else:
            shapes.append(_shape(name, kind, points, one.get('mask'), where))
    return Annotation(_size(data), shapes, passed, str(data.get('imagePath') or ''))


def _size(data: Mapping[str, Any]) -> Size | None:
    height, width = data.get('imageHeight'), data.get('imageWidth')
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _shape(name: str, kind: Any, points: np.ndarray, mask: Any, where: str) -> Shape:
    if kind in ('rectangle', 'circle', 'mask') and len(points) == 2:
        if kind == 'mask':
            left, top = map(round, points[0].tolist())
            content = read_bytes(mask, where)
            return Shape(
                name, lambda size: bitmap(read_bitmap(content, size, where), left, top, size)
            )
        return Shape(name, functools.partial(rectangle if kind == 'rectangle' else circle, points))
    if kind in ('polygon', 'rectangle') and len(points) >= 3:
        return Shape(name, functools.partial(polygon, points, ()))
    shown = f"a '{shortened(printable(kind), 40)}' of {len(points)} points"
    raise DataError(f'{where}: {shown} is not read here; draw a polygon')
