"""A short form of the fuzzer, and that it sees what it looks for."""

import json
import zlib

import numpy as np
import pytest

from tests.robustness.formats import BLOCK, MUTATORS, bomb, mutate_png
from tests.robustness.messages import parse_message, write_message

# Commands that misbehave, each in its own way, and one that fails as it should; run in forks of a process of its own,
# since pytest's has threads.
PLANTED = """
import json, os, sys, tempfile, time, warnings
from pathlib import Path
from errors import FCNError
from tests.robustness import server
from tests.robustness.cases import Recipe

def mend():
    raise FCNError('the file, the value, the mend')

def leave(name):
    Path(name).write_text('half')
    mend()

def write(words, status=0):
    sys.stderr.write(words)
    return status

def linger():
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    mend()

PLANTS = {
    'abort': os.abort, 'traceback': lambda: {}[0], 'failed check': lambda: write('F1123 01:02:03.4 5 x.cpp:6] Check f'),
    'warning': lambda: warnings.warn('odd'), 'status': lambda: 3, 'interrupt': lambda: 130, 'silence': lambda: 2,
    'two lines': lambda: write('x.py: one\\nx.py: two\\n', 2), 'words': lambda: write('oh\\n'),
    'hang': lambda: time.sleep(60), 'memory': lambda: bytearray(2 * server.MEMORY), 'output': lambda: leave('out.png'),
    'partial': lambda: Path('.x.partial').touch(), 'overwritten': lambda: leave('there.txt'),
    'removed': lambda: (Path('there.txt').unlink(), mend()), 'temporary': lambda: tempfile.mkstemp() and 0,
    'good': mend, 'bar': lambda: write('\\rx:  50%|##  | 1/2 [00:00<00:00, 9.1it/s]\\n'), 'lingers': linger}
server.become_subreaper()
found = {}
for name, plant in PLANTS.items():
    folder = Path(sys.argv[1], name, 'case')
    folder.mkdir(parents=True)
    Path(folder, 'there.txt').write_text('whole')
    outcome = server.run_case(Recipe('', '', plant, 'x.py', '', ''), folder, seconds=2)
    found[name] = outcome.wrong
found['children'] = Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
print(json.dumps(found))
"""


@pytest.fixture(scope='module')
def planted(tmp_path_factory, command):
    result = command('-c', PLANTED, tmp_path_factory.mktemp('planted'))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('abort', 'killed by SIGABRT'),
        ('traceback', 'printed Traceback'),
        ('failed check', 'printed F1123'),
        ('warning', 'UserWarning'),
        ('status', 'exit 3'),
        ('interrupt', 'exit 130'),
        ('silence', '0 lines of error'),
        ('two lines', '2 lines of error'),
        ('words', 'wrote of an error'),
        ('hang', 'still at work'),
        ('output', 'failed and left out.png'),
        ('partial', 'left .x.partial'),
        ('overwritten', 'failed and left there.txt'),
        ('removed', 'failed and took there.txt away'),
        ('temporary', 'temporary files'),
    ],
)
def test_what_is_wrong_is_seen(name, words, planted):
    assert any(words in line for line in planted[name]), planted[name]


def test_memory_is_bounded(planted):
    """A command says that there is not enough; that the limit was reached is what is looked at here."""
    assert planted['memory'] == []


def test_what_is_right_is_not_held_against_a_command(planted):
    assert planted['good'] == planted['bar'] == planted['lingers'] == planted['children'] == []


def test_damaged_files_end_commands_well(tmp_path, command):
    result = command(
        '-m', 'tests.robustness.fuzz', '--count', '150', '--seed', '5', '--out', tmp_path
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / 'fuzz.json').read_text())
    assert {row['kind'] for row in found['rows']} == set(MUTATORS)
    assert (
        sum(row['good'] + row['refused'] for row in found['rows']) == 150 and not found['failures']
    )
    assert (
        sum(row['good'] for row in found['rows']) > 40
        and sum(row['refused'] for row in found['rows']) > 40
    )


@pytest.mark.parametrize('kind', [kind for kind in MUTATORS if kind not in ('archive', '.mat')])
def test_damage_depends_on_the_seed_alone(kind):
    whole = {
        'JSON': b'{"a": [1, {"b": null}]}',
        'prototxt': b'layer { name: "a" num_output: 3 }',
        'list': b'a\nb\n',
    }
    layer = [[1, 2, b'conv'], [7, 2, [[5, 2, bytes(range(100))]]]]
    data = whole.get(kind, write_message([[100, 2, layer], [1, 0, 300]]))
    if kind.startswith('PNG'):
        data = b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(17)
    if kind == 'JPEG':
        data = b'\xff\xd8\xff\xe0\0\x04ab\xff\xdb\0\x05abc\xff\xda\0\x02scan'
    one, two = (
        [MUTATORS[kind](data, np.random.default_rng([seed, index]), data) for index in range(60)]
        for seed in (1, 1)
    )
    assert one == two and sum(damaged != data for damaged in one) > 45


def test_formats_are_put_together_as_they_were():
    message = [[1, 0, 300], [100, 2, [[1, 2, b'conv'], [2, 5, b'abcd']]]]
    assert parse_message(write_message(message)) == message
    assert (
        zlib.decompress(bomb(3 * BLOCK)) == bytes(3 * BLOCK) and len(bomb(3 * BLOCK)) < BLOCK // 100
    )


def test_most_damaged_pngs_get_past_the_checksums(tmp_path):
    from PIL import Image

    Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(tmp_path / 'a.png')
    data, good = (tmp_path / 'a.png').read_bytes(), 0
    for index in range(200):
        damaged, at, right = mutate_png(data, np.random.default_rng(index), data), 8, True
        while right and at + 8 <= len(damaged):
            size = int.from_bytes(damaged[at : at + 4], 'big')
            body, sum_ = damaged[at + 4 : at + 8 + size], damaged[at + 8 + size : at + 12 + size]
            right, at = zlib.crc32(body).to_bytes(4, 'big') == sum_, at + 12 + size
        good += right
    assert good > 100
