"""What fills weights that no file gives: bilinear interpolation and seeded Gaussians."""

import numpy as np


def bilinear(size):
    """size×size float32 filter that upsamples bilinearly by (size + 1) // 2 (section 3.3)."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    ramp = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(ramp, ramp).astype(np.float32)


def interp(net, names):
    """Fill deconvolutions so that each channel is interpolated by itself: bilinear on
    the diagonal, zero elsewhere.

    Raises ValueError for a layer that mixes channels or has no square kernel.
    """
    for name in names:
        weights = net.params[name][0].data
        outputs, inputs, height, width = weights.shape
        if height != width or (outputs not in (inputs, 1) and inputs != 1):
            raise ValueError(f'{name}: a deconvolution of shape {weights.shape} cannot interpolate; '
                             'it needs as many outputs as inputs, and a square kernel')
        weights[...] = 0
        if outputs == inputs:
            weights[range(outputs), range(outputs)] = bilinear(height)
        else:  # one filter a group
            weights[...] = bilinear(height)


def gaussian(net, names, seed):
    """Fill layers with Gaussians of variance 2 / fan-in (He et al. 2015), biases with zero.

    A layer that sees pixels, in hundreds, gets weights smaller by 64, so that what
    leaves it is of order one. The same seed gives the same weights.
    """
    rng = np.random.default_rng(seed)
    pixels = _pixels(net)
    for name in names:
        weights, *biases = net.params[name]
        fan_in = weights.data[0].size
        scale = np.sqrt(2 / fan_in)
        if net.bottom_names[name][0] in pixels:
            scale /= 64
        weights.data[...] = rng.standard_normal(weights.data.shape, np.float32) * scale
        for bias in biases:
            bias.data[...] = 0


def _pixels(net):
    """Names of the blobs that hold pixels: what layers without bottoms give, and Caffe's copies of it."""
    blobs = set()
    for name, layer in net.layer_dict.items():
        bottoms = net.bottom_names[name]
        if not bottoms or layer.type == 'Split' and bottoms[0] in blobs:
            blobs.update(net.top_names[name])
    return blobs
