"""Each of Caffe's layers as nodes of ONNX, with Caffe's rounding, borders and divisors.

`net.LAYERS` says which function exports which type. What depends on the size of the input is
computed in the graph, so that it is exact for any. What runtimes of ONNX disagree about is avoided:
poolings that round up are poolings here that pad more, and round down.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from caffe.proto.caffe_pb2 import (
    EltwiseParameter,
    LRNParameter,
    PoolingParameter,
)

from fcn.nets.window import window_of

from .layer import Layer

FLOAT_MIN = float(np.finfo(np.float32).min)  # what Caffe's maxima start from


def convolution(layer: Layer) -> list[str]:
    window = _window(layer)
    weights, *bias = layer.blobs
    inputs = [layer.weights(weights), *(layer.vector(b, 'bias') for b in bias)]
    return [
        layer.op(
            'Conv',
            bottom,
            *inputs,
            kernel_shape=window.kernel,
            strides=window.stride,
            pads=window.pad * 2,
            dilations=window.dilation,
            group=layer.param.convolution_param.group,
        )
        for bottom in layer.bottoms
    ]


def deconvolution(layer: Layer) -> list[str]:
    """A deconvolution whose weights map each channel to itself alone is one of as many groups."""
    window = _window(layer)
    weights, *bias = layer.blobs
    group = layer.param.convolution_param.group
    if group == 1 and is_diagonal(weights):
        group = len(weights)
        weights = weights[range(group), range(group)][:, np.newaxis]
    inputs = [layer.weights(weights), *(layer.vector(b, 'bias') for b in bias)]
    return [
        layer.op(
            'ConvTranspose',
            bottom,
            *inputs,
            kernel_shape=window.kernel,
            strides=window.stride,
            pads=window.pad * 2,
            dilations=window.dilation,
            group=group,
        )
        for bottom in layer.bottoms
    ]


def is_diagonal(weights: np.ndarray) -> bool:
    """Return whether a deconvolution's weights, in×out×H×W, map each channel to itself alone."""
    if weights.shape[0] != weights.shape[1] or len(weights) == 1:
        return False
    off_diagonal = ~np.eye(len(weights), dtype=bool)
    return not weights[off_diagonal].any()


def _window(layer: Layer) -> Any:
    """Return the Window of a convolution, deconvolution or pooling over images."""
    if any(rank != 4 for rank in layer.ranks):
        layer.refuse(f'it sees {layer.ranks[0]} axes, not N×C×H×W')
    if layer.type != 'Pooling' and layer.axis(layer.param.convolution_param.axis) != 1:
        layer.refuse('its channels are not axis 1')
    return window_of(layer.param)


def pooling(layer: Layer) -> list[str]:
    """Caffe rounds the number of windows up, and drops one that starts past the image and its
    padding. That is rounding down with more padding at the end (`_end`)."""
    param = layer.param.pooling_param
    is_max = param.pool == PoolingParameter.MAX
    if not is_max and param.pool != PoolingParameter.AVE:
        layer.refuse('stochastic pooling is for training')
    if len(layer.param.top) > 1:
        layer.refuse('its second top, the places of the maxima, has no counterpart')
    window = _window(layer)
    (x,) = layer.bottoms
    if param.global_pooling:
        return [layer.op('GlobalMaxPool' if is_max else 'GlobalAveragePool', x)]
    up = param.round_mode == PoolingParameter.CEIL
    pad = window.pad
    ends = tuple(
        _end(kernel, stride, begin, up, clip=any(pad))
        for kernel, stride, begin in zip(window.kernel, window.stride, pad, strict=True)
    )
    shape = dict(kernel_shape=window.kernel, strides=window.stride)
    if any(end >= kernel for end, kernel in zip(ends, window.kernel, strict=True)):
        # Windows further apart than they are wide: the last may see nothing.
        if not is_max:
            layer.refuse('its windows may lie past the image, where Caffe divides zero by zero')
        x = _padded(layer, x, (0, 0), ends, FLOAT_MIN)
        return [layer.op('MaxPool', x, **shape)]
    if is_max:
        return [layer.op('MaxPool', x, **shape, pads=(*pad, *ends))]
    if pad == ends:  # The divisor is always that of a whole window.
        return [layer.op('AveragePool', x, **shape, pads=(*pad, *ends), count_include_pad=1)]
    if any(pad):  # It counts this padding, and not what rounding up adds.
        x = _padded(layer, x, pad, pad, 0)
        ends = tuple(end - begin for end, begin in zip(ends, pad, strict=True))
    return [layer.op('AveragePool', x, **shape, pads=(0, 0, *ends), count_include_pad=0)]


