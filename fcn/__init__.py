"""Fully Convolutional Networks for Semantic Segmentation (Long, Shelhamer and Darrell, CVPR 2015;
PAMI 2016), on BVLC Caffe.

    import fcn

    labels = fcn.segment('photo.jpg')            # H×W uint8, FCN-8s of PASCAL VOC
    seg = fcn.load('runs/voc-fcn8s')             # a run folder, or a net's name with weights=
    result = seg(image)                          # a path, a PIL image or an array
    result.labels, result.classes, result.probabilities, result.overlay()
    fcn.train('voc-fcn8s-googlenet', data='data/voc', iterations=4000)
    fcn.evaluate('runs/voc-fcn8s', data='data/voc').mean_iu
    fcn.export('runs/voc-fcn8s', 'fcn8s.onnx')   # to run elsewhere

Mistakes raise `fcn.FCNError`, whose one line names the file, the value and the fix. Nothing prints;
a logger named `fcn` reports.
"""

import logging
from typing import TYPE_CHECKING, Any

from fcn.errors import DataError, FCNError, RunError, SnapshotError, WeightsError

if TYPE_CHECKING:
    from fcn.engine import set_threads, threads
    from fcn.evaluation import Evaluation, evaluate
    from fcn.nets import NETS, NetConfig
    from fcn.onnx import Exported, export
    from fcn.segmenter import Segmentation, Segmenter, load
    from fcn.segmenter import segment_image as segment
    from fcn.training import TrainingResult, train

__version__ = '2.0.0'

logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    'NETS',
    'DataError',
    'Evaluation',
    'Exported',
    'FCNError',
    'NetConfig',
    'RunError',
    'Segmentation',
    'Segmenter',
    'SnapshotError',
    'TrainingResult',
    'WeightsError',
    '__version__',
    'evaluate',
    'export',
    'load',
    'segment',
    'set_threads',
    'threads',
    'train',
]

# Caffe is loaded when the first of these is used: readers of data do without it.
_HOMES = {
    'NETS': ('fcn.nets', 'NETS'),
    'NetConfig': ('fcn.nets', 'NetConfig'),
    'set_threads': ('fcn.engine', 'set_threads'),
    'threads': ('fcn.engine', 'threads'),
    'Evaluation': ('fcn.evaluation', 'Evaluation'),
    'evaluate': ('fcn.evaluation', 'evaluate'),
    'Exported': ('fcn.onnx', 'Exported'),
    'export': ('fcn.onnx', 'export'),
    'Segmentation': ('fcn.segmenter', 'Segmentation'),
    'Segmenter': ('fcn.segmenter', 'Segmenter'),
    'load': ('fcn.segmenter', 'load'),
    'segment': ('fcn.segmenter', 'segment_image'),
    'TrainingResult': ('fcn.training', 'TrainingResult'),
    'train': ('fcn.training', 'train'),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fcn' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
