"""The miniature: shapes drawn by `python -m miniature`, in the layout of VOC."""

import numpy as np

from .dataset import SegDataset
from .images import DataError
from .inputs import Colour
from .voc import VOC


class Mini(VOC):
    """Scenes of several shapes, to segment. Its nets learn from drawn weights, not from
    ILSVRC's, and so want pixels of order one."""

    inputs = {'data': Colour((120.0, 120.0, 120.0), 1 / 64)}
    labels = {'label': ('background', 'disc', 'ring', 'square', 'triangle', 'star', 'bar')}


class MiniObjects(SegDataset):
    """Pictures of one shape each, to classify: what ILSVRC is to the paper.

    ImageSets/Main/SPLIT.txt lists names such as ring_00012, of Objects/ring_00012.jpg.
    """

    inputs, labels = Mini.inputs, Mini.labels
    paths = {'data': 'Objects/{}.jpg'}
    split_file = 'ImageSets/Main/{split}.txt'

    def example(self, name, rng):
        """data 3×104×104 and label 1, float32; half of those to learn from are mirrored."""
        kind, classes = name.partition('_')[0], self.labels['label']
        if kind not in classes:
            raise DataError(f"{self.root}: example '{name}' is of no class; they are {', '.join(classes)}")
        image = self.image(name)
        if self.split == 'train' and rng.random() < 0.5:
            image = image[:, ::-1]
        return {'data': self.inputs['data'].blob(image), 'label': np.array([classes.index(kind)], np.float32)}
