"""What a folder holds: its files in an order of their own, and what each folder's name says.

Paths are relative to the set's folder, with slashes. Names are compared by `key`, so that composed
and decomposed umlauts, and endings in any case, are the same.
"""

import functools
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fcn.errors import DataError
from fcn.text import few, printable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The endings of the formats in data_layers.images.FORMATS.
IMAGES = _words('.jpg .jpeg .jpe .jfif .png .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm')
TEXTS = _words('.txt .json .csv .yaml .yml')
MAX_FILES = 3_000_000
MAX_DEPTH = 16
SPLITS = {
    'training': 'train',
    'train': 'train',
    'validation': 'val',
    'valid': 'val',
    'val': 'val',
    'testing': 'test',
    'test': 'test',
}
IMAGE_FOLDERS = _words(
    'data image images img imgs jpegimages photo photos picture pictures rgb input inputs frames '
    'original originals leftimgbit stillsrawfull'
)
LABEL_FOLDERS = _words(
    'mask masks label labels annotation annotations annot annots ann anns gt gts gtfine gtcoarse '
    'groundtruth segmentation segmentations segmentationmasks segmentationclass '
    'segmentationclasspng segmentationclassraw segmentationclassaug target targets '
    'labeledapprovedfull'
)
OTHER_FOLDERS = _words(
    'segmentationobject segmentationobjectpng segmentationclassvisualization '
    'segmentationobjectvisualization visualization overlays masksmachine masksinstances'
)


class Placed(NamedTuple):
    """A file, and what its folders say.

    `role` is 'image', 'label', 'other', or '' where no folder says; `split` is 'train', 'val',
    'test' or ''; `name` is the path without ending and without the folders that said these.
    """

    path: str
    role: str
    split: str
    name: str

    @property
    def key(self) -> str:
        """The split and the name, to compare."""
        return key(f'{self.split}/{self.name}')


@dataclass(frozen=True)
class Listing:
    """The files below a folder, sorted; `passed_over` counts what is not read, by kind."""

    root: Path
    files: tuple[str, ...]
    passed_over: Mapping[str, int]

    @functools.cached_property
    def images(self) -> list[Placed]:
        """The files that are images by their endings."""
        return [place(path) for path in self.files if ending(path) in IMAGES]

    def of_ending(self, *endings: str) -> list[str]:
        """Return the files of the endings, such as '.json'."""
        return [path for path in self.files if ending(path) in endings]

    def below(self, folder: str) -> 'Listing':
        """Return the listing of a folder in it."""
        files = [path[len(folder) + 1 :] for path in self.files if path.startswith(f'{folder}/')]
        return Listing(self.root / folder, tuple(files), self.passed_over)


def key(text: str) -> str:
    """Return a name as names are compared: composed, without regard to case."""
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', text).casefold())


def ending(path: str) -> str:
    """Return the ending of a path, in small letters."""
    return os.path.splitext(path)[1].lower()


def stem(path: str) -> str:
    """Return a path without the ending."""
    return os.path.splitext(path)[0]


def scan(folder: str | Path) -> Listing:
    """Return what a folder holds.

    Hidden files and what programs leave behind are passed over. Raises DataError if there is no
    such folder, and for a link that leads out of it.
    """
    root = Path(os.path.abspath(folder))
    if not root.is_dir():
        raise DataError(f'{root}: no such folder; name the folder that holds images and labels')
    files: list[str] = []
    passed: Counter[str] = Counter()
    _scan(str(root), os.path.realpath(root), (os.path.realpath(root),), files, passed)
    start = len(os.path.join(root, ''))
    names = sorted(path[start:] for path in files)
    return Listing(root, tuple(names), dict(sorted(passed.items())))


def _scan(
    folder: str, root: str, parents: tuple[str, ...], files: list[str], passed: Counter[str]
) -> None:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f'{folder}: cannot be read ({error.strerror}); allow it') from error
    for entry in found:
        kind = _passed_over(entry)
        if kind is not None:
            passed[kind] += 1
            continue
        if entry.is_symlink():
            _check_link(entry.path, root)
        if not entry.is_dir():
            files.append(entry.path)
            continue
        real = os.path.realpath(entry.path)
        if real in parents:  # a link to a folder above
            passed['links to folders above'] += 1
        elif len(parents) < MAX_DEPTH:
            _scan(entry.path, root, (*parents, real), files, passed)
        else:
            raise DataError(f'{printable(entry.path)}: lies too deep; name a folder further down')
    if len(files) > MAX_FILES:
        raise DataError(f'{root}: holds more than {MAX_FILES:,} files; name a folder of images')


def _passed_over(entry: os.DirEntry[str]) -> str | None:
    """Return the kind of an entry that is not read, None of one that is."""
    name = entry.name
    if not name.isprintable():
        return 'names with control characters'
    if name.startswith('._'):
        return '._*'
    if name.startswith('.') or name == '__MACOSX':
        return 'hidden'
    if entry.is_dir():
        return None
    if not entry.is_file():
        return 'broken links' if entry.is_symlink() else 'no plain files'
    if ending(name) in IMAGES | TEXTS:
        return None
    return ending(name) or name


def _check_link(path: str, root: str) -> None:
    real = os.path.realpath(path)
    if os.path.commonpath([real, root]) != root:
        raise DataError(
            f'{printable(path)}: is a link that leads out of the set, to {printable(real)}; '
            'copy what it leads to'
        )


def place(path: str) -> Placed:
    """Return a file with what its folders say: the last word of a role or a split counts."""
    *folders, name = stem(path).split('/')
    role, split, rest = '', '', []
    for folder in folders:
        said_role, said_split = _said(folder)
        role, split = said_role or role, said_split or split
        if not said_role and not said_split:
            rest.append(folder)
    return Placed(path, role, split, unicodedata.normalize('NFC', '/'.join([*rest, name])))


def _said(folder: str) -> tuple[str, str]:
    """Return the role and the split in a folder's name, such as 'train2017' or 'val_labels'."""
    text = re.sub(r'[\W\d_]', '', folder.casefold())
    role = _role(text)
    if role:
        return role, ''
    for word, split in SPLITS.items():
        for rest in (text.removeprefix(word), text.removesuffix(word)):
            if rest != text and (not rest or _role(rest)):
                return _role(rest), split
    return '', ''


def _role(text: str) -> str:
    if text in IMAGE_FOLDERS:
        return 'image'
    if text in LABEL_FOLDERS:
        return 'label'
    return 'other' if text in OTHER_FOLDERS or text.startswith('panoptic') else ''


def trimmed(placed: Sequence[Placed]) -> list[Placed]:
    """Return files without the folders that all their names begin with."""
    folders = [one.name.rpartition('/')[0] for one in placed]
    common = posixpath.commonpath(folders) if folders else ''
    start = len(common) + 1 if common else 0
    return [one._replace(name=one.name[start:]) for one in placed]


def table(placed: Iterable[Placed], what: str, root: Path) -> dict[str, Placed]:
    """Return files by their keys. Raises DataError if two have one."""
    found: dict[str, Placed] = {}
    for one in placed:
        other = found.setdefault(one.key, one)
        if other is not one:
            both = few([printable(other.path), printable(one.path)])
            raise DataError(f"{root}: two {what} have the name '{one.name}': {both}; remove one")
    return found
