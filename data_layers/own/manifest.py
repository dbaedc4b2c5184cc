"""What a set of the user's own images is, as one JSON file that a run folder keeps.

A layout (`layouts`) makes a manifest of a folder; whatever reads the set afterwards knows no layout
any more: only images, where their labels are, and which class a pixel is.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, get_args

import numpy as np

from fcn.errors import DataError, FCNError
from fcn.io import read_text, write_text

from ..images import VOID
from .masks import Coding, Unknown

VERSION = 1
MAX_BYTES = 1 << 30
NAME = 'dataset.json'
FORMATS = 'coco', 'labelme', 'supervisely', 'yolo'  # of annotations


class Example(NamedTuple):
    """An image and its label.

    `image` and `label` are paths below the set's folder; `label` is a mask, or a file of polygons.
    `key` says which of the label file's images this is, for files that hold many (COCO).
    """

    name: str
    image: str
    label: str
    key: str = ''


@dataclass(frozen=True)
class Manifest:
    """A set: its folder, classes and their colours (K×3), and the examples of each split.

    `labels` says how labels are coded: 'masks', as `coding` says, or the name of a format of
    annotations (`annotations`), whose labels `names` maps to classes. Pixels of nothing are
    `unlabelled`. `mean` (BGR), `scale` and `white` are the preprocessing, as
    data_layers.inputs.Colour has it. `holders` are how many images hold each class, if they were
    counted. `notes` say in a line each where classes, split and coding come from.
    """

    root: Path
    layout: str
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    splits: Mapping[str, tuple[Example, ...]]
    coding: Coding
    labels: str = 'masks'
    names: Mapping[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    rotate: bool = False
    mean: tuple[float, ...] = ()
    scale: float = 1.0
    white: int | None = None
    holders: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def palette(self) -> np.ndarray:
        """The colours of the classes: K×3 uint8 RGB."""
        return np.array(self.colours, np.uint8).reshape(-1, 3)

    def examples(self) -> list[Example]:
        """Return the examples of all splits, each once."""
        found = {example.name: example for split in self.splits.values() for example in split}
        return list(found.values())

    def with_(self, **changes: Any) -> 'Manifest':
        """Return the manifest with changes."""
        return replace(self, **changes)

    def fingerprint(self) -> str:
        """Return a digest of all that decides what a net learns: classes, coding, examples, and the
        sizes of their files."""
        data = self.to_json()
        del data['notes'], data['root'], data['holders']
        files = {
            path: (self.root / path).stat().st_size if (self.root / path).exists() else None
            for example in self.examples()
            for path in (example.image, example.label)
        }
        text = json.dumps([data, files], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return what `of_json` reads."""
        return {
            'version': VERSION,
            'root': str(self.root),
            'layout': self.layout,
            'classes': list(self.classes),
            'colours': [list(colour) for colour in self.colours],
            'splits': {name: [list(e) for e in split] for name, split in self.splits.items()},
            'coding': self.coding.to_json(),
            'labels': self.labels,
            'names': dict(self.names),
            'unlabelled': self.unlabelled,
            'rotate': self.rotate,
            'mean': list(self.mean),
            'scale': self.scale,
            'white': self.white,
            'holders': list(self.holders),
            'notes': list(self.notes),
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> 'Manifest':
        """Return the manifest that `to_json` gave. Raises ValueError, TypeError or KeyError for
        what it cannot have given."""
        manifest = cls(
            Path(data['root']),
            data['layout'],
            tuple(data['classes']),
            tuple(tuple(colour) for colour in data['colours']),
            {name: tuple(Example(*e) for e in split) for name, split in data['splits'].items()},
            Coding.of_json(data['coding']),
            data['labels'],
            dict(data['names']),
            data['unlabelled'],
            data['rotate'],
            tuple(data['mean']),
            data['scale'],
            data.get('white'),
            tuple(data.get('holders', ())),
            tuple(data['notes']),
        )
        if wrong := [name for name, right in _parts(manifest) if not right]:
            raise ValueError(f'`{wrong[0]}` is damaged')
        return manifest

    def write(self, path: Path) -> None:
        """Write the manifest, whole or not at all."""
        write_text(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1) + '\n')


def read_manifest(path: str | Path) -> Manifest:
    """Return the manifest in a file. Raises DataError if it is none."""
    path = Path(path)
    try:
        data = json.loads(read_text(path, MAX_BYTES))
        if data['version'] != VERSION:
            raise ValueError(f'version {data["version"]}')
        return Manifest.of_json(data)
    except FCNError as error:
        raise DataError(str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f'{path}: is no description of a data set of this version ({error}); '
            'make it again with `prepare.py check`'
        ) from error


def _parts(manifest: Manifest) -> Iterator[tuple[str, bool]]:
    """Yield each part of a manifest and whether it may be so."""
    classes, coding = manifest.classes, manifest.coding

    def are_labels(values: Iterable[Any]) -> bool:
        allowed = {0, *range(len(classes)), VOID}
        return all(type(value) is int and value in allowed for value in values)

    texts = (manifest.layout, manifest.labels, *classes, *manifest.names, *manifest.notes)
    yield 'classes', len(set(classes)) == len(classes) <= VOID
    yield 'notes', all(isinstance(text, str) for text in texts)
    channels = [channel for colour in manifest.colours for channel in colour]
    yield 'colours', all(type(channel) is int and 0 <= channel <= 255 for channel in channels)
    yield 'colours', [len(colour) for colour in manifest.colours] == [3] * len(classes)
    yield 'labels', manifest.labels in ('masks', *FORMATS)
    yield 'names', are_labels([manifest.unlabelled, coding.transparent, *manifest.names.values()])
    codes = {**(coding.values or {}), **coding.colours}
    yield 'coding', are_labels(codes.values()) and all(type(code) is int for code in codes)
    yield 'coding', coding.classes == len(classes) and coding.unknown in get_args(Unknown)
    numbers = (*manifest.mean, manifest.scale)
    yield 'mean', len(manifest.mean) in (0, 3) and type(manifest.rotate) is bool
    yield 'scale', all(type(n) in (int, float) and abs(n) < 1e6 for n in numbers)
    held = manifest.holders
    yield 'holders', len(held) in (0, len(classes)) and all(type(n) is int for n in held)
    white = manifest.white
    yield 'white', white is None or (type(white) is int and 0 < white < 2**31)
    for split, examples in manifest.splits.items():
        names = [example.name for example in examples]
        paths = [path for example in examples for path in example[:3]]
        yield 'splits', all(isinstance(text, str) for text in (split, *paths))
        yield 'splits', all(isinstance(example.key, str) for example in examples)
        yield 'splits', 0 < len(set(names)) == len(names)
        yield 'splits', all(path and _is_below(path) for path in paths)


def _is_below(path: str) -> bool:
    """Whether a path leads to something below the folder that it is relative to."""
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != '/' and '..' not in parts and '\0' not in path


def names_of(examples: Sequence[Example]) -> list[str]:
    """Return the names of examples."""
    return [example.name for example in examples]
