"""Damaged MATLAB files and archives, changed behind compression and checksums; all mutators."""

import gzip
import io
import struct
import zlib

from .images import BLOCK, bomb, mutate_jpeg, mutate_png
from .messages import mutate_message
from .mutate import INTEGERS, Mutator, Rng, mutate_bytes, mutate_json, mutate_text, pick

# MATLAB 5: a header of 128 bytes, then elements of type, size and body, which may be compressed.

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14


def mutate_mat(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a MATLAB file.

    The tags and the body of its first element are changed, inside the compression, or its bytes.
    """
    if rng.random() < 0.2 or len(data) < _HEADER + 8:
        return mutate_bytes(data, rng, other)
    header = data[:_HEADER]
    if rng.random() < 0.1:
        return mutate_bytes(header, rng)[:_HEADER].ljust(_HEADER, b'\0') + data[_HEADER:]
    kind, size = struct.unpack_from('<II', data, _HEADER)
    start = _HEADER + 8
    body, rest = data[start : start + size], data[start + size :]
    compressed = kind == _COMPRESSED
    element = zlib.decompress(body) if compressed else data[_HEADER : start + size]
    if rng.random() < 0.08:  # zeros without end under a header that promises them
        side = pick(rng, (4096, 16384, 30000))
        head = _matrix_head(b'S', side, side, 6, side * side * 8)
        zeros = -(-side * side * 8 // BLOCK) * BLOCK
        return header + _element(_COMPRESSED, _bomb_after(head, zeros))
    for _ in range(pick(rng, (1, 1, 2))):
        element = _mutate_element(element, rng, other)
    if not compressed:
        return header + element + rest
    body = zlib.compress(element)
    body = mutate_bytes(body, rng) if rng.random() < 0.1 else body
    return header + _element(_COMPRESSED, body) + rest


def _mutate_element(element: bytes, rng: Rng, other: bytes) -> bytes:
    """Change a word near the start, where the tags are, or bytes there, or bytes anywhere."""
    offset = 4 * int(rng.integers(min(len(element) // 4, 40) or 1))
    value = pick(rng, (*INTEGERS, 5, 6, 8, 9, 12, 13, 14, 15, 17, 18)) % 2**32
    where = rng.random()
    if where < 0.6:
        return element[:offset] + struct.pack('<I', value) + element[offset + 4 :]
    if where < 0.8:
        return mutate_bytes(element[:200], rng) + element[200:]
    return mutate_bytes(element, rng, other)


def _element(kind: int, body: bytes) -> bytes:
    return struct.pack('<II', kind, len(body)) + body


def _matrix_head(name: bytes, height: int, width: int, kind: int, size: int) -> bytes:
    """Return a matrix's element of class `kind` up to its numbers, which take `size` bytes."""
    fields = (
        _element(6, struct.pack('<II', kind, 0))
        + _element(5, struct.pack('<ii', height, width))
        + _element(1, name.ljust(8, b'\0'))
        + struct.pack('<II', 9, size % 2**32)
    )
    return struct.pack('<II', _MATRIX, (len(fields) + size) % 2**32) + fields


def _bomb_after(head: bytes, size: int) -> bytes:
    """Return a zlib stream of `head` and `size` zeros, whose checksum is wrong."""
    packer = zlib.compressobj(9)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + bomb(size)[2:]


# Archives: tar in gzip, whose headers of 512 bytes hold a sum of their own bytes.

_NAME, _MODE, _SIZE, _TYPE = (0, 100), (100, 108), (124, 136), (156, 157)
_LINK, _PREFIX, _CHECKSUM = (157, 257), (345, 500), (148, 156)
_HEADER_FIELDS = _NAME, _MODE, _SIZE, _SIZE, _TYPE, _LINK, _PREFIX
_TYPES = b'0', b'1', b'2', b'3', b'5', b'6', b'7', b'g', b'x', b'L', b'K', b'S', b'\0'
_LARGE_SIZES = b'77777777777\0', b'\x80' + b'\xff' * 11, b'\xff' * 12
_MEMBER_SIZES = _LARGE_SIZES[0], b'00000000000\0', b'-1', _LARGE_SIZES[1], b'abc', _LARGE_SIZES[2]
_MEMBER_NAMES = (
    *(b'../../x.txt', b'/etc/train.txt', b'a/../train.txt', b'', b'\xff\xfe', b'x' * 100),
    *(b'train.txt', b'cls/../../x.mat'),
)


def mutate_archive(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a tar.gz.

    A member's header is changed and its checksum set right, or the tar's or the gzip's bytes are.
    """
    if rng.random() < 0.2:
        return mutate_bytes(data, rng, other)
    tar = bytearray(gzip.decompress(data))
    if rng.random() < 0.4:
        tar = bytearray(mutate_bytes(bytes(tar), rng))
    else:
        _mutate_member(tar, rng)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode='wb', compresslevel=1, mtime=0) as file:
        file.write(tar)
    return packed.getvalue()


def _mutate_member(tar: bytearray, rng: Rng) -> None:
    """Change a field of one of the headers, and its checksum with it."""
    offsets = range(0, len(tar), 512)
    headers = [offset for offset in offsets if tar[offset + 257 : offset + 262] == b'ustar']
    offset = pick(rng, headers)
    field = pick(rng, _HEADER_FIELDS)
    # A value is drawn for every kind of field, so that a seed's cases stay the same.
    size, kind = pick(rng, _MEMBER_SIZES), pick(rng, _TYPES)
    value = {_SIZE: size, _TYPE: kind}.get(field) or pick(rng, _MEMBER_NAMES)
    start, end = field
    tar[offset + start : offset + end] = value.ljust(end - start, b'\0')[: end - start]
    start, end = (offset + edge for edge in _CHECKSUM)
    tar[start:end] = b' ' * 8
    tar[start:end] = b'%06o\0 ' % sum(tar[offset : offset + 512])


MUTATORS: dict[str, Mutator] = {
    'caffemodel': mutate_message,
    'solverstate': mutate_message,
    'prototxt': mutate_text,
    'PNG image': mutate_png,
    'PNG label': mutate_png,
    'JPEG': mutate_jpeg,
    'other image': mutate_bytes,
    '.mat': mutate_mat,
    'JSON': mutate_json,
    'list': mutate_text,
    'archive': mutate_archive,
    'annotations': mutate_json,
    'text': mutate_text,
}
