"""The layers that a net.py spells its net with, for the classes and learning rates of that net."""

from __future__ import annotations

import importlib
from typing import Any

from caffe import NetSpec
from caffe.net_spec import Top

from . import layers
from .config import NetConfig


class Named:
    """A NetSpec whose layers get a suffix: `Named(n, 'hha').conv1_1` is the layer conv1_1hha of
    NetSpec `n`.

    All layers of a stream are named so. A layer that does not exist under the longer name is looked
    up under its own.
    """

    def __init__(self, n: NetSpec, suffix: str) -> None:
        self.__dict__.update(n=n, suffix=suffix)

    def _name(self, layer: str) -> str:
        # The crop of score_pool4_sem is score_pool4_semc, as published.
        if layer.endswith('c') and f'{layer[:-1]}{self.suffix}' in self.n.tops:
            return f'{layer[:-1]}{self.suffix}c'
        return f'{layer}{self.suffix}'

    def __setitem__(self, layer: str, top: Top) -> None:
        self.n[self._name(layer)] = top

    def __getitem__(self, layer: str) -> Top:
        name = self._name(layer)
        return self.n[name if name in self.n.tops else layer]

    def __setattr__(self, layer: str, top: Top) -> None:
        self[layer] = top

    def __getattr__(self, layer: str) -> Top:
        return self[layer]


class NamedHead(Named):
    """The same for a head of a net with several labels, whose shared backbone has plain names."""


class Builder:
    """The layers of one net, for one of its labels."""

    def __init__(self, config: NetConfig, classes: int, deploy: bool) -> None:
        self._config, self._classes, self._deploy = config, classes, deploy
        self._built: dict[int, Top] = {}

    def for_classes(self, classes: int) -> Builder:
        """Return the builder of another head, on the same backbone."""
        other = Builder(self._config, classes, self._deploy)
        other._built = self._built
        return other

    def backbone(self, n: NetSpec | Named, image: Top) -> Top:
        """Add the convolutions and poolings of the backbone, seeing `image` (N×C×H×W), to `n`.

        Returns the features of which the coarsest score is taken. Dropout is for training: the
        deploy net has none. Layers that `n` has already are not added again.
        """
        key = id(image)
        if key not in self._built:
            n = n.n if isinstance(n, NamedHead) else n
            backbone = self._config.backbone
            self._built[key] = backbone.convolutional(n, image, dropout=not self._deploy)
        return self._built[key]

    def score(self, features: Top) -> Top:
        """Score each class by a 1×1 convolution, from zero weights (section 4.1)."""
        return layers.score(features, self._classes, self._config.backbone.score_lr)

    def upscore(self, scores: Top, stride: int, last: bool = False) -> Top:
        """Upsample scores `stride` times, from bilinear weights (section 3.3).

        The CVPR nets learn all upsampling but the `last`, to the image.
        """
        kernel = self._config.backbone.upsampling_kernel(stride)
        learn = self._config.learn_upsampling and not last
        return layers.upscore(scores, self._classes, stride, kernel, learn)

    def crop(self, bottom: Top, reference: Top) -> Top:
        """Cut `bottom` to the height and width of `reference`, aligned with it."""
        return layers.crop(bottom, reference)

    def fuse(self, coarse: Top, skip: Top) -> Top:
        """Fuse two score maps of equal shape by their sum (section 4.2)."""
        return layers.fuse(coarse, skip, self._config.fuse_by)

    def mean(self, *scores: Top) -> Top:
        """Average the scores of several streams (section 5, NYUDv2)."""
        return layers.mean(*scores)

    def scale(self, features: Top, value: float) -> Top:
        """Multiply features by a fixed number (PAMI, section 4.3: at-once training)."""
        return layers.scale(features, value)


def add_head(config: NetConfig, n: NetSpec | Named, builder: Builder) -> None:
    """Add the layers that the head's net.py spells to `n`."""
    module: Any = importlib.import_module(f'fcn.nets.{config.head}.net')
    module.layers(n, builder)
