"""The Caffe layer that samples the loss (section 3.4).

Training on whole images is training on all their patches at once. To learn from a random share of
the patches, as patchwise training does, the loss ignores each cell of the final layer with
probability 1 − p. A patch is what a cell of the last score sees, before it is upsampled: the cells
lie on a grid of the net's stride. The labels of the pixels that are nearest to an ignored cell
become void.

The layer stands between the data layer and the losses and takes all labels of an example, N×1×H×W;
a cell is kept or ignored in all of them. Its `param_str` is a JSON object:

    p          probability of keeping a cell, above 0 and at most 1
    stride     side of a cell, in pixels (default 1)
    shift      pixels of the first cell that lie before the image's first pixel (default 0)
    seed       of what is drawn (default 1337)
    position   forward passes to skip at first, to go on where a run stopped (default 0)
    passes     [first, count, of]: these are `count` of every `of` passes, from the first-th on;
               others make the rest (default: all)
    examples   [first, count, of]: these are `count` of a pass's `of` examples (default: all)
"""

from typing import Any

import numpy as np

from fcn.engine import caffe
from fcn.errors import DataError

from . import options
from .images import VOID
from .options import Option, share, whole_number


def _is_probability(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1


OPTIONS = {
    'p': Option(_is_probability, 'a probability above 0 and at most 1'),
    'stride': whole_number(1, default=1),
    'shift': whole_number(0, default=0),
    'seed': whole_number(0, default=1337),
    'position': whole_number(0, default=0),
    'passes': share(),
    'examples': share(),
}


class SamplingLayer(caffe.Layer):
    """Keeps each cell of its labels with probability p.

    What a forward pass keeps depends on the seed and its number alone.
    """

    def setup(self, bottom: Any, top: Any) -> None:
        self._spec = options.parse(self.param_str, OPTIONS)
        if len(top) != len(bottom):
            raise DataError(
                f'the sampling layer has {len(bottom)} bottoms and {len(top)} tops; '
                'give it a top for each label'
            )
        self._made = 0

    def reshape(self, bottom: Any, top: Any) -> None:
        for index in range(len(bottom)):
            if bottom[index].data.shape != bottom[0].data.shape:
                raise DataError(
                    f'the sampling layer has labels of shapes {bottom[0].data.shape} and '
                    f'{bottom[index].data.shape}; they must be equal'
                )
            top[index].reshape(*bottom[0].data.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        spec = self._spec
        number, *sides = bottom[0].data.shape
        first, count, of = spec['examples'] or (0, number, number)
        ignored = ignored_cells(
            (of, *sides), spec['p'], spec['seed'], self._number(), spec['stride'], spec['shift']
        )[first : first + count]
        self._made += 1
        for index in range(len(bottom)):
            top[index].data[...] = np.where(ignored, np.float32(VOID), bottom[index].data)

    def _number(self) -> int:
        """Return the number of this pass, among those of all who share them."""
        first, count, of = self._spec['passes'] or (0, 1, 1)
        turn, place = divmod(self._made, count)
        return self._spec['position'] + turn * of + first + place

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Do nothing: labels have no gradient."""


def ignored_cells(
    shape: tuple[int, ...], p: float, seed: int, number: int, stride: int = 1, shift: int = 0
) -> np.ndarray:
    """Return which pixels forward pass `number` ignores: bool, of `shape` N×1×H×W.

    All pixels of a cell share its fate; each cell is ignored with probability 1 − p.
    """
    rows, columns = ((np.arange(side) + shift) // stride for side in shape[2:])
    drawn = np.random.default_rng([seed, number]).random(
        (*shape[:2], rows[-1] + 1, columns[-1] + 1), np.float32
    )
    return (drawn >= np.float32(p))[:, :, rows[:, None], columns]
