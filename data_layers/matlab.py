"""Labels in MATLAB files, as SBD, NYUDv2, SIFT Flow and PASCAL-Context have them.

Such a file may be packed, and a few kilobytes then unpack to gigabytes; and SciPy follows
arrays in arrays in arrays until the stack ends, and the process. So what a file holds
is unpacked and gone over here, in bounds, before SciPy reads it.
"""

import io
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from fcn.errors import DataError

from .images import VOID

LARGEST = 256 << 20  # bytes, unpacked: a label of a photo takes some hundred thousand
DEEPEST = 8  # arrays in one another; SBD has three
MOST_ELEMENTS = 1 << 16
# MATLAB's own numbers for what an element of a file is, and for what an array holds.
_MATRIX, _PACKED = 14, 15
_KINDS = (
    *range(1, 8),
    9,
    12,
    13,
    _MATRIX,
    16,
    17,
    18,
)  # SciPy indexes a table with others, outside it
_OF_ARRAYS = (1, 2)  # cells and structures
_NUMBERS_AND_TEXT = (4, 5, *range(6, 16))
_LEAST = {
    1: 3,
    2: 5,
    5: 6,
}  # elements of cells, structures and sparse arrays, four of others: flags, size, name, …
_COMPLEX = 0x0800


def load_mat(path):
    """The variables of a MATLAB 5 file as {name: array}; ValueError or another for what is none, DataError for 7.3."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    with path.open('rb') as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise DataError(f'{path}: is larger than {LARGEST >> 20} MiB, which no label is')
    if content.startswith(b'MATLAB 7.3') or b'\x89HDF\r\n\x1a\n' in content[:1024]:
        raise DataError(
            f"{path}: a MATLAB 7.3 file, which is HDF5; save it with MATLAB's option -v7"
        )
    order = {b'IM': '<', b'MI': '>'}.get(content[126:128])
    if order is None:
        raise ValueError('it is no MATLAB 5 file')
    unpacked = _unpacked(content, order)
    count = _check_elements(memoryview(unpacked)[128:], order, 0, 0)
    if not count:
        raise ValueError('it is empty')
    with warnings.catch_warnings():  # of variables that cannot be read, and are missed later
        warnings.simplefilter('ignore')
        return loadmat(io.BytesIO(unpacked))


def _unpacked(content, order):
    """The file with its packed elements unpacked; ValueError if there is more in them than LARGEST."""
    parts, size, at = [content[:128]], 128, 128
    while at < len(content):
        kind, start, end, following = _element(content, at, order)
        if kind == _PACKED:
            following = end  # these alone are not padded
            inflater = zlib.decompressobj()
            part = inflater.decompress(content[start:end], LARGEST - size + 1)
        else:
            part = content[at:following]
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ValueError(f'it unpacks to more than {LARGEST >> 20} MiB')
        at = following
    return b''.join(parts)


def _element(buffer, at, order):
    """(kind, where its bytes start and end, where the next one starts) of the element at `at`."""
    (first,) = struct.unpack_from(f'{order}I', buffer, at)
    if first >> 16:  # up to four bytes, in the tag
        return first & 0xFFFF, at + 4, at + 4 + (first >> 16), at + 8
    (size,) = struct.unpack_from(f'{order}I', buffer, at + 4)
    end = at + 8 + size
    if end > len(buffer):
        raise ValueError(f'an element of {size} bytes ends past the end')
    return first, at + 8, end, end + -size % 8


def _check_elements(buffer, order, depth, count):
    """Go over a row of elements, and those in them; how many there were with the `count` before them.

    ValueError for what SciPy should not be given.
    """
    at, place, kind_of_array, least = 0, 0, None, 0
    while at < len(buffer):
        kind, start, end, at = _element(buffer, at, order)
        count += 1
        if kind not in _KINDS:
            raise ValueError(f'it holds an element of type {kind}, which there is not')
        if count > MOST_ELEMENTS or depth > DEEPEST:
            raise ValueError(
                f'it holds more than {MOST_ELEMENTS} elements or {DEEPEST} arrays in one another'
            )
        if depth and place == 0:
            (flags,) = struct.unpack_from(f'{order}I', buffer, start)
            kind_of_array = flags & 0xFF
            least = _LEAST.get(kind_of_array, 4) + bool(flags & _COMPLEX)
            if kind_of_array not in (*_OF_ARRAYS, *_NUMBERS_AND_TEXT):
                raise ValueError('it holds an object or a function')
        elif depth and place == 1 and kind_of_array in _OF_ARRAYS:
            sides = struct.unpack_from(f'{order}{(end - start) // 4}i', buffer, start)
            if min(sides, default=0) < 0 or math.prod(sides) > MOST_ELEMENTS:
                raise ValueError(f'it holds {math.prod(sides)} arrays')
        if depth and kind == _MATRIX and (kind_of_array not in _OF_ARRAYS or place < 3):
            raise ValueError(
                'it holds an array where numbers should be'
            )  # SciPy takes it for them, and ends
        if kind == _MATRIX and end > start:
            count = _check_elements(buffer[start:end], order, depth + 1, count)
        place += 1
    if place < least:
        raise ValueError(
            'it holds an array without its numbers'
        )  # SciPy looks for them in what comes after
    return count


def read_mat(path, extract, what, most):
    """H×W int32 labels in −1 … `most` that `extract` finds among the variables of a MATLAB file.

    DataError names `what` it should have held.
    """
    try:
        array = np.asarray(extract(load_mat(path)))
    except DataError:
        raise
    except Exception as error:  # SciPy raises many kinds on damaged files.
        raise DataError(f'{path}: no {what} in it ({error}); fetch it again') from error
    if array.ndim != 2 or array.dtype.kind not in 'uif':
        raise DataError(
            f'{path}: {what} is {array.dtype} of shape {array.shape}, not numbers of H×W'
        )
    with np.errstate(
        invalid='ignore'
    ):  # not a number becomes some number, and differs from it below
        label = array.astype(np.int32)
    if (label != array).any() or label.min(initial=0) < -1 or label.max(initial=0) > most:
        raise DataError(
            f'{path}: {what} holds values that are no labels of 0–{most}; fetch it again'
        )
    return label


def from_one(label):
    """H×W uint8 of labels that count classes from 1: they count from 0 here, and 0 and −1 are void."""
    return np.where(label < 1, VOID, label - 1).astype(np.uint8)
