"""PASCAL VOC (Everingham et al.), whose layout many other sets are written in."""

from .dataset import SegDataset
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
# The mean of ILSVRC's training images, which VGG's trunk expects.
ILSVRC_MEAN = (104.00699, 116.66877, 122.67892)


class VOC(SegDataset):
    """ImageSets/Segmentation/SPLIT.txt, JPEGImages/NAME.jpg, SegmentationClass/NAME.png."""

    inputs = {'data': Colour(ILSVRC_MEAN)}
    labels = {'label': CLASSES}
    paths = {'data': 'JPEGImages/{}.jpg', 'label': 'SegmentationClass/{}.png'}
    split_file = 'ImageSets/Segmentation/{split}.txt'
