"""What a net sees: how a file's pixels become an input blob (section 4.3).

An input says how its file is read (H×W×3 uint8, or H×W float32 for depth) and how
that becomes a C×H×W float32 blob. Data sets, nets and `infer.py` share them.
"""

from typing import NamedTuple

import numpy as np

from .images import read_depth, read_image


class Colour(NamedTuple):
    """An RGB image: BGR order, minus `mean` (BGR, 0–255), times `scale`."""

    mean: tuple
    scale: float = 1.0

    @property
    def channels(self):
        return len(self.mean)

    def read(self, path, rotate=False):
        """H×W×3 uint8 RGB, turned upright by its EXIF tag if `rotate`."""
        return read_image(path, rotate)

    def blob(self, image):
        return _blob(image[:, :, ::-1], self.mean, self.scale)


class HHA(Colour):
    """An HHA image (`data_layers.hha`), its three channels in their own order."""

    __slots__ = ()

    def blob(self, image):
        return _blob(image, self.mean, self.scale)


class LogDepth(NamedTuple):
    """The natural logarithm of depth in millimetres, minus `mean`.

    A depth of 0 is a hole in the measurement and has no logarithm: it gets the mean,
    0 in the blob.
    """

    mean: float
    channels = 1

    def read(self, path, rotate=False):
        """H×W float32 millimetres; `rotate` is for photos and changes nothing here."""
        return read_depth(path)

    def blob(self, depth):
        logarithm = np.log(depth, where=depth > 0, out=np.full(depth.shape, self.mean, np.float32))
        return (logarithm - np.float32(self.mean))[np.newaxis]


def _blob(image, mean, scale):
    blob = image.astype(np.float32)
    blob -= np.asarray(mean, np.float32)
    blob *= np.float32(scale)
    return np.ascontiguousarray(blob.transpose(2, 0, 1))
