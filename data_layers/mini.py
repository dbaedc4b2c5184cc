"""The miniature: shapes drawn by the package `miniature`, in the layouts of VOC, NYUDv2 and SIFT
Flow."""

import numpy as np

from fcn.errors import DataError

from .config import DatasetConfig, Source
from .dataset import SegDataset
from .inputs import HHA, Colour, LogDepth
from .nyud import CONFIG as NYUD_CONFIG
from .nyud import NYUD
from .siftflow import CONFIG as SIFTFLOW_CONFIG
from .siftflow import GEOMETRIC, SIFTFlow
from .voc import VOC

# The classes of all sets, by the number in the VOC palette whose colour they have: one class has
# one colour.
COLOUR_NUMBERS = {
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
SCALE = 1 / 64  # to pixels of order one
_GENERATE = (
    '`python -c "from miniature.sets import generate_{0} as g; g(\'data/mini-{0}\')"` draws it'
)


class Mini(VOC):
    """Scenes of several shapes, to segment.

    Its nets learn from drawn weights, not from ILSVRC's, and so need pixels of order one.
    """

    inputs = {'data': Colour((120.0, 120.0, 120.0), SCALE)}
    labels = {'label': ('background', 'disc', 'ring', 'square', 'triangle', 'star', 'bar')}
    how_to_get = '`python -m miniature` draws it'


class MiniObjects(SegDataset):
    """Pictures of one shape each, to classify: what ILSVRC is to the paper.

    ImageSets/Main/SPLIT.txt lists names such as ring_00012, of Objects/ring_00012.jpg.
    """

    inputs, labels = Mini.inputs, Mini.labels
    paths = {'data': 'Objects/{}.jpg'}
    split_file = 'ImageSets/Main/{split}.txt'
    how_to_get = Mini.how_to_get

    def example(self, name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return data 3×104×104 and label 1, float32; half of those to learn from are mirrored."""
        kind, classes = name.partition('_')[0], self.labels['label']
        if kind not in classes:
            raise DataError(
                f"{self.root}: example '{name}' is of no class; name it after one of "
                f'{", ".join(classes)}, as in {classes[1]}_{name}'
            )
        image = self.image(name)
        # The classifier's inner products accept no other size.
        if image.shape[:2] != (OBJECT_SIDE, OBJECT_SIDE):
            raise DataError(
                f'{self.path("data", name)}: {image.shape[1]}×{image.shape[0]}; '
                f'pictures of single shapes must be {OBJECT_SIDE}×{OBJECT_SIDE}'
            )
        if self.split == 'train' and rng.random() < 0.5:
            image = image[:, ::-1]
        return {
            'data': self.inputs['data'].blob(image),
            'label': np.array([classes.index(kind)], np.float32),
        }


class MiniNYUD(NYUD):
    """Rooms in colour and depth, in the layout of NYUDv2.

    A picture hangs on the wall and shows one of the shapes that stand in front of it: depth is
    needed to tell them apart, and colour to see the picture at all.
    """

    inputs = {
        'color': Mini.inputs['data'],
        'depth': LogDepth(7.844),
        'hha': HHA((120.0, 120.0, 120.0), SCALE),
    }
    labels = {'label': ('wall', 'floor', 'picture', 'disc', 'square', 'triangle', 'star')}
    how_to_get = _GENERATE.format('nyud')


class MiniSIFTFlow(SIFTFlow):
    """Landscapes labelled twice, in the layout of SIFT Flow.

    The same shapes float in the sky, stand and lie.
    """

    inputs = Mini.inputs
    labels = {
        'sem': ('sky', 'field', 'building', 'disc', 'square', 'triangle', 'star'),
        'geo': GEOMETRIC,
    }
    how_to_get = _GENERATE.format('siftflow')


SCENES = DatasetConfig(
    kind=Mini,
    train=Source('Mini', 'data/mini', 'train'),
    val=Source('Mini', 'data/mini', 'val'),
    colour_numbers=COLOUR_NUMBERS,
)
OBJECTS = DatasetConfig(
    kind=MiniObjects,
    train=Source('MiniObjects', 'data/mini', 'train', (('batch', 16),)),
    val=Source('MiniObjects', 'data/mini', 'val', (('batch', 16),)),
    colour_numbers=COLOUR_NUMBERS,
)
ROOMS = DatasetConfig(
    kind=MiniNYUD,
    train=Source('MiniNYUD', 'data/mini-nyud', 'trainval'),
    val=Source('MiniNYUD', 'data/mini-nyud', 'test'),
    phases=NYUD_CONFIG.phases,
    colour_numbers=COLOUR_NUMBERS,
)
LANDSCAPES = DatasetConfig(
    kind=MiniSIFTFlow,
    train=Source('MiniSIFTFlow', 'data/mini-siftflow', 'trainval'),
    val=Source('MiniSIFTFlow', 'data/mini-siftflow', 'test'),
    phases=SIFTFLOW_CONFIG.phases,
    drop_absent=SIFTFLOW_CONFIG.drop_absent,
    colour_numbers=COLOUR_NUMBERS,
)
