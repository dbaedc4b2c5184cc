"""Scores a net on a data set by tiles, where whole images do not fit in memory."""

from collections.abc import Callable, Iterable

import numpy as np

from fcn.data_layers import VOID, Source
from fcn.data_layers.layers import parse
from fcn.data_layers.prefetch import Prefetcher
from fcn.engine import caffe
from fcn.inference import BAND, Scored, count_up, feed, predict
from fcn.nets import NetConfig
from fcn.tiling import Tiling, inside

# The loss of a pixel is at most that of the smallest probability that float32 has, as in Caffe.
MAX_LOSS = -np.log(np.finfo(np.float32).tiny, dtype=np.float64)


class TiledEvaluation:
    """Evaluates a deploy net by tiles of at most side×side, on the images of a source in their
    order, from the first on again after the last. `close` it in the end."""

    def __init__(self, net: caffe.Net, config: NetConfig, source: Source, side: int) -> None:
        self._net, self._config, self._side = net, config, side
        self._tiling = Tiling.of(config)
        self._labels = list(config.classes)
        tops = [*config.input_names, *self._labels]
        self._reader = Prefetcher(parse(source.param_str(tops=tops), shuffle=False))

    def close(self) -> None:
        """End the process that reads the images."""
        self._reader.close()

    def evaluate(
        self,
        count: int,
        progress: Callable[[Iterable[int]], Iterable[int]] = iter,
        each: Callable[[dict[str, np.ndarray]], None] | None = None,
    ) -> tuple[dict[str, np.ndarray], list[float]]:
        """Return what `inference.evaluate` does of whole images: the same confusion, but where two
        classes' scores are equal but for rounding, and the same losses but for rounding."""
        return count_up(self._score, count, progress, each)

    def _score(self) -> Scored:
        arrays = next(self._reader)
        inputs = dict(zip(self._config.input_blobs.values(), arrays, strict=False))
        truth = dict(zip(self._labels, arrays[len(inputs) :], strict=True))
        number, _, height, width = arrays[0].shape
        predicted = {label: np.empty((number, height, width), np.uint8) for label in self._labels}
        losses = dict.fromkeys(self._labels, 0.0)
        for index in range(number):
            for kept, tile in self._tiling.boxes(height, width, self._side):
                for top, blobs in inputs.items():
                    feed(self._net, top, blobs[(index, slice(None), *tile)])
                self._net.forward()
                for label, blob in self._config.score_blobs.items():
                    scores = self._net.blobs[blob].data[(0, slice(None), *inside(kept, tile))]
                    predicted[label][(index, *kept)] = predict(scores[np.newaxis])[0]
                    losses[label] += softmax_loss(scores, truth[label][(index, 0, *kept)])
        mean = self._config.normalize_loss
        loss = sum(
            losses[label] / max(1, (truth[label] != VOID).sum() if mean else number)
            for label in self._labels
        )
        classes = {label: len(names) for label, names in self._config.classes.items()}
        return Scored(predicted, truth, classes, float(loss))


def softmax_loss(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the softmax loss of C×H×W scores, summed over the pixels of H×W `truth` that are not
    void, in float64."""
    total = 0.0
    for start in range(0, scores.shape[1], BAND):
        part, true = scores[:, start : start + BAND], truth[start : start + BAND].astype(int)
        known = true != VOID
        part = part[:, known].astype(np.float64)
        part -= part.max(0)
        picked = np.take_along_axis(part, true[known][np.newaxis], 0)[0]
        total += np.minimum(np.log(np.exp(part).sum(0)) - picked, MAX_LOSS).sum()
    return float(total)
