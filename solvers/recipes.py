"""How nets learn, as data: what the paper calls heavy learning, and what came before it.

A net's config in nets.NETS names its recipe and gives the learning rate and the number of
iterations; `solver_prototxt` makes a solver file of both.
"""

import os
from typing import Any, NamedTuple

from google.protobuf.text_encoding import CEscape

from fcn.nets import find


class Recipe(NamedTuple):
    """Numbers of Caffe's SGD solver that nets share.

    `iter_size` images, one by one, make a batch: their gradients are added before the weights move.
    `average_loss` iterations are averaged for the log, and `snapshot` is how many lie between
    snapshots.
    """

    momentum: float
    iter_size: int = 1
    weight_decay: float = 0.0005
    average_loss: int = 20
    snapshot: int = 4000


RECIPES = {
    # One image per batch, high momentum, the loss summed over pixels (PAMI, section 4.3).
    'heavy': Recipe(momentum=0.99),
    # Batches of 20 images, the usual momentum, the loss's mean over pixels (CVPR, section 4.3).
    'cvpr': Recipe(momentum=0.9, iter_size=20),
    # The miniature has minutes: after so short a pre-training a momentum of 0.99 diverges.
    'miniature': Recipe(momentum=0.9),
}


def recipe_of(name: str) -> Recipe:
    """Return the recipe of net `name`."""
    return RECIPES[find(name).recipe]


def solver_fields(name: str, **changes: Any) -> dict[str, Any]:
    """Return the fields of net `name`'s solver, in Caffe's names; `changes` replaces some."""
    config, recipe = find(name), recipe_of(name)
    phase, _ = config.dataset.phases
    fields = dict(
        train_net=f'nets/{name}/{phase}.prototxt',
        lr_policy='fixed',
        base_lr=config.base_lr,
        momentum=recipe.momentum,
        iter_size=recipe.iter_size,
        weight_decay=recipe.weight_decay,
        max_iter=config.max_iter,
        display=20,
        average_loss=recipe.average_loss,
        snapshot=recipe.snapshot,
        snapshot_prefix=f'runs/{name}/train',
    )
    return fields | changes


def solver_prototxt(name: str, **changes: Any) -> str:
    """Return the text of a solver file that plain Caffe accepts.

    Paths in it are relative to the repository's root. `changes` replaces fields.
    """
    lines = []
    for key, value in solver_fields(name, **changes).items():
        text = f'"{CEscape(os.fsencode(value), False)}"' if isinstance(value, str) else value
        lines.append(f'{key}: {text}\n')
    return ''.join(lines)
