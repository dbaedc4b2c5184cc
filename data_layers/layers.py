"""The Caffe layer that feeds whole images (section 4.3).

Its `param_str` is a JSON object:

    dataset    class of the data set: VOC, SBD, PASCALContext, NYUD, SIFTFlow, …
    root       folder of the data set
    split      name of the list of examples
    tops       which inputs and labels, in the order of the layer's tops (default: all)
    seed       of the order and of whatever is drawn (default 1337)
    shuffle    a new permutation each epoch, or the list's own order (default: in training)
    position   examples to pass over at first, to go on where a run stopped (default 0)
    batch      examples at once, all of one size (default 1)
    limit      read that many examples, evenly spread over the split (default: all)
    mirror     exchange left and right in half of the examples (default: no)
    jitter     move examples by up to so many pixels, down and right (default 0)

Tops are inputs, N×C×H×W float32 as data_layers.inputs makes them, and labels, N×1×H×W.
"""

import json

from fcn.engine import caffe
from fcn.errors import DataError

from . import dataset_class
from .augment import MAX_JITTER
from .prefetch import Prefetcher

MOST_BATCH = 4096  # examples at once
DEFAULTS = dict(tops=None, seed=1337, position=0, batch=1, limit=None, mirror=False, jitter=0)


class SegDataLayer(caffe.Layer):
    """Reads ahead from its data set and reshapes its tops to each example."""

    def setup(self, bottom, top):
        spec = parse(self.param_str, shuffle=self.phase == caffe.TRAIN)
        kind = dataset_class(spec['dataset'])
        tops = spec['tops'] or (*kind.inputs, *kind.labels)
        if len(top) != len(tops):
            raise DataError(
                f'the layer has {len(top)} tops, and {spec["dataset"]} is asked for {", ".join(tops)}'
            )
        self._reader = Prefetcher(spec)
        self._arrays = None

    def reshape(self, bottom, top):
        # Caffe reshapes once more before the first forward: what was read is kept for it.
        if self._arrays is None:
            self._arrays = next(self._reader)
        for index, array in enumerate(self._arrays):
            top[index].reshape(*array.shape)

    def forward(self, bottom, top):
        for index, array in enumerate(self._arrays):
            top[index].data[...] = array
        self._arrays = None

    def backward(self, top, propagate_down, bottom):
        pass


def parse(text, shuffle):
    """The options in a param_str, checked, with defaults filled in; DataError names a wrong one."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"param_str is not JSON ({error}): '{text[:80]}'") from error
    if not isinstance(given, dict):
        raise DataError(f"param_str is not a JSON object: '{text[:80]}'")
    spec = DEFAULTS | {'shuffle': shuffle} | given
    known = {'dataset', 'root', 'split', *DEFAULTS, 'shuffle'}
    if unknown := sorted(set(spec) - known):
        raise DataError(
            f"param_str has an unknown key '{unknown[0]}'; it knows {', '.join(sorted(known))}"
        )
    for key in ('dataset', 'root', 'split'):
        if not isinstance(spec.get(key), str):
            raise DataError(f"param_str needs '{key}', a string")
    if dataset_class(spec['dataset']) is None:
        raise DataError(f"param_str's dataset is '{spec['dataset']}'; no data set has that name")
    tops = spec['tops']
    if tops is not None and not (
        isinstance(tops, list) and tops and all(isinstance(top, str) for top in tops)
    ):
        raise DataError(f"param_str's tops is {tops!r}; it is a list of names")
    for key in ('shuffle', 'mirror'):
        if not isinstance(spec[key], bool):
            raise DataError(f"param_str's {key} is {spec[key]!r}; it is true or false")
    bounds = dict(
        seed=(0, 2**63 - 1),
        position=(0, 2**63 - 1),
        batch=(1, MOST_BATCH),
        limit=(1, 2**63 - 1),
        jitter=(0, MAX_JITTER),
    )
    for key, (minimum, most) in bounds.items():
        value = spec[key]
        if key == 'limit' and value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= most:
            raise DataError(
                f"param_str's {key} is {repr(value)[:40]}; it is a whole number from {minimum} to {most}"
            )
    return spec
