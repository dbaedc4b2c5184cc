"""Training runs of a few iterations on a few images."""

from fcn import nets
from fcn.data_layers import DATASETS
from fcn.solvers import Options, Trainer


def trainer(folder, root, name='mini-fcn32s', **options):
    dataset = DATASETS[nets.find(name).data]
    options = (
        dict(max_iter=6, val_every=3, snapshot_every=2, init_missing=True, base_lr=1e-7) | options
    )
    return Trainer(
        name,
        folder / name,
        Options(
            train=dataset.train._replace(root=str(root)),
            val=dataset.val._replace(root=str(root)),
            **options,
        ),
    )
