"""Data sets and the Caffe layer that feeds them as whole images.

Each data set is one module (`voc`, `nyud`, …): a small class, which knows where the files lie and
what they hold, and its config, which says what nets learn from. `registry` collects them. Importing
this package does not import caffe; only its Caffe layers do, `layers` and `sampling`.
"""

from fcn.data_layers.config import DatasetConfig, Source
from fcn.data_layers.context import PASCALContext
from fcn.data_layers.dataset import SegDataset, evenly_spread
from fcn.data_layers.images import VOID, open_image, read_image, read_label
from fcn.data_layers.mini import Mini, MiniNYUD, MiniObjects, MiniSIFTFlow
from fcn.data_layers.nyud import NYUD
from fcn.data_layers.own.dataset import OwnConfig, OwnData
from fcn.data_layers.palette import voc_palette
from fcn.data_layers.registry import DATASETS, dataset_class, source_at
from fcn.data_layers.sbd import SBD
from fcn.data_layers.siftflow import SIFTFlow
from fcn.data_layers.voc import VOC

__all__ = [
    'DATASETS',
    'NYUD',
    'SBD',
    'VOC',
    'VOID',
    'DatasetConfig',
    'Mini',
    'MiniNYUD',
    'MiniObjects',
    'MiniSIFTFlow',
    'OwnConfig',
    'OwnData',
    'PASCALContext',
    'SIFTFlow',
    'SegDataset',
    'Source',
    'dataset_class',
    'evenly_spread',
    'open_image',
    'read_image',
    'read_label',
    'source_at',
    'voc_palette',
]
