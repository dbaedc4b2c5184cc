"""A net ready to segment images: its weights, classes, colours and preprocessing in one object."""

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn import visualize
from fcn.arrays import depth_array, rgb_array
from fcn.data_layers.images import count_values, label_image
from fcn.data_layers.inputs import Colour, LogDepth
from fcn.engine import caffe, choose_device, threads_here
from fcn.errors import DataError, FCNError, RunError
from fcn.forward_progress import Passes, Report
from fcn.frame import FrameCache
from fcn.inference import Images, forward, load_net, segment, softmax
from fcn.memory import SHARE, free_memory
from fcn.memory_estimate import MemoryEstimate, Use, segmenting
from fcn.nets import NetConfig, deploy_net
from fcn.own import config_of
from fcn.runs import weights_of_net
from fcn.text import gigabytes
from fcn.tiling import Tiling, by_tiles

log = logging.getLogger('fcn')

ImageLike = str | Path | Image.Image | np.ndarray


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The labels of one image.

    `labels` are H×W uint8 class numbers, `classes` their names, and `image` is the H×W×3 uint8 RGB
    that was segmented. A net with two kinds of labels (SIFT Flow) has the second in `others`, by
    name. `seconds` is the time that the forward pass took.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    colours: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    seconds: float
    others: Mapping[str, 'Segmentation'] = field(default_factory=dict)
    _compute_probabilities: Callable[[], np.ndarray] = field(repr=False, kw_only=True)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class, C×H×W float32: the softmax of the scores.

        Computed when first asked for, by another forward pass.
        """
        return self._compute_probabilities()

    @cached_property
    def shares(self) -> dict[str, float]:
        """The share of the image's pixels that each class that occurs takes, the largest first."""
        counts = count_values(self.labels)[: len(self.classes)]
        order = np.argsort(-counts, kind='stable')
        return {self.classes[i]: float(counts[i] / counts.sum()) for i in order if counts[i]}

    def overlay(self, opacity: float = 0.55) -> Image.Image:
        """Return the image with its labels painted over it, and a legend below."""
        return visualize.overlay(self.image, self.labels, self.classes, self.colours, opacity)

    def label_image(self) -> Image.Image:
        """Return the labels as a palette image in the classes' colours, to save as a PNG."""
        return label_image(self.labels, self.colours)


_segmenters: 'weakref.WeakSet[Segmenter]' = weakref.WeakSet()
_loading = threading.Lock()


