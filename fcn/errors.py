"""Errors that the user can fix. Each is one line that names the file, the value and the fix."""

from collections.abc import Iterable
from typing import Any


class FCNError(ValueError):
    """A mistake that the user can fix."""

    # Whether all processes of a group raise it (fcn.mpi): then the first one alone tells the user.
    agreed = False


class FCNErrors(FCNError):
    """Several mistakes, one per line."""

    def __init__(self, lines: Iterable[Any]) -> None:
        self.lines = list(map(str, lines))
        super().__init__('; '.join(self.lines))


class DataError(FCNError):
    """An image, a label or a list of images cannot be used."""


class WeightsError(FCNError):
    """A file of weights, or a prototxt, cannot be used with this net."""


class RunError(FCNError):
    """A run folder cannot be used as asked."""


class SnapshotError(FCNError):
    """A snapshot is damaged, or could not be written."""


class DivergedError(FCNError):
    """The loss is no longer a finite number."""