def _end(kernel: int, stride: int, pad: int, up: bool, clip: bool) -> int:
    """Return how much padding at the end gives Caffe's number of windows when rounding down.

    Caffe computes ceil((size + 2·pad − kernel) / stride) + 1 windows, less one if that starts at
    size + pad or later: then there are floor((size + pad − 1) / stride) + 1. Both are
    floor((size + pad + end − kernel) / stride) + 1, and the number is the smaller one.
    """
    end = pad + stride - 1 if up else pad
    return min(end, kernel - 1) if clip else end


def _padded(layer: Layer, x: str, begins: Sequence[int], ends: Sequence[int], value: float) -> str:
    pads = layer.graph.integers(0, 0, *begins, 0, 0, *ends)
    return layer.op('Pad', x, pads, layer.graph.scalar(value))


def lrn(layer: Layer) -> list[str]:
    param, (x,) = layer.param.lrn_param, layer.bottoms
    size = param.local_size
    if param.norm_region == LRNParameter.ACROSS_CHANNELS:
        return [layer.op('LRN', x, size=size, alpha=param.alpha, beta=param.beta, bias=param.k)]
    # Within a channel it is x · (1 + alpha · mean of squares)^−beta; Caffe leaves k out there.
    g, pad = layer.graph, (size - 1) // 2
    mean = layer.op(
        'AveragePool',
        layer.op('Mul', x, x),
        kernel_shape=(size, size),
        strides=(1, 1),
        pads=(pad,) * 4,
        count_include_pad=1,
    )
    base = layer.op('Add', layer.op('Mul', mean, g.scalar(param.alpha)), g.scalar(1))
    return [layer.op('Mul', x, layer.op('Pow', base, g.scalar(-param.beta)))]


def batch_norm(layer: Layer) -> list[str]:
    param, (x,) = layer.param.batch_norm_param, layer.bottoms
    channels = layer.channels[0]
    if param.HasField('use_global_stats') and not param.use_global_stats:
        axes = tuple(axis for axis in range(layer.ranks[0]) if axis != 1)
        return [_normalized(layer, x, axes, lambda variance: _root_of_sum(layer, variance))]
    mean, variance, count = layer.blobs
    factor = np.float32(1 / count[0] if count[0] else 0)
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    tensors = (
        layer.vector(one, 'scale'),
        layer.vector(zero, 'bias'),
        layer.vector(mean * factor, 'mean'),
        layer.vector(variance * factor, 'variance'),
    )
    return [layer.op('BatchNormalization', x, *tensors, epsilon=param.eps)]


def _root_of_sum(layer: Layer, variance: str) -> str:
    epsilon = layer.graph.scalar(layer.param.batch_norm_param.eps)
    return layer.op('Sqrt', layer.op('Add', variance, epsilon))


def mvn(layer: Layer) -> list[str]:
    param, (x,) = layer.param.mvn_param, layer.bottoms
    axes = (1, 2, 3) if param.across_channels else (2, 3)
    if not param.normalize_variance:
        return [layer.op('Sub', x, layer.op('ReduceMean', x, axes=axes))]

    def deviation(variance: str) -> str:
        return layer.op('Add', layer.op('Sqrt', variance), layer.graph.scalar(param.eps))

    return [_normalized(layer, x, axes, deviation)]


