"""Caffemodel files, read and written one layer at a time.

Protobuf's own reader holds a whole file and a copy of it, more than a gigabyte for VGG-16, and
Caffe's reader aborts on a damaged file. Only three messages matter here, so their wire format is
read directly (protobuf's encoding guide; caffe.proto gives the field numbers) and the floats are
views of the mapped file.
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import caffe
import numpy as np

from fcn.errors import WeightsError
from fcn.io import replacing

Layer = tuple[str, list[np.ndarray]]  # name and arrays
Buffer = memoryview | bytes

# Field numbers in caffe.proto. Old files hold V1LayerParameter messages in `layers`.
_LAYER, _V1_LAYER = 100, 2
_NAME, _TYPE, _BLOBS = 1, 2, 7
_V1_NAME, _V1_BLOBS = 4, 6
_LEGACY_DIMS, _DATA, _SHAPE = (1, 2, 3, 4), 5, 7
_DIM = 1

# How many layers a file holds. A file that was cut between two layers would otherwise be a shorter
# one. caffe.proto has no such field, and every reader of protobuf skips a field that it does not
# know. Our files of version 1 have the number in the name of the net instead.
_LAYER_COUNT = 1000
_COUNT_IN_NAME = rb'(\d{1,9}) layers'

_MAX_BYTES = 2**31 - 1  # protobuf, and so Caffe, reads no larger file
_MAX_FIELDS = 1 << 20  # of one message; a net has some hundred layers, and floats come packed
_MAX_AXES = 32  # of a blob, Caffe's kMaxBlobAxes

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_weights(path: str | Path) -> Iterator[Layer]:
    """Yield (layer name, list of float32 arrays) for every layer of a caffemodel that has weights.

    The arrays are read-only views of the file. Raises WeightsError for a file that is missing,
    truncated or no caffemodel.
    """
    path = Path(path)
    buffer = _mapped(path)
    has_weights, count, expected = False, 0, None
    try:
        for number, value in _fields(buffer):
            if number == _LAYER_COUNT and isinstance(value, int):
                expected = value
            elif number == _NAME and isinstance(value, memoryview):
                if match := re.fullmatch(_COUNT_IN_NAME, bytes(value)):
                    expected = int(match[1])
            elif number in (_LAYER, _V1_LAYER) and isinstance(value, memoryview):
                count += 1
                name, blobs = _layer(
                    value, *((_NAME, _BLOBS) if number == _LAYER else (_V1_NAME, _V1_BLOBS))
                )
                if blobs:
                    has_weights = True
                    yield name, blobs
    except (IndexError, OverflowError, TypeError, ValueError, struct.error) as error:
        raise WeightsError(
            f'{path}: damaged or truncated, or no caffemodel ({error}); fetch it again'
        ) from error
    if expected not in (None, count):
        raise WeightsError(
            f'{path}: truncated, {count} of its {expected} layers are left; make it again'
        )
    if not has_weights:
        raise WeightsError(f'{path}: holds no layer with weights; give a caffemodel of a net')


def _mapped(path: Path) -> memoryview:
    """Return the content of a file that may be a caffemodel, mapped into memory."""
    if not path.is_file():
        raise WeightsError(f'{path}: no such file')
    if path.stat().st_size == 0:
        raise WeightsError(f'{path}: empty')
    if path.stat().st_size > _MAX_BYTES:
        raise WeightsError(
            f'{path}: larger than 2 GiB, the maximum of a caffemodel; give another file'
        )
    with path.open('rb') as file:
        if file.read(8) == b'\x89HDF\r\n\x1a\n':
            raise WeightsError(
                f'{path}: an HDF5 file; save it as a binary caffemodel with net.save()'
            )
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def write_weights(
    path: str | Path, layers: Iterable[tuple[str, str, Sequence[np.ndarray]]]
) -> None:
    """Write (name, type, arrays) of each layer as a caffemodel that any Caffe reads.

    The file appears whole or not at all.
    """
    path, layers = Path(path), list(layers)
    with replacing(path) as partial, partial.open('wb') as file:
        file.write(_tag(_LAYER_COUNT, _VARINT) + varint(len(layers)))
        for name, kind, blobs in layers:
            arrays = [np.ascontiguousarray(blob, np.float32) for blob in blobs]
            heads = [_blob_head(array) for array in arrays]
            sizes = [len(head) + array.nbytes for head, array in zip(heads, arrays, strict=True)]
            start = _bytes_field(_NAME, name.encode()) + _bytes_field(_TYPE, kind.encode())
            tags = [_tag(_BLOBS, _BYTES) + varint(size) for size in sizes]
            file.write(
                _tag(_LAYER, _BYTES) + varint(len(start) + sum(map(len, tags)) + sum(sizes)) + start
            )
            for tag, head, array in zip(tags, heads, arrays, strict=True):
                file.write(tag + head)
                file.write(array.data)


def save(net: caffe.Net, path: str | Path) -> None:
    """Write the weights of `net` to a caffemodel."""
    write_weights(
        path,
        (
            (name, net.layer_dict[name].type, [blob.data for blob in blobs])
            for name, blobs in net.params.items()
        ),
    )


def _layer(buffer: Buffer, name_field: int, blobs_field: int) -> Layer:
    name, blobs = '', []
    for number, value in _fields(buffer):
        if number == name_field:
            name = bytes(_message(value)).decode()
        elif number == blobs_field:
            blobs.append(_blob(_message(value)))
    return name, blobs


def _blob(buffer: Buffer) -> np.ndarray:
    shape: list[int] | None = None
    legacy: dict[int, int] = {}
    chunks: list[np.ndarray] = []
    for number, value in _fields(buffer):
        if number == _SHAPE:
            shape = list(islice(_dims(_message(value)), _MAX_AXES + 1))
            if len(shape) > _MAX_AXES:
                raise ValueError(f'a blob of more than {_MAX_AXES} axes')
        elif number in _LEGACY_DIMS:
            legacy[number] = _number(value)
        elif number == _DATA:  # packed, or one four-byte field for each float
            chunks.append(np.frombuffer(_message(value), '<f4'))
    data = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, '<f4')])
    if shape is None:
        shape = [legacy.get(number, 1) for number in _LEGACY_DIMS]
    return data.reshape(shape)


def _number(value: int | Buffer) -> int:
    """Return `value`, which must be a number."""
    if not isinstance(value, int):
        raise ValueError('bytes where a number should be')
    return value


def _message(value: int | Buffer) -> Buffer:
    """Return `value`, which must be bytes. Given a number, bytes() would make as many zeros."""
    if isinstance(value, int):
        raise ValueError('a number where bytes should be')
    return value


def _dims(buffer: Buffer) -> Iterator[int]:
    """Yield the dimensions of a BlobShape, whose fields are packed bytes or single values."""
    for number, value in _fields(buffer):
        if number != _DIM:
            continue
        if isinstance(value, int):
            yield value
            continue
        offset = 0
        while offset < len(value):
            dim, offset = read_varint(value, offset)
            yield dim


def _fields(buffer: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    """Yield (field number, value) for each field of a message.

    Bytes and values of fixed size are slices of `buffer`.
    """
    offset = count = 0
    while offset < len(buffer):
        key, offset = read_varint(buffer, offset)
        number, kind = key >> 3, key & 7
        count += 1
        if number == 0 or count > _MAX_FIELDS:
            raise ValueError(f'field {number}, the {count}th' if count > 1 else f'field {number}')
        if kind == _VARINT:
            value, offset = read_varint(buffer, offset)
            yield number, value
            continue
        if kind == _BYTES:
            size, offset = read_varint(buffer, offset)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f'wire type {kind} at byte {offset}')
        if offset + size > len(buffer):
            raise ValueError(f'a field of {size} bytes ends past the end')
        yield number, buffer[offset : offset + size]
        offset += size


def read_varint(buffer: Buffer, offset: int) -> tuple[int, int]:
    """Return the number that begins at an offset of a message, and the offset where it ends.

    Raises ValueError if the number is too long, and IndexError if the message ends before it does.
    """
    result = shift = 0
    while True:
        byte = buffer[offset]
        offset += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, offset
        shift += 7
        if shift > 63:
            raise ValueError(f'a number too long at byte {offset}')


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def _bytes_field(number: int, value: bytes) -> bytes:
    return _tag(number, _BYTES) + varint(len(value)) + value


def _blob_head(array: np.ndarray) -> bytes:
    """Return a BlobProto up to its floats: the shape, and the length of what follows."""
    dims = b''.join(map(varint, array.shape))
    shape = _bytes_field(_SHAPE, _bytes_field(_DIM, dims))
    return shape + _tag(_DATA, _BYTES) + varint(array.nbytes)
