"""Labels from dense scores (section 3.2): those of a trained net, as it learned and rarefied."""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fcn.data_layers import DATASETS, SegDataset, evenly_spread
from fcn.inference import predict
from fcn.metrics import confusion, metrics
from fcn.nets import find
from fcn.nets.receptive_field import ReceptiveField, receptive_fields
from fcn.surgery import rarefy, subsampling

from .dense import TOP, coarse, forward, loaded, removals, upsampled, whole
from .scoring import progress

SHOWN = 3  # images

# The title of a kind of map → the net that scores it, and where its cells lie.
Nets = Mapping[str, tuple[Any, ReceptiveField]]


def map_nets(
    name: str, weights: Path, removed: int, learned: str, dense: str
) -> dict[str, tuple[Any, ReceptiveField]]:
    """Return {title: (net, receptive field of its scores)} of net `name`.

    There are four: the net as it learned (its title is `learned`), its coarse scores, those
    upsampled, and the net rarefied without the last `removed` strides (its title begins with
    `dense`).
    """
    spec, classes = coarse(name), len(DATASETS[find(name).data].classes)
    layers, field = removals(spec, removed)[-1], receptive_fields(spec)[TOP]
    factor = prod(subsampling(spec)[layer][0] for layer in layers)
    fine = field._replace(stride=field.stride / factor)
    specs = {
        learned: (whole(name), ReceptiveField()),
        f'coarse, stride {field.stride:.0f}': (spec, field),
        f'coarse, upsampled ×{factor}': (upsampled(spec, factor, classes), fine),
        f'{dense}, stride {fine.stride:.0f}': (rarefy(spec, layers), fine),
    }
    return {title: (loaded(changed, weights), seen) for title, (changed, seen) in specs.items()}


def label_images(
    nets: Nets, dataset: SegDataset, data: str, count: int
) -> tuple[dict[str, dict[str, float]], list[Any]]:
    """Label `count` validation images by `nets`, each pixel from the nearest cell.

    Returns {title: metrics}, and (image, {title: labels}, truth) of some images, for
    visualize.grid.
    """
    names = evenly_spread(dataset.names, count)
    classes = len(DATASETS[data].classes)
    matrices = {title: np.zeros((classes, classes), np.int64) for title in nets}
    pictures = []
    for index, name in enumerate(progress(names, 'maps')):
        image, truth = dataset.pair(name)
        blob = dataset.inputs['data'].blob(image)
        labels = {
            title: at_pixels(predict(forward(net, blob))[0], field, truth.shape)
            for title, (net, field) in nets.items()
        }
        for title, label in labels.items():
            matrices[title] += confusion(truth, label, classes)
        if index < SHOWN:
            pictures.append((image, labels, truth))
    return {title: metrics(matrix) for title, matrix in matrices.items()}, pictures


def at_pixels(cells: np.ndarray, field: ReceptiveField, shape: Sequence[int]) -> np.ndarray:
    """Return the value at every pixel of an image of `shape`, h×w cells to H×W.

    It is that of the cell whose receptive field has the nearest centre.
    """
    centre = (field.low + field.high) / 2
    rows, columns = (
        np.clip(np.floor((np.arange(side) - centre) / field.stride + 0.5), 0, count - 1).astype(int)
        for side, count in zip(shape, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]
