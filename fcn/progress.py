"""The progress of training, as a bar on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from fcn.solvers.progress import Progress, Step


class TrainingBar(Progress):
    """A bar of net `name` on stderr, with the loss and the speed, for a `with` statement."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def counted(self, names: Sequence[str]) -> Iterable[str]:
        return tqdm(names, desc='class frequencies', unit='label', dynamic_ncols=True, disable=None)

    def step(self, step: Step) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=step.max_iter,
                initial=step.iteration,
                desc=self.name,
                unit='it',
                smoothing=0.05,
                dynamic_ncols=True,
                mininterval=0.2 if sys.stderr.isatty() else 30,
            )
            return
        self._bar.update()
        if step.loss is not None:
            text = f'loss {step.loss:.4g}, {step.images_per_second:.1f} images/s'
            self._bar.set_postfix_str(text, refresh=False)
