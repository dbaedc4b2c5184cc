"""Damaged protobuf messages: caffemodels and solver states, parsed without their schema."""

import struct
from collections.abc import Iterator
from typing import Any

from fcn.surgery.caffemodel import read_varint, varint

from .mutate import INTEGERS, Rng, mutate_bytes, pick

MAX_FIELDS = 50  # of a message within another one: what has more is weights that happen to parse

# A field is [number, wire type, value]. The value is a number, bytes, or a list of fields if the
# bytes parse as a message.
Field = list[Any]


def parse_message(data: bytes, depth: int = 0) -> list[Field] | None:
    """Return the fields of a message, or None if `data` is not a message."""
    fields: list[Field] = []
    offset = 0
    try:
        while offset < len(data):
            key, offset = read_varint(data, offset)
            number, kind = key >> 3, key & 7
            value: Any
            if kind == 0:
                value, offset = read_varint(data, offset)
            else:
                size, offset = (
                    read_varint(data, offset) if kind == 2 else ({1: 8, 5: 4}[kind], offset)
                )
                value, offset = data[offset : offset + size], offset + size
                if offset > len(data) or not number:
                    return None
                if kind == 2 and depth < 6 and len(value) >= 2:
                    value = parse_message(value, depth + 1) or value
            fields.append([number, kind, value])
            if depth and len(fields) > MAX_FIELDS:
                return None
    except (IndexError, KeyError, ValueError):
        return None
    return fields


def write_message(fields: list[Field], wrong: tuple[Field, int] | None = None) -> bytes:
    """Return the bytes of the fields; `wrong` is a field and the wrong length to write for it."""
    parts = []
    for field in fields:
        number, kind, value = field
        parts.append(varint(number << 3 | kind))
        if kind == 0:
            parts.append(varint(value) if isinstance(value, int) else bytes(value))
        elif kind == 2:
            value = write_message(value, wrong) if isinstance(value, list) else value
            length = len(value) if wrong is None or field is not wrong[0] else wrong[1]
            parts += [varint(length), value]
        else:
            parts.append(value)
    return b''.join(parts)


def mutate_message(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a protobuf message.

    A field's value, length, type, number or position is changed, or the message's bytes are.
    """
    fields = parse_message(data) if rng.random() < 0.8 else None
    if not fields:
        return mutate_bytes(data, rng, other)
    wrong = None
    for _ in range(pick(rng, (1, 1, 2))):
        holder, index = pick(rng, list(_fields(fields)))
        field = holder[index]
        action = int(rng.integers(9))
        if action == 0:
            del holder[index]
        elif action == 1:
            holder[index:index] = [field] * pick(rng, (1, 2, 100 if _is_small(field) else 1))
        elif action == 2:
            field[0] = pick(rng, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 2**29 - 1))
        elif action == 3:
            wrong = field, pick(rng, INTEGERS)
        elif action == 4:
            number, kind, value = pick(rng, fields)
            value = write_message(value) if isinstance(value, list) else value
            holder.append([number, kind, value])
        elif action == 5 and field[1] == 2:
            field[2] = _nested(field[0], pick(rng, (20, 200, 2000)))
        else:
            _change(field, rng, other)
    return write_message(fields, wrong)


def _nested(number: int, depth: int) -> bytes:
    """Return a message within a message within …, all in fields of the same number."""
    key, body = varint(number << 3 | 2), b''
    for _ in range(depth):
        body = key + varint(len(body)) + body
    return body


def _is_small(field: Field) -> bool:
    return len(write_message([field])) < 1000


def _fields(fields: list[Field]) -> Iterator[tuple[list[Field], int]]:
    """Yield (list, index) of every field of a tree."""
    for index, (_, _, value) in enumerate(fields):
        yield fields, index
        if isinstance(value, list):
            yield from _fields(value)


def _change(field: Field, rng: Rng, other: bytes) -> None:
    """Give a field another value."""
    _, kind, value = field
    if kind == 0:
        field[2] = pick(rng, (*INTEGERS, value + 1, max(0, value - 1)))
    elif isinstance(value, list):
        field[2] = mutate_bytes(write_message(value), rng, other)
    elif kind == 2 and len(value) >= 64 and rng.random() < 0.5:  # weights
        number = struct.pack('<f', pick(rng, (float('nan'), float('inf'), -3e38, 1e-45, 1e20)))
        offset = 4 * int(rng.integers(len(value) // 4))
        field[2] = value[:offset] + number + value[offset + 4 :]
    else:
        field[2] = mutate_bytes(value, rng, other)
