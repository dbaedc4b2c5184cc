"""Sums gradients over processes, while the rest of the backward pass computes.

The arrays are cut into buckets. Of each, every process adds up a part, in the order of ranks, and
the parts go to all: the same bits every time, whatever MPI, network or timing. MPI moves the bytes,
which is 2 (N−1)/N of the gradient's to and from each of N processes, and adds nothing.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from caffe.proto import caffe_pb2

from fcn import mpi
from fcn.engine import caffe
from fcn.mpi import MPIGroup

LARGEST = 1 << 24  # bytes of a bucket
WORTHWHILE = 1 << 22  # bytes from which on an array is a bucket of its own, and not copied
UNDER_WAY = 4  # buckets at once: each needs as much memory again
PAUSE = 1e-4  # seconds between looks at what is under way


class Bucket(NamedTuple):
    """Arrays whose gradients are final once layer `layer` has computed backward, as (layer's name,
    number of its array, first and last element)."""

    layer: int
    pieces: tuple[tuple[str, int, int, int], ...]


def learned_arrays(net: caffe.Net, spec: caffe_pb2.NetParameter) -> list[tuple[int, str, int]]:
    """Return (layer, its name, number) of each array of weights that learns, the last layer's
    first, as backward passes make their gradients final.

    `spec` is the net's prototxt. Arrays that layers share are named once, with the first of them.
    """
    numbers = {name: number for number, name in enumerate(net._layer_names)}
    rates = {layer.name: [param.lr_mult for param in layer.param] for layer in spec.layer}
    found: dict[int, tuple[int, str, int]] = {}
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            learns = index >= len(rates[name]) or rates[name][index] > 0
            if learns:
                found.setdefault(blob.diff.ctypes.data, (numbers[name], name, index))
    return sorted(found.values(), key=lambda entry: (-entry[0], entry[2]))


def buckets_of(net: caffe.Net, spec: caffe_pb2.NetParameter) -> list[Bucket]:
    """Return the buckets of a net's gradients, the first that is final first."""
    large: list[Bucket] = []
    waiting: list[tuple[str, int, int, int]] = []
    size = layer = 0
    for layer, name, index in learned_arrays(net, spec):
        count = net.params[name][index].count
        if 4 * count >= WORTHWHILE:
            step = LARGEST // 4
            for start in range(0, count, step):
                piece = (name, index, start, min(start + step, count))
                large.append(Bucket(layer, (piece,)))
            continue
        waiting.append((name, index, 0, count))
        size += 4 * count
        if size >= WORTHWHILE:
            large.append(Bucket(layer, tuple(waiting)))
            waiting, size = [], 0
    if waiting:
        large.append(Bucket(layer, tuple(waiting)))
    return sorted(large, key=lambda bucket: -bucket.layer)


class Timing:
    """How long sums took, in seconds of each step: while any was under way, and while the net
    waited for them, and for processes that were later."""

    def __init__(self) -> None:
        self.under_way: list[float] = []
        self.waited: list[float] = []


