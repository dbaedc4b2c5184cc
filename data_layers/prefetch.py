"""Reads examples ahead, in another process.

A thread would share Python's lock with the layers that are written in Python, and with whatever
else the program does; a process shares nothing but the memory that examples are handed over in, the
slot. It is a plain child of this one. It puts an example into the slot, says so by a line of JSON
on its standard output, makes the next one, and waits until its parent has released the slot, by a
byte on its standard input. It ends when its parent does, however that ends: nobody can release the
slot any more.

The slot has no name (memfd): it is gone with the last process that has it, and is not bound by a
small or missing /dev/shm. Where there is none, or no memory for it, an example's bytes follow its
line.
"""

import contextlib
import io
import itertools
import json
import math
import mmap
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

from fcn import child
from fcn.errors import DataError, FCNError

from .augment import augment, crop
from .dataset import SegDataset, evenly_spread
from .registry import dataset_class

Arrays = tuple[np.ndarray, ...]

RELEASE = b'.'


def order(count: int, seed: int, shuffle: bool, position: int = 0) -> Iterator[tuple[int, int]]:
    """Yield (epoch, index) without end, from `position` examples on.

    Each epoch is a permutation of range(count) drawn from (seed, epoch) alone, so that any position
    can be reached without replaying what came before.
    """
    epoch, start = divmod(position, count)
    while True:
        if shuffle:
            indices = np.random.default_rng([seed, epoch]).permutation(count)
        else:
            indices = np.arange(count)
        for index in indices[start:]:
            yield epoch, int(index)
        epoch, start = epoch + 1, 0


def batches(
    dataset: SegDataset,
    seed: int,
    shuffle: bool,
    position: int,
    batch: int,
    mirror: bool = False,
    jitter: int = 0,
    side: int | None = None,
    share: Sequence[int] | None = None,
) -> Iterator[Arrays]:
    """Yield tuples of arrays, one for each top: `batch` examples stacked along a new first axis,
    cropped to `side`×`side` unless that is None. With a `share` (first, count, of), only `count`
    of every `of` examples are read, from the first-th on, as `position` counts them.

    What is drawn for an example depends on the seed, the epoch and the example alone, so that it is
    the same from whatever position. Raises DataError for an example that cannot be read, or that
    has another size than the others of its batch.
    """
    examples: list[list[np.ndarray]] = []
    for number, (epoch, index) in enumerate(
        order(len(dataset.names), seed, shuffle, position), position
    ):
        if share and not 0 <= number % share[2] - share[0] < share[1]:
            continue
        name = dataset.names[index]
        rng = np.random.default_rng([seed, epoch, index])
        blobs = augment(dataset.example(name, rng), dataset.labels, rng, mirror, jitter)
        if side is not None:
            blobs = crop(blobs, dataset.labels, rng, side)
        example = [blobs.pop(top) for top in dataset.tops]
        if examples and example[0].shape != examples[0][0].shape:
            raise DataError(
                f'{dataset.root}: {name} is {example[0].shape}, but the example before it '
                f'{examples[0][0].shape}; images of different sizes go one by one '
                '(batch 1, and iter_size in the solver)'
            )
        examples.append(example)
        if len(examples) == batch:
            stacked = [tuple(map(_stack, zip(*examples, strict=True)))]
            # While the next example is read, no array of this one is kept here.
            del example, examples[:]
            yield stacked.pop()


