"""What is monitored while a net learns: signals, the loss of every forward pass, the speed."""

import contextlib
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import NoReturn

from fcn.engine import caffe
from fcn.inference import loss_names

from .progress import Step

DISPLAY = 20  # iterations between lines of the log, which has the first and the last too


@contextlib.contextmanager
def handled_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hand SIGINT, SIGTERM and SIGHUP (a terminal that closed) to `handler` in the context.

    Python handles signals in its main thread alone: in another, they are left as they are.
    """
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    elif signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup asked for that
        numbers.remove(signal.SIGHUP)
    old = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old_handler in old.items():
            signal.signal(number, old_handler)


@contextlib.contextmanager
def watched_losses(
    solver: caffe.SGDSolver, diverged: Callable[[int, float], NoReturn]
) -> Iterator[list[float]]:
    """Yield a list that gets the loss of every forward pass, the sum of the net's losses.

    One that is not finite goes to `diverged(iteration, loss)`, which must raise, before the
    backward pass: Caffe's max pooling notes no position for the maximum of NaNs, and its backward
    pass would then write outside its array.
    """
    passes: list[float] = []
    last, names = len(solver.net.layers) - 1, loss_names(solver.net)
    weights = solver.net.blob_loss_weights
    watched = [solver]  # Caffe keeps the callback for good: it must not keep the solver.

    def after_forward(index: int) -> None:
        if index != last or not watched:
            return
        loss = sum(weights[name] * float(watched[0].net.blobs[name].data) for name in names)
        if not math.isfinite(loss):
            diverged(watched[0].iter, loss)
        passes.append(loss)

    solver.net.after_forward(after_forward)
    try:
        yield passes
    finally:
        watched.clear()


class Meter:
    """Smooths the loss and measures the speed of a run that is at `iteration`.

    The loss is the mean over the last `average` iterations, of which those before `iteration` had
    the `losses`. An iteration reads `images`.
    """

    def __init__(
        self, iteration: int, max_iter: int, images: int, average: int, losses: Iterable[float]
    ) -> None:
        self.losses = deque(losses, maxlen=average)
        self._max_iter, self._images = max_iter, images
        self._shown = self._iteration = iteration
        self._since = 0.0

    def start(self) -> Step:
        """Start the clock, before the first iteration, and return where the run stands."""
        self._since = time.monotonic()
        return Step(self._iteration, self._max_iter)

    def add(self, iteration: int, loss: float) -> Step:
        """Take the loss of an iteration and return where the run stands."""
        self.losses.append(loss)
        self._iteration = iteration
        if iteration % DISPLAY and iteration not in (1, self._max_iter):
            return Step(iteration, self._max_iter)
        mean, now = sum(self.losses) / len(self.losses), time.monotonic()
        rate = self._images * (iteration - self._shown) / (now - self._since)
        self._shown, self._since = iteration, now
        return Step(iteration, self._max_iter, mean, rate)

    def skip(self) -> None:
        """Leave out the time since the last iteration, if its speed was just shown."""
        if self._shown == self._iteration:
            self._since = time.monotonic()
