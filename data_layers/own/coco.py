"""COCO: one JSON file of annotations for many pictures."""

import functools
import posixpath
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.errors import DataError
from fcn.text import few, printable, shortened

from .found import Found, Options, assemble_shapes
from .legends import Legend
from .listing import SPLITS, Listing, Placed, key, place
from .pairing import Pairs, examples_of
from .shapes import Annotation, Shape, Size, area, points_of
from .texts import head, load_json, name_of

MAX_BYTES = 4 << 30
KEYS = re.compile(r'"(images|annotations|categories)"\s*:\s*\[')
SPLIT = re.compile(rf'(?:^|[^a-z])({"|".join(SPLITS)})(?![a-z])')
MASK = 0x1F  # the bits of a number in a character of a compressed run length


class Coco(NamedTuple):
    """A file: its images by id, its annotations by image id, its categories' names by id."""

    images: Mapping[str, Mapping[str, Any]]
    annotations: Mapping[str, Sequence[Mapping[str, Any]]]
    categories: Mapping[str, str]


def coco(listing: Listing, options: Options) -> Found | None:
    """Read images anywhere in the folder with COCO's JSON, such as annotations/instances_val.json.

    A set may have a file for each split. Where some are called instances*, others, as of captions
    or key points, are not read.
    """
    paths = [path for path in listing.of_ending('.json') if _is_one(listing.root / path)]
    paths = [path for path in paths if _file_name(path).startswith('instances')] or paths
    if not paths:
        return None
    names: dict[str, None] = {}
    matched: list[tuple[str, Placed, str, str]] = []
    orphans: list[str] = []
    taken: dict[str, str] = {}
    for path in paths:
        file = read_coco(listing.root / path)
        names |= dict.fromkeys(file.categories.values())
        said = SPLIT.search(_file_name(path))
        split = SPLITS[said[1]] if said else place(path).split
        pictures = _Pictures(listing, path, split)
        for number, image in file.images.items():
            found = pictures.find(image['file_name'])
            if found is None:
                orphans.append(f'{path}: {printable(image["file_name"])}')
                continue
            if found.path in taken:
                raise DataError(
                    f'{listing.root / found.path}: is annotated twice, in {taken[found.path]} and '
                    f'in {path}; remove one'
                )
            taken[found.path] = path
            matched.append((split or found.split, found, path, number))
    unlabelled = [one.path for one in listing.images if one.path not in taken]
    legend = paths[0], Legend(tuple(names))
    pairs = Pairs(examples_of(matched), tuple(unlabelled), tuple(orphans))
    return assemble_shapes(listing, options, 'coco', pairs, legend, read_picture)


def _is_one(path: Path) -> bool:
    return KEYS.search(head(path)) is not None


def _file_name(path: str) -> str:
    return posixpath.basename(path).lower()


class _Pictures:
    """The pictures that a file of a split may mean, by their names."""

    def __init__(self, listing: Listing, path: str, split: str) -> None:
        self.folder = posixpath.dirname(path)
        images = [one for one in listing.images if one.role in ('', 'image')]
        self.by_path = {key(one.path): one for one in images}
        self.by_name: dict[str, list[Placed]] = {}
        for one in images:
            self.by_name.setdefault(key(posixpath.basename(one.path)), []).append(one)
        self.split = split

    def find(self, name: str) -> Placed | None:
        """Return the picture of a `file_name`: next to the file, below the set's folder, or the one
        of this name in the file's split, or in all."""
        name = name.replace('\\', '/')
        for folder in (self.folder, ''):
            if found := self.by_path.get(key(posixpath.normpath(posixpath.join(folder, name)))):
                return found
        same = self.by_name.get(key(posixpath.basename(name)), [])
        tail = '/' + key(posixpath.normpath(name)).lstrip('./')
        for among in (
            [one for one in same if one.split == self.split and f'/{key(one.path)}'.endswith(tail)],
            [one for one in same if f'/{key(one.path)}'.endswith(tail)],
            [one for one in same if one.split == self.split],
            same,
        ):
            if len(among) == 1:
                return among[0]
        return None


def read_picture(path: Path, picture: str) -> Annotation:
    """Return the shapes of the picture with an id. Raises DataError for what is none."""
    file = read_coco(path)
    image = file.images.get(picture)
    if image is None:
        raise DataError(f'{path}: has no image of the id {picture}; check the set again')
    height, width = image.get('height'), image.get('width')
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    found = file.annotations.get(picture, ())
    # A crowd lies below what is drawn one by one.
    ordered = sorted(found, key=lambda one: not one.get('iscrowd'))
    shapes = [_shape(one, file, path) for one in ordered]
    passed = ['polygon of fewer than three points'] * shapes.count(None)
    return Annotation(size, [shape for shape in shapes if shape is not None], passed)


