"""Masks in every coding that people have, read by one function.

A mask file holds values (1, 8, 16 or 32 bits, with or without a palette or an alpha channel) or
colours. A `Coding` says which class each of them is. What it does not name is refused, with its
count: a mask is never read as other classes in silence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from fcn.errors import DataError
from fcn.text import few

from ..images import VOID, decode
from ..palette import voc_palette

OPAQUE = 255
FEW = 1 << 16  # values that are counted by a table
# Where a colour or a value is of no class: refuse the mask, take the nearest colour of a class, or
# mark the pixel as void.
Unknown = Literal['refuse', 'snap', 'void']


class Pixels(NamedTuple):
    """What a mask file holds.

    `values` are H×W int64: of the pixels, or packed colours (`pack`) if `coloured`. `palette` are
    the packed colours of the values of a palette image, else None. `alpha` is H×W uint8, or None if
    every pixel is opaque. `lossy` tells that the format changes colours (JPEG).
    """

    values: np.ndarray
    coloured: bool
    palette: np.ndarray | None
    alpha: np.ndarray | None
    lossy: bool


@dataclass(frozen=True)
class Coding:
    """Which class a pixel of a mask is.

    `values` gives the classes of values; None takes a value as the number of its class. `colours`
    gives the classes of packed colours (`pack`); where there are some, they say what a palette
    image's pixels are, too. `transparent` is the class of transparent pixels, and `unknown` says
    what becomes of pixels that are of no class. A class may be VOID.
    """

    classes: int
    values: Mapping[int, int] | None = None
    colours: Mapping[int, int] = field(default_factory=dict)
    transparent: int = VOID
    unknown: Unknown = 'refuse'

    def to_json(self) -> dict[str, Any]:
        """Return what `of_json` reads."""
        return {
            'classes': self.classes,
            'values': None if self.values is None else [list(pair) for pair in self.values.items()],
            'colours': [list(pair) for pair in self.colours.items()],
            'transparent': self.transparent,
            'unknown': self.unknown,
        }

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> 'Coding':
        """Return the coding that `to_json` gave."""
        values = data['values']
        return cls(
            data['classes'],
            None if values is None else dict(values),
            dict(data['colours']),
            data['transparent'],
            data['unknown'],
        )


def pack(colours: np.ndarray) -> np.ndarray:
    """Return …×3 RGB colours as … int64: red × 65536 + green × 256 + blue."""
    wide = colours.astype(np.int64)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def unpack(packed: int) -> tuple[int, int, int]:
    """Return the (red, green, blue) of a packed colour."""
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def read_pixels(path: str | Path) -> Pixels:
    """Return what a mask file holds. Raises DataError if it is no image, or holds fractions."""
    return decode(path, lambda image: _pixels(image, path))


def _pixels(image: Image.Image, path: str | Path) -> Pixels:
    lossy = image.format == 'JPEG'
    if image.mode in ('1', 'L', 'LA', 'P', 'PA', 'I', 'F') or image.mode.startswith('I;16'):
        return _valued(image, path, lossy)
    alpha = None
    if image.mode in ('RGBA', 'RGBa') or 'transparency' in image.info:
        image = image.convert('RGBA')
        alpha = np.asarray(image)[..., 3]
    colours = np.asarray(image.convert('RGB'))
    return Pixels(pack(colours), True, None, _unless_opaque(alpha), lossy)


def _valued(image: Image.Image, path: str | Path, lossy: bool) -> Pixels:
    palette, alpha = None, None
    if image.mode in ('LA', 'PA'):
        array = np.asarray(image)
        values, alpha = array[..., 0], array[..., 1]
    else:
        values = np.asarray(image)
    if image.mode in ('P', 'PA'):
        palette = pack(np.array(image.getpalette('RGB'), np.uint8).reshape(-1, 3))
        if values.max() >= len(palette):  # Some tools cut it short: it says nothing of the values.
            palette = None
    if image.mode == 'P' and 'transparency' in image.info:
        alpha = np.asarray(image.convert('RGBA'))[..., 3]
    whole = values.astype(np.int64)
    if image.mode == 'F' and not np.array_equal(whole, values):
        raise DataError(
            f'{path}: holds fractions, and a mask holds the numbers of classes; save whole numbers'
        )
    return Pixels(whole, False, palette, _unless_opaque(alpha), lossy)


def _unless_opaque(alpha: np.ndarray | None) -> np.ndarray | None:
    return None if alpha is None or (alpha == OPAQUE).all() else alpha


def grey_values(pixels: Pixels) -> np.ndarray | None:
    """Return the values, H×W, of colours that are all grey, as of a grey image saved with three
    channels; None if any is not."""
    blue = pixels.values & 255
    return blue if np.array_equal(pixels.values, blue * 0x010101) else None


def kinds_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values of an integer array, in order, and of each element the place of
    its value among them; of small values without sorting."""
    if values.size and values.min() >= 0 and values.max() < FEW:
        present = np.bincount(values.ravel()) > 0
        return np.flatnonzero(present), (np.cumsum(present) - 1)[values]
    found, places = np.unique(values, return_inverse=True)
    return found, places.reshape(values.shape)


