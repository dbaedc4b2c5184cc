"""Lists of examples, as tools write them: names, file names, paths, or pairs of paths, one a line.

A line is only ever taken for a file that the listing of the set holds: nothing outside is read.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Mapping

from fcn.errors import DataError
from fcn.text import printable, shortened

from .listing import SPLITS, Listing, Placed, key, stem
from .texts import load_lines

MAX_BYTES = 64 << 20
FOLDERS = frozenset({'', 'imagesets', 'segmentation', 'main', 'splits', 'split', 'lists', 'sets'})
FLAG = re.compile(r'^(.*\S)\s+(?:-1|0|1)$')
# A list that is no split, and that one is drawn from.
WHOLE = 'trainval'

# The file of a name, by all keys that a list may call it; None for a key of two.
Table = Mapping[str, str | None]


def find_lists(listing: Listing) -> dict[str, str]:
    """Return the lists of a set by split: 'train', 'val', 'test', or another name of a list.

    VOC's ImageSets/Segmentation goes first, and a folder further up before one further down.
    """
    found: dict[str, str] = {}

    def order(path: str) -> tuple[bool, int, str]:
        return 'imagesets/segmentation/' not in path.lower(), path.count('/'), path

    for path in sorted(listing.of_ending('.txt'), key=order):
        *folders, name = path.lower().split('/')
        name = stem(name)
        segmentation = folders[-2:] == ['imagesets', 'segmentation']
        known = name in SPLITS or name == WHOLE
        if segmentation or (known and FOLDERS.issuperset(folders)):
            found.setdefault(SPLITS.get(name, stem(posixpath.basename(path))), path)
    return found


def names_table(placed: Iterable[Placed]) -> Table:
    """Return files by all that a list may call them: their paths, or their names in the folder of
    images, with or without ending."""
    found: dict[str, str | None] = {}
    for one in placed:
        rest = one.name + os.path.splitext(one.path)[1]
        for name in {key(text) for text in (one.path, stem(one.path), rest, one.name)}:
            found[name] = one.path if name not in found else None
    return found


def read_list(path: str, listing: Listing, images: Table, labels: Table) -> dict[str, str | None]:
    """Return the images that a list names, each with the label that it names, or None.

    Raises DataError for a line that names no image of the set, and for a list of none.
    """
    file = listing.root / path
    found: dict[str, str | None] = {}
    for number, line in load_lines(file, MAX_BYTES):
        if line.startswith('#'):
            continue
        image, label = _read_line(line, path, listing, images, labels)
        if image is None:
            shown = shortened(printable(line), 80)
            raise DataError(
                f"{file}: line {number} names no image of this set, '{shown}'; "
                'write one name per line, and remove those that are not there'
            )
        found[image] = label
    if not found:
        raise DataError(f'{file}: the list is empty; write one name per line')
    return found


def _read_line(
    line: str, path: str, listing: Listing, images: Table, labels: Table
) -> tuple[str | None, str | None]:
    """Return the image and the label of a line: a name, a pair, or a name and a flag of VOC's."""
    if image := _resolve(line, path, listing, images):
        return image, None
    for blank in re.finditer(r'\s*[\t,;]\s*|\s+', line):
        image = _resolve(line[: blank.start()], path, listing, images)
        label = image and _resolve(line[blank.end() :], path, listing, labels)
        if label:
            return image, label
    if flagged := FLAG.match(line):
        return _resolve(flagged[1], path, listing, images), None
    return None, None


def _resolve(text: str, path: str, listing: Listing, table: Table) -> str | None:
    """Return the file that a list calls `text`, which may be relative to the set, to the list or to
    a folder above the set; None if there is none, or more than one."""
    text = text.strip('"\'')
    if len(text) > 4096:
        return None
    for shown in dict.fromkeys([text, text.replace('\\', '/')]):
        root = f'{listing.root}/'
        inner = shown.removeprefix(root) if shown.startswith(root) else shown
        if '..' in inner.split('/'):
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(path), inner))
            if inner.startswith(('..', '/')):
                return None
        parts = [part for part in inner.split('/') if part not in ('', '.')]
        # A name alone is one only if the line is: '/elsewhere/a.jpg' is not a.jpg of this set.
        for first in range(max(len(parts) - 1, 1)):
            found = table.get(key('/'.join(parts[first:])))
            if found is not None:
                return found
    return None
