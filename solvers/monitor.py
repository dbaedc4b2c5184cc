"""What is watched while a net learns: signals, and the loss of every forward pass."""

import contextlib
import math
import signal

from fcn.inference import losses


@contextlib.contextmanager
def handled_signals(handler):
    """Hand SIGINT, SIGTERM and SIGHUP (a terminal that closed) to `handler` for as long as it is entered."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup asked for that
        numbers.remove(signal.SIGHUP)
    old = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler_before in old.items():
            signal.signal(number, handler_before)


@contextlib.contextmanager
def watched_losses(solver, diverged):
    """A list that gets the loss of every forward pass, the sum of the net's.

    One that is not finite goes to `diverged(iteration, loss)`, which must raise, before the backward
    pass: Caffe's max pooling notes no place for the maximum of NaNs, and its backward would then
    write outside its array.
    """
    passes, last, names = [], len(solver.net.layers) - 1, losses(solver.net)
    weights = solver.net.blob_loss_weights
    watched = [solver]  # Caffe keeps the callback for good: it must not keep the solver.

    def after_forward(index):
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
