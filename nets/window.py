"""The window of a Caffe layer: what a convolution, deconvolution or pooling looks at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from caffe.proto.caffe_pb2 import LayerParameter

from fcn.errors import FCNError

Pair = tuple[int, int]

# How many cells a window has to a side, or lie apart: no net that can be run has more.
MAX_CELLS = 4096


class Window(NamedTuple):
    """The kernel, stride, padding and dilation of a layer, each as (height, width) in cells."""

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)


def window_of(layer: LayerParameter) -> Window:
    """Return the Window of a layer; a layer without one, such as ReLU, looks at single cells.

    Caffe writes a size as NAME, once or twice, or as NAME_h and NAME_w. A pooling over the whole
    image has a kernel of 0×0. Raises FCNError for numbers that no net has.
    """
    if layer.type in ('Convolution', 'Deconvolution'):
        param = layer.convolution_param
        dilation = _pair(param.dilation, 1)
    elif layer.type == 'Pooling':
        param = layer.pooling_param
        dilation = (1, 1)
    else:
        return Window()

    def size(name: str, default: int, full_name: str | None = None) -> Pair:
        if param.HasField(f'{name}_h') or param.HasField(f'{name}_w'):
            return getattr(param, f'{name}_h'), getattr(param, f'{name}_w')
        return _pair(getattr(param, full_name or name), default)

    window = Window(size('kernel', 1, 'kernel_size'), size('stride', 1), size('pad', 0), dilation)
    if max(map(max, window)) > MAX_CELLS or min(window.stride) < 1:
        raise FCNError(f'{layer.name}: a window of {window} is none that a net can have')
    return window


def _pair(value: int | Iterable[int], default: int) -> Pair:
    """Return a number of a pooling, or the list of a convolution, as (height, width)."""
    values = [value] if isinstance(value, int) else [*value] or [default]
    height, width = (values * 2)[:2]
    return height, width
