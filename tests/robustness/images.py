"""Damaged PNGs and JPEGs, whose chunks and segments are changed behind their checksums."""

import functools
import struct
import zlib

from .mutate import INTEGERS, Rng, mutate_bytes, pick

_PNG = b'\x89PNG\r\n\x1a\n'
_EXIF = b'MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'  # turn by 90°
BLOCK = 1 << 20  # bytes


@functools.cache
def bomb(size: int) -> bytes:
    """Return a zlib stream of `size` zeros, a multiple of BLOCK, without making the zeros."""
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = size // BLOCK
    # The checksum of n zeros has 1 in its low half and n in its high one, modulo 65521.
    end = b'\x03\0' + struct.pack('>I', (blocks * BLOCK % 65521) << 16 | 1)
    return start + block * (blocks - 1) + end


# PNG: chunks of length, kind, body and checksum. A chunk is [kind, body] here.

Chunks = list[list[bytes]]


def _read_png(data: bytes) -> Chunks:
    chunks, offset = [], len(_PNG)
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from('>I4s', data, offset)
        chunks.append([kind, data[offset + 8 : offset + 8 + size]])
        offset += 12 + size
    return chunks


def _write_png(chunks: Chunks, wrong: tuple[int, int] | None) -> bytes:
    """Return the PNG of the chunks; `wrong` is the index of one and the wrong length to write."""
    parts = [_PNG]
    for index, (kind, body) in enumerate(chunks):
        length = wrong[1] if wrong and index == wrong[0] else len(body)
        checksum = struct.pack('>I', zlib.crc32(kind + body))
        parts.append(struct.pack('>I', length) + kind + body + checksum)
    return b''.join(parts)


