"""Training in real Caffe: solver files, the loop, snapshots, going on, and what stops it."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from small_runs import assert_equal_weights, trainer, weights_of_run
from support import ROOT

from fcn import engine
from fcn.errors import DivergedError, FCNError, RunError
from fcn.prototxts import write_prototxts
from fcn.solvers import Run, solver_prototxt, starting_weights, validation
from fcn.surgery import read_weights, write_weights


@pytest.mark.parametrize(
    ('name', 'base_lr', 'momentum', 'iter_size', 'max_iter'),
    [
        ('voc-fcn32s', 1e-10, 0.99, 1, 100_000),
        ('voc-fcn16s', 1e-12, 0.99, 1, 100_000),
        ('voc-fcn8s', 1e-14, 0.99, 1, 100_000),
        ('voc-fcn8s-atonce', 1e-10, 0.99, 1, 300_000),
        ('voc-fcn-alexnet', 1e-4, 0.9, 20, 100_000),
        ('pascalcontext-fcn8s', 1e-14, 0.99, 1, 300_000),
        ('nyud-fcn32s-color-d', 1e-10, 0.99, 1, 300_000),
        ('nyud-fcn32s-color-hha', 1e-12, 0.99, 1, 300_000),
        ('siftflow-fcn8s', 1e-12, 0.99, 1, 300_000),
        ('voc-fcn-alexnet-cvpr', 1e-3, 0.9, 20, 100_000),
        ('voc-fcn32s-cvpr', 1e-4, 0.9, 20, 100_000),
        ('voc-fcn-googlenet-cvpr', 5e-5, 0.9, 20, 100_000),
    ],
)
def test_recipes_are_the_papers(
    name: str, base_lr: float, momentum: float, iter_size: int, max_iter: int
) -> None:
    solver = text_format.Parse(solver_prototxt(name), caffe_pb2.SolverParameter())
    assert solver.base_lr == pytest.approx(base_lr) and solver.momentum == pytest.approx(momentum)
    assert (solver.iter_size, solver.max_iter, solver.lr_policy) == (iter_size, max_iter, 'fixed')
    assert solver.weight_decay == pytest.approx(0.0005) and solver.average_loss == 20


def test_plain_caffe_accepts_a_solver_file(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, from the repository's root, with the data where the net looks for it."""
    write_prototxts('mini-fcn32s', tmp_path / 'nets' / 'mini-fcn32s')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'mini').symlink_to(mini)
    (tmp_path / 'runs' / 'mini-fcn32s').mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    solver = caffe.get_solver('nets/mini-fcn32s/solver.prototxt')
    solver.step(1)
    assert solver.iter == 1 and np.isfinite(solver.net.blobs['loss'].data)


def test_a_run_learns_and_leaves_the_files_it_promises(mini: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path, mini, max_iter=40, val_every=20, snapshot_every=10)
    result = run.train([])
    assert result and set(result['label']) == {
        'pixel_accuracy',
        'mean_accuracy',
        'mean_iu',
        'frequency_weighted_iu',
    }
    folder = tmp_path / 'mini-fcn32s'
    assert {file.name for file in folder.iterdir()} == {
        'run.json',
        'train.prototxt',
        'val.prototxt',
        'deploy.prototxt',
        'solver.prototxt',
        'surgery.txt',
        'log.jsonl',
        'snapshots',
    }
    records = [json.loads(line) for line in (folder / 'log.jsonl').read_text().splitlines()]
    losses = [record['smoothed_loss'] for record in records if 'smoothed_loss' in record]
    assert losses[-1] < losses[0]
    assert [record['iteration'] for record in records if 'validation' in record] == [20, 40]
    about = json.loads((folder / 'run.json').read_text())
    assert about['settings']['seed'] == 1337 and '99bd997' in about['versions']['caffe']
    assert [iteration for iteration, _ in run.run.snapshots.all()] == [20, 30, 40]
    assert run.done and 'WARNING' not in (folder / 'surgery.txt').read_text()


