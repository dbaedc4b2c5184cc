"""Restores Caffe's solver from a snapshot, whatever order the net listed its layers in then.

A solver state holds the momentum of every array of weights, by index: the first array of the net's
first layer comes first. Weights go by the names of their layers, so only the momentum must follow
when a net's layers are listed in another order (colour-HHA nets, since version 2.0).
"""

import contextlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from fcn.engine import caffe
from fcn.errors import RunError
from fcn.surgery.caffemodel import read_varint

# A field of SolverState in caffe.proto: BlobProto messages, one for each array of weights.
_HISTORY = 3
_VARINT, _BYTES = 0, 2


def restore(solver: caffe.SGDSolver, weights: Path, state: Path, counts: Mapping[str, int]) -> None:
    """Restore `solver` from the two files of a snapshot, which lie in one folder.

    `counts` is how many arrays of weights each layer had, in the order of the net that made the
    snapshot; it has the layers of the solver's net. Raises RunError if the state is of another
    net.
    """
    if list(counts) == list(solver.net.params):
        with contextlib.chdir(state.parent):
            solver.restore(state.name)
        return
    with tempfile.TemporaryDirectory(prefix='.partial-', dir=state.parent.parent) as folder:
        (Path(folder) / weights.name).symlink_to(weights)
        write_reordered(state, Path(folder) / state.name, momentum_order(counts, solver.net.params))
        with contextlib.chdir(folder):
            solver.restore(state.name)


def momentum_order(counts: Mapping[str, int], layers: Iterable[str]) -> list[int]:
    """Return, for each array of weights of `layers` in turn, its index in the order of `counts`."""
    first, total = {}, 0
    for layer, count in counts.items():
        first[layer] = total
        total += count
    return [first[layer] + index for layer in layers for index in range(counts[layer])]


def write_reordered(state: Path, target: Path, order: Sequence[int]) -> None:
    """Write a copy of a solver state whose momentum number i is number order[i] of `state`.

    The file is mapped and copied piece by piece: it can be larger than a gigabyte. Raises
    RunError if it holds another number of them.
    """
    with state.open('rb') as file, target.open('wb') as copy:
        buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        try:
            fields = list(_fields(buffer))
        except (IndexError, ValueError) as error:
            raise RunError(f'{state}: not a solver state ({error})') from error
        history = [field for number, field in fields if number == _HISTORY]
        if len(history) != len(order):
            raise RunError(
                f'{state}: holds the momentum of {len(history)} arrays of weights, and the net has '
                f'{len(order)}; give another folder with --runs'
            )
        reordered = iter([history[index] for index in order])
        for number, field in fields:
            copy.write(next(reordered) if number == _HISTORY else field)


def _fields(buffer: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (number, bytes with the key) of each field of a message of numbers and bytes."""
    offset = 0
    while offset < len(buffer):
        start = offset
        key, offset = read_varint(buffer, offset)
        if key & 7 not in (_VARINT, _BYTES):
            raise ValueError(f'wire type {key & 7} at byte {start}')
        value, offset = read_varint(buffer, offset)
        if key & 7 == _BYTES:
            offset += value
        if offset > len(buffer):
            raise ValueError(f'a field of {value} bytes ends past the end')
        yield key >> 3, buffer[start:offset]
