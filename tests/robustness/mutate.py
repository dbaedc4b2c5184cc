"""Damaged files: one change or a few, drawn by a seeded generator, that a reader must survive.

Random bytes seldom get past a checksum or a compressed stream. So files are taken apart
as their formats are built, changed inside, and put together again with lengths and
checksums that fit (module `formats`); now and then they do not.
"""

import json
import re

INTEGERS = (
    0,
    1,
    2,
    3,
    7,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
WORDS = (
    '-1',
    '0',
    '1',
    '2',
    '3',
    '7',
    '100',
    '65536',
    '1000000',
    '2147483647',
    '2147483648',
    '-2147483648',
    '4294967296',
    '9223372036854775808',
    '1e999',
    '-1e999',
    'nan',
    'inf',
    '-inf',
    '1e-45',
    '0.5',
    'true',
    'false',
    'null',
    '""',
    '"',
    "'",
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '#',
    '\\',
    '..',
    '/',
    '../../etc/passwd',
    '/dev/null',
    '\u202e',
    '\x1b[31m',
    'é',
    '𝟙',
    '%s%n',
    '$(id)',
    '\ufeff',
    '\r',
    '\n',
    '\t',
    ' ',
    'A' * 300,
    'x' * 70_000,
)
SMALL = ('0', '1', '2', '3', '5', '7', '16', '33', '100', '224', '500', '4096')
VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    0.5,
    1e308,
    float('nan'),
    float('inf'),
    2**31,
    2**63,
    2**64,
    10**30,
    '',
    'x',
    'é',
    '\0',
    '\n',
    '..',
    '/',
    'a' * 5000,
    [],
    {},
    [None],
    {'': None},
    [[[]]],
    [-1],
    'train',
    'NYUD',
    'voc',
)
MAX_SIZE = 8 << 20  # bytes of what repeated blocks make


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def some(rng, most):
    """A whole number from 1 to `most`, small ones likely."""
    return max(1, min(most, int(2 ** rng.uniform(0, 7))))


# Bytes.


def flip(data, rng, other):
    for _ in range(some(rng, 32)):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return data


def extreme_byte(data, rng, other):
    for _ in range(some(rng, 8)):
        data[int(rng.integers(len(data)))] = pick(rng, (0, 1, 127, 128, 254, 255))
    return data


def extreme_integer(data, rng, other):
    size, order = pick(rng, (2, 4, 8)), pick(rng, ('little', 'big'))
    at = int(rng.integers(len(data)))
    data[at : at + size] = (pick(rng, INTEGERS) % 2 ** (8 * size)).to_bytes(size, order)
    return data


def delete(data, rng, other):
    at = int(rng.integers(len(data)))
    del data[at : at + some(rng, len(data))]
    return data


def insert(data, rng, other):
    at = int(rng.integers(len(data) + 1))
    data[at:at] = rng.bytes(some(rng, 64))
    return data


def truncate(data, rng, other):
    del data[int(rng.integers(len(data))) :]
    return data