def test_a_resumed_run_equals_an_uninterrupted_one(mini: Path, tmp_path: Path) -> None:
    """Two runs, one of them interrupted, end with the same bits."""

    def weights(folder: Path, stops: list[int]) -> dict[str, list[np.ndarray]]:
        for stop in stops:
            run = trainer(folder, mini, max_iter=stop)
            run.train([])
        return weights_of_run(run.run)

    whole, parts = weights(tmp_path / 'whole', [6]), weights(tmp_path / 'parts', [4, 6])
    train = (tmp_path / 'parts' / 'mini-fcn32s' / 'train.prototxt').read_text()
    assert (
        json.loads(
            text_format.Parse(train, caffe_pb2.NetParameter()).layer[0].python_param.param_str
        )['position']
        == 4
    )
    assert_equal_weights(whole, parts)


def test_a_run_that_goes_on_with_other_threads_says_so(
    mini: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = engine.threads()
    try:
        for stop, threads in ((1, 1), (2, 1), (3, 2)):
            caplog.clear()
            engine.set_threads(threads)
            trainer(tmp_path, mini, max_iter=stop).train([])
            told = [record for record in caplog.records if '--threads 1' in record.getMessage()]
            assert len(told) == (threads == 2)
    finally:
        engine.set_threads(before)


def test_a_run_may_be_moved(mini: Path, tmp_path: Path) -> None:
    trainer(tmp_path / 'here', mini, max_iter=2).train([])
    (tmp_path / 'here').rename(tmp_path / 'there')
    run = trainer(tmp_path / 'there', mini, max_iter=4)
    run.train([])
    assert run.run.iteration == 4


def test_a_run_is_not_resumed_with_other_settings(mini: Path, tmp_path: Path) -> None:
    trainer(tmp_path, mini, max_iter=2).train([])
    with pytest.raises(RunError, match='seed 1337, not 7'):
        trainer(tmp_path, mini, max_iter=4, seed=7).train([])


def test_a_second_process_is_refused(mini: Path, tmp_path: Path) -> None:
    with (
        trainer(tmp_path, mini).run.open({}, {}),
        pytest.raises(RunError, match='another process'),
    ):
        trainer(tmp_path, mini).train([])


def test_missing_weights_stop_a_run_before_it_learns_nothing(mini: Path, tmp_path: Path) -> None:
    model = tmp_path / 'x.caffemodel'
    write_weights(model, [('conv1_1', 'Convolution', [np.ones((16, 3, 3, 3)), np.ones(16)])])
    with pytest.raises(FCNError, match=r'conv2_1, .*--init-missing'):
        trainer(tmp_path, mini, init_missing=False).train([(model, '')])


def test_a_loss_that_is_not_finite_stops_with_the_cause(mini: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DivergedError, match=r'the loss is (nan|inf) at iteration \d+.* learning rate'
    ):
        trainer(tmp_path, mini, base_lr=1e6, max_iter=60).train([])


def test_a_signal_during_the_last_validation_ends_it(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, mini, max_iter=2, val_every=2)
    evaluate = validation.evaluate

    def interrupted(*arguments: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return evaluate(*arguments, **options)

    monkeypatch.setattr(validation, 'evaluate', interrupted)
    assert run.train([]) is None
    assert run.run.iteration == 2


def test_the_log_leaves_out_what_was_lost(tmp_path: Path) -> None:
    log = Run(tmp_path).log
    for iteration in (20, 40, 60):
        log.append(iteration=iteration, smoothed_loss=iteration, loss=iteration)
    log.append(iteration=40, event='resumed')
    log.append(iteration=60, smoothed_loss=7, loss=7)
    with (tmp_path / 'log.jsonl').open('a') as file:
        file.write('{"iteration": 80, "lo')
    assert log.learning_curve()['loss'] == [20, 40, 7]


def test_a_half_written_snapshot_is_cleared_away(mini: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path, mini, max_iter=2)
    run.train([])
    partial = run.run.snapshots.folder / '.partial-1'
    partial.mkdir()
    (partial / 'train_iter_4.caffemodel').write_bytes(b'half')
    again = trainer(tmp_path, mini, max_iter=4)
    again.train([])
    assert not partial.exists() and again.run.iteration == 4


def solving(mini: Path, folder: Path, iterations: int) -> list[str]:
    """Return the command that trains mini-fcn32s in `folder` from drawn weights."""
    weights = folder / 'w.caffemodel'
    write_weights(weights, [('conv1_1', 'Convolution', [np.ones((16, 3, 3, 3)), np.ones(16)])])
    arguments = ['--data', mini, '--runs', folder, '--weights', weights, '--init-missing']
    arguments += ['--iterations', iterations, '--val-every', 100_000, '--base-lr', '1e-9']
    return [sys.executable, 'solve.py', 'mini-fcn32s', *map(str, arguments)]


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_makes_a_snapshot_and_ends_the_run(
    number: signal.Signals, mini: Path, tmp_path: Path
) -> None:
    script = solving(mini, tmp_path, 100000)
    with subprocess.Popen(script, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        log = tmp_path / 'mini-fcn32s' / 'log.jsonl'
        deadline = time.time() + 60
        while not log.exists() and time.time() < deadline and process.poll() is None:
            time.sleep(0.1)
        os.kill(process.pid, number)
        start = time.time()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert time.time() - start < 10
    run = Run(tmp_path / 'mini-fcn32s')
    assert run.iteration > 0
    assert list(read_weights(run.weights()))
    assert json.loads(log.read_text().splitlines()[-1])['event'] == f'stopped by {number.name}'


def test_a_terminal_that_cannot_be_written_to_does_not_end_a_run(
    mini: Path, tmp_path: Path
) -> None:
    with open('/dev/full', 'w') as full:
        result = subprocess.run(solving(mini, tmp_path, 3), cwd=ROOT, stderr=full, check=False)
    assert result.returncode == 0 and Run(tmp_path / 'mini-fcn32s').iteration == 3


def test_missing_parents_are_named_with_the_commands_that_make_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Late fusion has two, which share an ancestor to fetch."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match='nyud-fcn32s-color-hha') as caught:
        starting_weights('nyud-fcn16s-color-hha', Path('runs'))
    commands = re.findall('`(.*?)`', str(caught.value))
    assert commands[:2] == [
        'fcn prepare ilsvrc ilsvrc-vgg16',
        'fcn solve nyud-fcn32s-color nyud-fcn32s-hha nyud-fcn32s-color-hha',
    ]
    (tmp_path / 'weights').mkdir()
    for name in ('nyud-fcn32s-color-heavy', 'nyud-fcn32s-hha-heavy'):
        (tmp_path / 'weights' / f'{name}.caffemodel').touch()
    assert starting_weights('nyud-fcn32s-color-hha', Path('runs')) == [
        (Path('weights/nyud-fcn32s-color-heavy.caffemodel'), 'color'),
        (Path('weights/nyud-fcn32s-hha-heavy.caffemodel'), 'hha'),
    ]


def test_a_finished_run_gives_its_memory_back(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several nets are trained in turn by one process: Caffe must not be made to keep the last."""
    make, made = caffe.get_solver, []

    def recorded(*arguments: Any) -> Any:
        solver = make(*arguments)
        made.append(weakref.ref(solver))
        return solver

    monkeypatch.setattr(caffe, 'get_solver', recorded)
    trainer(tmp_path, mini, max_iter=2).train([])
    gc.collect()
    assert made and made[0]() is None


def children() -> set[str]:
    """The processes that this one started and that are still there."""
    return set(Path(f'/proc/self/task/{os.getpid()}/children').read_text().split())


def test_a_finished_run_leaves_no_reading_process(mini: Path, tmp_path: Path) -> None:
    """Caffe never frees a Python layer, and each data layer has a process."""
    before = children()
    trainer(tmp_path, mini, max_iter=2).train([])
    assert children() <= before
