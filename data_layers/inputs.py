"""What a net sees: how a file's pixels become an input blob (section 4.3).

An input knows how its file is read (H×W×3 uint8, or H×W float32 for depth) and how that becomes a
C×H×W float32 blob. Data sets, nets and `infer.py` share them.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from .images import read_depth, read_image


class Input(Protocol):
    """One input of a net."""

    @property
    def channels(self) -> int:
        """The channels of the blob."""
        ...

    def read(self, path: Path, rotate: bool = False) -> np.ndarray:
        """Return what the file holds, H×W or H×W×3. Raises DataError if it cannot be read."""
        ...

    def blob(self, image: np.ndarray) -> np.ndarray:
        """Return the C×H×W float32 blob of what `read` returned."""
        ...


class Colour(NamedTuple):
    """An RGB image: in BGR order, minus `mean` (BGR, 0–255), times `scale`.

    `white` is the value that is white in files of more than 8 bits (`images.to_8_bits`).
    """

    mean: tuple[float, ...]
    scale: float = 1.0
    white: int | None = None

    @property
    def channels(self) -> int:
        return len(self.mean)

    def read(self, path: Path, rotate: bool = False) -> np.ndarray:
        """Return H×W×3 uint8 RGB, turned upright by its EXIF tag if `rotate`."""
        return read_image(path, rotate, self.white)

    def blob(self, image: np.ndarray) -> np.ndarray:
        return _blob(image[:, :, ::-1], self.mean, self.scale)


class HHA(Colour):
    """An HHA image (`data_layers.hha`), its three channels in their own order."""

    __slots__ = ()

    def blob(self, image: np.ndarray) -> np.ndarray:
        return _blob(image, self.mean, self.scale)


class LogDepth(NamedTuple):
    """The natural logarithm of depth in millimetres, minus `mean`.

    A depth of 0 is a hole in the measurement and has no logarithm: it gets the mean, 0 in the blob.
    """

    mean: float

    @property
    def channels(self) -> int:
        return 1

    def read(self, path: Path, rotate: bool = False) -> np.ndarray:
        """Return H×W float32 millimetres; `rotate` is for photos and changes nothing here."""
        return read_depth(path)

    def blob(self, depth: np.ndarray) -> np.ndarray:
        logarithm = np.log(depth, where=depth > 0, out=np.full(depth.shape, self.mean, np.float32))
        return (logarithm - np.float32(self.mean))[np.newaxis]


def _blob(image: np.ndarray, mean: tuple[float, ...], scale: float) -> np.ndarray:
    blob = np.empty((image.shape[2], *image.shape[:2]), np.float32)
    blob[...] = image.transpose(2, 0, 1)
    blob -= np.asarray(mean, np.float32)[:, np.newaxis, np.newaxis]
    blob *= np.float32(scale)
    return blob
