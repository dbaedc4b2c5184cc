"""The miniature: shapes drawn by the package `miniature`, in the layouts of VOC, NYUDv2 and SIFT Flow."""

import numpy as np

from fcn.errors import DataError

from .dataset import SegDataset
from .inputs import HHA, Colour, LogDepth
from .nyud import NYUD
from .siftflow import GEOMETRIC, SIFTFlow
from .voc import VOC

# The classes of the three sets, of their first label, by their number in the VOC palette: one class has one colour.
COLOURS = {
    'background': 0,
    'disc': 1,
    'ring': 2,
    'square': 3,
    'triangle': 4,
    'star': 5,
    'bar': 6,
    'wall': 7,
    'field': 10,
    'floor': 11,
    'building': 15,
    'picture': 18,
    'sky': 39,
}
OBJECT_SIDE = 104  # pixels, of a picture of one shape
# To pixels of order one.
SCALE = 1 / 64


class Mini(VOC):
    """Scenes of several shapes, to segment. Its nets learn from drawn weights, not from
    ILSVRC's, and so want pixels of order one."""

    inputs = {'data': Colour((120.0, 120.0, 120.0), SCALE)}
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
            raise DataError(
                f"{self.root}: example '{name}' is of no class; they are {', '.join(classes)}"
            )
        image = self.image(name)
        if image.shape[:2] != (
            OBJECT_SIDE,
            OBJECT_SIDE,
        ):  # The classifier's inner products know no other.
            raise DataError(
                f'{self.path("data", name)}: {image.shape[1]}×{image.shape[0]}; pictures of single shapes '
                f'are {OBJECT_SIDE}×{OBJECT_SIDE}'
            )
        if self.split == 'train' and rng.random() < 0.5:
            image = image[:, ::-1]
        return {
            'data': self.inputs['data'].blob(image),
            'label': np.array([classes.index(kind)], np.float32),
        }


class MiniNYUD(NYUD):
    """Rooms in colour and depth, in the layout of NYUDv2. A picture hangs on the wall and shows one of the shapes
    that stand before it: it takes depth to tell them apart, and colour to see it at all."""

    inputs = {
        'color': Mini.inputs['data'],
        'depth': LogDepth(7.844),
        'hha': HHA((120.0, 120.0, 120.0), SCALE),
    }
    labels = {'label': ('wall', 'floor', 'picture', 'disc', 'square', 'triangle', 'star')}


class MiniSIFTFlow(SIFTFlow):
    """Landscapes labelled twice, in the layout of SIFT Flow. The same shapes float in the sky, stand and lie."""

    inputs = Mini.inputs
    labels = {
        'sem': ('sky', 'field', 'building', 'disc', 'square', 'triangle', 'star'),
        'geo': GEOMETRIC,
    }
