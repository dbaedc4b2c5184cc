"""Layers that compute each element by itself, as nodes of ONNX."""

import math

import numpy as np
from onnx import TensorProto

from .layer import Layer


def relu(layer: Layer) -> list[str]:
    slope = layer.param.relu_param.negative_slope
    if slope:
        return [layer.op('LeakyRelu', layer.bottoms[0], alpha=slope)]
    return [layer.op('Relu', layer.bottoms[0])]


def prelu(layer: Layer) -> list[str]:
    (slope,) = layer.blobs
    behind = [1] * (layer.ranks[0] - 2)
    slope = (
        slope.reshape(()) if layer.param.prelu_param.channel_shared else slope.reshape(-1, *behind)
    )
    return [layer.op('PRelu', layer.bottoms[0], layer.vector(slope, 'slope'))]


def elu(layer: Layer) -> list[str]:
    return [layer.op('Elu', layer.bottoms[0], alpha=layer.param.elu_param.alpha)]


def sigmoid(layer: Layer) -> list[str]:
    return [layer.op('Sigmoid', layer.bottoms[0])]


def tanh(layer: Layer) -> list[str]:
    return [layer.op('Tanh', layer.bottoms[0])]


def absolute(layer: Layer) -> list[str]:
    return [layer.op('Abs', layer.bottoms[0])]


def bnll(layer: Layer) -> list[str]:
    return [layer.op('Softplus', layer.bottoms[0])]


def swish(layer: Layer) -> list[str]:
    (x,) = layer.bottoms
    gate = layer.op('Sigmoid', _times(layer, x, layer.param.swish_param.beta))
    return [layer.op('Mul', x, gate)]


def clip(layer: Layer) -> list[str]:
    param, g = layer.param.clip_param, layer.graph
    return [layer.op('Clip', layer.bottoms[0], g.scalar(param.min), g.scalar(param.max))]


def threshold(layer: Layer) -> list[str]:
    limit = layer.graph.scalar(layer.param.threshold_param.threshold)
    above = layer.op('Greater', layer.bottoms[0], limit)
    return [layer.op('Cast', above, to=TensorProto.FLOAT)]


def power(layer: Layer) -> list[str]:
    """(shift + scale · x) ^ power."""
    param, (x,) = layer.param.power_param, layer.bottoms
    if param.scale * param.power == 0:  # The input does not count; Caffe does not look at it.
        value = 1.0 if param.power == 0 else math.pow(param.shift, param.power)
        shape = layer.op('Shape', x)
        filled = layer.op('Expand', layer.graph.scalar(value), shape)
        return [filled]
    x = _plus(layer, _times(layer, x, param.scale), param.shift)
    if param.power == 1:
        return [x]
    return [layer.op('Pow', x, layer.graph.scalar(param.power))]


def exponential(layer: Layer) -> list[str]:
    """base ^ (shift + scale · x), where the base −1 means e."""
    param, (x,) = layer.param.exp_param, layer.bottoms
    logarithm = 1.0 if param.base == -1 else math.log(param.base)
    x = layer.op('Exp', _times(layer, x, logarithm * param.scale))
    return [_times(layer, x, math.exp(logarithm * param.shift))]


def logarithm(layer: Layer) -> list[str]:
    """The logarithm of shift + scale · x, to a base where −1 means e."""
    param, (x,) = layer.param.log_param, layer.bottoms
    x = layer.op('Log', _plus(layer, _times(layer, x, param.scale), param.shift))
    return [x if param.base == -1 else _times(layer, x, 1 / math.log(param.base))]


def _times(layer: Layer, x: str, factor: float) -> str:
    return x if np.float32(factor) == 1 else layer.op('Mul', x, layer.graph.scalar(factor))


def _plus(layer: Layer, x: str, summand: float) -> str:
    return x if np.float32(summand) == 0 else layer.op('Add', x, layer.graph.scalar(summand))
