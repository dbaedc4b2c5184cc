"""Images and labels, read and checked before Caffe sees a byte of them."""

import warnings
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from fcn.errors import DataError
from fcn.io import replacing

from .palette import palette_of

VOID = 255
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
Decoded = TypeVar('Decoded')
# The formats that photos and labels come in. Pillow knows more, and it hands an EPS file to
# Ghostscript, which runs it.
FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'TIFF', 'WEBP', 'PPM')
ENDINGS = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}
# A side or an area beyond these is a mistake or an attack, not a photo to train on.
MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
BAND = 64  # rows at once: the integers of all of a large image would be gigabytes
DEEP = 65_535  # white, with 16 bits
QUARTER = 16_384  # an image of 16 bits that is darker all over has fewer bits, or is an accident
PNG_END = b'IEND\xaeB`\x82'  # Pillow does not miss it where a file was cut off after its pixels
MAX_TAIL = 65_536  # bytes that programs add to files after their end


def open_image(path: str | Path) -> Image.Image:
    """Return the picture in the file, undecoded but of a checked size, or raise DataError."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    try:
        with warnings.catch_warnings():  # of bombs, which are refused below, and of odd metadata
            warnings.simplefilter('ignore')
            image = Image.open(path, formats=FORMATS)
    except Exception as error:  # Pillow's readers raise many kinds on bytes they did not expect.
        raise DataError(
            f'{path}: not an image that can be read here ({error}); '
            f'make it one of {", ".join(FORMATS)}'
        ) from error
    try:
        _check_image(image, path)
    except DataError:
        image.close()
        raise
    return image


def _check_image(image: Image.Image, path: Path) -> None:
    if image.format == 'PNG' and not _ends_with(path, PNG_END):
        raise DataError(f'{path}: truncated, the end of a PNG is missing; fetch it again')
    width, height = image.size
    if min(width, height) < 1:
        raise DataError(f'{path}: {width}×{height} has no pixels; fetch it again')
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise DataError(
            f'{path}: {width}×{height} is larger than {MAX_SIDE} per side or '
            f'{MAX_PIXELS // 10**6} million pixels; scale it down'
        )


def _ends_with(path: Path, mark: bytes) -> bool:
    """Whether `mark` is among the last bytes of a file."""
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - MAX_TAIL))
        return mark in file.read()


def decode(path: str | Path, convert: Callable[[Image.Image], Decoded]) -> Decoded:
    """Return what `convert` makes of the picture in a file. Raises DataError if it cannot."""
    with open_image(path) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                return convert(image)
        except DataError:
            raise
        except MemoryError as error:
            raise DataError(f'{path}: there is not enough memory for it; scale it down') from error
        except Exception as error:
            raise DataError(f'{path}: truncated or damaged ({error}); fetch it again') from error


def read_image(path: str | Path, rotate: bool = False, white: int | None = None) -> np.ndarray:
    """Return an image file as H×W×3 uint8 RGB, turned upright by its EXIF tag if `rotate`.

    `white` is the value that is white where there are more than 8 bits (`to_8_bits`). Raises
    DataError if the image cannot be read, or the scale of its values is not known.
    """

    def convert(image: Image.Image) -> np.ndarray:
        deep = ';16' in str(getattr(image, 'tile', ''))  # of colours, Pillow gives the upper 8 bits
        image = ImageOps.exif_transpose(image) if rotate else image
        if image.mode in ('I', 'F') or image.mode.startswith('I;16'):
            grey = to_8_bits(np.asarray(image), white, str(path))
            return np.repeat(grey[..., np.newaxis], 3, 2)
        array = np.array(image.convert('RGB'))
        if deep and (white or DEEP) != DEEP:
            raise DataError(
                f'{path}: has colours of 16 bits, whose lower 8 bits cannot be read '
                f'here; save it with 8 bits, scaled so that {white} is white'
            )
        if deep and 0 < array.max() < QUARTER >> 8:
            raise DataError(_unscaled(str(path), f'less than {QUARTER}'))
        return array

    return decode(path, convert)


def to_8_bits(values: np.ndarray, white: int | None, name: str) -> np.ndarray:
    """Return grey values of more than 8 bits, H×W integers or floats, as uint8.

    `white` is the value that is white. Without it, integers are of full 16 bits and floats from 0
    to 1, or whole numbers of 8 bits. Raises DataError, which names the image, where the largest
    value shows that they are of another scale.
    """
    low, high = values.min(), values.max()
    if not np.isfinite(low + high) or low < 0:
        raise DataError(f'{name}: holds negative values, NaN or infinity; save it with 8 bits')
    if high == 0:  # black, whatever is white
        return np.zeros(values.shape, np.uint8)
    if white is not None and white != DEEP:
        if high > white:
            raise DataError(f'{name}: its largest value is {high:g}, and --white is {white}')
        return np.rint(values * (255 / white)).astype(np.uint8)
    if np.issubdtype(values.dtype, np.floating):
        if high <= 1 and white is None:
            return np.rint(255 * values).astype(np.uint8)
        if high <= 255 and white is None and np.array_equal(values, np.rint(values)):
            return values.astype(np.uint8)
        raise DataError(_unscaled(name, f'{high:g}'))
    if high > DEEP or (high < QUARTER and white is None):
        raise DataError(_unscaled(name, f'{high}'))
    return (values >> 8).astype(np.uint8)


def _unscaled(name: str, largest: str) -> str:
    return (
        f'{name}: has more than 8 bits, and its largest value is {largest}: which value is white? '
        f'give --white, 1023, 4095 or 16383 for 10, 12 or 14 bits, or {DEEP}'
    )


class Way(Enum):
    """How a label lies to its image's EXIF tag, which may turn the image."""

    UPRIGHT = 'the image has no tag'
    TURNED = 'the label was drawn over the turned image'
    KEPT = 'the label was drawn over the image as it is stored'
    OPEN = 'sizes do not tell'


