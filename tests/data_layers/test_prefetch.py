"""Examples that another process reads ahead, and the memory that they are handed over in."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import make_voc

from fcn import child
from fcn.data_layers import VOC
from fcn.data_layers.layers import parse
from fcn.data_layers.prefetch import Prefetcher, batches
from fcn.errors import DataError

COUNT = 9  # one more than an epoch
Start = Callable[[], Prefetcher]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images that grow from one to the next, and two small ones."""
    make_voc(tmp_path, [f'{i:02}' for i in range(6)], size=(40, 300))
    return make_voc(tmp_path, [f'{i:02}' for i in range(8)], size=(20, 90))


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """A function that starts to read; what it started is ended."""
    started = []

    def run() -> Prefetcher:
        spec = spec_of(root)
        started.append(Prefetcher(spec))
        return started[-1]

    yield run
    for reader in started:
        reader.close()


def spec_of(root: Path) -> dict[str, Any]:
    return parse(f'{{"dataset": "VOC", "root": "{root}", "split": "train"}}', shuffle=False) | {
        'tops': ['data', 'label'],
        'mirror': True,
    }


def expected(root: Path) -> list[list[np.ndarray]]:
    """What is to be read, read here."""
    examples = batches(VOC(root, 'train'), 1337, False, 0, 1, mirror=True)
    return [list(next(examples)) for _ in range(COUNT)]


def assert_read(reader: Prefetcher, truth: list[list[np.ndarray]]) -> None:
    for example in truth:
        arrays = next(reader)
        for one, other in zip(arrays, example, strict=True):
            assert one.dtype == np.float32 and np.array_equal(one, other)


def refuse(*_: Any) -> None:
    raise OSError('not here')


@pytest.mark.parametrize('starter', [None, child._start_interpreter], ids=['fork', 'interpreter'])
def test_what_is_handed_over_is_what_is_read(
    starter: Any, start: Start, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if starter:
        monkeypatch.setattr(child, 'starter', starter)
    reader = start()
    assert_read(reader, expected(root))
    assert reader._slot and reader._slot._memory, 'by the pipe'


@pytest.mark.parametrize('missing', ['memfd_create', 'posix_fallocate'])
def test_without_memory_that_can_be_shared_it_goes_by_the_pipe(
    missing: str, start: Start, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second fails in the process that reads, a fork: the memory is not there when it is
    needed."""
    monkeypatch.setattr(os, missing, refuse)
    reader = start()
    assert_read(reader, expected(root))
    assert not reader._slot or not reader._slot._memory


def test_an_example_stays_until_it_is_released(start: Start, root: Path) -> None:
    truth, reader = expected(root), start()
    first = next(reader)
    time.sleep(0.3)  # The second is ready long since.
    for one, other in zip(first, truth[0], strict=True):
        assert np.array_equal(one, other)
    reader.release()
    reader.release()  # Twice is once.
    assert_read(reader, truth[1:])


def test_what_was_read_outlives_the_reader(start: Start, root: Path) -> None:
    reader = start()
    arrays = next(reader)
    reader.close()
    for one, other in zip(arrays, expected(root)[0], strict=True):
        assert np.array_equal(one, other)


def test_nothing_is_left_when_readers_end(root: Path) -> None:
    """No file descriptor here, no child, and no name in /dev/shm at any time."""
    named, handles = os.listdir('/dev/shm'), os.listdir('/proc/self/fd')
    for _ in range(3):
        reader = Prefetcher(spec_of(root))
        next(reader)
        assert os.listdir('/dev/shm') == named
        reader.close()
    assert len(os.listdir('/proc/self/fd')) == len(handles)


def test_a_reader_that_is_killed_while_it_waits(start: Start) -> None:
    reader = start()
    next(reader)
    time.sleep(0.1)
    os.kill(reader._child.pid, signal.SIGKILL)
    with pytest.raises(DataError, match='ended'):
        next(reader)


def test_many_readers_end_with_their_parent(root: Path, command: Callable[..., Any]) -> None:
    """Each has the pipes of those before it where it is a fork. Killed outright, the parent can
    close none."""
    script = (
        'import json, os, signal, sys\n'
        'from fcn.data_layers.prefetch import Prefetcher\n'
        'readers = [Prefetcher(json.loads(sys.argv[1])) for _ in range(3)]\n'
        'for reader in readers: next(reader)\n'
        'print(*[reader._child.pid for reader in readers], flush=True)\n'
        'os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    result = command('-c', script, json.dumps(spec_of(root)))
    assert result.returncode == -signal.SIGKILL, result.stderr
    pids = [int(pid) for pid in result.stdout.split()]
    deadline = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pids) == 3 and not any(map(alive, pids))


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
