"""Losses weighted by class (sections 3.4 and 4.3).

The paper balances classes by weighting or sampling the loss, and finds that its nets do
not need it. The weights here are those of median frequency balancing (Eigen & Fergus,
ICCV 2015): a class's frequency is its share of the pixels in the images that hold it,
and its weight is the median of all frequencies over its own. They are scaled so that
the mean weight of a training pixel is 1: the loss is a sum, and the learning rate stays as it is.

Caffe weighs by class in InfogainLoss, −Σ H[label, k] log p[k], with the weights on H's diagonal.
"""

import numpy as np
from caffe.proto import caffe_pb2
from tqdm import tqdm

from fcn.data_layers import VOID, dataset_class
from fcn.data_layers.images import check_label
from fcn.data_layers.prefetch import evenly_spread
from fcn.errors import DataError
from fcn.io import replacing


def class_weights(source):
    """{label: float64 weight of each class} from the labels of `source`, a data_layers.Source.

    A class without a pixel gets the weight 0. Raises DataError for a bad label, or if all is void.
    """
    dataset = dataset_class(source.dataset)(source.root, source.split)
    names = evenly_spread(dataset.names, dict(source.options).get('limit'))
    pixels = {top: np.zeros(len(classes)) for top, classes in dataset.labels.items()}
    around = {top: np.zeros(len(classes)) for top, classes in dataset.labels.items()}
    for name in tqdm(
        names, desc='class frequencies', unit='label', dynamic_ncols=True, disable=None
    ):
        for top, classes in dataset.labels.items():
            label = dataset.label(name, top)
            check_label(label, label.shape, len(classes), dataset.path(top, name))
            counts = np.bincount(label[label != VOID], minlength=len(classes))
            pixels[top] += counts
            around[top] += np.where(counts > 0, counts.sum(), 0)
    for top, counts in pixels.items():
        if not counts.any():
            raise DataError(
                f'{source.root}: every {top} of split {source.split} is void; there is nothing to balance'
            )
    return {top: median_frequency_weights(pixels[top], around[top]) for top in pixels}


def median_frequency_weights(pixels, around):
    """Weights from each class's `pixels` and the labelled pixels of all images that hold it."""
    present = pixels > 0
    frequency = pixels[present] / around[present]
    weights = np.zeros(len(pixels))
    weights[present] = np.median(frequency) / frequency
    return weights * pixels.sum() / (weights @ pixels)


def write_infogain(path, weights):
    """Write the diagonal matrix of `weights` as Caffe's BlobProto to the Path `path`, at once or not at all."""
    matrix = np.diag(np.asarray(weights, np.float32))
    blob = caffe_pb2.BlobProto(shape=dict(dim=matrix.shape), data=matrix.ravel())
    with replacing(path) as partial:
        partial.write_bytes(blob.SerializeToString())
