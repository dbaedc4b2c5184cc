"""What all data sets share: a list of names for each split, and a way to read one."""

from pathlib import Path

import numpy as np

from .images import DataError, check_label, to_blob


class SegDataset:
    """Images and labels under a folder `root`.

    A subclass says its `classes` (names by label value), its `mean` (BGR, 0–255), what
    the difference to it is multiplied by (`scale`, 1 for every net of the paper), where
    a split's list lies and how an image and a label are read. It must not import caffe:
    a reading process has no use for the engine.
    """

    classes = ()
    mean = (0.0, 0.0, 0.0)
    scale = 1.0
    split_file = '{split}.txt'

    def __init__(self, root, split):
        self.root, self.split = Path(root), split
        self.names = self._read_split()

    def image(self, name):
        """H×W×3 uint8 RGB of example `name`."""
        raise NotImplementedError

    def label(self, name):
        """H×W uint8 label of example `name`."""
        raise NotImplementedError

    def label_path(self, name):
        """The file that `label` reads."""
        raise NotImplementedError

    def example(self, name, rng):
        """The blobs of example `name`, float32: data 3×H×W and label 1×H×W.

        `rng` is a NumPy generator of this example alone, for subclasses that draw.
        """
        image, label = self.pair(name)
        return to_blob(image, self.mean, self.scale), label[np.newaxis].astype(np.float32)

    def pair(self, name):
        """The image and the label of example `name`, checked against each other."""
        image, label = self.image(name), self.label(name)
        check_label(label, image.shape[:2], len(self.classes), self.label_path(name))
        return image, label

    def _read_split(self):
        path = self.root / self.split_file.format(split=self.split)
        if not path.is_file():
            raise DataError(f"{path}: no such file, so there is no split '{self.split}' under {self.root}")
        lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
        names = [line.strip() for line in lines if line.strip()]
        if not names:
            raise DataError(f'{path}: the list is empty')
        for name in names:
            if '/' in name or '\\' in name or name.startswith('.') or '\0' in name:
                raise DataError(f"{path}: '{name[:80]}' is not the bare name of an example")
        return names
