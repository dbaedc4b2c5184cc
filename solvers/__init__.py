"""Training and scoring: recipes as data, the loop, the run folder, the metrics.

`python -m solvers` writes the solver file of every net, for plain Caffe.
"""

from engine import DeviceError, choose_device, versions

from .evaluate import evaluate, load_net, predict, segment
from .footprint import Footprint, check_memory, free_memory
from .metrics import METRICS, class_iou, confusion, format_metrics, format_results, metrics, or_none
from .recipes import RECIPES, Recipe, solver_prototxt
from .run import Run, RunError
from .snapshot import SnapshotError
from .tiles import Tiling, segment_tiled
from .train import DivergedError, Options, Trainer, TrainingError
from .weights import published, starting_weights, weights_for, weights_of

__all__ = ['METRICS', 'RECIPES', 'DeviceError', 'DivergedError', 'Footprint', 'Options', 'Recipe', 'Run', 'RunError',
           'SnapshotError', 'Tiling', 'Trainer', 'TrainingError', 'check_memory', 'choose_device', 'class_iou',
           'confusion', 'evaluate', 'format_metrics', 'format_results', 'free_memory', 'load_net', 'metrics',
           'or_none', 'predict', 'published', 'segment', 'segment_tiled', 'solver_prototxt', 'starting_weights',
           'versions', 'weights_for', 'weights_of']
