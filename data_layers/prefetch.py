"""Reading ahead in another process.

pycaffe never releases Python's lock, so a thread could not read while Caffe
computes; a process can. It is a plain child of ours that writes examples to its
standard output, each a line of JSON with the shapes and then the float32 bytes,
and blocks while one is waiting. It ends when its parent does, however that ends,
since nobody reads the pipe any more.
"""

import json
import os
import signal
import sys
import traceback

import numpy as np

from fcn import child
from fcn.errors import DataError, FCNError

from .augment import augment


def order(count, seed, shuffle, position=0):
    """Yield (epoch, index) without end, from `position` examples on.

    Each epoch is a permutation of range(count) drawn from (seed, epoch) alone, so
    any position can be gone to without replaying what came before.
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


def batches(dataset, seed, shuffle, position, batch, mirror=False, jitter=0):
    """Yield tuples of arrays, `batch` examples stacked along a new first axis.

    What is drawn for an example depends on the seed, the epoch and the example alone,
    so that it is the same from whatever position.
    """
    examples = []
    for epoch, index in order(len(dataset.names), seed, shuffle, position):
        name = dataset.names[index]
        rng = np.random.default_rng([seed, epoch, index])
        blobs = augment(dataset.example(name, rng), dataset.labels, rng, mirror, jitter)
        example = [blobs[top] for top in dataset.tops]
        if examples and example[0].shape != examples[0][0].shape:
            raise DataError(
                f'{name}: {example[0].shape} differs from the {examples[0][0].shape} before it; '
                'images of different sizes go one by one (batch 1, and iter_size in the solver)'
            )
        examples.append(example)
        if len(examples) == batch:
            yield tuple(np.stack(arrays) for arrays in zip(*examples, strict=True))
            examples = []


class Prefetcher:
    """Iterates over what `batches` yields, read by a child process.

    `spec` holds the name of the data set's class, its root, split, tops and limit,
    and the arguments of `batches`. Raises DataError for what is wrong with a file, or if
    the child died, of lack of memory for one.
    """

    def __init__(self, spec):
        # A session of its own: Ctrl-C is for the parent, which may still want examples.
        self._child = child.start(main, json.dumps(spec), start_new_session=True)

    def __next__(self):
        line = self._child.stdout.readline()
        if not line:
            raise DataError(
                f'the process that reads data ended by itself (exit {self._child.wait()}); '
                'its last words stand above'
            )
        header = json.loads(line)
        if 'error' in header:
            self.close()
            raise DataError(header['error'])
        return tuple(self._receive(shape) for shape in header['shapes'])

    def _receive(self, shape):
        array = np.empty(shape, np.float32)
        view = memoryview(array).cast('B')
        if self._child.stdout.readinto(view) != len(view):
            raise DataError('the process that reads data ended in the middle of an example')
        return array

    def close(self):
        """End the child; safe to call twice."""
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()

    def __del__(self):
        if hasattr(self, '_child') and self._child.returncode is None:
            self.close()


def main(text):
    """The child's main: write examples until nobody reads them."""
    from . import dataset_class

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # They are for the parent, who may still want examples.
    spec = json.loads(text)
    out, sys.stdout = sys.stdout.buffer, sys.stderr  # A stray print must not land among the bytes.
    try:
        try:
            dataset = dataset_class(spec['dataset'])(spec['root'], spec['split'], spec['tops'])
            dataset.names = evenly_spread(dataset.names, spec['limit'])
            for arrays in batches(
                dataset,
                spec['seed'],
                spec['shuffle'],
                spec['position'],
                spec['batch'],
                spec.get('mirror', False),
                spec.get('jitter', 0),
            ):
                out.write(
                    json.dumps({'shapes': [array.shape for array in arrays]}).encode() + b'\n'
                )
                for array in arrays:
                    out.write(np.ascontiguousarray(array, np.float32))
                out.flush()
        except (FCNError, OSError, MemoryError) as error:
            error = (
                str(error)
                or f'{spec["root"]}: not enough memory for an example; take smaller images'
            )
            out.write(json.dumps({'error': str(error)}).encode() + b'\n')
            out.flush()
    except BrokenPipeError:
        os._exit(0)  # The parent is gone, and Python would flush to it once more.
    except Exception:
        traceback.print_exc()
        os._exit(1)


def evenly_spread(names, limit):
    """`limit` of the names, evenly spread; all of them if it is None."""
    if limit is None or limit >= len(names):
        return names
    return [names[i * len(names) // limit] for i in range(limit)]
