"""What all data sets share: a list of names for each split, and a way to read one example."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from fcn.errors import DataError, FCNError
from fcn.io import read_text
from fcn.text import command_line

from .images import Way, check_label, read_label, way_of
from .inputs import Input

MAX_LIST = 64 << 20  # bytes; the paper's largest list has some hundred thousand
Item = TypeVar('Item')
MAX_NAME = 200  # characters


class SegDataset:
    """Images and labels under a folder `root`.

    A subclass states its `inputs` (`data_layers.inputs` by top), its `labels` (class names by top,
    in order of their values), the `paths` of both (patterns of an example's name), where a split's
    list lies, and `how_to_get` the set. It must not import caffe: a reading process has no use for
    the engine. `tops` are the inputs and labels to read, by default all.

    A set whose labels are not palette PNGs overrides `read_label`. Raises DataError for an unknown
    top, and for a list that cannot be read.
    """

    inputs: Mapping[str, Input] = {}
    labels: Mapping[str, tuple[str, ...]] = {}
    paths: Mapping[str, str] = {}
    split_file = '{split}.txt'
    how_to_get = "`python prepare.py` brings the paper's data sets"

    def __init__(self, root: str | Path, split: str, tops: Iterable[str] | None = None) -> None:
        known = (*self.inputs, *self.labels)
        self.root, self.split = Path(root), split
        self.tops = tuple(tops or known)
        if unknown := [top for top in self.tops if top not in known]:
            raise DataError(
                f"{type(self).__name__} has no top '{unknown[0]}'; it has {', '.join(known)}"
            )
        self.names = self._read_split()

    def path(self, top: str, name: str) -> Path:
        """Return the file that holds `top` of example `name`."""
        return self.root / self.paths[top].format(name)

    def image(self, name: str, top: str | None = None) -> np.ndarray:
        """Return an input of example `name`, by default the first, as its `read` does: a colour
        image is H×W×3 uint8 RGB."""
        top = top or next(iter(self.inputs))
        return self.inputs[top].read(self.path(top, name), self._turned(name, top))

    def _turned(self, name: str, top: str) -> bool:
        """Return whether an image is turned upright by its EXIF tag, as its label was drawn; where
        that cannot be told, it is, as `infer.py` does it."""
        label = next((top for top in self.labels if top in self.paths), None)
        path = self.path(label, name) if label else None
        is_image = path is not None and path.suffix.lower() == '.png' and path.is_file()
        way = way_of(self.path(top, name), path if is_image else None)
        return way in (Way.TURNED, Way.OPEN)

    def label(self, name: str, top: str | None = None) -> np.ndarray:
        """Return a label of example `name`, by default the first: H×W uint8 classes and void."""
        top = top or next(iter(self.labels))
        return self.read_label(self.path(top, name), top)

    def read_label(self, path: Path, top: str) -> np.ndarray:
        """Return the H×W uint8 label in the file `path`."""
        return read_label(path)

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the first image and the first label of example `name`.

        Raises DataError if they have different sizes, or the label has values of no class.
        """
        image, label = self.image(name), self.label(name)
        top = next(iter(self.labels))
        check_label(label, image.shape[:2], len(self.labels[top]), self.path(top, name))
        return image, label

    def example(self, name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return the blobs of example `name` as {top: float32}: inputs C×H×W, labels 1×H×W.

        `rng` is a generator of this example alone, for subclasses that draw. Raises DataError for a
        file that cannot be read, for sizes that differ, and for values of no class.
        """
        blobs = {}
        for top in self.tops:
            if top in self.inputs:
                blobs[top] = self.inputs[top].blob(self.image(name, top))
            else:
                label = self.label(name, top)
                check_label(label, label.shape, len(self.labels[top]), self.path(top, name))
                blobs[top] = label[np.newaxis].astype(np.float32)
        self._check_sizes(name, blobs)
        return blobs

    def _check_sizes(self, name: str, blobs: Mapping[str, np.ndarray]) -> None:
        first, *others = blobs
        height, width = blobs[first].shape[1:]
        for top in others:
            other_height, other_width = blobs[top].shape[1:]
            if (other_height, other_width) != (height, width):
                raise DataError(
                    f'{self.path(top, name)}: the {top} is {other_width}×{other_height}, '
                    f'its {first} {width}×{height}; they must be equal'
                )

    def _advice(self) -> str:
        """Return `how_to_get` with commands as this user starts them."""
        return self.how_to_get.replace('python prepare.py', command_line('prepare'))

    def _read_split(self) -> list[str]:
        path = self.root / self.split_file.format(split=self.split)
        if not self.root.is_dir():
            raise DataError(
                f'{os.path.abspath(self.root)}: no such folder; {self._advice()}, '
                '--data names another'
            )
        if not path.is_file():
            raise DataError(
                f"{path}: no such file, so there is no split '{self.split}' under {self.root}"
            )
        try:
            lines = read_text(path, MAX_LIST).split('\n')
        except FCNError as error:
            raise DataError(str(error)) from error
        names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise DataError(f'{path}: the list is empty; write one name per line')
        for name in names:
            if not _is_bare_name(name):
                raise DataError(
                    f"{path}: '{name[:80]}' is not the bare name of an example; "
                    'write one name per line, without folder and ending'
                )
        return names


def _is_bare_name(name: str) -> bool:
    """Whether a line of a list names an example, and nothing outside the set's folders."""
    return (
        len(name) <= MAX_NAME
        and not name.startswith('.')
        and name.isprintable()
        and not {*'/\\'} & {*name}
    )


def evenly_spread(names: Sequence[Item], limit: int | None) -> list[Item]:
    """Return `limit` of the names, evenly spread; all of them if it is None."""
    if limit is None or limit >= len(names):
        return list(names)
    return [names[i * len(names) // limit] for i in range(limit)]
