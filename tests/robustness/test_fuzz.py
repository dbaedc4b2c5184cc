"""A short form of the fuzzer, and a test that it sees what it looks for."""

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.robustness.formats import MUTATORS
from tests.robustness.images import BLOCK, bomb, mutate_png
from tests.robustness.messages import parse_message, write_message


@pytest.fixture(scope='module')
def planted(tmp_path_factory: pytest.TempPathFactory, command: Callable) -> dict[str, list[str]]:
    """What the fuzzer finds wrong with commands that misbehave on purpose."""
    result = command('-m', 'tests.robustness.planted', tmp_path_factory.mktemp('planted'))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ('name', 'finding'),
    [
        ('abort', 'killed by SIGABRT'),
        ('traceback', 'printed Traceback'),
        ('failed check', 'printed F1123'),
        ('warning', 'UserWarning'),
        ('status', 'exit 3'),
        ('interrupt', 'exit 130'),
        ('silence', '0 lines of error'),
        ('two lines', '2 lines of error'),
        ('message', 'printed an error'),
        ('hang', 'still at work'),
        ('output', 'failed and left out.png'),
        ('partial', 'left .x.partial'),
        ('overwritten', 'failed and left there.txt'),
        ('removed', 'failed and took there.txt away'),
        ('temporary', 'temporary files'),
    ],
)
def test_what_is_wrong_is_seen(name: str, finding: str, planted: dict[str, list[str]]) -> None:
    assert any(finding in line for line in planted[name]), planted[name]


def test_memory_is_bounded(planted: dict[str, list[str]]) -> None:
    """A command that reaches the limit says that there is not enough memory, and is not wrong."""
    assert planted['memory'] == []


def test_good_ends_are_not_called_wrong(planted: dict[str, list[str]]) -> None:
    assert planted['good'] == planted['progress'] == planted['lingers'] == planted['children'] == []


def test_damaged_files_end_commands_well(tmp_path: Path, command: Callable) -> None:
    options = ['--count', '60', '--seed', '5', '--out', tmp_path]
    result = command('-m', 'tests.robustness.fuzz', *options)
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / 'fuzz.json').read_text())
    assert {row['kind'] for row in found['rows']} == set(MUTATORS)
    good, refused = (sum(row[status] for row in found['rows']) for status in ('good', 'refused'))
    assert good + refused == 60 and not found['failures']
    assert good > 15 and refused > 15


@pytest.mark.parametrize('kind', [kind for kind in MUTATORS if kind not in ('archive', '.mat')])
def test_damage_depends_on_the_seed_alone(kind: str) -> None:
    whole = {
        'JSON': b'{"a": [1, {"b": null}]}',
        'prototxt': b'layer { name: "a" num_output: 3 }',
        'list': b'a\nb\n',
        'annotations': b'{"a": [1, {"b": null}]}',
        'text': b'0 0.1 0.2\n',
        'PNG image': b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(17),
        'PNG label': b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(17),
        'JPEG': b'\xff\xd8\xff\xe0\0\x04ab\xff\xdb\0\x05abc\xff\xda\0\x02scan',
    }
    layer = [[1, 2, b'conv'], [7, 2, [[5, 2, bytes(range(100))]]]]
    data = whole.get(kind, write_message([[100, 2, layer], [1, 0, 300]]))
    one, two = (
        [MUTATORS[kind](data, np.random.default_rng([seed, index]), data) for index in range(60)]
        for seed in (1, 1)
    )
    assert one == two and sum(damaged != data for damaged in one) > 45


def test_formats_are_put_together_as_they_were() -> None:
    message = [[1, 0, 300], [100, 2, [[1, 2, b'conv'], [2, 5, b'abcd']]]]
    assert parse_message(write_message(message)) == message
    packed = bomb(3 * BLOCK)
    assert zlib.decompress(packed) == bytes(3 * BLOCK) and len(packed) < BLOCK // 100


def test_most_damaged_pngs_get_past_the_checksums() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(stream, 'PNG')
    data, good = stream.getvalue(), 0
    for index in range(200):
        damaged = mutate_png(data, np.random.default_rng(index), data)
        offset, right = 8, True
        while right and offset + 8 <= len(damaged):
            size = int.from_bytes(damaged[offset : offset + 4], 'big')
            body = damaged[offset + 4 : offset + 8 + size]
            checksum = damaged[offset + 8 + size : offset + 12 + size]
            right, offset = zlib.crc32(body).to_bytes(4, 'big') == checksum, offset + 12 + size
        good += right
    assert good > 100
