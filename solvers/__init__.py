"""Training: recipes as data, the training loop, run folders and snapshots."""

from fcn.solvers.recipes import RECIPES, Recipe, solver_prototxt
from fcn.solvers.run import Run
from fcn.solvers.train import Options, Trainer
from fcn.solvers.weights import published, starting_weights, weights_for, weights_of

__all__ = [
    'RECIPES',
    'Options',
    'Recipe',
    'Run',
    'Trainer',
    'published',
    'solver_prototxt',
    'starting_weights',
    'weights_for',
    'weights_of',
]
