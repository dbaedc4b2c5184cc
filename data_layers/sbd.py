"""The Semantic Boundaries Dataset (Hariharan et al. 2011), the paper's training set for VOC.

VOC's nets learn from it (`voc.CONFIG`); it has no config of its own.
"""

from pathlib import Path

import numpy as np

from .matlab import read_mat
from .voc import VOC


class SBD(VOC):
    """SPLIT.txt, img/NAME.jpg, cls/NAME.mat whose GTcls holds Segmentation; VOC's classes."""

    paths = {'data': 'img/{}.jpg', 'label': 'cls/{}.mat'}
    split_file = '{split}.txt'
    how_to_get = '`python prepare.py sbd` brings it'

    def read_label(self, path: Path, top: str) -> np.ndarray:
        label = read_mat(
            path, lambda mat: mat['GTcls'][0]['Segmentation'][0], 'GTcls.Segmentation', 255
        )
        return label.astype(np.uint8)
