"""Damaged messages of protobuf, as caffemodels and solver states are: taken apart without knowing their fields."""

import struct

from fcn.surgery.caffemodel import read_varint, varint

from .mutate import INTEGERS, mutate_bytes, pick

MOST_FIELDS = 50  # of a message within others: what has more is weights that happen to parse


def parse_message(data, depth=0):
    """[[field number, wire type, value]] of a message, values being numbers, bytes, or lists if they parse as
    messages themselves; None if it is none."""
    fields, at = [], 0
    try:
        while at < len(data):
            key, at = read_varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == 0:
                value, at = read_varint(data, at)
            else:
                size, at = read_varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
                value, at = data[at : at + size], at + size
                if at > len(data) or not number:
                    return None
                if (
                    kind == 2
                    and depth < 6
                    and len(value) >= 2
                    and (inner := parse_message(value, depth + 1))
                ):
                    value = inner
            fields.append([number, kind, value])
            if depth and len(fields) > MOST_FIELDS:
                return None
    except (IndexError, KeyError, ValueError):
        return None
    return fields


def write_message(fields, wrong=None):
    """The bytes of what `parse_message` gave; the length of the field that is `wrong` is not its own."""
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


def mutate_message(data, rng, other=b''):
    """A damaged copy of a protobuf message: a field's value, length, type, number or place; or its bytes."""
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
            holder[index:index] = [field] * pick(rng, (1, 2, 100 if _small(field) else 1))
        elif action == 2:
            field[0] = pick(rng, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100, 2**29 - 1))
        elif action == 3:
            wrong = field, pick(rng, INTEGERS)
        elif action == 4:
            other_number, kind, value = pick(rng, fields)
            holder.append(
                [other_number, kind, write_message(value) if isinstance(value, list) else value]
            )
        elif action == 5 and field[1] == 2:  # a message within a message within …
            inner = varint(field[0] << 3 | 2)
            body = b''
            for _ in range(pick(rng, (20, 200, 2000))):
                body = inner + varint(len(body)) + body
            field[2] = body
        else:
            _change(field, rng, other)
    return write_message(fields, wrong)


def _small(field):
    return len(write_message([field])) < 1000


def _fields(fields):
    """(list, index) of every field of a tree."""
    for index, (_, _, value) in enumerate(fields):
        yield fields, index
        if isinstance(value, list):
            yield from _fields(value)


def _change(field, rng, other):
    """Another value for a field."""
    _, kind, value = field
    if kind == 0:
        field[2] = pick(rng, (*INTEGERS, value + 1, max(0, value - 1)))
    elif isinstance(value, list):
        field[2] = mutate_bytes(write_message(value), rng, other)
    elif kind == 2 and len(value) >= 64 and rng.random() < 0.5:  # weights
        floats = struct.pack('<f', pick(rng, (float('nan'), float('inf'), -3e38, 1e-45, 1e20)))
        at = 4 * int(rng.integers(len(value) // 4))
        field[2] = value[:at] + floats + value[at + 4 :]
    else:
        field[2] = mutate_bytes(value, rng, other)