def _after_fork() -> None:
    """Free the locks that other threads held, which did not come along."""
    global _loading
    _loading = threading.Lock()
    for segmenter in _segmenters:
        segmenter._lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class Segmenter:
    """Segments images with one net.

    Call it with an image: a path, a PIL image, or an array, H×W×3 uint8 RGB, H×W or H×W×1 grey, or
    H×W×4, whose fourth channel is dropped. It may be called from many threads: calls are computed
    one after another.
    """

    def __init__(
        self,
        name: str,
        weights: Path,
        gpu: int | None = None,
        threads: int | None = None,
        white: int | None = None,
        frame_cache: bool = True,
    ) -> None:
        """Load net `name`, a name of fcn.NETS, with the weights of a caffemodel.

        `gpu` is a device's number, −1 for the CPU, or None for the first GPU if there is one.
        `threads` is how many threads to compute with on the CPU, by default fcn.threads().
        `white` is the value that is white in images of more than 8 bits, by default that of the set
        that the net learned, else of full 16 bits. `frame_cache` lets the CPU compute once for
        each size of image what the net's padding determines (fcn.frame). Raises FCNError, or
        WeightsError if the weights are of another net.
        """
        self.name = name
        self.config: NetConfig = config_of(name, Path(weights))
        if self.config.is_classifier:
            raise RunError(f'{name} is a classifier; segment with an FCN')
        self.weights = Path(weights)
        self.device = choose_device(gpu)
        self._gpu = gpu
        self._threads = threads
        self._inputs = dict(self.config.dataset.inputs)
        if white is not None:
            self._inputs = {
                top: kind._replace(white=white) if isinstance(kind, Colour) else kind
                for top, kind in self._inputs.items()
            }
        spec = deploy_net(self.config)
        self._net = load_net(spec, str(weights))
        self._frames = None
        if frame_cache and self.device == 'cpu':
            self._frames = FrameCache(self._net, spec.to_proto(), self.config.input_blobs.values())
        self._lock = threading.Lock()
        _segmenters.add(self)
        self._estimate = MemoryEstimate(self._net, self.device)
        self._tiling = Tiling.of(self.config)
        self._held = 0.0  # bytes that the net took for images before, and keeps for the next
        self._free: float | None = None
        if self.device != 'cpu':
            # Asked once: the weights come to the GPU later, and what an image took stays for the
            # next one.
            self._free = max(0, free_memory(self.device) - self._estimate.weights)

    def __repr__(self) -> str:
        return f'<Segmenter {self.name}, {len(self.classes)} classes, {self.weights}>'

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, by number; those of the first label if there are several."""
        return next(iter(self.config.classes.values()))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what the net sees; the first is the positional argument of a call."""
        return self.config.input_names

    @property
    def smallest_tile(self) -> int:
        """The side of the smallest tile that an image can be segmented by, in pixels."""
        return self._tiling.smallest()

    def __call__(
        self, image: ImageLike, *, tile: int | None = None, **others: ImageLike
    ) -> Segmentation:
        """Segment one image of any size.

        `tile` is the side of the largest tile to compute at once, in pixels; by default an image
        that does not fit in memory is segmented by tiles of what fits. Scores do not depend on the
        tiles. A net with several inputs takes the others by name: depth=H×W float32 millimetres, or
        hha=H×W×3 uint8, or their files. Raises DataError for an image that cannot be read or used.
        """
        images = self._read(image, others)
        began = time.monotonic()
        labels = self._run(segment, images, tile)
        seconds = time.monotonic() - began
        shown = next(iter(images.values()))
        results: dict[str, Segmentation] = {}
        first, *more = labels
        for label in (*more, first):
            results[label] = Segmentation(
                labels[label],
                self.config.classes[label],
                self._colours(label),
                shown if shown.ndim == 3 else np.repeat(shown[..., np.newaxis], 3, 2),
                seconds,
                dict(results) if label == first else {},
                _compute_probabilities=partial(self._probabilities, images, tile, label),
            )
        return results[first]

    def scores(
        self,
        image: ImageLike,
        *,
        tile: int | None = None,
        label: str | None = None,
        **others: ImageLike,
    ) -> np.ndarray:
        """Return the scores of each class, C×H×W float32, before the softmax.

        `label` names one of several kinds of labels; the other arguments are those of a call.
        """
        if label is not None and label not in self.config.classes:
            raise FCNError(
                f"label='{label}': {self.name} scores {', '.join(self.config.classes)}; name one"
            )
        scored = self._run(forward, self._read(image, others), tile, floats=2)
        return scored[label or next(iter(scored))].copy()

    def compute(
        self,
        function: Callable[[Any, NetConfig, Images], dict[str, np.ndarray]],
        image: ImageLike,
        *,
        tile: int | None = None,
        floats: int = 0,
        progress: Report | None = None,
        **others: ImageLike,
    ) -> dict[str, np.ndarray]:
        """Compute arrays of one image, (…×)H×W each by name, whole or by tiles.

        `function` does it for the image, or a part of it, given the net, its config and the arrays
        of its inputs, as fcn.inference.forward does. `floats` is how many arrays of all classes'
        scores it holds. `progress` is told, after each layer, the share of the work that is done
        and the layer's name. The other arguments are those of a call.
        """
        return self._run(function, self._read(image, others), tile, floats, progress)

    def _colours(self, label: str) -> np.ndarray:
        """Return the colours of a label's classes, K×3 uint8 RGB."""
        return self.config.dataset.colours_of(label)

    def _probabilities(self, images: Images, tile: int | None, label: str) -> np.ndarray:
        scored = self._run(forward, images, tile, floats=2)
        return softmax(scored[label])

    def _read(self, image: ImageLike, others: Mapping[str, ImageLike]) -> dict[str, np.ndarray]:
        """Return the arrays of the net's inputs, all H×W."""
        first, *names = self.inputs
        if unknown := [name for name in others if name not in names]:
            raise FCNError(f'{unknown[0]}: {self.name} sees no {unknown[0]}; leave it out')
        if missing := [name for name in names if name not in others]:
            raise FCNError(f'{self.name} sees {missing[0]} too; give it as {missing[0]}=')
        inputs = self._inputs
        arrays = {
            name: _array(inputs[name], given, name)
            for name, given in ((first, image), *((name, others[name]) for name in names))
        }
        height, width = arrays[first].shape[:2]
        for name in names:
            if arrays[name].shape[:2] != (height, width):
                other = arrays[name].shape
                raise DataError(
                    f'{_described(others[name], name)}: is {other[1]}×{other[0]}, and '
                    f'{_described(image, first)} is {width}×{height}; they must be equal'
                )
        return arrays

    def _run(
        self,
        compute: Callable[[Any, NetConfig, Images], dict[str, np.ndarray]],
        images: Images,
        tile: int | None,
        floats: int = 0,
        progress: Report | None = None,
    ) -> dict[str, np.ndarray]:
        """Compute arrays of the labels, whole or by tiles, one caller at a time.

        `floats` is how many arrays of all classes' scores the caller holds at once.
        """
        height, width = next(iter(images.values())).shape[:2]
        with self._lock, threads_here(self._threads):
            choose_device(self._gpu)  # Caffe keeps the device for each thread.
            side = self._tile_side(height, width, tile, floats)
            rows, columns = min(side or height, height), min(side or width, width)
            self._held = max(self._held, self._estimate.testing(rows, columns).bytes)
            tiles = 1 if side is None else self._tiling.tiles(height, width, side)
            passes = Passes(progress, tiles) if progress else None

            def computed(part: Images) -> dict[str, np.ndarray]:
                net = self._net_for(part)
                with passes.watching(net) if passes else contextlib.nullcontext():
                    return compute(net, self.config, part)

            if side is None:
                return {name: array.copy() for name, array in computed(images).items()}
            return by_tiles(computed, self._tiling, images, side)

    def _net_for(self, images: Images) -> 'caffe.Net':
        """Return the net that computes images of this size."""
        height, width = next(iter(images.values())).shape[:2]
        return self._frames.net_for(height, width) if self._frames else self._net

    def _tile_side(self, height: int, width: int, tile: int | None, floats: int = 0) -> int | None:
        """Return the side of the tiles to segment an image by, or None to take it whole."""
        free = free_memory() + self._held if self._free is None else self._free
        besides = segmenting(height, width, self.device)
        if self.device == 'cpu':
            classes = sum(map(len, self.config.classes.values()))
            besides += Use(4 * floats * classes * height * width)
        if tile is None:
            if self._estimate.fits(height, width, free, besides):
                return None
            side = self._estimate.tile(self._tiling, free, besides)
            log.info('%d×%d by tiles of %d', width, height, side)
            return side
        if tile < self.smallest_tile:
            raise FCNError(
                f'tile {tile}: is all overlap for {self.name}; give {self.smallest_tile} or more'
            )
        rows, columns = min(tile, height), min(tile, width)
        if not self._estimate.fits(rows, columns, free, besides):
            needed = self._estimate.testing(rows, columns) + besides
            raise DataError(
                f'tile {tile}: needs {gigabytes(needed.bytes)} and '
                f'{gigabytes(SHARE * free)} may be taken; give a smaller one, or leave it out'
            )
        return tile


