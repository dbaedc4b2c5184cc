"""What all data sets share: a list of names for each split, and a way to read one."""

from pathlib import Path

import numpy as np

from fcn.errors import DataError, FCNError
from fcn.io import read_text

from .images import check_label, read_label

MAX_LIST = 64 << 20  # bytes: the paper's largest list has some hundred thousand
LONGEST_NAME = 200


class SegDataset:
    """Images and labels under a folder `root`.

    A subclass says its `inputs` (data_layers.inputs by top), its `labels` (class names by
    top, in order of their values), the `paths` of both (patterns of an example's name)
    and where a split's list lies. It must not import caffe: a reading process has no
    use for the engine. `tops` are those to read, by default all.

    A label that is no palette PNG wants its own `read_label`.
    """

    inputs = {}
    labels = {}
    paths = {}
    split_file = '{split}.txt'

    def __init__(self, root, split, tops=None):
        self.root, self.split = Path(root), split
        self.tops = tuple(tops or (*self.inputs, *self.labels))
        if unknown := [top for top in self.tops if top not in (*self.inputs, *self.labels)]:
            raise DataError(
                f"{type(self).__name__} has no top '{unknown[0]}'; "
                f'it has {", ".join((*self.inputs, *self.labels))}'
            )
        self.names = self._read_split()

    def path(self, top, name):
        """The file that holds `top` of example `name`."""
        return self.root / self.paths[top].format(name)

    def image(self, name, top=None):
        """H×W×3 uint8 RGB of example `name`; an input other than the first by its `top`."""
        top = top or next(iter(self.inputs))
        return self.inputs[top].read(self.path(top, name))

    def label(self, name, top=None):
        """H×W uint8 classes and void of example `name`; a label other than the first by its `top`."""
        top = top or next(iter(self.labels))
        return self.read_label(self.path(top, name), top)

    def read_label(self, path, top):
        """H×W uint8 of a label's file."""
        return read_label(path)

    def pair(self, name):
        """The first image and the first label of example `name`, checked against each other."""
        image, label = self.image(name), self.label(name)
        top = next(iter(self.labels))
        check_label(label, image.shape[:2], len(self.labels[top]), self.path(top, name))
        return image, label

    def example(self, name, rng):
        """The blobs of example `name` as {top: float32 array}: inputs C×H×W, labels 1×H×W.

        `rng` is a NumPy generator of this example alone, for subclasses that draw.
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

    def _check_sizes(self, name, blobs):
        first, *others = blobs
        height, width = blobs[first].shape[1:]
        for top in others:
            if blobs[top].shape[1:] != (height, width):
                raise DataError(
                    f'{self.path(top, name)}: the {top} is {blobs[top].shape[2]}×{blobs[top].shape[1]}, '
                    f'its {first} {width}×{height}; they must be equal'
                )

    def _read_split(self):
        path = self.root / self.split_file.format(split=self.split)
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder; `python prepare.py` brings the paper's data sets, "
                '--data names others'
            )
        if not path.is_file():
            raise DataError(
                f"{path}: no such file, so there is no split '{self.split}' under {self.root}"
            )
        try:
            names = read_text(path, MAX_LIST).split('\n')
        except FCNError as error:
            raise DataError(str(error)) from error
        names = [name.strip() for name in names if name.strip()]
        if not names:
            raise DataError(f'{path}: the list is empty')
        for name in names:
            if (
                len(name) > LONGEST_NAME
                or name.startswith('.')
                or not name.isprintable()
                or {*'/\\'} & {*name}
            ):
                raise DataError(f"{path}: '{name[:80]}' is not the bare name of an example")
        return names
