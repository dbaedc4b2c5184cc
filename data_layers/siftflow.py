"""SIFT Flow (Liu et al. 2009): outdoor scenes, labelled twice (Tighe & Lazebnik 2010)."""

from pathlib import Path

import numpy as np

from .config import DatasetConfig, Source
from .dataset import SegDataset
from .inputs import Colour
from .matlab import from_one, read_mat

SEMANTIC = (
    'awning',
    'balcony',
    'bird',
    'boat',
    'bridge',
    'building',
    'bus',
    'car',
    'cow',
    'crosswalk',
    'desert',
    'door',
    'fence',
    'field',
    'grass',
    'moon',
    'mountain',
    'person',
    'plant',
    'pole',
    'river',
    'road',
    'rock',
    'sand',
    'sea',
    'sidewalk',
    'sign',
    'sky',
    'staircase',
    'streetlight',
    'sun',
    'tree',
    'window',
)
GEOMETRIC = ('sky', 'horizontal', 'vertical')
_SCENES = 'spatial_envelope_256x256_static_8outdoorcategories'


class SIFTFlow(SegDataset):
    """SPLIT.txt, and Images, SemanticLabels and GeoLabels of the scenes.

    The `S` of a label's file counts classes from 1.
    """

    inputs = {'data': Colour((114.578, 115.294, 108.353))}
    labels = {'sem': SEMANTIC, 'geo': GEOMETRIC}
    paths = {
        'data': f'Images/{_SCENES}/{{}}.jpg',
        'sem': f'SemanticLabels/{_SCENES}/{{}}.mat',
        'geo': f'GeoLabels/{_SCENES}/{{}}.mat',
    }
    how_to_get = '`python prepare.py siftflow` brings it'

    def read_label(self, path: Path, top: str) -> np.ndarray:
        return from_one(read_mat(path, lambda mat: mat['S'], 'S', len(self.labels[top])))


CONFIG = DatasetConfig(
    kind=SIFTFlow,
    train=Source('SIFTFlow', 'data/siftflow', 'trainval'),
    val=Source('SIFTFlow', 'data/siftflow', 'test'),
    phases=('trainval', 'test'),
    drop_absent=True,
)
