"""NYUDv2 (Silberman et al. 2012): indoor scenes in colour and depth, in the 40 classes of Gupta et
al. 2013."""

from pathlib import Path

import numpy as np

from .config import DatasetConfig, Source
from .dataset import SegDataset
from .inputs import HHA, Colour, LogDepth
from .matlab import from_one, read_mat

CLASSES = (
    'wall',
    'floor',
    'cabinet',
    'bed',
    'chair',
    'sofa',
    'table',
    'door',
    'window',
    'bookshelf',
    'picture',
    'counter',
    'blinds',
    'desk',
    'shelves',
    'curtain',
    'dresser',
    'pillow',
    'mirror',
    'floor mat',
    'clothes',
    'ceiling',
    'books',
    'refridgerator',
    'television',
    'paper',
    'towel',
    'shower curtain',
    'box',
    'whiteboard',
    'person',
    'night stand',
    'toilet',
    'sink',
    'lamp',
    'bathtub',
    'bag',
    'otherstructure',
    'otherfurniture',
    'otherprop',
)


class NYUD(SegDataset):
    """SPLIT.txt, data/{images,depth,hha}/img_NAME.png, segmentation/img_NAME.mat.

    Depth is in millimetres; `segmentation` counts classes from 1, and 0 is void.
    """

    inputs = {
        'color': Colour((116.190, 97.203, 92.318)),
        'depth': LogDepth(7.844),
        'hha': HHA((132.431, 94.076, 118.477)),
    }
    labels = {'label': CLASSES}
    paths = {
        'color': 'data/images/img_{}.png',
        'depth': 'data/depth/img_{}.png',
        'hha': 'data/hha/img_{}.png',
        'label': 'segmentation/img_{}.mat',
    }
    how_to_get = '`python prepare.py nyud` brings it'

    def read_label(self, path: Path, top: str) -> np.ndarray:
        return from_one(
            read_mat(path, lambda mat: mat['segmentation'], 'segmentation', len(self.labels[top]))
        )


CONFIG = DatasetConfig(
    kind=NYUD,
    train=Source('NYUD', 'data/nyud', 'trainval'),
    val=Source('NYUD', 'data/nyud', 'test'),
    phases=('trainval', 'test'),
)
