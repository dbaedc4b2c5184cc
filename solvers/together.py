"""One step of the solver, taken by one process or by several together.

Before the last backward pass of a step, all exchange a few numbers: their losses, whether one was
told to stop, and whether one failed. So all stop after the same iteration, and where one fails, all
end with its message; none waits for one that is gone. Then each computes backward, and the
gradients are summed meanwhile (gradients.py).
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from fcn.engine import caffe, net_of, threads
from fcn.errors import FCNError
from fcn.inference import loss_names
from fcn.mpi import Group, MPIGroup

from .gradients import GradientSum, NcclSum, Sums
from .log import Log
from .share import Share, overlaps

WELL, STOP, FAILED = range(3)  # what a process tells of itself
DRAWN = 1 << 20  # numbers that are drawn at once to pass over them


@contextlib.contextmanager
def seeded_passes(
    solver: caffe.SGDSolver, seed: int, passes: int, first: int, done: Sequence[float]
) -> Iterator[None]:
    """Let dropout draw from `seed` plus the number of the forward pass among all of the run's.

    An iteration has `passes`, of which the solver computes some from the first-th on; of these,
    `done` lists those of this iteration that are done. So a resumed run gives the same result as an
    uninterrupted one, and several processes the same as one.
    """
    watched = [solver]  # Caffe keeps the callback for good: it must not keep the solver.

    def before_forward(layer: int) -> None:
        if layer == 0 and watched:
            number = watched[0].iter * passes + first + len(done)
            caffe.set_random_seed((seed + number) % 2**32)

    solver.net.before_forward(before_forward)
    try:
        yield
    finally:
        watched.clear()


class Alone:
    """Steps of one process."""

    def __init__(self, solver: caffe.SGDSolver, losses: list[float]) -> None:
        self._solver, self._losses = solver, losses

    def __call__(self) -> float:
        """Take a step and return its loss, the mean over its forward passes."""
        self._losses.clear()
        self._solver.step(1)
        return sum(self._losses) / len(self._losses)

    def close(self) -> None:
        """End what the steps hold."""


class Together:
    """Steps of one of several processes on devices of one kind, of the net in a prototxt.

    `losses` gets the loss of each forward pass of this process, `asked` returns whether it was told
    to stop, and `stop` is called in all when one was. Errors of one are raised in all.
    """

    def __init__(
        self,
        solver: caffe.SGDSolver,
        prototxt: Path,
        group: MPIGroup,
        share: Share,
        device: str,
        losses: list[float],
        asked: Callable[[], bool],
        stop: Callable[[], None],
    ) -> None:
        spec = caffe_pb2.NetParameter()
        text_format.Parse(prototxt.read_text(), spec)
        self._solver, self._group, self._share = solver, group, share
        self._sums: Sums
        if device == 'cpu':
            self._sums = GradientSum(group, solver.net, spec)
        else:
            self._sums = NcclSum(group, solver, overlaps(share))
        self._losses, self._asked, self._stop = losses, asked, stop
        self._last = len(solver.net.layers) - 1
        self._names = loss_names(solver.net)
        self._weights = {name: solver.net.blob_loss_weights[name] for name in self._names}
        self._void = {layer.name: _ignored(layer) for layer in spec.layer}
        self._means = {layer.name: _is_mean(layer) for layer in spec.layer}
        self._all: list[float] = []
        self._open = False  # whether others still wait to hear from this process in this step
        self._watching = True
        self._skipping = _Skipping(solver.net, share) if share.by_images else None
        solver.net.before_forward(self._before_forward)
        solver.net.after_forward(self._after_forward)
        solver.net.after_backward(self._after_backward)

    def __call__(self) -> float:
        """Take a step and return its loss, as one process that takes it alone."""
        self._losses.clear()
        self._all.clear()
        self._open = True
        try:
            self._solver.step(1)
        except Exception as error:
            # After the exchange, or if that was it, there is nobody to tell.
            if not self._open or getattr(error, 'agreed', False):
                raise
            self._exchange(error)
            raise
        return sum(self._all) / len(self._all)

    def about(self) -> str:
        """Return in a line how the work is shared."""
        share, nodes = self._share, self._group.nodes
        images, count = share.own_passes * share.own_batch, share.passes * share.batch
        return (
            f'{share.ranks} processes on {nodes} machine{"s" if nodes > 1 else ""}, of {threads()} '
            f'thread{"s" if threads() > 1 else ""} each; each learns from {images} of the {count} '
            f'images of a step, and {self._sums.bytes / 1e6:.3g} MB of gradients are summed'
        )

    def note(self, log: Log) -> None:
        """Note in the log how long the sums of gradients took, and how long the net waited for
        them and for later processes: the median over steps, in seconds."""
        timing = self._sums.timing
        if not timing.waited:
            return
        under_way, waited = map(median, (timing.under_way, timing.waited))
        log.append(
            iteration=self._solver.iter,
            event='gradients were summed by several processes',
            processes=self._share.ranks,
            gradient_bytes=self._sums.bytes,
            seconds_under_way=round(under_way, 6),
            seconds_waited=round(waited, 6),
        )

    def close(self) -> None:
        """End what the steps hold. Caffe keeps callbacks for good: they must not keep a net."""
        if self._watching:
            self._watching = False
            self._sums.close()
            del self._solver, self._sums, self._skipping

    def _before_forward(self, layer: int) -> None:
        if self._watching and self._skipping:
            self._skipping.before(layer)

    def _after_forward(self, layer: int) -> None:
        if self._watching and self._skipping:
            self._skipping.after(layer)
        if layer != self._last or not self._watching:
            return
        if self._share.by_images or len(self._losses) == self._share.own_passes:
            self._exchange(None)

    def _after_backward(self, layer: int) -> None:
        if not self._watching or len(self._losses) < self._share.own_passes:
            return
        self._sums.final(layer)
        if layer == 0:
            self._sums.wait()

    def _exchange(self, error: Exception | None) -> None:
        """Exchange losses and what else all must know. Raises what one process gives as error."""
        share = self._share
        state = FAILED if error else STOP if self._asked() else WELL
        numbers = np.zeros(1 + (2 * len(self._names) if share.by_images else share.own_passes))
        numbers[0] = state
        if error is None:
            numbers[1:] = self._counted() if share.by_images else self._losses
        told = self._group.numbers(numbers)
        if FAILED in told[:, 0]:
            self._open = False
            self._group.agree(error)
        if share.by_images:
            self._all.append(self._weigh(told[:, 1:].reshape(share.ranks, -1, 2)))
        else:
            self._all[:] = told[:, 1:].ravel().tolist()  # in the order of passes
        if len(self._losses) == share.own_passes:
            self._open = False
        if STOP in told[:, 0]:
            self._stop()

    def _counted(self) -> list[float]:
        """Return of each loss its value, and how many pixels or images it is the mean of."""
        net, numbers = self._solver.net, []
        for name in self._names:
            label = net.blobs[net.bottom_names[name][1]].data
            count = len(label)
            if self._means[name]:
                void = self._void[name]
                count = label.size if void is None else int((label != void).sum())
            numbers += [float(net.blobs[name].data), float(count)]
        return numbers

    def _weigh(self, told: np.ndarray) -> float:
        """Return the loss of a pass that all share, given R×L×2 losses and counts of R processes,
        and weight this one's so that the mean of gradients is that of the whole pass's."""
        loss = 0.0
        for index, name in enumerate(self._names):
            total = max(1.0, told[:, index, 1].sum())
            shares = told[:, index, 1] / total
            loss += self._weights[name] * float((told[:, index, 0] * shares).sum())
            # Caffe's losses read their weight there.
            weight = self._weights[name] * shares[self._share.rank] * self._share.ranks
            self._solver.net.blobs[name].diff[...] = weight
        return loss


def _ignored(layer: caffe_pb2.LayerParameter) -> int | None:
    """Return the label that a loss ignores."""
    return layer.loss_param.ignore_label if layer.loss_param.HasField('ignore_label') else None


def _is_mean(layer: caffe_pb2.LayerParameter) -> bool:
    """Return whether a loss is the mean over pixels, and not the sum over those of an image."""
    loss = layer.loss_param
    if loss.HasField('normalization') or not loss.HasField('normalize'):
        return loss.normalization == caffe_pb2.LossParameter.VALID
    return loss.normalize


class _Skipping:
    """Draws for dropout what others draw of a pass that several share, so that each drops of its
    images what one process would."""

    def __init__(self, net: caffe.Net, share: Share) -> None:
        self._net, self._share = net, share
        self._layers = [
            number for number, layer in enumerate(net.layers) if layer.type == 'Dropout'
        ]
        spec = caffe.NetSpec()
        spec.data = caffe.layers.Input(input_param=dict(shape=dict(dim=[1])))
        spec.dropped = caffe.layers.Dropout(spec.data)
        self._drawing = net_of(spec, caffe.TRAIN)

    def before(self, layer: int) -> None:
        """Pass over what the processes before this one draw in a layer."""
        if layer in self._layers:
            self._skip(layer, self._share.rank)

    def after(self, layer: int) -> None:
        """Pass over what the processes after this one draw in a layer."""
        if layer in self._layers:
            self._skip(layer, self._share.ranks - 1 - self._share.rank)

    def _skip(self, layer: int, shares: int) -> None:
        """Draw and forget what so many other processes draw in a layer."""
        top = self._net.top_names[self._net._layer_names[layer]][0]
        left = shares * self._net.blobs[top].count
        while left:
            count = min(left, DRAWN)
            self._drawing.blobs['data'].reshape(count)
            self._drawing.forward()
            left -= count


def check_equal(solver: caffe.SGDSolver, group: Group, last: int) -> None:
    """Raise FCNError unless all processes have the same weights. `last` is the iteration of the
    last snapshot."""
    if group.size == 1:
        return
    mine = 0
    for blobs in solver.net.params.values():
        for blob in blobs:
            mine = zlib.crc32(np.ascontiguousarray(blob.data).data, mine)
    told = group.gather(mine)
    others = [rank for rank, crc in enumerate(told) if crc != told[0]]
    if others:
        error = FCNError(
            f'iteration {solver.iter}: the weights of process {others[0]} are no longer those of '
            'process 0, so their processors compute differently; start on machines of one kind, '
            f'or with OPENBLAS_CORETYPE=Haswell; the last snapshot is of iteration {last}'
        )
        error.agreed = True
        raise error
