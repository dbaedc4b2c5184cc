"""Caffemodel files, read and written one layer at a time.

protobuf's own reader holds a whole file and a copy of it, more than a gigabyte for
VGG-16, and Caffe's aborts on a damaged one. Only three messages matter here, so
their wire format is read directly (protobuf's encoding guide; caffe.proto gives the
field numbers) and the floats are views of the mapped file.
"""

import mmap
import re
import struct
from itertools import islice
from pathlib import Path

import numpy as np

from fcn.errors import WeightsError
from fcn.io import replacing

# Field numbers in caffe.proto. Old files hold V1LayerParameter messages in `layers`.
_LAYER, _V1_LAYER = 100, 2
_NAME, _TYPE, _BLOBS = 1, 2, 7
_V1_NAME, _V1_BLOBS = 4, 6
_LEGACY_DIMS, _DATA, _SHAPE = (1, 2, 3, 4), 5, 7
_DIM = 1
_ANNOUNCED = rb'(\d{1,9}) layers'  # the name of a net that we wrote

_LARGEST = 2**31 - 1  # bytes: protobuf, and so Caffe, reads no larger file
_MOST_FIELDS = 1 << 20  # of one message; a net has some hundred layers, and floats come packed
_MOST_AXES = 32  # of a blob, Caffe's kMaxBlobAxes

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_weights(path):
    """Yield (layer name, list of float32 arrays) for every layer of a caffemodel that has weights.

    The arrays are read-only views of the file. Raises WeightsError on a file that
    is missing, truncated or no caffemodel.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'{path}: no such file')
    if path.stat().st_size == 0:
        raise WeightsError(f'{path}: empty')
    if path.stat().st_size > _LARGEST:
        raise WeightsError(
            f'{path}: is larger than the 2 GiB that a caffemodel can have; give another file'
        )
    with path.open('rb') as file:
        if file.read(8) == b'\x89HDF\r\n\x1a\n':
            raise WeightsError(
                f'{path}: an HDF5 file; save it as a binary caffemodel with net.save()'
            )
        buffer = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    found, count, announced = False, 0, None
    try:
        for number, value in _fields(buffer):
            if (
                number == _NAME
                and isinstance(value, memoryview)
                and (match := re.fullmatch(_ANNOUNCED, bytes(value)))
            ):
                announced = int(match[1])
            if number in (_LAYER, _V1_LAYER) and isinstance(value, memoryview):
                count += 1
                name, blobs = _layer(
                    value, *((_NAME, _BLOBS) if number == _LAYER else (_V1_NAME, _V1_BLOBS))
                )
                if blobs:
                    found = True
                    yield name, blobs
    except (IndexError, OverflowError, TypeError, ValueError, struct.error) as error:
        raise WeightsError(
            f'{path}: damaged or truncated, or no caffemodel ({error}); fetch it again'
        ) from error
    if announced not in (None, count):
        raise WeightsError(
            f'{path}: truncated, {count} of its {announced} layers are left; make it again'
        )
    if not found:
        raise WeightsError(f'{path}: holds no layer with weights')


def write_weights(path, layers):
    """Write (name, type, list of arrays) triples as a caffemodel that any Caffe reads.

    The file appears whole or not at all. The name of its net says how many layers
    there are: a file cut off between two would else be a shorter one.
    """
    path, layers = Path(path), list(layers)
    with replacing(path) as partial, partial.open('wb') as file:
        file.write(_bytes_field(_NAME, b'%d layers' % len(layers)))
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


def _layer(buffer, name_field, blobs_field):
    name, blobs = '', []
    for number, value in _fields(buffer):
        if number == name_field:
            name = bytes(_message(value)).decode()
        elif number == blobs_field:
            blobs.append(_blob(_message(value)))
    return name, blobs


def _blob(buffer):
    shape, legacy, chunks = None, {}, []
    for number, value in _fields(buffer):
        if number == _SHAPE:
            shape = list(islice(_dims(_message(value)), _MOST_AXES + 1))
            if len(shape) > _MOST_AXES:
                raise ValueError(f'a blob of more than {_MOST_AXES} axes')
        elif number in _LEGACY_DIMS:
            legacy[number] = value
        elif number == _DATA:  # packed, or one four-byte field a float
            chunks.append(np.frombuffer(_message(value), '<f4'))
    data = chunks[0] if len(chunks) == 1 else np.concatenate(chunks or [np.empty(0, '<f4')])
    if shape is None:
        shape = [legacy.get(number, 1) for number in _LEGACY_DIMS]
    return data.reshape(shape)


def _message(value):
    """`value`, which must be bytes: of a number, bytes() would make as many zeros."""
    if isinstance(value, int):
        raise ValueError('a number where bytes should be')
    return value


def _dims(buffer):
    """Yield the dimensions of a BlobShape, whose fields are packed bytes or one value."""
    for number, value in _fields(buffer):
        if number != _DIM:
            continue
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            dim, at = read_varint(value, at)
            yield dim


def _fields(buffer):
    """Yield (field number, value) of a message; bytes and fixed-size values are memoryviews."""
    at = count = 0
    while at < len(buffer):
        key, at = read_varint(buffer, at)
        number, kind = key >> 3, key & 7
        count += 1
        if number == 0 or count > _MOST_FIELDS:
            raise ValueError(f'field {number}, the {count}th' if count > 1 else f'field {number}')
        if kind == _VARINT:
            value, at = read_varint(buffer, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = read_varint(buffer, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f'wire type {kind} at byte {at}')
        if at + size > len(buffer):
            raise ValueError(f'a field of {size} bytes ends past the end')
        yield number, buffer[at : at + size]
        at += size


def read_varint(buffer, at):
    """The number that begins at a place of a message, and the place where it ends; ValueError if it is too long."""
    result = shift = 0
    while True:
        byte = buffer[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError(f'a number too long at byte {at}')


def varint(value):
    """The bytes of a number as protobuf writes it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _tag(number, kind):
    return varint(number << 3 | kind)


def _bytes_field(number, value):
    return _tag(number, _BYTES) + varint(len(value)) + value


def _blob_head(array):
    """A BlobProto up to its floats: the shape, and the length of what follows."""
    dims = b''.join(map(varint, array.shape))
    shape = _bytes_field(_SHAPE, _bytes_field(_DIM, dims))
    return shape + _tag(_DATA, _BYTES) + varint(array.nbytes)