def orientation(image: Image.Image) -> int:
    """Return an image's EXIF orientation, 1 for upright."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def way_of(path: str | Path, label: str | Path | None) -> Way:
    """Return how a label lies to the EXIF tag of the image `path`.

    Their sizes tell it, if the label is an image too. Only headers are read.
    """
    with open_image(path) as image:
        tag, size = orientation(image), image.size
    if tag == 1:
        return Way.UPRIGHT
    if label is None or tag not in SIDEWAYS or size[0] == size[1]:
        return Way.OPEN
    with open_image(label) as drawn:
        return {size: Way.KEPT, size[::-1]: Way.TURNED}.get(drawn.size, Way.OPEN)


def read_label(path: str | Path) -> np.ndarray:
    """Return the H×W uint8 class indices of a palette or grey PNG. Raises DataError on any other
    mode."""
    with open_image(path) as image:
        mode = image.mode
    if mode not in ('P', 'L'):
        raise DataError(
            f'{path}: a label is a palette or grey image of class indices, this is {mode}; '
            'convert colours with `fcn convert FROM TO`'
        )
    return decode(path, np.array)


def read_depth(path: str | Path) -> np.ndarray:
    """Return a grey 16-bit PNG as H×W float32, in the unit that it is stored in.

    NYUDv2 stores millimetres. 0 is a hole. Raises DataError if the file cannot be read.
    """
    with open_image(path) as image:
        mode = image.mode
    if not mode.startswith('I'):
        raise DataError(
            f'{path}: depth is a grey image of 16 bits, this is {mode}; convert it without loss'
        )
    return decode(path, lambda image: np.asarray(image).astype(np.float32))


def check_label(label: np.ndarray, shape: tuple[int, ...], classes: int, path: str | Path) -> None:
    """Raise DataError unless `label` has the image's H×W and values in {0 … classes − 1, 255}."""
    if label.shape != shape:
        raise DataError(
            f'{path}: the label is {label.shape[1]}×{label.shape[0]}, '
            f'its image {shape[1]}×{shape[0]}; they must be equal'
        )
    present = np.flatnonzero(count_values(label))
    wrong = [int(value) for value in present if value >= classes and value != VOID]
    if wrong:
        raise DataError(
            f'{path}: label values {wrong[:5]} are outside 0–{classes - 1} and {VOID} (void); '
            f'renumber them, or mark pixels of no class as {VOID}'
        )


def count_values(label: np.ndarray) -> np.ndarray:
    """Return how often each value occurs in an H×W uint8 label: 256 whole numbers."""
    counts = np.zeros(256, np.int64)
    for top in range(0, len(label), BAND):
        counts += np.bincount(label[top : top + BAND].ravel(), minlength=256)
    return counts


def label_image(label: np.ndarray, colours: np.ndarray | None = None) -> Image.Image:
    """Return an H×W uint8 label as a palette image.

    `colours` are those of the classes, K×3 uint8 RGB, by default the VOC palette's (`palette_of`).
    """
    image = Image.fromarray(label)
    image.putpalette(palette_of(colours).tobytes())
    return image


def save_label(label: np.ndarray, path: str | Path, colours: np.ndarray | None = None) -> None:
    """Write an H×W uint8 label as a palette PNG, whole or not at all.

    `colours` are those of the classes, as for `label_image`.
    """
    image = label_image(label, colours)
    with replacing(Path(path), durable=False) as partial:
        image.save(partial)


def fill_nearest(values: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Return H×W `values` with each pixel of `holes` given the value of the nearest other pixel.

    `holes` is H×W bool; if it holds all pixels, they stay as they are.
    """
    # Not at the top: it takes longer to load than all else that a process needs to read images.
    from scipy.ndimage import distance_transform_edt

    if holes.all():
        return values
    nearest = distance_transform_edt(holes, return_distances=False, return_indices=True)
    return values[tuple(nearest)]
