"""Nets at work in an experiment: their scores and their labels."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from fcn.data_layers import DATASETS
from fcn.inference import evaluate, load_net, segment
from fcn.metrics import METRICS, metrics
from fcn.nets import deploy_net, find, train_net
from fcn.solvers import Run

from .runs import QUICK_IMAGES, Published
from .sets import Sets
from .settings import Settings

Item = TypeVar('Item')


def progress(items: Iterable[Item], title: str, unit: str = 'image') -> Iterable[Item]:
    """Return `items` with a progress bar, where there is a terminal."""
    return tqdm(items, desc=title, unit=unit, dynamic_ncols=True, disable=None)


def percent(values: dict[str, float]) -> list[float]:
    """Return the four metrics in percent, in the order of METRICS."""
    return [100 * values[metric] for metric in METRICS]


class Scoring:
    """Scores nets on validation images; `images` is the largest number of them so far."""

    def __init__(self, settings: Settings, sets: Sets) -> None:
        self.settings, self.sets = settings, sets
        self.images = 0

    def score(
        self, net: str, run: Run | Published, images: int | None = None
    ) -> tuple[dict[str, dict[str, float]], float]:
        """Return {label: metrics} of `net` with the weights of `run`, and the seconds an image.

        It is scored on its validation images, or so many of them, evenly spread. The time is with
        reading an image and comparing the labels with the truth.
        """
        images = images or (QUICK_IMAGES if self.settings.quick and self.settings.data else None)
        config, source = find(net), self.sets.source(net, 'val', images)
        count = min(images or sys.maxsize, len(source.names()))
        self.images = max(self.images, count)
        caffe_net = load_net(train_net(config, source), str(run.weights()))
        began = time.monotonic()
        title = f'score {run.folder.name}'
        matrices, _ = evaluate(caffe_net, count, lambda passes: progress(passes, title))
        seconds = (time.monotonic() - began) / count
        drop_absent = DATASETS[config.data].drop_absent
        return {label: metrics(matrix, drop_absent) for label, matrix in matrices.items()}, seconds

    def first(self, net: str, run: Run | Published) -> dict[str, float]:
        """Return the metrics of the first label."""
        return next(iter(self.score(net, run)[0].values()))

    def segmenter(self, net: str, run: Run | Published) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function from an image, H×W×3 uint8, to its labels by `net`, H×W uint8."""
        config = find(net)
        caffe_net = load_net(deploy_net(config), str(run.weights()))
        (top,), (label, *_) = config.input_blobs, config.classes
        return lambda image: segment(caffe_net, config, {top: image})[label]
