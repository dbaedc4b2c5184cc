"""Training runs of a few iterations on a few images."""

from pathlib import Path
from typing import Any

from fcn import nets
from fcn.data_layers import DATASETS
from fcn.solvers import Options, Trainer


def trainer(folder: Path, root: Path, name: str = 'mini-fcn32s', **options: Any) -> Trainer:
    """Return the Trainer of a run of a few iterations on the data set `root`."""
    dataset = DATASETS[nets.find(name).data]
    few = {'max_iter': 6, 'val_every': 3, 'snapshot_every': 2, 'init_missing': True}
    train, val = (source._replace(root=str(root)) for source in (dataset.train, dataset.val))
    options = {'train': train, 'val': val, 'base_lr': 1e-7, **few, **options}
    return Trainer(name, folder / name, Options(**options))
