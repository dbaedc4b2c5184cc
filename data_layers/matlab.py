"""Labels in MATLAB files, as SBD, NYUDv2, SIFT Flow and PASCAL-Context have them.

Such a file may be packed, and a few kilobytes then unpack to gigabytes; and SciPy follows arrays in
arrays in arrays until the stack overflows and the process ends. So what a file holds is unpacked
and walked through here, within bounds, before SciPy reads it.
"""

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.errors import DataError

from .images import VOID

MAX_BYTES = 256 << 20  # unpacked; a label of a photo takes some hundred thousand
MAX_DEPTH = 8  # arrays in one another; SBD has three
MAX_ELEMENTS = 1 << 16
# MATLAB's own numbers for what an element of a file is, and for what an array holds.
_MATRIX, _PACKED = 14, 15
# SciPy indexes a table with any other type, out of its bounds.
_TYPES = (*range(1, 8), 9, 12, 13, _MATRIX, 16, 17, 18)
_OF_ARRAYS = (1, 2)  # cells and structures
_NUMBERS_AND_TEXT = (4, 5, *range(6, 16))
# Elements of cells, structures and sparse arrays: flags, size, name, …; other arrays have four.
_MIN_ELEMENTS = {1: 3, 2: 5, 5: 6}
_COMPLEX = 0x0800


class _Element(NamedTuple):
    """An element of a file: its type, where its bytes start and end, where the next one starts."""

    type: int
    start: int
    end: int
    following: int