def _shape(one: Mapping[str, Any], file: Coco, path: Path) -> Shape | None:
    where = f'{path}: annotation {printable(one.get("id"))}'
    name, held = file.categories.get(str(one.get('category_id'))), one.get('segmentation')
    if name is None:
        raise DataError(f'{where} is of no category of the file; export it again')
    crowd = bool(one.get('iscrowd'))
    if isinstance(held, Mapping):
        counts, size = held.get('counts'), held.get('size')
        return Shape(name, functools.partial(run_lengths, counts, size, where), crowd)
    if isinstance(held, list) and held:
        rings = [ring for ring in (points_of(ring, where) for ring in held) if len(ring) >= 3]
        return Shape(name, functools.partial(_polygons, rings), crowd) if rings else None
    raise DataError(f'{where} is a box without a polygon; nets learn from polygons: draw one')


def _polygons(rings: Iterable[np.ndarray], size: Size) -> np.ndarray:
    return functools.reduce(np.logical_or, (area([ring], size) for ring in rings))


def run_lengths(counts: Any, held: Any, where: str, size: Size) -> np.ndarray:
    """Return the pixels, H×W bool, of COCO's run lengths: of 0, of 1, of 0 …, down the columns.

    `counts` are numbers, or the compressed text of them. Raises DataError unless they fill a
    picture of the size [H, W] `held`, which must be `size`.
    """
    if isinstance(counts, str):
        counts = _decompress(counts)
    try:
        runs = np.asarray(counts)
        sound = runs.ndim == 1 and runs.dtype.kind == 'i' and (runs >= 0).all()
        sound = sound and (runs <= size[0] * size[1]).all()
        fills = sound and tuple(held) == size and runs.sum() == size[0] * size[1]
    except (TypeError, ValueError, OverflowError):
        fills = False
    if not fills:
        raise DataError(
            f'{where} has run lengths that do not fill the picture, {size[1]}×{size[0]}; '
            'export it again'
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size, order='F')


def _decompress(text: str) -> list[int]:
    """Return the numbers in COCO's text: five bits a character, the lowest first, and from the
    fourth on the difference from the one before the last."""
    counts: list[int] = []
    number, shift = 0, 0
    for char in text:
        bits = ord(char) - 48
        number |= (bits & MASK) << shift
        shift += 5
        if bits & 0x20 and shift < 64:  # more of this number follows
            continue
        if bits & 0x10:
            number -= 1 << shift
        counts.append(number + counts[-2] if len(counts) > 2 else number)
        number, shift = 0, 0
    return counts


def read_coco(path: Path) -> Coco:
    """Return a file of COCO, read once in a process. Raises DataError for what is none."""
    state = path.stat()
    return _read(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _size: int, _changed: int) -> Coco:
    data = load_json(path, MAX_BYTES, _compact)
    lists = {}
    for name in ('images', 'annotations', 'categories'):
        held = data.get(name) if isinstance(data, Mapping) else None
        if not isinstance(held, list) or not all(isinstance(one, Mapping) for one in held):
            raise DataError(f'{path}: is no file of COCO: it has no `{name}`; export it again')
        lists[name] = held
    if any('segments_info' in one for one in lists['annotations'][:1]):
        raise DataError(f'{path}: is of panoptic segments; export instances, or masks')
    images = _by_id(lists['images'], 'file_name', path)
    categories = _by_id(lists['categories'], 'name', path)
    used = {str(one.get('category_id')) for one in lists['annotations']}
    # Roboflow writes what its classes have in common as a category of its own, without annotations.
    common = {one.get('supercategory') for one in categories.values()}
    names = {
        number: name_of(one['name']) or ''
        for number, one in categories.items()
        if number in used or one['name'] not in common or one.get('supercategory') != 'none'
    }
    annotations: dict[str, list[Mapping[str, Any]]] = {}
    for one in lists['annotations']:
        picture = str(one.get('image_id'))
        if picture not in images:
            shown = printable(one.get('id'))
            raise DataError(f'{path}: annotation {shown} is of no image; export it again')
        annotations.setdefault(picture, []).append(one)
    boxes = [one.get('id') for one in lists['annotations'] if not one.get('segmentation')]
    if boxes:
        raise DataError(
            f'{path}: {len(boxes)} of {len(lists["annotations"])} annotations are boxes without a '
            f'polygon ({few(map(printable, boxes), 3)}); nets learn from polygons: draw them'
        )
    return Coco(images, annotations, names)


def _by_id(
    held: Sequence[Mapping[str, Any]], text: str, path: Path
) -> dict[str, Mapping[str, Any]]:
    """Return objects by their ids. Raises DataError for one without an id, or without a `text`."""
    for one in held:
        number, name = one.get('id'), one.get(text)
        if not isinstance(number, (int, str)) or name_of(name) is None:
            shown = shortened(printable(name), 80)
            raise DataError(f'{path}: has a `{text}` of {shown} or without `id`; export it again')
    found = {str(one['id']): one for one in held}
    if len(found) < len(held):
        raise DataError(f'{path}: has an id twice, next to its `{text}`; export it again')
    return found


def _compact(one: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a file in little memory: numbers of polygons as arrays, no captions."""
    if isinstance(rings := one.get('segmentation'), list):
        try:
            one['segmentation'] = [array('d', ring) for ring in rings]
        except (TypeError, OverflowError):
            return one  # is refused when it is drawn
    return one
