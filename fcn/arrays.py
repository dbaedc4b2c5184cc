"""Images as users have them in memory, brought to what a net's inputs take, or refused with the
reason."""

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from fcn.data_layers.images import MAX_PIXELS, MAX_SIDE, to_8_bits
from fcn.errors import DataError

_CHANNELS = (1, 3, 4)


def rgb_array(
    image: Image.Image | np.ndarray, name: str = 'image', white: int | None = None
) -> np.ndarray:
    """Return a PIL image or an array as H×W×3 uint8 RGB.

    A PIL image is turned upright by its EXIF tag; of more than 8 bits, `white` is white. Of an
    array, H×W and H×W×1 are grey, H×W×3 is RGB, and the fourth channel of H×W×4 is dropped. Raises
    DataError for anything else, with the reason.
    """
    if isinstance(image, Image.Image):
        return _from_pil(image, name, white)
    array = _checked(image, name)
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in _CHANNELS:
        raise DataError(f'{name}: has the shape {array.shape}; {_fix_for_shape(array.shape)}')
    if array.dtype != np.uint8:
        raise DataError(f'{name}: has the dtype {array.dtype}; {_fix_for_dtype(array)}')
    array = np.repeat(array, 3, 2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(array)


def depth_array(depth: Image.Image | np.ndarray, name: str = 'depth') -> np.ndarray:
    """Return depth as H×W float32 millimetres; 0 is a hole. Raises DataError for anything else."""
    array = _checked(depth, name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2:
        raise DataError(f'{name}: has the shape {array.shape}; depth is H×W millimetres')
    if array.dtype == np.uint8 or not np.issubdtype(array.dtype, np.number):
        raise DataError(f'{name}: has the dtype {array.dtype}; give millimetres, 16 bits or more')
    array = array.astype(np.float32)
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(f'{name}: holds NaN, infinity or negative depth; mark holes with 0')
    return array


def _checked(image: Any, name: str) -> np.ndarray:
    """Return an array of anything that has pixels."""
    if not hasattr(image, '__array__'):
        raise DataError(
            f'{name}: is of type {type(image).__name__}; give a path, a PIL image or a NumPy array'
        )
    array = np.asarray(image)
    if array.ndim < 2:
        raise DataError(f'{name}: has the shape {array.shape}; give H×W×3 RGB, or H×W grey')
    if not array.size:
        raise DataError(f'{name}: has the shape {array.shape}, which holds no pixels')
    if max(array.shape[:2]) > MAX_SIDE or array.shape[0] * array.shape[-1] > 4 * MAX_PIXELS:
        raise DataError(
            f'{name}: has the shape {array.shape}; a side has at most {MAX_SIDE} pixels'
        )
    return array


def _from_pil(image: Image.Image, name: str, white: int | None) -> np.ndarray:
    if min(image.size) < 1:
        raise DataError(f'{name}: is {image.width}×{image.height}, which holds no pixels')
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ('I', 'F') or upright.mode.startswith('I;16'):
            grey = to_8_bits(np.asarray(upright), white, name)
            return np.repeat(grey[..., np.newaxis], 3, 2)
        return np.array(upright.convert('RGB'))
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f'{name}: cannot be decoded ({error}); read it again') from error


def _fix_for_shape(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in _CHANNELS:
        return 'channels come last, so give image.transpose(1, 2, 0)'
    if len(shape) == 4:
        return 'give one image at a time, H×W×3'
    return 'give H×W×3 RGB, H×W grey or H×W×4'


def _fix_for_dtype(array: np.ndarray) -> str:
    if array.dtype == np.uint16:
        return 'give uint8: of full 16 bits, (image >> 8).astype(np.uint8)'
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            return 'and it holds NaN or infinity; give uint8 from 0 to 255'
        if array.min() >= 0 and array.max() <= 1:
            return 'of values from 0 to 1; give (255 * image).round().astype(np.uint8)'
    return 'give uint8 from 0 to 255'
