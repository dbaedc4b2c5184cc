"""Scores a net on the images its data layer feeds (section 5)."""

import tempfile

import caffe
import numpy as np

from errors import few
from surgery import WeightsError, read_weights, transplant

from .metrics import confusion


def load_net(spec, weights):
    """The caffe.Net of a NetSpec, to test, with the weights of a caffemodel; WeightsError if some are missing."""
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(str(spec.to_proto()))
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    report = transplant(net, read_weights(weights))
    if report.missing:
        raise WeightsError(f'{weights}: has no weights for {few(report.missing)}; it is of another net')
    return net


def predict(scores):
    """Labels of the highest scores along axis 1: N×C×… to N×…, uint8.

    The first of equal scores wins, as in argmax, but passes over each class's
    contiguous plane are faster than argmax across the planes.
    """
    best = scores.max(1)
    labels = np.zeros(best.shape, np.uint8)
    for index in range(scores.shape[1] - 1, -1, -1):
        np.putmask(labels, scores[:, index] == best, index)
    return labels


def evaluate(net, count, progress=iter, each=None):
    """The confusion matrix over `count` forward passes, and their mean loss.

    `net` is a caffe.Net whose layer `loss` compares scores with labels. `progress`
    wraps the iteration, and `each` is called with the labels predicted.
    """
    scores, label = net.bottom_names['loss']
    matrix, loss = 0, 0.0
    for _ in progress(range(count)):
        net.forward()
        labels = predict(net.blobs[scores].data)
        matrix = matrix + confusion(net.blobs[label].data, labels, net.blobs[scores].shape[1])
        loss += float(net.blobs['loss'].data)
        if each:
            each(labels)
    return np.asarray(matrix), loss / count
