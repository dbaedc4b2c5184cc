"""PASCAL-Context (Mottaghi et al. 2014): every pixel of VOC 2010, in its 59 most frequent classes.

Class 0 is everything else, and is learned like the others.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fcn.errors import DataError, FCNError
from fcn.io import read_text

from .config import DatasetConfig, Source
from .dataset import SegDataset
from .ilsvrc import MEAN
from .images import VOID
from .inputs import Colour
from .matlab import read_mat
from .voc import CLASSES as VOC_CLASSES

LABELS_FILE = 'labels.txt'
MAX_LABELS = 1 << 20  # bytes; the set's own file has some thousand

CLASSES = (
    *VOC_CLASSES,
    'bag',
    'bed',
    'bench',
    'book',
    'building',
    'cabinet',
    'ceiling',
    'clothes',
    'computer',
    'cup',
    'door',
    'fence',
    'floor',
    'flower',
    'food',
    'grass',
    'ground',
    'keyboard',
    'light',
    'mountain',
    'mouse',
    'curtain',
    'platform',
    'sign',
    'plate',
    'road',
    'rock',
    'shelves',
    'sidewalk',
    'sky',
    'snow',
    'bedcloth',
    'track',
    'tree',
    'truck',
    'wall',
    'water',
    'window',
    'wood',
)
# Three of the classes bear other names among the set's 459.
RENAMED = {'diningtable': 'table', 'bedcloth': 'bedclothes', 'clothes': 'cloth'}


class PASCALContext(SegDataset):
    """VOC 2010's ImageSets/Main/SPLIT.txt and JPEGImages/NAME.jpg; trainval/NAME.mat, whose
    LabelMap counts the lines of labels.txt from 1."""

    inputs = {'data': Colour(MEAN)}  # Its nets start from ILSVRC's classifiers.
    labels = {'label': CLASSES}
    paths = {'data': 'JPEGImages/{}.jpg', 'label': 'trainval/{}.mat'}
    split_file = 'ImageSets/Main/{split}.txt'
    how_to_get = '`python prepare.py pascal-context` brings it'

    def __init__(self, root: str | Path, split: str, tops: Iterable[str] | None = None) -> None:
        super().__init__(root, split, tops)
        self._class_of = self._read_classes()

    def read_label(self, path: Path, top: str) -> np.ndarray:
        label = read_mat(path, lambda mat: mat['LabelMap'], 'LabelMap', len(self._class_of) - 1)
        return np.where(label < 0, VOID, self._class_of[label]).astype(np.uint8)

    def _read_classes(self) -> np.ndarray:
        """Return the class of each of the set's own labels, as a uint8 array to index with them."""
        file = self.root / LABELS_FILE
        if not file.is_file():
            raise DataError(f'{file}: no such file; {self._advice()}')
        try:
            lines = read_text(file, MAX_LABELS, 'replace').splitlines()
        except FCNError as error:
            raise DataError(f'{error}; fetch it again') from error
        names = [line.partition(':')[2].replace(' ', '') for line in lines if line.strip()]
        classes = np.zeros(len(names) + 1, np.uint8)
        for value, name in enumerate(CLASSES[1:], 1):
            own = RENAMED.get(name, name)
            if own not in names:
                raise DataError(f"{file}: no label is named '{own}'; fetch it again")
            classes[names.index(own) + 1] = value
        return classes


CONFIG = DatasetConfig(
    kind=PASCALContext,
    train=Source('PASCALContext', 'data/pascal-context', 'train'),
    val=Source('PASCALContext', 'data/pascal-context', 'val'),
)
