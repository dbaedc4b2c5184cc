"""Damaged files: one or a few changes, drawn by a seeded generator, that a reader must survive.

Random bytes seldom get past a checksum or a compressed stream. So files are taken apart as their
formats are built, changed inside, and put together again with lengths and checksums that fit
(module `formats`); now and then they do not fit.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

Rng = np.random.Generator
Mutator = Callable[[bytes, Rng, bytes], bytes]
_Value = TypeVar('_Value')

_SHORT = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536)
INTEGERS = (*_SHORT, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS = (
    *('-1', '0', '1', '2', '3', '7', '100', '65536', '1000000', '2147483647', '2147483648'),
    *('-2147483648', '4294967296', '9223372036854775808', '1e999', '-1e999', 'nan', 'inf', '-inf'),
    '1e-45',
)
WORDS = (
    *NUMBERS,
    *('0.5', 'true', 'false', 'null', '""', '"', "'", '{', '}', '[', ']', ':', ',', '#', '\\'),
    *('..', '/', '../../etc/passwd', '/dev/null', '\u202e', '\x1b[31m', 'é', '𝟙', '%s%n', '$(id)'),
    *('\ufeff', '\r', '\n', '\t', ' ', 'A' * 300, 'x' * 70_000),
)
SIZES = ('0', '1', '2', '3', '5', '7', '16', '33', '100', '224', '500', '4096')
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 0.5, 1e308, float('nan'), float('inf')),
    *(2**31, 2**63, 2**64, 10**30, '', 'x', 'é', '\0', '\n', '..', '/', 'a' * 5000),
    *([], {}, [None], {'': None}, [[[]]], [-1], 'train', 'NYUD', 'voc'),
)
MAX_REPEATED = 8 << 20  # bytes that the copies of a block may take


def pick(rng: Rng, values: Sequence[_Value]) -> _Value:
    """Return one of `values`, each equally likely."""
    return values[int(rng.integers(len(values)))]


def draw_count(rng: Rng, maximum: int) -> int:
    """Return a whole number from 1 to `maximum`; small ones are likely."""
    return max(1, min(maximum, int(2 ** rng.uniform(0, 7))))


# Bytes. Each function changes a bytearray that is not empty, and returns it or another one;
# `other` is a second file of the same kind.


def flip(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Flip single bits."""
    for _ in range(draw_count(rng, 32)):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return data


