"""PASCAL VOC (Everingham et al.), whose layout many other sets are written in."""

from .dataset import SegDataset
from .images import read_image, read_label

CLASSES = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor')


class VOC(SegDataset):
    """ImageSets/Segmentation/SPLIT.txt, JPEGImages/NAME.jpg, SegmentationClass/NAME.png."""

    classes = CLASSES
    mean = (104.00699, 116.66877, 122.67892)
    split_file = 'ImageSets/Segmentation/{split}.txt'

    def image(self, name):
        return read_image(self.root / 'JPEGImages' / f'{name}.jpg')

    def label(self, name):
        return read_label(self.label_path(name))

    def label_path(self, name):
        return self.root / 'SegmentationClass' / f'{name}.png'