class _Sum:
    """A bucket whose sum is under way."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = arrays
        self.flat = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        self.request: Any = None
        self.received = np.empty((0, 0), np.float32)


class GradientSum:
    """Divides the sum of the processes' gradients of `net` by their number, in every step.

    Tell it by `final` which layer has computed backward for the last time in a step; `wait` returns
    when the net holds the sums. A thread does the work, where MPI may be called from one; else each
    call of `final` does a part of it. `close` it in the end.
    """

    def __init__(
        self, group: MPIGroup, net: caffe.Net, spec: caffe_pb2.NetParameter, threaded: bool = True
    ) -> None:
        self._group, self._net, self._mpi = group, net, group.mpi
        self._buckets = buckets_of(net, spec)
        self.bytes = sum(4 * (e - s) for b in self._buckets for *_, s, e in b.pieces)
        self.timing = Timing()
        # In the order of buckets each: MPI wants the same order everywhere, and one may be
        # scattered here before or after another is gathered.
        self._scatters, self._gathers = (group.communicator.Dup() for _ in range(2))
        self._next = self._done = 0
        self._ready: deque[_Sum] = deque()
        self._scattering: deque[_Sum] = deque()
        self._gathering: deque[_Sum] = deque()
        self._since = self._under_way = 0.0
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        if threaded and group.threaded:
            self._thread = threading.Thread(target=self._drive, daemon=True)
            self._thread.start()

    def final(self, layer: int) -> None:
        """Take note that the gradients of layers from number `layer` on are final."""
        while self._next < len(self._buckets) and self._buckets[self._next].layer >= layer:
            pieces = self._buckets[self._next].pieces
            arrays = [
                self._net.params[name][index].diff.reshape(-1)[start:end]
                for name, index, start, end in pieces
            ]
            self._next += 1
            with self._changed:
                self._ready.append(_Sum(arrays))
                self._changed.notify_all()
        if not self._thread:
            self._advance()

    def wait(self) -> None:
        """Return when all sums of this step are in the net. Raises what MPI does if it fails, and
        FCNError if other processes do not answer."""
        self.final(-1)
        began = time.monotonic()
        if self._thread:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._error or self._done == len(self._buckets), mpi.PATIENCE
                )
        while not self._error and self._done < len(self._buckets):
            if time.monotonic() - began > mpi.PATIENCE:
                raise mpi.no_answer()
            if not self._advance():
                time.sleep(PAUSE)
        if self._error:
            raise self._error
        self.timing.waited.append(time.monotonic() - began)
        self.timing.under_way.append(self._under_way)
        self._next = self._done = 0
        self._under_way = 0.0

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _drive(self) -> None:
        """Do the work as it comes: the thread."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._busy())
                    if self._closed:
                        return
                if not self._advance():
                    time.sleep(PAUSE)
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _busy(self) -> bool:
        return bool(self._ready or self._scattering or self._gathering)

    def _advance(self) -> bool:
        """Do what can be done without waiting, and return whether that was anything."""
        moved = False
        while self._ready and len(self._scattering) + len(self._gathering) < UNDER_WAY:
            if not self._scattering and not self._gathering:
                self._since = time.monotonic()
            self._scatter(self._ready.popleft())
            moved = True
        if self._scattering and self._scattering[0].request.Test():
            self._gather(self._scattering.popleft())
            moved = True
        if self._gathering and self._gathering[0].request.Test():
            self._finish(self._gathering.popleft())
            moved = True
        return moved

    def _scatter(self, one: _Sum) -> None:
        """Start to send each process its part of a bucket."""
        counts, places = self._parts(one)
        mine = counts[self._group.rank]
        one.received = np.empty((self._group.size, mine), np.float32)
        received = [mine] * self._group.size, [mine * r for r in range(self._group.size)]
        one.request = self._scatters.Ialltoallv(
            [one.flat, (counts, places), self._mpi.FLOAT],
            [one.received, received, self._mpi.FLOAT],
        )
        self._scattering.append(one)

    def _gather(self, one: _Sum) -> None:
        """Add up this process's part, and start to send it to all."""
        counts, places = self._parts(one)
        place = places[self._group.rank]
        total = one.flat[place : place + counts[self._group.rank]]
        total[...] = one.received[0]
        for other in one.received[1:]:
            total += other
        total *= np.float32(1 / self._group.size)
        one.request = self._gathers.Iallgatherv(
            self._mpi.IN_PLACE, [one.flat, (counts, places), self._mpi.FLOAT]
        )
        self._gathering.append(one)

    def _finish(self, one: _Sum) -> None:
        """Put a sum into the net."""
        if len(one.arrays) > 1:
            start = 0
            for array in one.arrays:
                array[...] = one.flat[start : start + len(array)]
                start += len(array)
        if not self._scattering and not self._gathering:
            self._under_way += time.monotonic() - self._since
        with self._changed:
            self._done += 1
            self._changed.notify_all()

    def _parts(self, one: _Sum) -> tuple[list[int], list[int]]:
        """Return (elements, first element) of each process's part of a bucket."""
        size, count = self._group.size, len(one.flat)
        places = [count * rank // size for rank in range(size + 1)]
        return [b - a for a, b in itertools.pairwise(places)], places[:-1]


class NcclSum:
    """The same on GPUs, by Caffe's own class, which sums over NCCL. The order is NCCL's."""

    def __init__(self, group: MPIGroup, solver: caffe.SGDSolver, overlaps: bool) -> None:
        uid = group.bytes_from_first(caffe.NCCL.new_uid() if group.first else None).tobytes()
        caffe.set_solver_count(group.size)
        caffe.set_solver_rank(group.rank)
        caffe.set_multiprocess(True)
        self._nccl = caffe.NCCL(solver, uid)
        self._nccl.bcast()
        solver.add_callback(self._nccl)
        if overlaps:  # as the solver's layer_wise_reduce says
            solver.net.after_backward(self._nccl)
        self.timing = Timing()
        self.bytes = sum(4 * blob.count for blobs in solver.net.params.values() for blob in blobs)

    def final(self, layer: int) -> None:
        """Do nothing: Caffe calls NCCL."""

    def wait(self) -> None:
        """Do nothing: Caffe does."""

    def close(self) -> None:
        """Let Caffe's solvers that follow be alone again."""
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)
        caffe.set_multiprocess(False)


Sums = GradientSum | NcclSum
Final = Callable[[int], None]