def _array(kind: Any, image: ImageLike, name: str) -> np.ndarray:
    """Return what an input of the net sees, of a file, a PIL image or an array."""
    if isinstance(image, (str, Path)):
        return kind.read(Path(image), rotate=True)
    title = _described(image, name)
    if isinstance(kind, LogDepth):
        return depth_array(image, title)
    return rgb_array(image, title, kind.white)


def _described(image: ImageLike, name: str) -> str:
    if isinstance(image, (str, Path)):
        return str(image)
    return 'image' if name == 'data' else name


def load(
    net: str | Path | None = None,
    weights: str | Path | None = None,
    *,
    snapshot: str | int | None = None,
    gpu: int | None = None,
    threads: int | None = None,
    white: int | None = None,
    frame_cache: bool = True,
    runs: str | Path = 'runs',
) -> Segmenter:
    """Load a net to segment images with.

    `net` is a run folder, such as 'runs/voc-fcn8s', or the name of a net; by default that of the
    run folder `weights`, else FCN-8s of PASCAL VOC. `weights` is a caffemodel
    or a run folder; without it those of the net's run under `runs` are taken, or those that its
    authors published if `prepare.py fcn-weights` fetched them. `snapshot` is that of the run to
    take: 'best', 'newest' or an iteration; by default the best that was validated, or the newest if
    none was. `gpu` is a device's number, −1 for the CPU; by default the first GPU is taken if there
    is one. `threads` is how many threads to compute with on the CPU, by default fcn.threads().
    `white` is the value that is white in images of more than 8 bits, 4095 for 12 bits, by default
    that of the set that the net learned, else 65535. `frame_cache` lets the CPU compute once for
    each size of image what the net's padding determines. Raises FCNError, whose one line says what
    is missing and how to get it.
    """
    name, caffemodel = weights_of_net(net, weights, runs, snapshot)
    return Segmenter(name, caffemodel, gpu, threads, white, frame_cache)


_loaded: dict[tuple[str, str | None, int | None], Segmenter] = {}


def segment_image(
    image: ImageLike,
    net: str | Path = 'voc-fcn8s',
    weights: str | Path | None = None,
    *,
    gpu: int | None = None,
    **options: Any,
) -> np.ndarray:
    """Return the labels of one image, H×W uint8 class numbers.

    The net is loaded once and kept: FCN-8s of PASCAL VOC, or another that `load` takes. `image` and
    `options` are those of a Segmenter's call.
    """
    key = str(net), None if weights is None else str(weights), gpu
    with _loading:
        if key not in _loaded:
            _loaded[key] = load(net, weights, gpu=gpu)
        segmenter = _loaded[key]
    return segmenter(image, **options).labels
