"""The Semantic Boundaries Dataset (Hariharan et al. 2011), the paper's training set for VOC."""

import numpy as np
from scipy.io import loadmat

from .images import DataError, read_image
from .voc import VOC


class SBD(VOC):
    """SPLIT.txt, img/NAME.jpg, cls/NAME.mat whose GTcls holds Segmentation; VOC's classes."""

    split_file = '{split}.txt'

    def image(self, name):
        return read_image(self.root / 'img' / f'{name}.jpg')

    def label(self, name):
        path = self.label_path(name)
        if not path.is_file():
            raise DataError(f'{path}: no such file')
        try:
            label = loadmat(path)['GTcls'][0]['Segmentation'][0]
        except Exception as error:  # SciPy raises many kinds on damaged files.
            raise DataError(f'{path}: no GTcls.Segmentation in it ({error}); fetch it again') from error
        if label.ndim != 2 or label.dtype != np.uint8:
            raise DataError(f'{path}: GTcls.Segmentation is {label.dtype} of shape {label.shape}, '
                            'not uint8 of H×W')
        return label

    def label_path(self, name):
        return self.root / 'cls' / f'{name}.mat'
