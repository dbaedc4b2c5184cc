"""Data sets and the Caffe layer that feeds them as whole images.

A data set is one small class (`voc`, `sbd`, `nyud`, …) that says where its files lie
and what they hold, and one row in `DATASETS`. Importing this package does not import
caffe; only `data_layers.layers` and `data_layers.sampling`, Caffe's layers, do.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from fcn.data_layers.context import PASCALContext
from fcn.data_layers.dataset import SegDataset
from fcn.data_layers.images import VOID, open_image, read_image, read_label
from fcn.data_layers.mini import COLOURS, Mini, MiniNYUD, MiniObjects, MiniSIFTFlow
from fcn.data_layers.nyud import NYUD
from fcn.data_layers.palette import voc_palette
from fcn.data_layers.sbd import SBD
from fcn.data_layers.siftflow import SIFTFlow
from fcn.data_layers.voc import VOC
from fcn.errors import DataError

__all__ = [
    'DATASETS',
    'NYUD',
    'SBD',
    'VOC',
    'VOID',
    'DataSet',
    'Mini',
    'MiniNYUD',
    'MiniObjects',
    'MiniSIFTFlow',
    'PASCALContext',
    'SIFTFlow',
    'SegDataset',
    'Source',
    'dataset_class',
    'open_image',
    'read_image',
    'read_label',
    'source_at',
    'voc_palette',
]


class ILSVRC(SegDataset):
    """What a classifier's net is told of ILSVRC: it is fetched, not trained, so nothing is read here."""

    inputs = VOC.inputs
    # Class numbers stand for the synsets' names, which no net needs.
    labels = {'label': tuple(map(str, range(1000)))}


class Source(NamedTuple):
    """Where a net's examples come from: a data set's class by name, its folder, a split, more options of the layer."""

    dataset: str
    root: str
    split: str
    options: tuple = ()

    def param_str(self, **more):
        return json.dumps(
            {
                'dataset': self.dataset,
                'root': self.root,
                'split': self.split,
                **dict(self.options),
                **more,
            }
        )

    def names(self):
        """The names of its examples; DataError if the list is not there."""
        return dataset_class(self.dataset)(self.root, self.split).names


class DataSet(NamedTuple):
    """A set to learn: the class that knows its inputs and labels, the sources it is learned from and
    validated on, how files name the two phases, whether scores leave out classes absent from the truth,
    and the classes whose number in the VOC palette is not their own."""

    kind: type
    train: Source | None = None
    val: Source | None = None
    phases: tuple = ('train', 'val')
    drop_absent: bool = False
    numbers: dict = {}

    @property
    def inputs(self):
        return self.kind.inputs

    @property
    def labels(self):
        return self.kind.labels

    @property
    def classes(self):
        """The class names of the first label."""
        return next(iter(self.labels.values()))

    @property
    def colours(self):
        """Their colours in pictures, K×3 uint8 RGB."""
        return voc_palette()[
            [self.numbers.get(name, number) for number, name in enumerate(self.classes)]
        ]


TRAINVAL_TEST = ('trainval', 'test')
DATASETS = {
    'ilsvrc': DataSet(ILSVRC),
    'voc': DataSet(
        VOC, Source('SBD', 'data/sbd', 'train'), Source('VOC', 'data/voc', 'seg11valid')
    ),
    'pascal-context': DataSet(
        PASCALContext,
        *(Source('PASCALContext', 'data/pascal-context', split) for split in ('train', 'val')),
    ),
    'nyud': DataSet(
        NYUD, *(Source('NYUD', 'data/nyud', split) for split in TRAINVAL_TEST), TRAINVAL_TEST
    ),
    'siftflow': DataSet(
        SIFTFlow,
        *(Source('SIFTFlow', 'data/siftflow', split) for split in TRAINVAL_TEST),
        TRAINVAL_TEST,
        drop_absent=True,
    ),
    'mini': DataSet(Mini, *(Source('Mini', 'data/mini', split) for split in ('train', 'val'))),
    'mini-objects': DataSet(
        MiniObjects,
        *(
            Source('MiniObjects', 'data/mini', split, (('batch', 16),))
            for split in ('train', 'val')
        ),
    ),
    'mini-nyud': DataSet(
        MiniNYUD,
        *(Source('MiniNYUD', 'data/mini-nyud', split) for split in TRAINVAL_TEST),
        TRAINVAL_TEST,
        numbers=COLOURS,
    ),
    'mini-siftflow': DataSet(
        MiniSIFTFlow,
        *(Source('MiniSIFTFlow', 'data/mini-siftflow', split) for split in TRAINVAL_TEST),
        TRAINVAL_TEST,
        drop_absent=True,
        numbers=COLOURS,
    ),
}


# By name, as layers and reading processes are told what to read.
_CLASSES = {kind.__name__: kind for kind in (SBD, *(dataset.kind for dataset in DATASETS.values()))}


def dataset_class(name):
    """The class of a data set by its name, or None."""
    return _CLASSES.get(name)


def source_at(source, root, split=None):
    """`source` moved to the folder `root`, its data set fitted to the layout found there.

    VOC's two training layouts are told apart by their folders: `img` and `cls` are
    SBD's, `JPEGImages` VOC's. DataError if there is neither.
    """
    root = Path(os.path.realpath(root))
    dataset = source.dataset
    if dataset in ('SBD', 'VOC'):
        if (root / 'JPEGImages').is_dir():
            dataset = 'VOC'
        elif (root / 'img').is_dir() and (root / 'cls').is_dir():
            dataset = 'SBD'
        else:
            raise DataError(
                f'{root}: neither VOC (JPEGImages, SegmentationClass, ImageSets/Segmentation) '
                'nor SBD (img, cls) lies there'
            )
    return source._replace(dataset=dataset, root=str(root), split=split or source.split)
