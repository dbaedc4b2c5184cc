"""Runs a net forward: its scores and labels of an image, and its confusion on a data set."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from fcn.engine import caffe, net_of, release_activations
from fcn.errors import WeightsError
from fcn.metrics import confusion
from fcn.nets import NetConfig
from fcn.surgery import transplant
from fcn.text import few

BAND = 64  # rows at once: what all of a large image needs in between would be as large

log = logging.getLogger('fcn')

Images = Mapping[str, np.ndarray]


def load_net(spec: 'caffe.NetSpec', weights: str) -> 'caffe.Net':
    """Return the net of a NetSpec with the weights of a caffemodel, to test.

    It gives back the memory of activations as it runs. Raises WeightsError if weights are missing.
    """
    net = net_of(spec)
    report = transplant(net, weights)
    if report.missing:
        raise WeightsError(
            f'{weights}: has no weights for {few(report.missing)}; it is of another net'
        )
    if untrained := [
        name
        for name, blobs in net.params.items()
        if name.startswith('score') and not any(blob.data.any() for blob in blobs)
    ]:
        log.warning(
            '%s: the weights of %s are all zero, so every pixel is class 0; train the net first',
            weights,
            few(untrained),
        )
    release_activations(net, compared_blobs(net))
    return net


def close_layers(net: 'caffe.Net') -> None:
    """End what the Python layers of a net hold, such as a data layer's reading process.

    Caffe never frees a Python layer, so it must be told when its net is done with.
    """
    for layer in net.layers:
        if close := getattr(layer, 'close', None):
            close()


def check_scores(best: np.ndarray) -> None:
    """Raise WeightsError unless all scores are finite numbers."""
    if not np.isfinite(best).all():
        raise WeightsError(
            'the net scores NaN or infinity: its weights are too large, as after a training that '
            'diverged; take earlier ones'
        )


def predict(scores: np.ndarray) -> np.ndarray:
    """Return the labels of the highest scores along axis 1: N×C×… to N×…, uint8.

    The first of equal scores wins, as in argmax, but passes over each class's contiguous plane are
    faster than argmax across the planes. Raises WeightsError for scores that are not finite.
    """
    if scores.ndim == 2:
        return predict(scores[..., np.newaxis])[..., 0]
    labels = np.zeros((len(scores), *scores.shape[2:]), np.uint8)
    for start in range(0, scores.shape[2], BAND):
        part, into = scores[:, :, start : start + BAND], labels[:, start : start + BAND]
        best = part.max(1)
        check_scores(best)
        for index in range(scores.shape[1] - 1, -1, -1):
            np.putmask(into, part[:, index] == best, index)
    return labels


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities of scores, C×… float32, along axis 0."""
    best = scores.max(0)
    check_scores(best)
    result = scores - best
    np.exp(result, out=result)
    result /= result.sum(0)
    return result


def loss_names(net: 'caffe.Net') -> list[str]:
    """Return the names of a net's losses, each that of a layer and of its top."""
    kinds = ('SoftmaxWithLoss', 'InfogainLoss')
    return [name for name, layer in net.layer_dict.items() if layer.type in kinds]


def compared_blobs(net: 'caffe.Net') -> list[str]:
    """Return the blobs that a net's losses compare, scores and labels."""
    return [blob for name in loss_names(net) for blob in net.bottom_names[name]]


def forward(net: 'caffe.Net', config: NetConfig, images: Images) -> dict[str, np.ndarray]:
    """Return the scores of each label, C×H×W float32, of an image by a deploy net.

    `images` holds the arrays of the config's inputs as data_layers.inputs reads them, all H×W.
    The scores are the net's own memory, valid until it runs again.
    """
    inputs = config.dataset.inputs
    for name, top in config.input_blobs.items():
        feed(net, top, inputs[name].blob(images[name]))
    net.forward()
    return {label: net.blobs[blob].data[0] for label, blob in config.score_blobs.items()}


def feed(net: 'caffe.Net', top: str, blob: np.ndarray) -> None:
    """Put C×H×W float32 into the input `top` of a deploy net."""
    net.blobs[top].reshape(1, *blob.shape)
    net.blobs[top].data[0] = blob


def segment(net: 'caffe.Net', config: NetConfig, images: Images) -> dict[str, np.ndarray]:
    """Return the classes of each label, H×W uint8, of an image by a deploy net, as `forward`."""
    scored = forward(net, config, images)
    return {label: predict(scores[np.newaxis])[0] for label, scores in scored.items()}


class Scored(NamedTuple):
    """What a forward pass says of each label: the classes predicted, N×H×W uint8, the true ones,
    N×1×H×W, and how many classes there are; and its loss."""

    predicted: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    classes: dict[str, int]
    loss: float


def evaluate(
    net: 'caffe.Net',
    count: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    each: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Return {label: confusion matrix} over `count` forward passes, and their losses.

    `net` is a net whose losses compare scores with labels. `progress` wraps the iteration, and
    `each` is called with {label: predicted classes}, N×H×W uint8.
    """
    names = loss_names(net)
    heads = {label: net.blobs[scores] for scores, label in map(net.bottom_names.get, names)}

    def score() -> Scored:
        net.forward()
        return Scored(
            {label: predict(scores.data) for label, scores in heads.items()},
            {label: net.blobs[label].data for label in heads},
            {label: scores.shape[1] for label, scores in heads.items()},
            sum(float(net.blobs[name].data) for name in names),
        )

    return count_up(score, count, progress, each)


def count_up(
    score: Callable[[], Scored],
    count: int,
    progress: Callable[[Iterable[int]], Iterable[int]],
    each: Callable[[dict[str, np.ndarray]], None] | None,
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Return what `evaluate` does, of `count` calls of `score`."""
    matrices: dict[str, np.ndarray] = {}
    losses = []
    for _ in progress(range(count)):
        scored = score()
        for label, predicted in scored.predicted.items():
            matrix = confusion(scored.truth[label], predicted, scored.classes[label])
            matrices[label] = matrices.get(label, 0) + matrix
        losses.append(scored.loss)
        if each:
            each(scored.predicted)
        del scored  # before the next one is computed
    return matrices, losses
