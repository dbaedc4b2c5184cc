"""Supervisely: meta.json, and for each picture in img/ a JSON file of objects in ann/."""

import functools
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fcn.errors import DataError
from fcn.text import printable, shortened

from .found import Found, Options, assemble_shapes
from .legends import Legend, colour_of
from .listing import IMAGES, Listing, ending, place, stem
from .pairing import pair
from .shapes import (
    Annotation,
    Shape,
    Size,
    bitmap,
    points_of,
    polygon,
    read_bitmap,
    read_bytes,
    rectangle,
)
from .texts import load_json, name_of

MAX_BYTES = 64 << 20
MAX_BITMAP = 64 << 20  # bytes of a PNG
NO_AREA = frozenset({'point', 'line', 'graph', 'any_shape', 'cuboid'})


def supervisely(listing: Listing, options: Options) -> Found | None:
    """Read meta.json with DATASET/img/a.jpg and DATASET/ann/a.jpg.json."""
    labels = []
    for path in listing.of_ending('.json'):
        if f'/{path}'.rpartition('/')[0].endswith('/ann'):
            one = place(path)
            short = stem(one.name) if ending(one.name) in IMAGES else one.name
            labels.append(one._replace(name=short))
    meta = next((path for path in listing.files if path.lower() == 'meta.json'), None)
    if not labels or meta is None:
        return None
    images = [one for one in listing.images if one.role == 'image']
    pairs = pair(images, labels, listing.root)
    legend = meta, _read_meta(listing.root / meta)
    return assemble_shapes(listing, options, 'supervisely', pairs, legend, read_supervisely)


def _read_meta(path: Path) -> Legend:
    data = load_json(path, MAX_BYTES)
    classes = data.get('classes') if isinstance(data, Mapping) else None
    if not isinstance(classes, list) or not all(isinstance(one, Mapping) for one in classes):
        raise DataError(f'{path}: has no `classes`; export the project again')
    names = [name for one in classes if (name := name_of(one.get('title'))) is not None]
    if not names or len(names) < len(classes):
        raise DataError(f'{path}: has classes without a `title`; export the project again')
    colours = [colour_of(one.get('color')) for one in classes]
    known = tuple(colour for colour in colours if colour is not None)
    distinct = len(set(known)) == len(names)
    return Legend(tuple(names), known if distinct else None)


def read_supervisely(path: Path, picture: str = '') -> Annotation:
    """Return the objects of a Supervisely file. Raises DataError for what is none."""
    data = load_json(path, MAX_BYTES)
    if not isinstance(data, Mapping) or not isinstance(data.get('objects'), list):
        raise DataError(f'{path}: is no file of Supervisely: it has no `objects`; export it again')
    shapes, passed = [], []
    for number, one in enumerate(data['objects'], 1):
        where = f'{path}: object {number}'
        name = name_of(one.get('classTitle')) if isinstance(one, Mapping) else None
        if name is None:
            raise DataError(f'{where} has no `classTitle`; export it again')
        kind = one.get('geometryType')
        if str(kind) in NO_AREA:
            passed.append(str(kind))
        else:
            shapes.append(_shape(name, kind, one, where))
    return Annotation(_size(data.get('size')), shapes, passed)


def _size(size: Any) -> Size | None:
    if not isinstance(size, Mapping):
        return None
    height, width = size.get('height'), size.get('width')
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _shape(name: str, kind: Any, one: Mapping[str, Any], where: str) -> Shape:
    if kind == 'bitmap' and isinstance(held := one.get('bitmap'), Mapping):
        origin = points_of(held.get('origin'), where)
        content = _unpack(read_bytes(held.get('data'), where), where)
        if origin.shape == (1, 2):
            left, top = map(round, origin[0].tolist())
            return Shape(
                name, lambda size: bitmap(read_bitmap(content, size, where), left, top, size)
            )
    if kind in ('polygon', 'rectangle') and isinstance(held := one.get('points'), Mapping):
        exterior = points_of(held.get('exterior'), where)
        holes = held.get('interior') or []
        if kind == 'rectangle' and len(exterior) == 2:
            return Shape(name, functools.partial(rectangle, exterior))
        if kind == 'polygon' and len(exterior) >= 3 and isinstance(holes, list):
            interior = [points_of(hole, where) for hole in holes]
            if all(len(hole) >= 3 for hole in interior):
                return Shape(name, functools.partial(polygon, exterior, interior))
    shown = f"this '{shortened(printable(kind), 40)}'"
    raise DataError(f'{where}: {shown} is not read here; make it a polygon or a bitmap')


def _unpack(content: bytes, where: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, MAX_BITMAP)
    except zlib.error as error:
        raise DataError(f'{where}: has a damaged bitmap ({error}); export it again') from error
