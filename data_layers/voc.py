"""PASCAL VOC (Everingham et al. 2010), whose layout many other sets are written in."""

from .config import DatasetConfig, Source
from .dataset import SegDataset
from .ilsvrc import MEAN
from .inputs import Colour

CLASSES = (
    'background',
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
    'diningtable',
    'dog',
    'horse',
    'motorbike',
    'person',
    'pottedplant',
    'sheep',
    'sofa',
    'train',
    'tvmonitor',
)
# What VOC's nets are validated on (section 5): VOC 2011's val without the images of SBD's train.
SEG11VALID = 'seg11valid'


class VOC(SegDataset):
    """ImageSets/Segmentation/SPLIT.txt, JPEGImages/NAME.jpg, SegmentationClass/NAME.png."""

    inputs = {'data': Colour(MEAN)}  # Its nets start from ILSVRC's classifiers.
    labels = {'label': CLASSES}
    paths = {'data': 'JPEGImages/{}.jpg', 'label': 'SegmentationClass/{}.png'}
    split_file = 'ImageSets/Segmentation/{split}.txt'
    how_to_get = '`python prepare.py voc` brings it'


CONFIG = DatasetConfig(
    kind=VOC,
    train=Source('SBD', 'data/sbd', 'train'),
    val=Source('VOC', 'data/voc', SEG11VALID),
)