def part_of(names: Sequence[str], index: int, count: int, batch: int = 1) -> list[str]:
    """Return the names in every `count`-th batch, from the `index`-th on."""
    return [name for place, name in enumerate(names) if place // batch % count == index]


def _stack(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """Return arrays along a new first axis; a single one without a copy."""
    return arrays[0][np.newaxis] if len(arrays) == 1 else np.stack(arrays)


class Prefetcher:
    """An iterator over what `batches` yields, read by a child process.

    Its arrays are valid until they are released, which asking for the next ones does, too. `spec`
    holds the options of the data layer (`data_layers.layers`). Raises DataError if a file cannot be
    used, or if the child dies, as it may of lack of memory.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._slot = open_slot()
        self._held = False  # Whether the slot is ours until it is released.
        handles = [self._slot.handle] if self._slot else []
        # A session of its own: Ctrl-C is for the parent, which may still want examples.
        self._child = child.start(
            main,
            json.dumps(spec),
            *map(str, handles),
            start_new_session=True,
            stdin=subprocess.PIPE,
            pass_fds=handles,
        )
        self._stream = cast(io.BufferedReader, self._child.stdout)

    def __iter__(self) -> 'Prefetcher':
        return self

    def __next__(self) -> Arrays:
        self.release()
        line = self._stream.readline()
        if not line:
            self.close()
            raise DataError(
                f'the process that reads data ended by itself (exit {self._child.returncode}); '
                'its last message stands above; if there is none, memory may have run out'
            )
        header = json.loads(line)
        if 'error' in header:
            self.close()
            raise DataError(header['error'])
        self._held = True
        if header['inline'] or not self._slot:
            return tuple(self._receive(shape) for shape in header['shapes'])
        return self._slot.arrays(header['shapes'])

    def release(self) -> None:
        """Let the child hand over the next example, where the arrays of the last one are."""
        if not self._held:
            return
        self._held = False
        assert self._child.stdin
        with contextlib.suppress(BrokenPipeError):  # It has ended: the next call says so.
            os.write(self._child.stdin.fileno(), RELEASE)

    def _receive(self, shape: list[int]) -> np.ndarray:
        array = np.empty(shape, np.float32)
        view = array.data.cast('B')
        if self._stream.readinto(view) != len(view):
            raise DataError(
                'the process that reads data ended in the middle of an example; '
                'memory may have run out'
            )
        return array

    def close(self) -> None:
        """End the child; safe to call twice. The arrays of the last example stay valid."""
        self._child.kill()
        self._child.wait()
        self._stream.close()
        if self._child.stdin:
            self._child.stdin.close()
        if self._slot:
            self._slot.close()
        self._held = False

    def __del__(self) -> None:
        if hasattr(self, '_stream') and self._child.returncode is None:
            self.close()


class Slot:
    """Memory that two processes share, as large as the largest example that it has held."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._memory: mmap.mmap | None = None

    def arrays(self, shapes: Sequence[Sequence[int]]) -> Arrays:
        """Return the float32 arrays of these shapes that lie here one after another.

        Raises OSError if there is not so much memory.
        """
        counts = [math.prod(shape) for shape in shapes]
        size = max(1, 4 * sum(counts))
        if self._memory is None or len(self._memory) < size:
            if os.fstat(self.handle).st_size < size:
                os.posix_fallocate(self.handle, 0, size)  # Where it fails, writing would kill us.
            self._memory = mmap.mmap(self.handle, size)
        starts = itertools.accumulate(counts, initial=0)
        return tuple(
            np.frombuffer(self._memory, np.float32, count, 4 * start).reshape(shape)
            for count, start, shape in zip(counts, starts, shapes, strict=False)
        )

    def close(self) -> None:
        """Give the memory back once no array lies in it any more; safe to call twice."""
        if self.handle >= 0:
            os.close(self.handle)
        self.handle, self._memory = -1, None


def open_slot() -> Slot | None:
    """Return an empty slot, or None where the system has no memory without a name."""
    try:
        return Slot(os.memfd_create('fcn-example'))
    except (AttributeError, OSError):
        return None


def main(text: str, handle: str | None = None) -> None:
    """Hand over the examples of the spec in `text`, JSON, for as long as they are wanted: the
    child's main.

    `handle` is the file descriptor of the slot, if there is one.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # They are for the parent, which may still want examples.
        signal.signal(number, signal.SIG_IGN)
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # A stray print must not land among the bytes.
    try:
        _write_examples(json.loads(text), out, Slot(int(handle)) if handle else None)
    except BrokenPipeError:
        os._exit(0)  # The parent is gone, and Python would flush to it once more.
    except Exception:
        traceback.print_exc()
        os._exit(1)


def _write_examples(spec: Mapping[str, Any], out: BinaryIO, slot: Slot | None) -> None:
    try:
        first = True
        for arrays in _read(spec):
            waiting = list(arrays)
            del arrays  # Each is given back once it is written.
            if not first:
                _wait_for_release()
            first = False
            shapes = [array.shape for array in waiting]
            try:
                places = list(slot.arrays(shapes)) if slot else []
            except OSError:  # There is not so much memory without a name.
                places = []
            inline = not places
            while places:
                places.pop(0)[...] = waiting.pop(0)
            _write_line(out, {'shapes': shapes, 'inline': inline})
            while waiting:
                out.write(np.ascontiguousarray(waiting.pop(0), np.float32).data)
            out.flush()
    except BrokenPipeError:
        raise
    except (FCNError, OSError, MemoryError) as error:
        too_large = f'{spec["root"]}: not enough memory for an example; take smaller images'
        _write_line(out, {'error': str(error) or too_large})
        out.flush()


def _wait_for_release() -> None:
    """Return when the parent is done with the last example. Raises BrokenPipeError if it is
    gone."""
    if not os.read(0, 1):
        raise BrokenPipeError


def _read(spec: Mapping[str, Any]) -> Iterator[Arrays]:
    kind = dataset_class(spec['dataset'])
    assert kind is not None, spec['dataset']
    dataset = kind(spec['root'], spec['split'], spec['tops'])
    dataset.names = evenly_spread(dataset.names, spec['limit'])
    if part := spec.get('part'):
        dataset.names = part_of(dataset.names, part[0], part[1], spec['batch'])
    keys = ('seed', 'shuffle', 'position', 'batch', 'mirror', 'jitter', 'share')
    chosen = {key: spec[key] for key in keys if key in spec}
    return batches(dataset, **chosen, side=spec.get('crop'))


def _write_line(out: BinaryIO, header: Mapping[str, Any]) -> None:
    out.write(json.dumps(header).encode() + b'\n')