def repeat(data, rng, other):
    at = int(rng.integers(len(data)))
    block = data[at : at + some(rng, len(data))]
    data[at:at] = block * min(some(rng, 1000), MAX_SIZE // len(block))
    return data


def swap(data, rng, other):
    size = some(rng, max(1, len(data) // 2))
    one, two = (int(rng.integers(max(1, len(data) - size))) for _ in range(2))
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]
    return data


def splice(data, rng, other):
    """The start of one file and the end of another."""
    return data[: int(rng.integers(len(data) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def constant(data, rng, other):
    """A stretch of one byte."""
    at = int(rng.integers(len(data)))
    size = some(rng, len(data))
    data[at : at + size] = bytes([pick(rng, (0, 255, 32, 65))]) * size
    return data


BYTES = (
    flip,
    flip,
    extreme_byte,
    extreme_integer,
    extreme_integer,
    delete,
    insert,
    truncate,
    repeat,
    swap,
    splice,
    constant,
)


def mutate_bytes(data, rng, other=b''):
    """A damaged copy of `data`; `other` is another file of its kind."""
    data = bytearray(data)
    for _ in range(pick(rng, (1, 1, 1, 2, 4))):
        if not data:
            break
        data = bytearray(pick(rng, BYTES)(data, rng, bytearray(other)))
    return bytes(data)


# Text.


def mutate_text(data, rng, other=b''):
    """A damaged copy of a text: tokens deleted, repeated, exchanged or replaced by extremes; or its bytes."""
    if rng.random() < 0.15:
        return mutate_bytes(data, rng, other)
    tokens = re.findall(r'\w+(?:\.\w+)?|[^\w\s]|\s+', data.decode(errors='replace'))
    solid = [index for index, token in enumerate(tokens) if not token.isspace()] or [0]
    for _ in range(pick(rng, (1, 1, 2, 3))):
        if not tokens:
            break
        at = min(pick(rng, solid), len(tokens) - 1)
        size = some(rng, 40)
        action = int(rng.integers(11))
        if action == 0:
            del tokens[at : at + size]
        elif action == 1:
            tokens[at:at] = tokens[at : at + size] * pick(rng, (1, 2, 50))
        elif action == 2:
            tokens.insert(at, pick(rng, WORDS))
        elif action == 3:
            here, there = tokens[at], min(pick(rng, solid), len(tokens) - 1)
            tokens[at], tokens[there] = tokens[there], here
        elif action == 4:  # a number for a number
            numbers = [index for index, token in enumerate(tokens) if token[0].isdigit()] or [at]
            tokens[pick(rng, numbers)] = pick(rng, WORDS[:20])
        elif action in (5, 6):
            numbers = [index for index, token in enumerate(tokens) if token[0].isdigit()] or [at]
            tokens[pick(rng, numbers)] = pick(rng, SMALL)
        elif action in (7, 8):  # a word of the file itself
            words = [index for index, token in enumerate(tokens) if token[0].isalpha()] or [at]
            tokens[pick(rng, words)] = tokens[pick(rng, words)]
        else:
            tokens[at] = pick(rng, WORDS)
    result = ''.join(tokens).encode(errors='replace')
    ending = rng.random()
    if ending < 0.03:
        return result.replace(b'\n', b'\r\n')
    if ending < 0.06:
        return pick(rng, (b'\xef\xbb\xbf', b'\xff\xfe', b'\0', b'\x80\x81', b'\x1a')) + result
    if ending < 0.08:
        return result.decode().encode('utf-16')
    return result


def mutate_json(data, rng, other=b''):
    """A damaged copy of JSON: a value, a key or its text."""
    if rng.random() < 0.25:
        return mutate_text(data, rng, other)
    if rng.random() < 0.05:
        depth = pick(rng, (500, 5000, 200_000))
        return pick(rng, (b'[', b'{"a":')) * depth
    lines = data.splitlines(keepends=True)
    if len(lines) > 1 and lines[0].rstrip().endswith(b'}'):  # an object a line
        at = int(rng.integers(len(lines)))
        lines[at] = mutate_json(lines[at], rng, other)
        return b''.join(lines)
    tree = {'': json.loads(data)}
    for _ in range(pick(rng, (1, 1, 2))):
        places = list(_places(tree))
        holder, key = pick(rng, places)
        action = int(rng.integers(5))
        if action == 0 and holder is not tree:
            del holder[key]
        elif action == 1 and isinstance(holder, dict) and holder is not tree:
            holder[pick(rng, ('x', '', 'settings', 'limit', 'seed'))] = pick(rng, VALUES)
        elif action == 2:
            holder[key] = pick(rng, places)[0]
            try:
                json.dumps(tree)
            except (ValueError, RecursionError):  # It holds itself now.
                holder[key] = None
        else:
            holder[key] = pick(rng, VALUES)
    return json.dumps(tree['']).encode()


def _places(node):
    """(container, key) of every value in a tree of JSON."""
    keys = node if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])
