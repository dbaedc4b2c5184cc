"""Scores a net on the images its data layer feeds (section 5)."""

import numpy as np

from fcn.data_layers import DATASETS
from fcn.engine import net_of, release_activations
from fcn.errors import WeightsError
from fcn.surgery import transplant
from fcn.text import few

from .metrics import confusion


def load_net(spec, weights):
    """The lean caffe.Net of a NetSpec, to test, with the weights of a caffemodel; WeightsError if some are missing."""
    net = net_of(spec)
    report = transplant(net, weights)
    if report.missing:
        raise WeightsError(
            f'{weights}: has no weights for {few(report.missing)}; it is of another net'
        )
    release_activations(net, compared(net))
    return net


def predict(scores):
    """Labels of the highest scores along axis 1: N×C×… to N×…, uint8.

    The first of equal scores wins, as in argmax, but passes over each class's
    contiguous plane are faster than argmax across the planes. WeightsError for scores
    that are no finite numbers.
    """
    best = scores.max(1)
    if not np.isfinite(best).all():
        raise WeightsError(
            'the net scores what is not a number: its weights are too large, as of a training that '
            'diverged; take earlier ones'
        )
    labels = np.zeros(best.shape, np.uint8)
    for index in range(scores.shape[1] - 1, -1, -1):
        np.putmask(labels, scores[:, index] == best, index)
    return labels


def losses(net):
    """The names of a net's losses, a layer and its top each."""
    return [
        name
        for name, layer in net.layer_dict.items()
        if layer.type in ('SoftmaxWithLoss', 'InfogainLoss')
    ]


def compared(net):
    """The blobs that a net's losses compare, scores and labels."""
    return [blob for name in losses(net) for blob in net.bottom_names[name]]


def evaluate(net, count, progress=iter, each=None):
    """{label: confusion matrix} over `count` forward passes, and their mean loss.

    `net` is a caffe.Net whose losses compare scores with labels. `progress` wraps the
    iteration, and `each` is called with {label: classes predicted}, N×H×W uint8.
    """
    heads = [net.bottom_names[name] for name in losses(net)]
    matrices, loss = {}, 0.0
    for _ in progress(range(count)):
        net.forward()
        predicted = {}
        for scores, label in heads:
            predicted[label] = predict(net.blobs[scores].data)
            matrix = confusion(net.blobs[label].data, predicted[label], net.blobs[scores].shape[1])
            matrices[label] = matrices.get(label, 0) + matrix
        loss += sum(float(net.blobs[name].data) for name in losses(net))
        if each:
            each(predicted)
    return matrices, loss / count


def segment(net, config, images):
    """{label: H×W uint8 classes} of an image, by the deploy net of a config of nets.NETS.

    `images` maps the config's inputs to arrays as their data_layers.inputs read them, all H×W.
    """
    dataset = DATASETS[config.data]
    for name, top in config.input_blobs.items():
        blob = dataset.inputs[name].blob(images[name])
        net.blobs[top].reshape(1, *blob.shape)
        net.blobs[top].data[0] = blob
    net.forward()
    return {
        label: predict(net.blobs[scores].data)[0] for label, scores in config.score_blobs.items()
    }
