"""Images and labels, read and checked before Caffe sees a byte of them."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fcn.errors import DataError
from fcn.io import replacing

from .palette import voc_palette

VOID = 255
# Those that photos and labels come in. Pillow knows more, and an EPS file it gives to Ghostscript, which runs it.
FORMATS = ('JPEG', 'PNG', 'BMP', 'GIF', 'TIFF', 'WEBP', 'PPM')
# A side or an area beyond these is a mistake or an attack, not a photo to train on.
MAX_SIDE = 16_384
MAX_PIXELS = 64_000_000
BAND = 64  # rows at once: whole numbers of all of a large image would be gigabytes
PNG_END = b'IEND\xaeB`\x82'  # Pillow does not miss it where a file was cut off after its pixels


def open_image(path):
    """The file's picture, undecoded, its size checked; DataError if it is none."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    try:
        with warnings.catch_warnings():  # of bombs, which are refused below, and of odd metadata
            warnings.simplefilter('ignore')
            image = Image.open(path, formats=FORMATS)
    except Exception as error:  # Pillow's readers raise many kinds on bytes they did not expect.
        raise DataError(
            f'{path}: not an image that is read here ({error}); make it one of {", ".join(FORMATS)}'
        ) from error
    if image.format == 'PNG' and not _ends_with(path, PNG_END):
        image.close()
        raise DataError(f'{path}: truncated, the end of a PNG is missing; fetch it again')
    width, height = image.size
    if min(width, height) < 1:
        image.close()
        raise DataError(f'{path}: {width}×{height} has no pixels')
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        image.close()
        raise DataError(
            f'{path}: {width}×{height} is larger than {MAX_SIDE} a side or '
            f'{MAX_PIXELS // 10**6} million pixels; scale it down'
        )
    return image


def _ends_with(path, mark, most=65_536):
    """Whether `mark` is among the last bytes of a file, `most` of them; programs add to files that have ended."""
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - most))
        return mark in file.read()


def _decode(path, convert):
    with open_image(path) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                return np.array(convert(image))
        except MemoryError as error:
            raise DataError(f'{path}: there is not enough memory for it; scale it down') from error
        except Exception as error:
            raise DataError(f'{path}: truncated or damaged ({error}); fetch it again') from error


def read_image(path, rotate=False):
    """H×W×3 uint8 RGB of an image file, turned upright by its EXIF tag if `rotate`."""

    def convert(image):
        image = ImageOps.exif_transpose(image) if rotate else image
        if image.mode.startswith('I;16'):  # Pillow would clip, not scale, sixteen bits to eight.
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return image.convert('RGB')

    return _decode(path, convert)


def read_label(path):
    """H×W uint8 class indices of a palette or grey PNG; DataError on any other mode."""
    with open_image(path) as image:
        mode = image.mode
    if mode not in ('P', 'L'):
        raise DataError(
            f'{path}: a label is a palette or grey image of class indices, this is {mode}; '
            'convert colours with `fcn convert FROM TO`'
        )
    return _decode(path, lambda image: image)


def read_depth(path):
    """H×W float32 of a grey 16-bit PNG, in the unit it is stored in (NYUDv2: millimetres); 0 is a hole."""
    with open_image(path) as image:
        mode = image.mode
    if not mode.startswith('I'):
        raise DataError(
            f'{path}: depth is a grey image of 16 bits, this is {mode}; convert it without loss'
        )
    return _decode(path, lambda image: np.asarray(image).astype(np.float32))


def check_label(label, shape, classes, path):
    """Raise DataError unless `label` has the image's (H, W) and values in {0 … classes − 1, 255}."""
    if label.shape != shape:
        raise DataError(
            f'{path}: the label is {label.shape[1]}×{label.shape[0]}, '
            f'its image {shape[1]}×{shape[0]}; they must be equal'
        )
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    wrong = [int(value) for value in present if value >= classes and value != VOID]
    if wrong:
        raise DataError(
            f'{path}: label values {wrong[:5]} are outside 0–{classes - 1} and {VOID} (void); '
            'renumber them, or make what is no class void'
        )


def to_indices(image, path=''):
    """H×W uint8 labels of an H×W×3 image in the VOC colours; DataError names a colour that is none."""
    keys = np.array([1 << 16, 1 << 8, 1])
    colours, labels = np.unique(voc_palette().astype(int) @ keys, return_index=True)
    indices = np.empty(image.shape[:2], np.uint8)
    for top in range(0, len(image), BAND):
        pixels = image[top : top + BAND].astype(int) @ keys
        places = np.searchsorted(colours, pixels).clip(max=len(colours) - 1)
        wrong = colours[places] != pixels
        if wrong.any():
            y, x = np.argwhere(wrong)[0] + (top, 0)
            raise DataError(
                f'{path}: the colour {tuple(map(int, image[y, x]))} at x={x}, y={y} is none of the '
                "VOC palette's; a lossy format such as JPEG cannot hold labels"
            )
        indices[top : top + BAND] = labels[places]
    return indices


def save_label(label, path):
    """Write an H×W uint8 label as a palette PNG in the VOC colours, whole or not at all."""
    image = Image.fromarray(label)
    image.putpalette(voc_palette().tobytes())
    with replacing(Path(path), durable=False) as partial:
        image.save(partial)
