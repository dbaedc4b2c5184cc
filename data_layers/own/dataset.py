"""The data set that a manifest describes, as the data layer reads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fcn.errors import DataError

from ..config import DatasetConfig
from ..dataset import SegDataset
from ..ilsvrc import MEAN
from ..images import SIDEWAYS, Way, open_image, orientation
from ..images import way_of as way_of_label
from ..inputs import Colour, Input
from .manifest import Example, Manifest, read_manifest
from .masks import read_mask


class OwnData(SegDataset):
    """The examples of a manifest, `root`, in one of its splits."""

    inputs = {'data': Colour(MEAN)}
    labels = {'label': ()}
    how_to_get = '`prepare.py check FOLDER` describes it'

    def __init__(self, root: str | Path, split: str, tops: Iterable[str] | None = None) -> None:
        self.manifest = read_manifest(root)
        if split not in self.manifest.splits:
            raise DataError(
                f"{root}: has no split '{split}'; it has {', '.join(self.manifest.splits)}"
            )
        self._examples = {example.name: example for example in self.manifest.splits[split]}
        self.inputs = {'data': input_of(self.manifest)}
        self.labels = {'label': self.manifest.classes}
        super().__init__(root, split, tops)

    def path(self, top: str, name: str) -> Path:
        example = self._examples[name]
        return self.manifest.root / (example.image if top == 'data' else example.label)

    def image(self, name: str, top: str | None = None) -> np.ndarray:
        path = self.path('data', name)
        return self.inputs['data'].read(path, turns(self.manifest, self._examples[name]))

    def label(self, name: str, top: str | None = None) -> np.ndarray:
        return read_own_label(self.manifest, self._examples[name])

    def _read_split(self) -> list[str]:
        return list(self._examples)


def input_of(manifest: Manifest) -> Colour:
    """Return what a net sees of the manifest's images."""
    return Colour(manifest.mean or MEAN, manifest.scale, manifest.white)


def read_own_label(manifest: Manifest, example: Example) -> np.ndarray:
    """Return the classes of an example's pixels: H×W uint8, VOID where there is none."""
    if manifest.labels == 'masks':
        return read_mask(manifest.root / example.label, manifest.coding)
    from .annotations import read_annotation

    with open_image(manifest.root / example.image) as image:
        size = _size(image, turns(manifest, example))
    return read_annotation(manifest, example, size)


def _size(image: Image.Image, turned: bool) -> tuple[int, int]:
    width, height = image.size
    if turned and orientation(image) in SIDEWAYS:
        width, height = height, width
    return height, width


def turns(manifest: Manifest, example: Example) -> bool:
    """Return whether an example's image is turned upright by its EXIF tag, as its label was drawn.

    The label's size tells where the tag exchanges height and width; else the manifest says it.
    """
    way = way_of(manifest, example)
    return manifest.rotate if way == Way.OPEN else way == Way.TURNED


def way_of(manifest: Manifest, example: Example) -> Way:
    """Return how an example's label lies to the image's EXIF tag. Only headers are read, and the
    annotations of images that the tag turns."""
    image, label = manifest.root / example.image, manifest.root / example.label
    if manifest.labels == 'masks':
        return way_of_label(image, label)
    way = way_of_label(image, None)
    if way == Way.OPEN:
        from .annotations import READERS

        with open_image(image) as opened:
            stored, tag = (opened.height, opened.width), orientation(opened)
        if tag in SIDEWAYS and stored[0] != stored[1]:
            size = READERS[manifest.labels](label, example.key).size
            return {stored: Way.KEPT, stored[::-1]: Way.TURNED}.get(size or (0, 0), Way.OPEN)
    return way


@dataclass(frozen=True, kw_only=True)
class OwnConfig(DatasetConfig):
    """What a set of one's own is to the nets that learn it."""

    manifest: Manifest

    @property
    def inputs(self) -> dict[str, Input]:
        return {'data': input_of(self.manifest)}

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {'label': self.manifest.classes}

    def colours_of(self, label: str) -> np.ndarray:
        return self.manifest.palette
