"""Training: recipes as data, the training loop, run folders and snapshots.

`Trainer` trains one net in one run folder, a `Run`; `plan_stages` lines up several.
"""

from fcn import engine  # noqa: F401  (prepares caffe for import)
from fcn.solvers.options import Options
from fcn.solvers.progress import Progress, Step
from fcn.solvers.recipes import RECIPES, Recipe, solver_prototxt
from fcn.solvers.run import Run
from fcn.solvers.snapshots import BEST, NEWEST, Choice
from fcn.solvers.stages import Stage, plan_stages, sources, unused_folder
from fcn.solvers.train import SILENT, Trainer
from fcn.solvers.validation import Results
from fcn.solvers.weights import published, starting_weights, weights_for, weights_of

__all__ = [
    'BEST',
    'NEWEST',
    'RECIPES',
    'SILENT',
    'Choice',
    'Options',
    'Progress',
    'Recipe',
    'Results',
    'Run',
    'Stage',
    'Step',
    'Trainer',
    'plan_stages',
    'published',
    'solver_prototxt',
    'sources',
    'starting_weights',
    'unused_folder',
    'weights_for',
    'weights_of',
]
