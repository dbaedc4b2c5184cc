"""What is made of a result when a browser asks for it: PNGs, overlays, heat maps, blends."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn import visualize
from fcn.data_layers.images import label_image
from fcn.errors import FCNError

ROWS = 256  # that are blended at once
QUALITY = 92


class GoneError(FCNError):
    """What was asked for is not kept, or never was."""


class Result:
    """What one net made of one image, for one of its labels; `told` is what the engine said."""

    def __init__(self, folder: Path, told: dict[str, Any], index: int, label: str | None) -> None:
        try:
            self._net = told['results'][index]
        except IndexError:
            raise GoneError(f'{index}: this image was segmented by fewer nets') from None
        label = label or next(iter(self._net['labels']))
        if label not in self._net['labels']:
            raise GoneError(f'label={label[:80]}: this net has no such labels')
        self._folder, self._stem = folder, f'{index}.{label}'
        self._about = self._net['labels'][label]

    @property
    def classes(self) -> list[str]:
        return list(self._about['classes'])

    @property
    def colours(self) -> np.ndarray:
        return np.array(self._about['colours'], np.uint8)

    def view(self) -> Path:
        """The file that the page paints."""
        return self._folder / f'{self._stem}.view.png'

    def labels(self) -> np.ndarray:
        """The classes, H×W uint8."""
        return _load(self._folder / f'{self._stem}.labels.npy')

    def probabilities_file(self) -> Path:
        """The file of the probabilities of all classes, C×H×W uint8. Raises GoneError if they were
        too many to be kept."""
        if not self._about['probabilities']:
            raise GoneError('the probabilities of an image this large are not kept; scale it down')
        return self._folder / f'{self._stem}.probabilities.npy'

    def label_png(self) -> bytes:
        """The labels as infer.py writes them: a palette PNG."""
        return png(label_image(self.labels(), self.colours))

    def overlay(self, opacity: float) -> bytes:
        """The labels over the image, with a legend, as a JPEG."""
        image = _load(self._folder / 'image.npy')
        picture = visualize.overlay(image, self.labels(), self.classes, self.colours, opacity)
        return jpeg(picture)

    def heat(self, number: int) -> bytes:
        """The probability of one class, as a grey PNG."""
        if not 0 <= number < len(self.classes):
            raise GoneError(
                f'class={number}: this net has the classes 0 to {len(self.classes) - 1}'
            )
        return png(Image.fromarray(np.array(_load(self.probabilities_file())[number])))


def blend(one: Result, other: Result, share: float) -> bytes:
    """Return the classes whose mixed probabilities are highest, and these, as the page paints them:
    at `share` 0 those of `one`, at 1 those of `other`."""
    if one.classes != other.classes:
        raise GoneError('nets of different classes cannot be mixed')
    first, second = (_load(result.probabilities_file()) for result in (one, other))
    _, height, width = first.shape
    labels, best = (np.empty((height, width), np.uint8) for _ in range(2))
    for top in range(0, height, ROWS):
        band = slice(top, top + ROWS)
        mixed = (1 - share) * first[:, band].astype(np.float32) + share * second[:, band]
        labels[band] = mixed.argmax(0)
        best[band] = np.rint(mixed.max(0))
    return png(Image.fromarray(np.dstack([labels, best, np.zeros_like(best)])))


def _load(file: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(file, mmap_mode='r')
    except FileNotFoundError:
        raise GoneError(
            'this result has made room for newer ones; segment the image again'
        ) from None
    return array


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG."""
    file = io.BytesIO()
    image.save(file, 'PNG', compress_level=1)
    return file.getvalue()


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=QUALITY)
    return file.getvalue()