def load_mat(path: str | Path) -> dict[str, Any]:
    """Return the variables of a MATLAB 5 file as {name: array}.

    Raises DataError for a file that is missing, too large or of version 7.3, and ValueError, or
    whatever SciPy raises, for one that is damaged or not MATLAB's.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path}: no such file')
    with path.open('rb') as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(f'{path}: is larger than {MAX_BYTES >> 20} MiB, which no label is')
    if content.startswith(b'MATLAB 7.3') or b'\x89HDF\r\n\x1a\n' in content[:1024]:
        raise DataError(
            f"{path}: a MATLAB 7.3 file, which is HDF5; save it with MATLAB's option -v7"
        )
    order = {b'IM': '<', b'MI': '>'}.get(content[126:128])
    if order is None:
        raise ValueError('it is not a MATLAB 5 file')
    unpacked = _unpack(content, order)
    count = _check_elements(memoryview(unpacked)[128:], order, 0, 0)
    if not count:
        raise ValueError('it is empty')
    # Not at the top: processes that read images alone do without it.
    from scipy.io import loadmat

    with warnings.catch_warnings():  # of variables that cannot be read, and are missed later
        warnings.simplefilter('ignore')
        return loadmat(io.BytesIO(unpacked))


def _unpack(content: bytes, order: str) -> bytes:
    """Return the file with its packed elements unpacked. Raises ValueError beyond MAX_BYTES."""
    parts, size, offset = [content[:128]], 128, 128
    while offset < len(content):
        element = _element(content, offset, order)
        if element.type == _PACKED:
            offset = element.end  # these alone are not padded
            inflater = zlib.decompressobj()
            packed = content[element.start : element.end]
            part = inflater.decompress(packed, MAX_BYTES - size + 1)
        else:
            part = content[offset : element.following]
            offset = element.following
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise ValueError(f'it unpacks to more than {MAX_BYTES >> 20} MiB')
    return b''.join(parts)


def _element(buffer: bytes | memoryview, offset: int, order: str) -> _Element:
    """Return the element whose tag starts at `offset`."""
    (first,) = struct.unpack_from(f'{order}I', buffer, offset)
    if first >> 16:  # up to four bytes, in the tag
        return _Element(first & 0xFFFF, offset + 4, offset + 4 + (first >> 16), offset + 8)
    (size,) = struct.unpack_from(f'{order}I', buffer, offset + 4)
    end = offset + 8 + size
    if end > len(buffer):
        raise ValueError(f'an element of {size} bytes ends past the end')
    return _Element(first, offset + 8, end, end + -size % 8)


def _check_elements(buffer: memoryview, order: str, depth: int, count: int) -> int:
    """Walk through a row of elements and those in them; return their number added to `count`.

    The row is the file's if `depth` is 0, else an array's. Raises ValueError for what SciPy should
    not be given.
    """
    offset, place, array_kind, minimum = 0, 0, 0, 0
    while offset < len(buffer):
        element = _element(buffer, offset, order)
        offset = element.following
        count += 1
        if element.type not in _TYPES:
            raise ValueError(f'unknown element type {element.type}')
        if count > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise ValueError(
                f'it holds more than {MAX_ELEMENTS} elements or {MAX_DEPTH} arrays in one another'
            )
        if depth and place == 0:
            array_kind, minimum = _read_flags(buffer, element, order)
        elif depth and place == 1 and array_kind in _OF_ARRAYS:
            _check_sides(buffer, element, order)
        if element.type == _MATRIX:
            if depth and (array_kind not in _OF_ARRAYS or place < 3):
                # SciPy takes it for the numbers, and the process ends.
                raise ValueError('it holds an array where numbers should be')
            if element.end > element.start:
                inner = buffer[element.start : element.end]
                count = _check_elements(inner, order, depth + 1, count)
        place += 1
    if place < minimum:
        # SciPy looks for them in what comes after.
        raise ValueError('it holds an array without its numbers')
    return count


def _read_flags(buffer: memoryview, element: _Element, order: str) -> tuple[int, int]:
    """Return what an array holds, as MATLAB numbers it, and how many elements it has at least."""
    (flags,) = struct.unpack_from(f'{order}I', buffer, element.start)
    array_kind = flags & 0xFF
    if array_kind not in (*_OF_ARRAYS, *_NUMBERS_AND_TEXT):
        raise ValueError('it holds an object or a function')
    return array_kind, _MIN_ELEMENTS.get(array_kind, 4) + bool(flags & _COMPLEX)


def _check_sides(buffer: memoryview, element: _Element, order: str) -> None:
    """Raise ValueError if a cell or a structure has more arrays than a file has elements."""
    number = (element.end - element.start) // 4
    sides = struct.unpack_from(f'{order}{number}i', buffer, element.start)
    if min(sides, default=0) < 0 or math.prod(sides) > MAX_ELEMENTS:
        raise ValueError(f'it holds {math.prod(sides)} arrays')


def read_mat(
    path: Path, extract: Callable[[dict[str, Any]], Any], what: str, maximum: int
) -> np.ndarray:
    """Return the H×W int32 labels in −1 … `maximum` that `extract` finds among a file's variables.

    Raises DataError, which names `what` the file should have held.
    """
    try:
        array = np.asarray(extract(load_mat(path)))
    except DataError:
        raise
    except Exception as error:  # SciPy raises many kinds on damaged files.
        raise DataError(f'{path}: no {what} in it ({error}); fetch it again') from error
    if array.ndim != 2 or array.dtype.kind not in 'uif':
        raise DataError(
            f'{path}: {what} is {array.dtype} of shape {array.shape}, not numbers of H×W; '
            'fetch it again'
        )
    # What is not a number becomes some number, and differs from it below.
    with np.errstate(invalid='ignore'):
        label = array.astype(np.int32)
    is_label = (label == array) & (label >= -1) & (label <= maximum)
    if not is_label.all():
        raise DataError(
            f'{path}: {what} holds values that are not labels of 0–{maximum}; fetch it again'
        )
    return label


def from_one(label: np.ndarray) -> np.ndarray:
    """Return labels that count from 1 as H×W uint8 that count from 0; 0 and −1 become void."""
    return np.where(label < 1, VOID, label - 1).astype(np.uint8)
