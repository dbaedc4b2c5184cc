"""Shift-and-stitch: a net's dense output from f² runs on shifted inputs (section 3.2; Giusti et al. 2013,
OverFeat), and where it has to be equal to a rarefied net's."""

from math import ceil, floor

import numpy as np

from fcn.errors import FCNError
from fcn.nets.receptive_field import receptive_fields
from fcn.text import few

from .rarefy import window


def shift_and_stitch(net, image, factor, step, top=None):
    """Run caffe.Net `net` on `image` (C×H×W float32) once for each of factor² shifts, and interlace.

    The image moves by multiples of `step` pixels, right and down, in zeros of factor − 1 steps more than
    its size; the net's stride is factor · step. Of C×n×m cells of blob `top` (the output, by default)
    become C×(f·(n−1)+1)×(f·(m−1)+1), f = factor, whose element (f·i − y, f·j − x) is (i, j) of the run
    shifted by (y, x) steps.
    """
    channels, *size = image.shape
    blob = net.blobs[net.inputs[0]]
    blob.reshape(1, channels, *(side + (factor - 1) * step for side in size))
    stitched = None
    for y in range(factor):
        for x in range(factor):
            blob.data[...] = 0
            blob.data[0, :, y * step : y * step + size[0], x * step : x * step + size[1]] = image
            net.forward()
            cells = net.blobs[top or net.outputs[0]].data[0]
            if stitched is None:
                stitched = np.empty(
                    (len(cells), *(factor * (side - 1) + 1 for side in cells.shape[1:])), np.float32
                )
            rows, columns = (slice((factor - shift) % factor, None, factor) for shift in (y, x))
            stitched[:, rows, columns] = cells[:, y > 0 :, x > 0 :]
    return stitched


def interlace(batch, steps):
    """N×C×h×w from a batch of Πs²·N subsampled versions; `steps` are the strides removed, (height, width)
    each, in the order of the layers, as rarefy.subsampling gives them."""
    for height, width in reversed(steps):
        versions = batch.reshape(height, width, -1, *batch.shape[1:])
        _, _, count, channels, h, w = versions.shape
        batch = versions.transpose(2, 3, 4, 0, 5, 1).reshape(count, channels, h * height, w * width)
    return batch


def inside(spec, top, size, factor, batch=False):
    """Which cells of blob `top` see only the image and the zeros that the first layer puts around it.

    `spec` is the net as it was, a NetParameter; `size` the image's (height, width). Returns two slices
    over the cells when there are `factor` times as many to a side. In these cells a rarefied net and
    the shifted runs calculate the same. As a `batch` it loses cells at the far ends, where subsampled versions
    are not of one size, and fewer are equal. Raises FCNError where there are none.
    """
    if oblong := [
        layer.name
        for layer in spec.layer
        if layer.type in ('Convolution', 'Pooling')
        and any(height != width for height, width in window(layer))
    ]:
        raise FCNError(
            f'{few(oblong)}: windows of unequal height and width; where the two agree is only known '
            'of square ones'
        )
    field = receptive_fields(spec)[top]
    margin = _margin(spec)
    stride = field.stride / factor
    lost = field.stride - stride if batch else 0
    bounds = [
        (
            max(0, ceil((-margin - field.low) / stride)),
            floor((side - lost - 1 + margin - field.high) / stride) + 1,
        )
        for side in size
    ]
    if any(low >= high for low, high in bounds):
        least = ceil(field.size - 2 * margin + stride - 1 + lost)
        raise FCNError(
            f'{top} sees {field.size:.0f}×{field.size:.0f} pixels, so that in {size[0]}×{size[1]} with '
            f'{margin} zeros around them each of its cells sees the border; give an image of at least '
            f'{least} pixels to a side'
        )
    return tuple(slice(*bound) for bound in bounds)


def _margin(spec):
    """The zeros that the layers which read the net's first input put around it."""
    entry = spec.input[0] if spec.input else spec.layer[0].top[0]
    readers = [layer for layer in spec.layer if entry in layer.bottom]
    return min(
        (min(window(layer).pad) if layer.type == 'Convolution' else 0 for layer in readers),
        default=0,
    )
