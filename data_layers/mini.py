"""The miniature: shapes drawn by `python -m miniature`, in the layout of VOC."""

import numpy as np

from .dataset import SegDataset
from .images import DataError, read_image, to_blob
from .voc import VOC


class Mini(VOC):
    """Scenes of several shapes, to segment. Its nets learn from drawn weights, not from
    ILSVRC's, and so want pixels of order one."""

    classes = ('background', 'disc', 'ring', 'square', 'triangle', 'star', 'bar')
    mean = (120.0, 120.0, 120.0)
    scale = 1 / 64


class MiniObjects(SegDataset):
    """Pictures of one shape each, to classify: what ILSVRC is to the paper.

    ImageSets/Main/SPLIT.txt lists names such as ring_00012, of Objects/ring_00012.jpg.
    """

    classes, mean, scale = Mini.classes, Mini.mean, Mini.scale
    split_file = 'ImageSets/Main/{split}.txt'

    def image(self, name):
        return read_image(self.root / 'Objects' / f'{name}.jpg')

    def example(self, name, rng):
        """data 3×104×104 and label 1, float32; half of those to learn from are mirrored."""
        kind = name.partition('_')[0]
        if kind not in self.classes:
            raise DataError(f"{self.root}: example '{name}' is of no class; they are {', '.join(self.classes)}")
        image = self.image(name)
        if self.split == 'train' and rng.random() < 0.5:
            image = image[:, ::-1]
        return to_blob(image, self.mean, self.scale), np.array([self.classes.index(kind)], np.float32)
