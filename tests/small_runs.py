"""Training runs of a few iterations on a few images."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fcn import nets
from fcn.data_layers import DATASETS
from fcn.solvers import Options, Run, Trainer
from fcn.solvers.snapshot import write_checksummed
from fcn.surgery import read_weights

ITERATIONS = 24  # of each FCN of an experiment: all are trained, if hardly


def trainer(
    folder: Path, root: Path, name: str = 'mini-fcn32s', limit: int | None = None, **options: Any
) -> Trainer:
    """Return a Trainer of net `name` in the folder of its name, on the images in `root`.

    It learns from `limit` of them, from drawn weights, for six iterations, if `options` do not say
    otherwise.
    """
    dataset = DATASETS[nets.find(name).data]
    options = (
        dict(max_iter=6, val_every=3, snapshot_every=2, init_missing=True, base_lr=1e-7) | options
    )
    assert dataset.train and dataset.val
    train, val = (source._replace(root=str(root)) for source in (dataset.train, dataset.val))
    if limit:
        train = train._replace(options=(('limit', limit),))
    return Trainer(name, folder / name, Options(train=train, val=val, **options))


def weights_of_run(run: Run) -> dict[str, list[np.ndarray]]:
    """Return the weights of a run's newest snapshot, by layer."""
    return {name: [np.array(blob) for blob in blobs] for name, blobs in read_weights(run.weights())}


def assert_equal_weights(
    ours: dict[str, list[np.ndarray]], other: dict[str, list[np.ndarray]]
) -> None:
    """Assert that the weights of two runs are equal, bit for bit."""
    assert set(ours) == set(other)
    for name, blobs in ours.items():
        for one, another in zip(blobs, other[name], strict=True):
            assert (one == another).all(), name


def history(run: Run) -> list[dict[str, Any]]:
    """Return a run's log without what interruptions add, and without times."""
    return [
        {key: value for key, value in record.items() if key not in ('time', 'images_per_second')}
        for record in run.log.read()
        if 'event' not in record
    ]


def write_run(folder: Path, *records: dict[str, Any], max_iter: int = 40) -> Path:
    """Write a run folder without snapshots, whose log holds these records."""
    folder.mkdir(parents=True)
    write_checksummed(folder / 'run.json', settings={'net': 'mini-fcn32s'}, files={})
    (folder / 'solver.prototxt').write_text(f'base_lr: 1\nmax_iter: {max_iter}\n')
    (folder / 'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in records))
    return folder


def line(iteration: int, loss: float, time: float = 0) -> dict[str, Any]:
    """Return a log's record of a loss."""
    return dict(
        time=time, iteration=iteration, loss=loss, smoothed_loss=loss, lr=1e-7, images_per_second=9
    )


def validation(iteration: int, mean_iu: float, **more: Any) -> dict[str, Any]:
    """Return a log's record of a validation."""
    return dict(
        time=9, iteration=iteration, validation={'mean_iu': mean_iu}, validation_loss=3, **more
    )
