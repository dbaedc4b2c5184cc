"""Losses weighted by class (sections 3.4 and 4.3).

The paper balances classes by weighting or sampling the loss, and finds that its nets do not need
it. The weights here are those of median frequency balancing (Eigen & Fergus, ICCV 2015): a class's
frequency is its share of the pixels in the images that hold it, and its weight is the median of all
frequencies over its own. They are scaled so that the mean weight of a training pixel is 1: the loss
is a sum, and the learning rate stays as it is.

Caffe weights by class in InfogainLoss, −Σ H[label, k] log p[k], with the weights on H's diagonal.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from caffe.proto import caffe_pb2

from fcn.data_layers import VOID, Source
from fcn.data_layers.dataset import evenly_spread
from fcn.data_layers.images import check_label
from fcn.errors import DataError, SnapshotError
from fcn.io import replacing

from .progress import Progress
from .snapshot import read_checksummed, write_checksummed

SILENT = Progress()


def class_weights(source: Source, progress: Progress = SILENT) -> dict[str, np.ndarray]:
    """Return the weight of each class, K float64, by label, from the labels of `source`.

    A class without a pixel gets the weight 0. Raises DataError for a bad label, or if all of them
    are void.
    """
    dataset = source.open()
    names = evenly_spread(dataset.names, dict(source.options).get('limit'))
    pixels = {top: np.zeros(len(classes)) for top, classes in dataset.labels.items()}
    totals = {top: np.zeros(len(classes)) for top, classes in dataset.labels.items()}
    for name in progress.counted(names):
        for top, classes in dataset.labels.items():
            label = dataset.label(name, top)
            check_label(label, label.shape, len(classes), dataset.path(top, name))
            counts = np.bincount(label[label != VOID], minlength=len(classes))
            pixels[top] += counts
            totals[top] += np.where(counts > 0, counts.sum(), 0)
    for top in pixels:
        if not pixels[top].any():
            raise DataError(
                f'{source.root}: every {top} of split {source.split} is void, so there is nothing '
                'to balance; leave out --balance'
            )
    return {top: median_frequency_weights(pixels[top], totals[top]) for top in pixels}


def median_frequency_weights(pixels: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the weights, K float64, of classes with so many `pixels`.

    `totals` are the labelled pixels of all images that hold the class.
    """
    present = pixels > 0
    frequency = pixels[present] / totals[present]
    weights = np.zeros(len(pixels))
    weights[present] = np.median(frequency) / frequency
    return weights * pixels.sum() / (weights @ pixels)


def weight_files(
    folder: Path, source: Source, labels: Iterable[str], resumed: bool, progress: Progress = SILENT
) -> dict[str, Path]:
    """Write the class weights of `labels` to a run folder and return the files that Caffe reads.

    They are counted as the run starts, which takes minutes, and noted for when it is `resumed`.
    """
    noted = folder / 'class_weights.json'
    weights: dict[str, Sequence[float]] | None = None
    if resumed:  # A run without a snapshot may start from other weights.
        try:
            weights = read_checksummed(noted)
        except SnapshotError:
            weights = None
    if weights is None:
        counted = class_weights(source, progress)
        weights = {label: counted[label].tolist() for label in labels}
        write_checksummed(noted, **weights)
    files = {label: folder / f'{label}.binaryproto' for label in weights}
    for label, file in files.items():
        write_infogain(file, weights[label])
    return files


def write_infogain(path: Path, weights: Sequence[float] | np.ndarray) -> None:
    """Write the diagonal matrix of `weights` as Caffe's BlobProto, whole or not at all."""
    matrix = np.diag(np.asarray(weights, np.float32))
    blob = caffe_pb2.BlobProto(shape=dict(dim=matrix.shape), data=matrix.ravel())
    with replacing(path) as partial:
        partial.write_bytes(blob.SerializeToString())
