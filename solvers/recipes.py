"""How nets learn, as data: what the paper calls heavy learning, and what came before it.

A net's config in nets.NETS names its recipe and gives the learning rate and the number
of iterations; `solver_prototxt` makes a solver file of both.
"""

import os
from typing import NamedTuple

from google.protobuf.text_encoding import CEscape

from fcn.data_layers import DATASETS
from fcn.nets import find


class Recipe(NamedTuple):
    """Numbers of Caffe's SGD solver that nets share.

    `iter_size` images, one by one, make a batch: their gradients are added before
    the weights move.
    """

    momentum: float
    iter_size: int = 1
    weight_decay: float = 0.0005
    average_loss: int = 20
    snapshot: int = 4000


RECIPES = {
    # One image a batch, high momentum, the loss summed over pixels (PAMI, section 4.3).
    'heavy': Recipe(momentum=0.99),
    # Batches of 20 images, the usual momentum, the loss's mean over pixels (CVPR, section 4.3).
    'cvpr': Recipe(momentum=0.9, iter_size=20),
    # The miniature has minutes: after so short a pre-training a momentum of 0.99 runs away.
    'miniature': Recipe(momentum=0.9),
}


def recipe_of(name):
    return RECIPES[find(name).recipe]


def solver_fields(name, **changes):
    """The fields of net `name`'s solver, in Caffe's names; `changes` overrides some."""
    config, recipe = find(name), recipe_of(name)
    phase, _ = DATASETS[config.data].phases
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


def solver_prototxt(name, **changes):
    """The text of a solver file that plain Caffe accepts, paths relative to the repository's root."""
    return ''.join(
        f'{key}: "{CEscape(os.fsencode(value), False)}"\n'
        if isinstance(value, str)
        else f'{key}: {value}\n'
        for key, value in solver_fields(name, **changes).items()
    )
