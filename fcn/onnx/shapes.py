"""Layers that move, choose and sum elements along axes, as nodes of ONNX."""

from collections.abc import Sequence
from itertools import pairwise

from caffe.proto.caffe_pb2 import ReductionParameter
from onnx import TensorProto

from .graph import LAST
from .layer import Layer


def concat(layer: Layer) -> list[str]:
    param = layer.param.concat_param
    axis = param.concat_dim if param.HasField('concat_dim') else layer.axis(param.axis)
    return [layer.op('Concat', *layer.bottoms, axis=axis)]


def slices(layer: Layer) -> list[str]:
    """Parts of an axis, cut at points, or equal."""
    param, (x,), g = layer.param.slice_param, layer.bottoms, layer.graph
    axis = param.slice_dim if param.HasField('slice_dim') else layer.axis(param.axis)
    count = len(layer.param.top)
    if not param.slice_point:
        if count == 1:
            return [layer.op('Identity', x)]
        parts = [g.take(f'{layer.name}/part') for _ in range(count)]
        g.add('Split', [x], parts, g.take(f'{layer.name}/split'), axis=axis)
        return parts
    points = [0, *param.slice_point, LAST]
    axes = g.integers(axis)
    return [
        layer.op('Slice', x, g.integers(start), g.integers(end), axes)
        for start, end in pairwise(points)
    ]


def crop(layer: Layer) -> list[str]:
    """The part of the first bottom at an offset, as large as the second bottom."""
    param, g = layer.param.crop_param, layer.graph
    x, reference = layer.bottoms
    axis, rank = layer.axis(param.axis), layer.ranks[0]
    offsets = list(param.offset) or [0]
    offsets = offsets * (rank - axis) if len(offsets) == 1 else offsets
    ends = layer.shape(reference, axis, rank)
    starts = g.integers(*offsets)
    if any(offsets):
        ends = layer.op('Add', ends, starts)
    return [layer.op('Slice', x, starts, ends, g.integers(*range(axis, rank)))]


def flatten(layer: Layer) -> list[str]:
    param, (x,), rank = layer.param.flatten_param, layer.bottoms, layer.ranks[0]
    start, end = layer.axis(param.axis), layer.axis(param.end_axis)
    if start == 1 and end == rank - 1:
        return [layer.op('Flatten', x, axis=1)]
    return [_reshaped(layer, x, [0] * start + [-1], end + 1)]


def reshape(layer: Layer) -> list[str]:
    param, (x,), rank = layer.param.reshape_param, layer.bottoms, layer.ranks[0]
    start = param.axis if param.axis >= 0 else rank + param.axis + 1
    end = rank if param.num_axes == -1 else start + param.num_axes
    # A 0 copies the length of the axis of the same number, in Caffe as in ONNX.
    return [_reshaped(layer, x, [0] * start + list(param.shape.dim), end)]


def _reshaped(layer: Layer, x: str, sizes: Sequence[int], kept: int) -> str:
    """Return x with axes of `sizes`, then those of its own from number `kept` on."""
    target = layer.graph.integers(*sizes)
    if kept < layer.ranks[0]:
        target = layer.op('Concat', target, layer.shape(x, kept), axis=0)
    return layer.op('Reshape', x, target)


def tile(layer: Layer) -> list[str]:
    param, rank = layer.param.tile_param, layer.ranks[0]
    repeats = [1] * rank
    repeats[layer.axis(param.axis)] = param.tiles
    return [layer.op('Tile', layer.bottoms[0], layer.graph.integers(*repeats))]


def reduction(layer: Layer) -> list[str]:
    """The sum, the mean, the sum of absolute values or of squares over the last axes."""
    param, (x,) = layer.param.reduction_param, layer.bottoms
    axes = tuple(range(layer.axis(param.axis), layer.ranks[0]))
    if param.operation == ReductionParameter.SUM:
        x = layer.op('ReduceSum', x, layer.graph.integers(*axes), keepdims=0)
    else:
        operators = {
            ReductionParameter.MEAN: 'ReduceMean',
            ReductionParameter.ASUM: 'ReduceL1',
            ReductionParameter.SUMSQ: 'ReduceSumSquare',
        }
        x = layer.op(operators[param.operation], x, axes=axes, keepdims=0)
    return [x if param.coeff == 1 else layer.op('Mul', x, layer.graph.scalar(param.coeff))]


def argmax(layer: Layer) -> list[str]:
    """The place of the maximum; of equal ones Caffe's layer takes the last."""
    param, (x,), g = layer.param.argmax_param, layer.bottoms, layer.graph
    if param.top_k != 1:
        layer.refuse('only the one best (top_k: 1) has a counterpart')
    has_axis = param.HasField('axis')
    axis = layer.axis(param.axis) if has_axis else 1
    if not has_axis:
        x = layer.op('Flatten', x, axis=1)
    best = layer.op('ArgMax', x, axis=axis, keepdims=1, select_last_index=1)
    best = layer.op('Cast', best, to=TensorProto.FLOAT)
    value = layer.op('ReduceMax', x, axes=(axis,), keepdims=1) if param.out_max_val else None
    if has_axis:
        return [value or best]
    # Caffe gives N×1×1, or N×2×1 with the values, and more axes of 1 for a bottom that has more.
    both = layer.op('Concat', best, value, axis=1) if value else best
    count = max(3, layer.ranks[0]) - 2
    return [layer.op('Unsqueeze', both, g.integers(*range(2, 2 + count)))]
