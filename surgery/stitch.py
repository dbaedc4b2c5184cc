"""Shift-and-stitch: a net's dense output from f² runs on shifted inputs, and where it equals the
output of a rarefied net (section 3.2; Giusti et al. 2013, OverFeat)."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor

import caffe
import numpy as np
from caffe.proto.caffe_pb2 import NetParameter

from fcn.errors import FCNError
from fcn.nets.receptive_field import receptive_fields
from fcn.nets.window import Pair, window_of
from fcn.text import few


def shift_and_stitch(
    net: caffe.Net, image: np.ndarray, factor: int, step: int, top: str | None = None
) -> np.ndarray:
    """Run `net` on `image` (C×H×W float32) once for each of factor² shifts, and interlace.

    The image moves by multiples of `step` pixels, right and down, over zeros that are factor − 1
    steps larger than it; the net's stride is factor · step. C×n×m cells of blob `top`, by default
    the output, become C×(f·(n−1)+1)×(f·(m−1)+1) float32, where f is the factor. The element
    (f·i − y, f·j − x) is the element (i, j) of the run shifted by (y, x) steps.
    """
    _, *size = image.shape
    blob = net.blobs[net.inputs[0]]
    blob.reshape(1, len(image), *(side + (factor - 1) * step for side in size))
    stitched = np.empty(0)
    for y in range(factor):
        for x in range(factor):
            blob.data[...] = 0
            blob.data[0, :, y * step : y * step + size[0], x * step : x * step + size[1]] = image
            net.forward()
            cells = net.blobs[top or net.outputs[0]].data[0]
            if not stitched.size:
                fine = (factor * (side - 1) + 1 for side in cells.shape[1:])
                stitched = np.empty((len(cells), *fine), np.float32)
            rows, columns = (slice((factor - shift) % factor, None, factor) for shift in (y, x))
            stitched[:, rows, columns] = cells[:, y > 0 :, x > 0 :]
    return stitched


def interlace(batch: np.ndarray, steps: Iterable[Pair]) -> np.ndarray:
    """Return N×C×h×w from a batch of Πs²·N subsampled versions.

    `steps` are the strides that were removed, as (height, width), in the order of the layers, as
    rarefy.subsampling gives them.
    """
    for height, width in reversed(list(steps)):
        versions = batch.reshape(height, width, -1, *batch.shape[1:])
        _, _, count, channels, h, w = versions.shape
        batch = versions.transpose(2, 3, 4, 0, 5, 1).reshape(count, channels, h * height, w * width)
    return batch


def inside(
    spec: NetParameter, top: str, size: Iterable[int], factor: int, batch: bool = False
) -> tuple[slice, slice]:
    """Return which cells of blob `top` see only the image and the zeros that the first layer puts
    around it.

    In these cells a rarefied net and the shifted runs compute the same. `spec` is the net before it
    was rarefied and `size` the image's (height, width). Returns two slices, of rows and columns,
    over `factor` times as many cells to a side as the net has. With `batch` the net was rarefied
    into a batch; it loses cells at the far ends, where the subsampled versions differ in size, and
    fewer cells are equal. Raises FCNError where no cell is.
    """
    height, width = size
    if oblong := [
        layer.name
        for layer in spec.layer
        if layer.type in ('Convolution', 'Pooling')
        and any(down != across for down, across in window_of(layer))
    ]:
        raise FCNError(
            f'{few(oblong)}: windows of unequal height and width; where the two ways agree is only '
            'known for square windows'
        )
    field = receptive_fields(spec)[top]
    margin = _margin(spec)
    stride = field.stride / factor
    lost = field.stride - stride if batch else 0

    def cells(side: int) -> slice:
        first = max(0, ceil((-margin - field.low) / stride))
        return slice(first, floor((side - lost - 1 + margin - field.high) / stride) + 1)

    rows, columns = cells(height), cells(width)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        minimum = ceil(field.size - 2 * margin + stride - 1 + lost)
        raise FCNError(
            f'{top} sees {field.size:.0f}×{field.size:.0f} pixels, so every cell of an image of '
            f'{height}×{width} with {margin} zeros around it sees the border; give an image of at '
            f'least {minimum} pixels to a side'
        )
    return rows, columns


def _margin(spec: NetParameter) -> int:
    """Return how many zeros the layers that read the net's first input put around it."""
    entry = spec.input[0] if spec.input else spec.layer[0].top[0]
    readers = [layer for layer in spec.layer if entry in layer.bottom]
    return min(
        (min(window_of(layer).pad) if layer.type == 'Convolution' else 0 for layer in readers),
        default=0,
    )
