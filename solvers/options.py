"""What can be asked of a training run."""

from collections.abc import Callable
from dataclasses import dataclass

from fcn.data_layers import OwnConfig, Source
from fcn.mpi import ALONE, Group


@dataclass
class Options:
    """What can be asked of a run besides the net. None leaves the choice to the net's recipe."""

    # What it learns from and is validated on.
    train: Source | None = None
    val: Source | None = None
    max_iter: int | None = None
    base_lr: float | None = None
    # Forward passes whose gradients are added before a step; of most nets an image each.
    batch: int | None = None
    seed: int = 1337
    # Iterations between validations, the images of each, and the iterations between snapshots.
    val_every: int | None = None
    val_images: int | None = None
    snapshot_every: int | None = None
    # Draw the layers that the starting weights lack.
    init_missing: bool = False
    # The command line, to be noted, and the device as engine.choose_device returned it.
    command: str = ''
    device: str = 'cpu'
    momentum: float | None = None
    # Exchange left and right in half of the examples, and move them by up to so many pixels.
    mirror: bool = False
    jitter: int = 0
    # Learn from crops of so many pixels a side; then `batch` of them pass the net at once.
    crop: int | None = None
    # The probability that the loss keeps a cell; the batch grows by its inverse.
    sampling: float | None = None
    # Weight the loss by class.
    balance: bool = False
    # A set of the user's own images, whose classes the net takes.
    own: OwnConfig | None = None
    # Write event files for TensorBoard too.
    tensorboard: bool = False
    # Returns the command that starts a new run from this one with these options, for messages.
    new_run: Callable[[], str] | None = None
    # The processes that train together.
    group: Group = ALONE
