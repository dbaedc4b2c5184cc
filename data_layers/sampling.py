"""The Caffe layer that samples the loss (section 3.4).

Training on whole images is training on all their patches at once. To learn from a
random share of the patches, as patchwise training does, the loss ignores each cell of the final
layer with probability 1 − p. A patch is what a cell of the last score sees, before it is upsampled: the
cells lie on a grid of the net's stride. The labels of the pixels that are nearest to an ignored cell become void.

The layer stands between the data layer and the losses and takes all labels of an
example, N×1×H×W; a cell is kept or ignored in all of them. Its `param_str` is a JSON object:

    p          probability of keeping a cell, above 0 and at most 1
    stride     side of a cell, in pixels (default 1)
    shift      pixels of the first cell that lie before the image's first pixel (default 0)
    seed       of what is drawn (default 1337)
    position   forward passes to pass over at first, to go on where a run stopped (default 0)
"""

import json

import numpy as np

from fcn.engine import caffe
from fcn.errors import DataError

from .images import VOID

DEFAULTS = {'stride': 1, 'shift': 0, 'seed': 1337, 'position': 0}


class SamplingLayer(caffe.Layer):
    """Keeps each cell of its labels with probability p; what a pass keeps depends on the seed and its number alone."""

    def setup(self, bottom, top):
        self._spec = parse(self.param_str)
        if len(top) != len(bottom):
            raise DataError(
                f'the sampling layer has {len(bottom)} bottoms and {len(top)} tops; it needs a top a label'
            )
        self._pass = self._spec['position']

    def reshape(self, bottom, top):
        for index in range(len(bottom)):
            if bottom[index].data.shape != bottom[0].data.shape:
                raise DataError(
                    f'the sampling layer has labels of shapes {bottom[0].data.shape} and '
                    f'{bottom[index].data.shape}; they must be equal'
                )
            top[index].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        spec = self._spec
        ignored = cells(
            bottom[0].data.shape, spec['p'], spec['seed'], self._pass, spec['stride'], spec['shift']
        )
        self._pass += 1
        for index in range(len(bottom)):
            top[index].data[...] = np.where(ignored, np.float32(VOID), bottom[index].data)

    def backward(self, top, propagate_down, bottom):
        pass


def cells(shape, p, seed, number, stride=1, shift=0):
    """Boolean array of `shape`, N×1×H×W: the pixels to ignore in forward pass `number`, all of a cell together,
    and each cell with probability 1 − p."""
    rows, columns = ((np.arange(side) + shift) // stride for side in shape[2:])
    drawn = np.random.default_rng([seed, number]).random(
        (*shape[:2], rows[-1] + 1, columns[-1] + 1), np.float32
    )
    return (drawn >= np.float32(p))[:, :, rows[:, None], columns]


def parse(text):
    """The options in a param_str, checked, with defaults filled in; DataError names a wrong one."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"param_str is not JSON ({error}): '{text[:80]}'") from error
    if not isinstance(given, dict) or not {'p'} <= set(given) <= {'p', *DEFAULTS}:
        raise DataError(f"param_str is not an object of p, {', '.join(DEFAULTS)}: '{text[:80]}'")
    spec = DEFAULTS | given
    if (
        not isinstance(spec['p'], (int, float))
        or isinstance(spec['p'], bool)
        or not 0 < spec['p'] <= 1
    ):
        raise DataError(
            f"param_str's p is {spec['p']!r}; it is a probability above 0 and at most 1"
        )
    for key, least in (('stride', 1), ('shift', 0), ('seed', 0), ('position', 0)):
        if not isinstance(spec[key], int) or isinstance(spec[key], bool) or spec[key] < least:
            raise DataError(
                f"param_str's {key} is {spec[key]!r}; it is a whole number from {least}"
            )
    return spec
