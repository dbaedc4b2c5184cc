"""Weights for layers that no file fills: bilinear interpolation, the mean of other channels, and
seeded Gaussians."""

from collections.abc import Iterable

import caffe
import numpy as np

from fcn.errors import WeightsError


def bilinear(size: int) -> np.ndarray:
    """Return the size×size float32 filter that upsamples bilinearly by (size + 1) // 2
    (section 3.3)."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(ramp, ramp).astype(np.float32)


def interp(net: caffe.Net, names: Iterable[str]) -> None:
    """Fill deconvolutions so that each channel is interpolated by itself.

    Weights are bilinear on the diagonal of each group and zero elsewhere. A single input goes to
    all outputs. Raises WeightsError for a layer that would mix channels or has no square kernel.
    """
    for name in names:
        weights = net.params[name][0].data
        # Of one group. A convolution has outputs before inputs.
        inputs, outputs, *kernel = weights.shape
        group = net.blobs[net.top_names[name][0]].shape[-1 - len(kernel)] // outputs
        if len(kernel) != 2 or kernel[0] != kernel[1] or inputs not in (1, group * outputs):
            raise WeightsError(
                f'{name}: a deconvolution of shape {weights.shape}, group {group}, cannot '
                'interpolate; it needs as many outputs as inputs, and a square kernel'
            )
        weights[...] = 0
        if inputs == 1:
            weights[...] = bilinear(kernel[0])
        else:
            weights[range(inputs), np.arange(inputs) % outputs] = bilinear(kernel[0])


def expand_input_channels(filters: np.ndarray) -> np.ndarray:
    """Return filters out×C×h×w with one more input channel, the mean of the others."""
    return np.concatenate([filters, filters.mean(1, keepdims=True, dtype=np.float32)], 1)


def gaussian(net: caffe.Net, names: Iterable[str], seed: int) -> None:
    """Fill layers with Gaussians of variance 2 / fan-in (He et al. 2015), and biases with zero.

    The same seed gives the same weights.
    """
    rng = np.random.default_rng(seed)
    for name in names:
        weights, *biases = net.params[name]
        fan_in = max(1, weights.count // (weights.shape[0] if weights.shape else 1))
        scale = np.sqrt(2 / fan_in)
        drawn = weights.data  # in place: a copy might not fit into memory
        rng.standard_normal(dtype=np.float32, out=drawn)
        np.multiply(drawn, scale, out=drawn, dtype=np.float64, casting='same_kind')
        for bias in biases:
            bias.data[...] = 0
