"""Processes that die, fail or are told to stop: all end within seconds, and a run goes on from its
last snapshot to the same bits."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mpi_launch import environment, launcher, mpiexec
from small_runs import assert_equal_weights, history, weights_of_run
from support import ROOT

from fcn.solvers import Run
from miniature.generate import generate

NET = 'mini-fcn32s'
SECONDS = 20  # that all may take to end on a busy machine
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes') / 'data'
    generate(root, train=8, val=6, objects=40)
    return root


def arguments(scenes, runs, *more):
    """Twelve iterations, validated and snapshotted every few."""
    given = ['--data', scenes, '--runs', runs, '--init-missing', '--base-lr', '1e-7', '--batch', 2]
    every = ['--iterations', 12, '--val-every', 6, '--snapshot-every', 2, '--gpu', -1]
    return [str(value) for value in ('solve.py', NET, *given, *every, *more)]


class Started:
    """A training of two processes under way."""

    def __init__(self, scenes, runs, *more, **environment_):
        self.run = runs / NET
        self.process = subprocess.Popen(
            [*launcher(2), *arguments(scenes, runs, *more)],
            cwd=ROOT,
            env=environment(**environment_),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, path):
        end = time.monotonic() + 120
        while not (self.run / path).exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.01)

    def ranks(self):
        """The processes of the training, by rank."""
        found = {}
        for folder in Path('/proc').iterdir():
            try:
                words = (folder / 'cmdline').read_bytes().split(b'\0')
                given = (folder / 'environ').read_bytes().split(b'\0')
            except OSError:
                continue
            if os.fsencode(str(self.run.parent)) in words and b'solve.py' in words[:3]:
                for entry in given:
                    name, _, value = entry.partition(b'=')
                    if name in (b'PMI_RANK', b'OMPI_COMM_WORLD_RANK'):
                        found[int(value)] = int(folder.name)
        return found

    def ends(self):
        """Wait for the end, and return (exit code, output); nothing of it may be left."""
        began, ranks = time.monotonic(), self.ranks()
        output, _ = self.process.communicate(timeout=SECONDS)
        while any(Path(f'/proc/{pid}').exists() for pid in ranks.values()):
            assert time.monotonic() < began + SECONDS
            time.sleep(0.05)
        return self.process.returncode, output


@pytest.fixture(scope='module')
def reference(scenes, tmp_path_factory):
    """The same run, never interrupted."""
    runs = tmp_path_factory.mktemp('reference')
    result = mpiexec(2, *arguments(scenes, runs))
    assert result.returncode == 0, result.stderr
    return Run(runs / NET)


def assert_goes_on(scenes, runs, reference):
    result = mpiexec(2, *arguments(scenes, runs))
    assert result.returncode == 0, result.stderr
    run = Run(runs / NET)
    assert_equal_weights(weights_of_run(run), weights_of_run(reference))
    assert history(run) == history(reference)


@pytest.mark.parametrize('rank', [0, 1])
def test_a_process_that_is_killed_ends_all(rank, scenes, reference, tmp_path):
    started = Started(scenes, tmp_path)
    started.wait_for('snapshots/iter_00000004')
    time.sleep(0.1)
    os.kill(started.ranks()[rank], signal.SIGKILL)
    code, _ = started.ends()
    assert code != 0
    assert Run(started.run).iteration >= 4
    assert_goes_on(scenes, tmp_path, reference)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_the_launcher_is_killed(number, scenes, reference, tmp_path):
    started = Started(scenes, tmp_path)
    started.wait_for('snapshots/iter_00000004')
    started.process.send_signal(number)
    code, _ = started.ends()
    assert code != 0
    assert_goes_on(scenes, tmp_path, reference)


@pytest.mark.parametrize('rank', [0, 1])
def test_a_signal_to_any_process_stops_all_after_a_snapshot(rank, scenes, reference, tmp_path):
    started = Started(scenes, tmp_path)
    started.wait_for('snapshots/iter_00000004')
    os.kill(started.ranks()[rank], signal.SIGTERM)
    code, output = started.ends()
    assert code == 130, output
    stopped = [r['event'] for r in Run(started.run).log.read() if 'stopped' in r.get('event', '')]
    named = 'SIGTERM to process 1' if rank else 'SIGTERM'
    assert stopped == [f'stopped by {named}']
    assert_goes_on(scenes, tmp_path, reference)


def test_a_signal_ends_a_validation(scenes, tmp_path):
    generate(many := tmp_path / 'many', train=2, val=400, objects=10)
    started = Started(many, tmp_path / 'runs')
    started.wait_for('snapshots/iter_00000006')  # It is validated then, for minutes.
    time.sleep(1)
    os.kill(started.ranks()[1], signal.SIGTERM)
    code, output = started.ends()
    assert code == 130, output
    assert Run(started.run).iteration == 6 and not Run(started.run).validated


def test_a_process_that_does_not_answer_is_given_up(scenes, tmp_path):
    started = Started(scenes, tmp_path, FCN_MPI_PATIENCE='5')
    started.wait_for('snapshots/iter_00000004')
    os.kill(started.ranks()[1], signal.SIGSTOP)
    code, output = started.ends()
    assert code == 2 and 'has not answered for 5 s' in output, output


def test_an_image_that_one_process_cannot_read(scenes, tmp_path):
    shutil.copytree(scenes, data := tmp_path / 'data')
    names = sorted(path.stem for path in (data / 'SegmentationClass').glob('train*'))
    label = data / 'SegmentationClass' / f'{names[-1]}.png'
    label.write_bytes(label.read_bytes()[:-60])
    result = mpiexec(2, *arguments(data, tmp_path / 'runs'))
    assert result.returncode == 2
    assert result.stderr.count('solve.py: ') == 1 and label.name in result.stderr


def test_a_loss_that_is_not_finite(scenes, tmp_path):
    result = mpiexec(2, *arguments(scenes, tmp_path, '--base-lr', '1e9'))
    assert result.returncode == 2
    assert result.stderr.count('solve.py: ') == 1 and 'the loss is' in result.stderr
    assert 'loss is' in Run(tmp_path / NET).log.read()[-1]['event']


def test_another_number_of_processes_goes_on_and_says_so(scenes, reference, tmp_path):
    shutil.copytree(reference.folder, tmp_path / NET)
    for number in (10, 12):
        shutil.rmtree(tmp_path / NET / 'snapshots' / f'iter_{number:08}')
    assert Run(tmp_path / NET).iteration == 8
    result = mpiexec(1, *arguments(scenes, tmp_path))
    assert result.returncode == 0, result.stderr
    assert 'by 2 processes and training goes on with 1' in result.stderr
    ours, theirs = weights_of_run(Run(tmp_path / NET)), weights_of_run(reference)
    for name, blobs in ours.items():
        for one, other in zip(blobs, theirs[name], strict=True):
            assert abs(one - other).max() <= 1e-5 * abs(other).max() + 1e-12


def test_the_launcher_of_another_mpi_is_named(scenes, tmp_path):
    result = subprocess.run(
        [*launcher(1)[-1:], *arguments(scenes, tmp_path)],
        cwd=ROOT,
        env=environment(OMPI_COMM_WORLD_SIZE='2', OMPI_COMM_WORLD_RANK='0'),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 2 and 'another MPI' in result.stderr
