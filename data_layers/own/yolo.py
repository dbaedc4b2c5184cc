"""YOLO with segments: a text of polygons for each picture, in parts of its width and height."""

import functools
import re
from pathlib import Path

import numpy as np

from fcn.errors import DataError

from .found import Found, Options, assemble_shapes
from .legends import FILES, Legend, find_legend
from .listing import Listing, place
from .lists import find_lists
from .pairing import pair
from .shapes import Annotation, Shape, Size, area, points_of
from .texts import load_lines

MAX_BYTES = 64 << 20
NUMBERS = re.compile(r'^\d+(?:\s+[-+.\deE]+){2,}$')
SLACK = 1  # polygons may leave the picture by so many of its sides; pixels leave it by far


def yolo(listing: Listing, options: Options) -> Found | None:
    """Read images with labels/a.txt, and the names of classes in data.yaml or classes.txt."""
    known = {*FILES.split(), *(path.lower() for path in find_lists(listing).values())}
    files = [
        path
        for path in listing.of_ending('.txt')
        if path.lower() not in known and path.rpartition('/')[2].lower() not in known
    ]
    labels = [place(path) for path in files]
    if any(one.role == 'label' for one in labels):
        labels = [one for one in labels if one.role == 'label']
    images = [one for one in listing.images if one.role in ('', 'image')]
    pairs = pair(images, labels, listing.root)
    texts = [example.label for _, example in pairs.examples]
    if not any(_is_one(listing.root / path) for path in texts):
        return None
    return assemble_shapes(
        listing, options, 'yolo', pairs, _names(listing, options, texts), read_yolo
    )


def _is_one(path: Path) -> bool:
    lines = load_lines(path, MAX_BYTES)
    return bool(lines) and all(NUMBERS.match(line) for _, line in lines[:3])


def _names(listing: Listing, options: Options, texts: list[str]) -> tuple[str, Legend]:
    if found := find_legend(options.legend, listing.root, texts):
        return found
    if options.classes:
        return '--classes', Legend(options.classes)
    raise DataError(
        f'{listing.root}: has polygons of YOLO and no names of classes; write them into '
        'classes.txt, one a line, or give --classes'
    )


def read_yolo(path: Path, picture: str = '') -> Annotation:
    """Return the polygons of a YOLO text; their names are the numbers of classes. Raises DataError
    for what is none, such as boxes."""
    shapes = []
    for number, line in load_lines(path, MAX_BYTES):
        where = f'{path}: line {number}'
        name, *rest = line.split()
        points = points_of([_number(text) for text in rest], where)
        if len(points) == 2:
            raise DataError(f'{where} is a box; nets learn from polygons: export segments')
        if not name.isdecimal() or len(points) < 3:
            raise DataError(f'{where} is no number of a class and three or more points; correct it')
        if not (np.abs(points - 0.5) <= 0.5 + SLACK).all():
            raise DataError(f'{where}: points are parts of the sides, 0 to 1; export it again')
        shapes.append(Shape(str(int(name)), functools.partial(_area, points)))
    return Annotation(None, shapes)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float('nan')  # which is no place in a picture


def _area(points: np.ndarray, size: Size) -> np.ndarray:
    return area([points * (size[1], size[0])], size)
