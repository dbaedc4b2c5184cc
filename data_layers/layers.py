"""The Caffe layer that feeds whole images (section 4.3).

Its `param_str` is a JSON object:

    dataset    class of the data set: VOC, SBD, PASCALContext, NYUD, SIFTFlow, …
    root       folder of the data set
    split      name of the list of examples
    tops       which inputs and labels, in the order of the layer's tops (default: all)
    seed       of the order and of all that is drawn (default 1337)
    shuffle    a new permutation in each epoch, or the list's own order (default: in training)
    position   examples to skip at first, to go on where a run stopped (default 0)
    batch      examples at once, all of one size (default 1)
    limit      read that many examples, evenly spread over the split (default: all)
    mirror     exchange left and right in half of the examples (default: no)
    jitter     move examples by up to so many pixels, down and right (default 0)
    crop       take so many rows and columns of an example, from a drawn place (default: all)
    share      [first, count, of]: of every `of` examples in their order, skipped ones included,
               feed `count` from the first-th on; others feed the rest (default: all)
    part       [index, count]: of the batches of a split's list, only every count-th, from the
               index-th on, as if the others were not there (default: all)

Tops are inputs, N×C×H×W float32 as data_layers.inputs makes them, and labels, N×1×H×W.
"""

from typing import Any

import numpy as np

from fcn.engine import caffe
from fcn.errors import DataError

from . import options
from .augment import MAX_CROP, MAX_JITTER
from .options import Option, are_numbers, flag, whole_number
from .prefetch import Prefetcher
from .registry import dataset_class

MAX_BATCH = 4096  # examples at once


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(top, str) for top in value)


def _is_part(value: Any) -> bool:
    return value is None or (are_numbers(value, 2) and value[0] < value[1])


OPTIONS = {
    'dataset': options.text(),
    'root': options.text(),
    'split': options.text(),
    'tops': Option(
        lambda tops: tops is None or _is_list_of_names(tops), 'a list of names', default=None
    ),
    'seed': whole_number(0, default=1337),
    'position': whole_number(0, default=0),
    'batch': whole_number(1, default=1, maximum=MAX_BATCH),
    'limit': whole_number(1, default=None),
    'mirror': flag(default=False),
    'jitter': whole_number(0, default=0, maximum=MAX_JITTER),
    'crop': whole_number(1, default=None, maximum=MAX_CROP),
    'share': options.share(),
    'part': Option(_is_part, '[index, count], index less than count', default=None),
}


class SegDataLayer(caffe.Layer):
    """Reads ahead from its data set and reshapes its tops to each example."""

    def setup(self, bottom: Any, top: Any) -> None:
        spec = parse(self.param_str, shuffle=self.phase == caffe.TRAIN)
        kind = dataset_class(spec['dataset'])
        assert kind is not None  # parse saw to it
        tops = spec['tops'] or (*kind.inputs, *kind.labels)
        if len(top) != len(tops):
            raise DataError(
                f'the data layer has {len(top)} tops, but reads {len(tops)} of '
                f'{spec["dataset"]}: {", ".join(tops)}; give it a top for each'
            )
        self._reader = Prefetcher(spec)
        self._arrays: tuple[np.ndarray, ...] | None = None

    def close(self) -> None:
        """End the process that reads ahead; the layer feeds nothing any more."""
        self._reader.close()

    def reshape(self, bottom: Any, top: Any) -> None:
        # Caffe reshapes once more before the first forward: what was read is kept for it.
        if self._arrays is None:
            self._arrays = next(self._reader)
        for index, array in enumerate(self._arrays):
            top[index].reshape(*array.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        assert self._arrays is not None
        for index, array in enumerate(self._arrays):
            top[index].data[...] = array
        self._arrays = None
        self._reader.release()

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Do nothing: data has no gradient."""


def parse(param_str: str, shuffle: bool) -> dict[str, Any]:
    """Return the options in a data layer's param_str, with defaults filled in.

    `shuffle` is the default of the option of that name. Raises DataError, which names what is
    wrong.
    """
    spec = options.parse(param_str, {**OPTIONS, 'shuffle': flag(shuffle)})
    if dataset_class(spec['dataset']) is None:
        raise DataError(
            f"param_str: dataset is '{spec['dataset'][:40]}'; no data set has that name"
        )
    return spec
