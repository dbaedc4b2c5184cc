"""Mutators of images, MATLAB files and archives, which reach what lies behind checksums and compression."""

import functools
import gzip
import io
import struct
import zlib

from .messages import mutate_message
from .mutate import INTEGERS, mutate_bytes, mutate_json, mutate_text, pick

_PNG = b'\x89PNG\r\n\x1a\n'
_EXIF = b'MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'  # turn by 90°
BLOCK = 1 << 20


@functools.cache
def bomb(size):
    """A zlib stream of `size` zeros, whole MiB, made without making them."""
    packer = zlib.compressobj(9)
    start = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    blocks = size // BLOCK
    # The checksum of n zeros is 1 in its low half and n in its high one, modulo 65521.
    end = b'\x03\0' + struct.pack('>I', (blocks * BLOCK % 65521) << 16 | 1)
    return start + block * (blocks - 1) + end


# PNG: chunks of length, kind, body, checksum.


def _png_chunks(data):
    chunks, at = [], len(_PNG)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        chunks.append([kind, data[at + 8 : at + 8 + size]])
        at += 12 + size
    return chunks


def _png(chunks, wrong=None):
    parts = [_PNG]
    for index, (kind, body) in enumerate(chunks):
        length = wrong[1] if wrong and index == wrong[0] else len(body)
        parts.append(
            struct.pack('>I', length) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
        )
    return b''.join(parts)


