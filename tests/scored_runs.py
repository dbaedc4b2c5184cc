"""A run whose snapshots differ and have the mean IUs that are written here, and its weights."""

from pathlib import Path
from typing import Any

import numpy as np
from small_runs import trainer

import fcn
from fcn.solvers import Run
from fcn.solvers.snapshot import WEIGHTS
from fcn.surgery import read_weights

NET = 'mini-fcn32s'
MEAN_IUS = {1: 0.1, 2: 0.9, 3: 0.2, 4: 0.3, 5: 0.554}  # by iteration; 1 is not kept
BEST, SECOND, NEWEST = 2, 5, 5

Weights = dict[str, list[np.ndarray]]


def train_scored(runs: Path, mini: Path) -> None:
    """Train NET for five iterations in its folder under `runs`, and note MEAN_IUS of it."""
    started = trainer(runs, mini, NET, max_iter=5, val_every=1, base_lr=1e-5)
    note = started.run.note_validation

    def noted(iteration: int, results: Any) -> None:
        note(iteration, {'label': results['label'] | {'mean_iu': MEAN_IUS[iteration]}})

    started.run.note_validation = noted  # type: ignore[method-assign]
    started.train([])
    assert [iteration for iteration, _ in started.run.snapshots.all()] == [2, 3, 4, 5]


def at(run: Run, iteration: int) -> Weights:
    """Return the weights of the snapshot of an iteration, by layer."""
    file = run.snapshots.file(iteration, WEIGHTS)
    return {name: [np.array(blob) for blob in blobs] for name, blobs in read_weights(file)}


def of_net(segmenter: fcn.Segmenter) -> Weights:
    """Return the weights that a Segmenter computes with, by layer."""
    params = segmenter._net.params
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in params.items()}