def mutate_png(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a PNG.

    Its header, palette, pixels, or the order and kinds of its chunks are changed, or its bytes.
    """
    if rng.random() < 0.2:
        return mutate_bytes(data, rng, other)
    chunks, wrong = _read_png(data), None
    for _ in range(pick(rng, (1, 1, 2))):
        index = int(rng.integers(len(chunks)))
        action = int(rng.integers(9))
        if action == 0:
            chunks[0][1] = _mutate_header(chunks[0][1], rng)
        elif action == 1 and len(chunks) > 1:
            del chunks[index]
        elif action == 2:
            chunks.insert(int(rng.integers(len(chunks) + 1)), list(chunks[index]))
        elif action == 3:
            other_index = int(rng.integers(len(chunks)))
            chunks[index], chunks[other_index] = chunks[other_index], chunks[index]
        elif action == 4:
            chunks.insert(int(rng.integers(1, len(chunks) + 1)), [*_extra_chunk(rng)])
        elif action == 5:
            wrong = index, pick(rng, INTEGERS) % 2**32
        elif action == 6:
            chunks[index][1] = mutate_bytes(chunks[index][1], rng, other)
        else:
            _mutate_pixels(chunks, rng)
    return _write_png(chunks, wrong)


def _mutate_header(body: bytes, rng: Rng) -> bytes:
    """Change one field of IHDR: a size, or depth, colour type, compression, filter or interlace."""
    fields = list(struct.unpack('>IIBBBBB', body.ljust(13, b'\0')[:13]))
    index = int(rng.integers(7))
    if index >= 2:
        fields[index] = pick(rng, (0, 1, 2, 3, 4, 6, 7, 8, 16, 255))
    elif rng.random() < 0.5:
        fields[index] = pick(rng, INTEGERS) % 2**32
    else:
        fields[index] = int(rng.integers(1, 200))
    return struct.pack('>IIBBBBB', *fields)


def _extra_chunk(rng: Rng) -> tuple[bytes, bytes]:
    """Return (kind, body) of a chunk that may stand next to the pixels."""
    return pick(
        rng,
        (
            (b'tRNS', rng.bytes(int(rng.integers(0, 300)))),
            (b'PLTE', rng.bytes(int(rng.integers(0, 800)))),
            (b'iCCP', b'x\0\0' + bomb(64 * BLOCK)),
            (b'zTXt', b'x\0\0' + bomb(64 * BLOCK)),
            (b'tEXt', b'x\0' + b'y' * 70000),
            (b'iTXt', b'x\0\1\0\0\0' + bomb(8 * BLOCK)),
            (b'eXIf', mutate_bytes(_EXIF, rng)),
            (b'eXIf', _EXIF),
            (b'gAMA', rng.bytes(4)),
            (b'pHYs', rng.bytes(9)),
            (b'acTL', struct.pack('>II', 2, 0)),
            (b'fcTL', rng.bytes(26)),
            (b'fdAT', rng.bytes(40)),
            (b'IEND', b''),
            (b'\0\xff\n[', rng.bytes(8)),
        ),
    )


def _mutate_pixels(chunks: Chunks, rng: Rng) -> None:
    """Change the rows inside the compressed stream."""
    pixels = [chunk for chunk in chunks if chunk[0] == b'IDAT']
    if not pixels:
        return
    try:
        rows = zlib.decompressobj().decompress(b''.join(body for _, body in pixels), BLOCK)
    except zlib.error:
        return
    chunk = pixels[0]
    if rng.random() < 0.1:
        chunk[1] = bomb(64 * BLOCK)
    else:
        chunk[1] = zlib.compress(mutate_bytes(rows, rng))
        if rng.random() < 0.2:
            chunk[1] = mutate_bytes(chunk[1], rng)


# JPEG: segments of marker, length and body up to the scan. A segment is [marker, body] here.

_FRAMES = 0xC0, 0xC2  # precision, height, width, number of components, components
_FRAME_FIELDS = (1, 2), (3, 2), (0, 1), (5, 1)  # the offset and size of the first four


def mutate_jpeg(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a JPEG.

    A segment before the scan is changed, their order, or bytes anywhere.
    """
    if rng.random() < 0.3:
        return mutate_bytes(data, rng, other)
    segments, offset = [], 2
    while offset + 4 <= len(data) and data[offset + 1] != 0xDA:
        size = struct.unpack_from('>H', data, offset + 2)[0]
        segments.append([data[offset + 1], data[offset + 4 : offset + 2 + size]])
        offset += 2 + size
    scan, wrong = data[offset:], None
    for _ in range(pick(rng, (1, 1, 2))):
        index = int(rng.integers(len(segments)))
        action = int(rng.integers(8))
        frames = [segment for segment in segments if segment[0] in _FRAMES]
        if action == 0 and frames:
            frames[0][1] = mutate_bytes(frames[0][1][:6], rng) + frames[0][1][6:]
        elif action == 1 and frames:
            frames[0][1] = _mutate_frame(frames[0][1], rng)
        elif action == 2 and len(segments) > 1:
            del segments[index]
        elif action == 3:
            segments.insert(index, list(segments[int(rng.integers(len(segments)))]))
        elif action == 4:
            segments.insert(index, [*_extra_segment(rng)])
        elif action == 5:
            wrong = index, pick(rng, INTEGERS) % 65536
        elif action == 6:
            scan = mutate_bytes(scan, rng, other)
        else:
            segments[index][1] = mutate_bytes(segments[index][1], rng, other)
    head = []
    for index, (kind, body) in enumerate(segments):
        length = wrong[1] if wrong and index == wrong[0] else (len(body) + 2) % 65536
        head.append(struct.pack('>BBH', 0xFF, kind, length) + body)
    return data[:2] + b''.join(head) + scan


def _mutate_frame(body: bytes, rng: Rng) -> bytes:
    """Set a field of the frame header to an extreme integer."""
    offset, size = pick(rng, _FRAME_FIELDS)
    value = (pick(rng, INTEGERS) % 256**size).to_bytes(size, 'big')
    return body[:offset] + value + body[offset + size :]


def _extra_segment(rng: Rng) -> tuple[int, bytes]:
    """Return (marker, body) of a segment that may stand before the scan."""
    return pick(
        rng,
        (
            (0xE1, b'Exif\0\0' + mutate_bytes(_EXIF, rng)),
            (0xE1, b'Exif\0\0' + _EXIF),
            (0xEE, b'Adobe\0\x64' + rng.bytes(6)),
            (0xE2, b'ICC_PROFILE\0\x01\x01' + rng.bytes(60)),
            (0xED, b'Photoshop 3.0\0' + rng.bytes(40)),
            (0xFE, b'y' * 60000),
            (0xDD, rng.bytes(2)),
            (0xE2, b'MPF\0' + rng.bytes(40)),
        ),
    )