def mutate_png(data, rng, other=b''):
    """A damaged copy of a PNG: its header, palette, pixels, or the order and kinds of its chunks."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng, other)
    chunks, wrong = _png_chunks(data), None
    for _ in range(pick(rng, (1, 1, 2))):
        index = int(rng.integers(len(chunks)))
        action = int(rng.integers(9))
        if action == 0:
            chunks[0][1] = _png_header(chunks[0][1], rng)
        elif action == 1 and len(chunks) > 1:
            del chunks[index]
        elif action == 2:
            chunks.insert(int(rng.integers(len(chunks) + 1)), list(chunks[index]))
        elif action == 3:
            there = int(rng.integers(len(chunks)))
            chunks[index], chunks[there] = chunks[there], chunks[index]
        elif action == 4:
            chunks.insert(int(rng.integers(1, len(chunks) + 1)), [*_png_extra(rng)])
        elif action == 5:
            wrong = index, pick(rng, INTEGERS) % 2**32
        elif action == 6:
            chunks[index][1] = mutate_bytes(chunks[index][1], rng, other)
        else:
            _png_pixels(chunks, rng)
    return _png(chunks, wrong)


def _png_header(body, rng):
    fields = list(struct.unpack('>IIBBBBB', body.ljust(13, b'\0')[:13]))
    at = int(rng.integers(7))
    fields[at] = (
        pick(rng, INTEGERS)
        if at < 2 and rng.random() < 0.5
        else int(rng.integers(1, 200))
        if at < 2
        else pick(rng, (0, 1, 2, 3, 4, 6, 7, 8, 16, 255))
    ) % (2**32 if at < 2 else 256)
    return struct.pack('>IIBBBBB', *fields)


def _png_extra(rng):
    """A chunk that may stand beside the pixels, of (kind, body)."""
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


def _png_pixels(chunks, rng):
    """Change the rows inside the compressed stream."""
    places = [chunk for chunk in chunks if chunk[0] == b'IDAT']
    if not places:
        return
    try:
        rows = zlib.decompressobj().decompress(b''.join(body for _, body in places), BLOCK)
    except zlib.error:
        return
    chunk = places[0]
    if rng.random() < 0.1:
        chunk[1] = bomb(64 * BLOCK)
    else:
        chunk[1] = zlib.compress(mutate_bytes(rows, rng))
        if rng.random() < 0.2:
            chunk[1] = mutate_bytes(chunk[1], rng)


# JPEG: segments of marker, length and body up to the scan.


def mutate_jpeg(data, rng, other=b''):
    """A damaged copy of a JPEG: a segment before the scan, their order, or bytes anywhere."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng, other)
    segments, at = [], 2
    while at + 4 <= len(data) and data[at + 1] != 0xDA:
        size = struct.unpack_from('>H', data, at + 2)[0]
        segments.append([data[at + 1], data[at + 4 : at + 2 + size]])
        at += 2 + size
    scan, wrong = data[at:], None
    for _ in range(pick(rng, (1, 1, 2))):
        index = int(rng.integers(len(segments)))
        action = int(rng.integers(8))
        frame = [segment for segment in segments if segment[0] in (0xC0, 0xC2)]
        if action == 0 and frame:  # precision, height, width, components
            frame[0][1] = mutate_bytes(frame[0][1][:6], rng) + frame[0][1][6:]
        elif action == 1 and frame:
            at, size = pick(rng, ((1, 2), (3, 2), (0, 1), (5, 1))), frame[0][1]
            value = (pick(rng, INTEGERS) % 256 ** at[1]).to_bytes(at[1], 'big')
            frame[0][1] = size[: at[0]] + value + size[at[0] + at[1] :]
        elif action == 2 and len(segments) > 1:
            del segments[index]
        elif action == 3:
            segments.insert(index, list(segments[int(rng.integers(len(segments)))]))
        elif action == 4:
            segments.insert(
                index,
                [
                    *pick(
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
                ],
            )
        elif action == 5:
            wrong = index, pick(rng, INTEGERS) % 65536
        elif action == 6:
            scan = mutate_bytes(scan, rng, other)
        else:
            segments[index][1] = mutate_bytes(segments[index][1], rng, other)
    head = [
        struct.pack(
            '>BBH', 0xFF, kind, wrong[1] if wrong and index == wrong[0] else (len(body) + 2) % 65536
        )
        + body
        for index, (kind, body) in enumerate(segments)
    ]
    return data[:2] + b''.join(head) + scan


# MATLAB 5: a header of 128 bytes, then elements of type, size and body, which may be compressed.


def mutate_mat(data, rng, other=b''):
    """A damaged copy of a MATLAB file: the tags and the body of an element, inside its compression."""
    if rng.random() < 0.2 or len(data) < 136:
        return mutate_bytes(data, rng, other)
    if rng.random() < 0.1:
        return mutate_bytes(data[:128], rng)[:128].ljust(128, b'\0') + data[128:]
    kind, size = struct.unpack_from('<II', data, 128)
    body, rest = data[136 : 136 + size], data[136 + size :]
    packed = kind == 15
    inner = zlib.decompress(body) if packed else data[128 : 136 + size]
    if rng.random() < 0.08:  # zeros without end under a header that promises them
        side = pick(rng, (4096, 16384, 30000))
        head = _matrix_head(b'S', side, side, 6, side * side * 8)
        return data[:128] + _element(15, _bomb_after(head, -(-side * side * 8 // BLOCK) * BLOCK))
    for _ in range(pick(rng, (1, 1, 2))):
        at = 4 * int(rng.integers(min(len(inner) // 4, 40) or 1))  # tags lie near the start
        value = pick(rng, (*INTEGERS, 5, 6, 8, 9, 12, 13, 14, 15, 17, 18)) % 2**32
        place = rng.random()
        inner = (
            inner[:at] + struct.pack('<I', value) + inner[at + 4 :]
            if place < 0.6
            else mutate_bytes(inner[:200], rng) + inner[200:]
            if place < 0.8
            else mutate_bytes(inner, rng, other)
        )
    if not packed:
        return data[:128] + inner + rest
    body = zlib.compress(inner)
    return data[:128] + _element(15, mutate_bytes(body, rng) if rng.random() < 0.1 else body) + rest


def _element(kind, body):
    return struct.pack('<II', kind, len(body)) + body


def _matrix_head(name, height, width, kind, size):
    """A matrix's element up to its numbers, of class `kind` and `size` bytes."""
    inside = (
        _element(6, struct.pack('<II', kind, 0))
        + _element(5, struct.pack('<ii', height, width))
        + _element(1, name.ljust(8, b'\0'))
        + struct.pack('<II', 9, size % 2**32)
    )
    return struct.pack('<II', 14, (len(inside) + size) % 2**32) + inside


def _bomb_after(head, size):
    """A zlib stream of `head` and `size` zeros, without a right checksum."""
    packer = zlib.compressobj(9)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + bomb(size)[2:]


# Archives: tar in gzip, whose headers of 512 bytes hold a sum of their own bytes.


def mutate_archive(data, rng, other=b''):
    """A damaged copy of a tar.gz: a member's header with its checksum mended, or the tar's or the gzip's bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(data, rng, other)
    tar = bytearray(gzip.decompress(data))
    if rng.random() < 0.4:
        tar = bytearray(mutate_bytes(bytes(tar), rng))
    else:
        headers = [at for at in range(0, len(tar), 512) if tar[at + 257 : at + 262] == b'ustar']
        at = pick(rng, headers)
        start, end = pick(
            rng, ((0, 100), (100, 108), (124, 136), (124, 136), (156, 157), (157, 257), (345, 500))
        )
        value = {
            (124, 136): pick(
                rng,
                (
                    b'77777777777\0',
                    b'00000000000\0',
                    b'-1',
                    b'\x80' + b'\xff' * 11,
                    b'abc',
                    b'\xff' * 12,
                ),
            ),
            (156, 157): pick(
                rng, (b'0', b'1', b'2', b'3', b'5', b'6', b'7', b'g', b'x', b'L', b'K', b'S', b'\0')
            ),
        }.get((start, end)) or pick(
            rng,
            (
                b'../../x.txt',
                b'/etc/train.txt',
                b'a/../train.txt',
                b'',
                b'\xff\xfe',
                b'x' * 100,
                b'train.txt',
                b'cls/../../x.mat',
            ),
        )
        tar[at + start : at + end] = value.ljust(end - start, b'\0')[: end - start]
        tar[at + 148 : at + 156] = b' ' * 8
        tar[at + 148 : at + 156] = b'%06o\0 ' % sum(tar[at : at + 512])
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode='wb', compresslevel=1, mtime=0) as file:
        file.write(tar)
    return packed.getvalue()


MUTATORS = {
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
}
