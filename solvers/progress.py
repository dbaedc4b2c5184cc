"""What a training run tells its caller about how far it has come."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Step(NamedTuple):
    """Where a run stands after an iteration, and once before the first.

    `loss` is the mean over the last iterations, and `images_per_second` the speed; both are None
    except where a line of the log is written.
    """

    iteration: int
    max_iter: int
    loss: float | None = None
    images_per_second: float | None = None


class Progress:
    """Hears about the work as it is done. This one ignores it; fcn.progress has one with bars."""

    def counted(self, names: Sequence[str]) -> Iterable[str]:
        """Return the names of the labels whose classes are counted, to be iterated over."""
        return names

    def step(self, step: Step) -> None:
        """Hear that an iteration is done."""