def read_mask(path: str | Path, coding: Coding) -> np.ndarray:
    """Return the classes of a mask file's pixels: H×W uint8, VOID where there is none.

    Raises DataError, which names the file, the value and its count, for pixels that the coding does
    not name.
    """
    pixels = read_pixels(path)
    shown = f'{path}: '
    if coding.colours:
        labels = _by_colour(pixels, coding, shown)
    else:
        labels = _by_value(pixels, coding, shown)
    if pixels.alpha is not None:
        labels = _with_alpha(labels, pixels.alpha, coding, shown)
    return labels


def _by_value(pixels: Pixels, coding: Coding, shown: str) -> np.ndarray:
    values: np.ndarray | None = pixels.values
    if pixels.coloured:
        values = grey_values(pixels)
    if values is None:
        count = len(np.unique(pixels.values))
        raise DataError(
            f'{shown}holds {count} colours, and the masks of this set hold numbers; give the '
            'colours of the classes in a legend'
        )
    opaque = np.ones(values.shape, bool) if pixels.alpha is None else pixels.alpha > 0
    if coding.values is None:
        known = {number: number for number in (*range(coding.classes), VOID)}
    else:
        known = dict(coding.values)

    def describe(value: int) -> str:
        return str(value)

    return _mapped(values, known, opaque, coding, shown, describe, 'the value')


def _by_colour(pixels: Pixels, coding: Coding, shown: str) -> np.ndarray:
    packed = pixels.values
    if not pixels.coloured:
        table = pixels.palette
        if table is None:
            packed = pixels.values * 0x010101
        else:
            packed = table[pixels.values]
    opaque = np.ones(packed.shape, bool) if pixels.alpha is None else pixels.alpha > 0

    def describe(value: int) -> str:
        near = int(nearest(np.array([value]), list(coding.colours))[0])
        return f'{unpack(value)} (the nearest of a class is {unpack(near)})'

    reason = 'the colour'
    if pixels.lossy:
        reason = 'a mask saved as JPEG, which changes colours: the colour'
    return _mapped(packed, dict(coding.colours), opaque, coding, shown, describe, reason)


def _mapped(
    values: np.ndarray,
    known: Mapping[int, int],
    opaque: np.ndarray,
    coding: Coding,
    shown: str,
    describe: Callable[[int], str],
    what: str,
) -> np.ndarray:
    """Return the classes of values by the table `known`; unknown ones as the coding wants it."""
    found, places = kinds_of(values)
    counts = np.bincount(places[opaque], minlength=len(found))
    classes = np.full(len(found), VOID, np.uint8)
    unknown = []
    for place, value in enumerate(map(int, found)):
        if value in known:
            classes[place] = known[value]
        elif counts[place]:  # else it is under transparent pixels alone
            unknown.append(place)
    if unknown and coding.unknown == 'snap' and coding.colours:
        near = nearest(found[unknown], list(coding.colours))
        classes[unknown] = [coding.colours[int(colour)] for colour in near]
    elif unknown and coding.unknown != 'void':
        worst = max(unknown, key=lambda place: counts[place])
        more = f', and {len(unknown) - 1} more' if len(unknown) > 1 else ''
        fix = f'classes are 0 to {coding.classes - 1} and {VOID} (void); give more --classes'
        if coding.values is not None:
            fix = f'the values of classes are {few(sorted(known), 12)}; name its class, too'
        if coding.colours:
            fix = 'add it to the legend, or give --unknown snap for the nearest colour of a class'
        raise DataError(
            f'{shown}{what} {describe(int(found[worst]))} of {counts[worst]} pixels is of no class'
            f'{more}; {fix}, or --unknown void'
        )
    return classes[places]


def _with_alpha(labels: np.ndarray, alpha: np.ndarray, coding: Coding, shown: str) -> np.ndarray:
    """Return labels with transparent pixels of the coding's class, and half-transparent ones as it
    wants unknown ones."""
    labels = np.where(alpha == 0, np.uint8(coding.transparent), labels)
    smooth = (alpha > 0) & (alpha < OPAQUE)
    if smooth.any():
        if coding.unknown == 'refuse':
            share = 100 * float(smooth.mean())
            raise DataError(
                f'{shown}{share:.1f} % of its pixels are half transparent, as smoothed edges are; '
                'give --unknown snap for the nearer side of the edge, or --unknown void'
            )
        side = np.where(alpha >= 128, labels, np.uint8(coding.transparent))
        labels = np.where(smooth, VOID if coding.unknown == 'void' else side, labels)
    return labels.astype(np.uint8)


def nearest(packed: np.ndarray, colours: Sequence[int]) -> np.ndarray:
    """Return for each of N packed colours the one of `colours` that is nearest, N int64."""
    best = np.full(packed.shape, 1 << 20)
    result = np.zeros(packed.shape, np.int64)
    for colour in colours:
        parts = ((packed >> shift & 255) - (colour >> shift & 255) for shift in (16, 8, 0))
        distances = sum(part * part for part in parts)
        result = np.where(distances < best, colour, result)
        best = np.minimum(best, distances)
    return result


def voc_colours(classes: int = 255) -> dict[int, int]:
    """Return {packed colour: class} of the VOC palette's first classes, and of void."""
    packed = pack(voc_palette())
    return {int(packed[k]): k for k in (*range(classes), VOID)}
