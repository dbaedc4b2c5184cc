"""Data sets and the Caffe layers that feed them as whole images.

A data set is one small class (`voc`, `sbd`, …) that says where its files lie, one
line in `layers`, and one row here. Importing this package does not import caffe;
only `data_layers.layers` does.
"""

import json
from pathlib import Path
from typing import NamedTuple

from .images import VOID, DataError, open_image, read_image, read_label, to_blob
from .mini import Mini, MiniObjects
from .palette import voc_palette
from .sbd import SBD
from .voc import VOC

__all__ = ['DATASETS', 'SBD', 'VOC', 'VOID', 'DataError', 'DataSet', 'Mini', 'MiniObjects', 'Source',
           'dataset_class', 'open_image', 'read_image', 'read_label', 'source_at', 'to_blob', 'voc_palette']


class Source(NamedTuple):
    """Where a net's examples come from: a layer of data_layers.layers and its options."""

    layer: str
    root: str
    split: str
    options: tuple = ()

    def param_str(self, **more):
        return json.dumps({'root': self.root, 'split': self.split, **dict(self.options), **more})


class DataSet(NamedTuple):
    """What nets, scores and pictures need to know of a data set: its class names by
    label, its BGR mean, what pixels are multiplied by, and the sources it is learned
    from and validated on."""

    classes: tuple
    mean: tuple
    train: Source | None = None
    val: Source | None = None
    scale: float = 1.0


DATASETS = {
    # Class numbers stand for the synsets' names, which no net needs.
    'ilsvrc': DataSet(tuple(map(str, range(1000))), VOC.mean),
    'voc': DataSet(VOC.classes, VOC.mean,
                   Source('SBDDSegDataLayer', 'data/sbd', 'train'),
                   Source('VOCSegDataLayer', 'data/voc', 'seg11valid')),
    'mini': DataSet(Mini.classes, Mini.mean,
                    Source('MiniSegDataLayer', 'data/mini', 'train'),
                    Source('MiniSegDataLayer', 'data/mini', 'val'), Mini.scale),
    'mini-objects': DataSet(Mini.classes, Mini.mean,
                            Source('MiniObjectDataLayer', 'data/mini', 'train', (('batch', 16),)),
                            Source('MiniObjectDataLayer', 'data/mini', 'val', (('batch', 16),)), Mini.scale),
}

_CLASSES = {'VOC': VOC, 'SBD': SBD, 'Mini': Mini, 'MiniObjects': MiniObjects}


def dataset_class(name):
    """The class of that name: how a reading process is told what to read."""
    return _CLASSES[name]


def source_at(source, root, split=None):
    """`source` moved to the folder `root`, its layer fitted to the layout found there.

    VOC's two training layouts are told apart by their folders: `img` and `cls` are
    SBD's, `JPEGImages` VOC's. DataError if there is neither.
    """
    root = Path(root).resolve()
    layer = source.layer
    if layer in ('SBDDSegDataLayer', 'VOCSegDataLayer'):
        if (root / 'JPEGImages').is_dir():
            layer = 'VOCSegDataLayer'
        elif (root / 'img').is_dir() and (root / 'cls').is_dir():
            layer = 'SBDDSegDataLayer'
        else:
            raise DataError(f'{root}: neither VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation) '
                            'nor SBD (img, cls) lies there')
    return source._replace(layer=layer, root=str(root), split=split or source.split)