def extreme_byte(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Replace bytes by extreme ones."""
    for _ in range(draw_count(rng, 8)):
        data[int(rng.integers(len(data)))] = pick(rng, (0, 1, 127, 128, 254, 255))
    return data


def extreme_integer(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Write an extreme integer of 2, 4 or 8 bytes somewhere."""
    size = pick(rng, (2, 4, 8))
    little = pick(rng, ('little', 'big')) == 'little'
    offset = int(rng.integers(len(data)))
    value = pick(rng, INTEGERS) % 2 ** (8 * size)
    data[offset : offset + size] = value.to_bytes(size, 'little' if little else 'big')
    return data


def delete(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Delete a stretch."""
    offset = int(rng.integers(len(data)))
    del data[offset : offset + draw_count(rng, len(data))]
    return data


def insert(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Insert random bytes."""
    offset = int(rng.integers(len(data) + 1))
    data[offset:offset] = rng.bytes(draw_count(rng, 64))
    return data


def truncate(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Cut the end off."""
    del data[int(rng.integers(len(data))) :]
    return data


def repeat(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Repeat a block many times."""
    offset = int(rng.integers(len(data)))
    block = data[offset : offset + draw_count(rng, len(data))]
    data[offset:offset] = block * min(draw_count(rng, 1000), MAX_REPEATED // len(block))
    return data


def swap(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Exchange two stretches."""
    size = draw_count(rng, max(1, len(data) // 2))
    one, two = (int(rng.integers(max(1, len(data) - size))) for _ in range(2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]
    return data


def splice(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Join the start of one file and the end of another."""
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def constant(data: bytearray, rng: Rng, other: bytearray) -> bytearray:
    """Overwrite a stretch with a single value."""
    offset = int(rng.integers(len(data)))
    size = draw_count(rng, len(data))
    data[offset : offset + size] = bytes([pick(rng, (0, 255, 32, 65))]) * size
    return data


# What stands here twice is twice as likely.
BYTES = (
    *(flip, flip, extreme_byte, extreme_integer, extreme_integer, delete),
    *(insert, truncate, repeat, swap, splice, constant),
)


def mutate_bytes(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of `data`; `other` is another file of its kind."""
    damaged = bytearray(data)
    for _ in range(pick(rng, (1, 1, 1, 2, 4))):
        if not damaged:
            break
        damaged = bytearray(pick(rng, BYTES)(damaged, rng, bytearray(other)))
    return bytes(damaged)


# Text.


def mutate_text(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of a text.

    Tokens are deleted, repeated, exchanged or replaced by extreme ones, or the bytes are damaged.
    """
    if rng.random() < 0.15:
        return mutate_bytes(data, rng, other)
    tokens = re.findall(r'\w+(?:\.\w+)?|[^\w\s]|\s+', data.decode(errors='replace'))
    solid = [index for index, token in enumerate(tokens) if not token.isspace()] or [0]
    for _ in range(pick(rng, (1, 1, 2, 3))):
        if not tokens:
            break
        _change_token(tokens, solid, rng)
    result = ''.join(tokens).encode(errors='replace')
    ending = rng.random()
    if ending < 0.03:
        return result.replace(b'\n', b'\r\n')
    if ending < 0.06:
        return pick(rng, (b'\xef\xbb\xbf', b'\xff\xfe', b'\0', b'\x80\x81', b'\x1a')) + result
    if ending < 0.08:
        return result.decode().encode('utf-16')
    return result


def _change_token(tokens: list[str], solid: list[int], rng: Rng) -> None:
    """Change `tokens` once; `solid` are the indices of those that were no white space."""
    offset = min(pick(rng, solid), len(tokens) - 1)
    size = draw_count(rng, 40)
    action = int(rng.integers(11))
    if action == 0:
        del tokens[offset : offset + size]
    elif action == 1:
        tokens[offset:offset] = tokens[offset : offset + size] * pick(rng, (1, 2, 50))
    elif action == 2:
        tokens.insert(offset, pick(rng, WORDS))
    elif action == 3:
        here, there = tokens[offset], min(pick(rng, solid), len(tokens) - 1)
        tokens[offset], tokens[there] = tokens[there], here
    elif action in (4, 5, 6):  # a number for a number
        numbers = [index for index, token in enumerate(tokens) if token[0].isdigit()] or [offset]
        number = pick(rng, NUMBERS if action == 4 else SIZES)
        tokens[pick(rng, numbers)] = number
    elif action in (7, 8):  # another word of the same file
        words = [index for index, token in enumerate(tokens) if token[0].isalpha()] or [offset]
        word = tokens[pick(rng, words)]
        tokens[pick(rng, words)] = word
    else:
        tokens[offset] = pick(rng, WORDS)


# JSON.


def mutate_json(data: bytes, rng: Rng, other: bytes = b'') -> bytes:
    """Return a damaged copy of JSON: a value, a key or its text."""
    if rng.random() < 0.25:
        return mutate_text(data, rng, other)
    if rng.random() < 0.05:
        depth = pick(rng, (500, 5000, 200_000))
        return pick(rng, (b'[', b'{"a":')) * depth
    lines = data.splitlines(keepends=True)
    if len(lines) > 1 and lines[0].rstrip().endswith(b'}'):  # one object per line
        index = int(rng.integers(len(lines)))
        lines[index] = mutate_json(lines[index], rng, other)
        return b''.join(lines)
    tree = {'': json.loads(data)}
    for _ in range(pick(rng, (1, 1, 2))):
        _change_value(tree, rng)
    return json.dumps(tree['']).encode()


def _change_value(tree: dict[str, Any], rng: Rng) -> None:
    """Change one value or key under `tree`, whose own key stays."""
    entries = list(_entries(tree))
    holder, key = pick(rng, entries)
    action = int(rng.integers(5))
    if action == 0 and holder is not tree:
        del holder[key]
    elif action == 1 and isinstance(holder, dict) and holder is not tree:
        value = pick(rng, VALUES)
        holder[pick(rng, ('x', '', 'settings', 'limit', 'seed'))] = value
    elif action == 2:
        holder[key] = pick(rng, entries)[0]
        try:
            json.dumps(tree)
        except (ValueError, RecursionError):  # It contains itself now.
            holder[key] = None
    else:
        holder[key] = pick(rng, VALUES)


def _entries(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of every value in a tree of JSON."""
    keys = node if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _entries(node[key])