def _normalized(layer: Layer, x: str, axes: Sequence[int], deviation: Callable[[str], str]) -> str:
    """Return x without its mean, divided by the deviation that its variance gives."""
    centred = layer.op('Sub', x, layer.op('ReduceMean', x, axes=axes))
    variance = layer.op('ReduceMean', layer.op('Mul', centred, centred), axes=axes)
    return layer.op('Div', centred, deviation(variance))


def scale(layer: Layer) -> list[str]:
    """Scale multiplies, Bias adds; the factors are weights, or a second bottom."""
    is_scale = layer.type == 'Scale'
    param = layer.param.scale_param if is_scale else layer.param.bias_param
    blobs, x = list(layer.blobs), layer.bottoms[0]
    if len(layer.bottoms) > 1:
        rank = layer.ranks[1]
        factor = _broadcast(layer, layer.bottoms[1], param.axis, rank)
    else:
        rank = blobs[0].ndim
        factor = _broadcast(layer, blobs.pop(0), param.axis, rank, 'scale' if is_scale else 'bias')
    x = layer.op('Mul' if is_scale else 'Add', x, factor)
    if is_scale and param.bias_term:
        x = layer.op('Add', x, _broadcast(layer, blobs.pop(0), param.axis, rank, 'bias'))
    return [x]


def _broadcast(layer: Layer, factor: str | np.ndarray, axis: int, rank: int, kind: str = '') -> str:
    """Return a factor whose first axis is `axis` of the first bottom as one to broadcast to it."""
    behind = layer.ranks[0] - layer.axis(axis) - rank if rank else 0
    if isinstance(factor, np.ndarray):
        return layer.vector(factor.reshape((*factor.shape, *[1] * behind)), kind)
    if not behind:
        return factor
    axes = layer.graph.integers(*range(rank, rank + behind))
    return layer.op('Unsqueeze', factor, axes)


def eltwise(layer: Layer) -> list[str]:
    param, bottoms = layer.param.eltwise_param, list(layer.bottoms)
    if param.operation == EltwiseParameter.SUM and param.coeff:
        bottoms = [
            bottom if coeff == 1 else layer.op('Mul', bottom, layer.graph.scalar(coeff))
            for bottom, coeff in zip(bottoms, param.coeff, strict=True)
        ]
    operators = {
        EltwiseParameter.PROD: 'Mul',
        EltwiseParameter.SUM: 'Add',
        EltwiseParameter.MAX: 'Max',
    }
    result, *others = bottoms
    for other in others:
        result = layer.op(operators[param.operation], result, other)
    return [result]


def inner_product(layer: Layer) -> list[str]:
    param, (x,) = layer.param.inner_product_param, layer.bottoms
    axis = layer.axis(param.axis)
    weights, *bias = layer.blobs
    if axis == 1:
        x = x if layer.ranks[0] == 2 else layer.op('Flatten', x, axis=1)
        inputs = [layer.weights(weights), *(layer.vector(b, 'bias') for b in bias)]
        return [layer.op('Gemm', x, *inputs, transB=int(not param.transpose))]
    x = layer.op('Reshape', x, layer.graph.integers(*[0] * axis, -1))
    x = layer.op('MatMul', x, layer.weights(weights if param.transpose else weights.T))
    return [layer.op('Add', x, layer.vector(bias[0], 'bias'))] if bias else [x]


def softmax(layer: Layer) -> list[str]:
    axis = layer.axis(layer.param.softmax_param.axis)
    return [layer.op('Softmax', layer.bottoms[0], axis=axis)]


def same(layer: Layer) -> list[str]:
    """Dropout, which does nothing once a net is trained, and Split, which copies."""
    return [layer.bottoms[0]] * len(layer.param.top)


def nothing(layer: Layer) -> list[str]:
    return []


def parameter(layer: Layer) -> list[str]:
    return [layer.op('Identity', layer.weights(layer.blobs[0]))]
