"""Short forms of the proofs that no run is lost: kills and a failing disk."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn.solvers import Run
from fcn.surgery import write_weights
from tests.robustness import faults, kills
from tests.robustness.setting import Setting


@pytest.fixture(scope='module')
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    nets = ['mini-vgg', 'mini-fcn32s']
    return Setting(tmp_path_factory.mktemp('setting'), nets=nets, iterations=12)


@pytest.mark.parametrize(('name', 'after'), [('mini-vgg', 0.3), ('mini-fcn32s', 0.1)])
def test_a_killed_and_resumed_run_ends_as_one_never_killed(
    setting: Setting, tmp_path: Path, name: str, after: float
) -> None:
    kills.kill_once(setting, name, tmp_path, after)
    process = setting.solve(name, tmp_path)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert setting.differences(name, tmp_path) == []


def test_the_comparison_sees_a_difference(setting: Setting, tmp_path: Path) -> None:
    """A proof must be able to fail."""
    run = tmp_path / 'mini-fcn32s'
    shutil.copytree(setting.reference / 'mini-fcn32s', run)
    assert setting.differences('mini-fcn32s', tmp_path) == []
    lines = (run / 'log.jsonl').read_text().splitlines()
    number = max(index for index, line in enumerate(lines) if 'validation_loss' in line)
    validated = json.loads(lines[number])
    validated['validation_loss'] += 1e-9
    lines[number] = json.dumps(validated)
    (run / 'log.jsonl').write_text('\n'.join(lines) + '\n')
    weights = run / 'snapshots' / 'iter_00000012' / 'train_iter_12.caffemodel'
    write_weights(weights, [('conv1_1', 'Convolution', [np.ones((16, 3, 3, 3)), np.ones(16)])])
    assert setting.differences('mini-fcn32s', tmp_path) == ["iter_00000012's weights", 'the log']


@pytest.fixture(scope='module')
def disk(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> tuple[faults.Disk, int]:
    """A disk that can fail, and how often a run uses it."""
    if not shutil.which('cc'):
        pytest.skip('needs a C compiler, for the library that lets the disk fail')
    disk = faults.Disk(tmp_path_factory.mktemp('disk'))
    return disk, faults.count_uses(setting, disk)


@pytest.mark.parametrize(
    ('error', 'share'),
    [('ENOSPC', 0.5), pytest.param('EIO', 0.7, marks=pytest.mark.slow), ('EACCES', 0.05)],
)
def test_a_failing_disk_ends_a_run_clearly(
    setting: Setting, disk: tuple[faults.Disk, int], tmp_path: Path, error: str, share: float
) -> None:
    fails, uses = disk
    assert uses > 100
    runs = tmp_path / 'runs'
    noticed, wrong = faults.fail_once(setting, fails, runs, int(uses * share), error)
    assert noticed and not wrong


@pytest.fixture
def hangup() -> Iterator[None]:
    """The signal of a closed terminal has its default effect, as it has not below nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures('hangup')
def test_a_closed_terminal_leaves_a_snapshot(setting: Setting, tmp_path: Path) -> None:
    """Nothing can be printed to it any more."""
    try:
        ours, terminal = pty.openpty()
    except OSError as error:
        pytest.skip(f'needs a terminal: {error}')
    command = setting.command('mini-fcn32s', tmp_path, iterations=100_000)
    with subprocess.Popen(
        command,
        cwd=setting.folder,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        os.close(terminal)
        wait_for_training(process, tmp_path)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        process.wait(timeout=30)
    assert process.returncode == 130
    assert Run(tmp_path / 'mini-fcn32s').iteration > 0


def test_a_signal_to_the_whole_group_is_for_the_parent(setting: Setting, tmp_path: Path) -> None:
    """systemd sends it so: the processes that read data get it before the one that trains."""
    process = setting.solve('mini-fcn32s', tmp_path, iterations=100_000)
    wait_for_training(process, tmp_path)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    for pid in [*map(int, children), process.pid]:
        os.kill(pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert children and process.returncode == 130, output
    assert Run(tmp_path / 'mini-fcn32s').iteration > 0


def wait_for_training(process: subprocess.Popen[Any], runs: Path) -> None:
    """Return when a run has written to its log, or has ended."""
    while not (runs / 'mini-fcn32s' / 'log.jsonl').exists() and process.poll() is None:
        time.sleep(0.01)
