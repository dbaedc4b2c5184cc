"""Nets trained in turn, from Python: what is planned, refused, reported and stopped."""

import logging
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_runs import trainer

from fcn.commands import solve
from fcn.errors import DataError, FCNError, RunError
from fcn.solvers import Options, Progress, Results, Run, Step, plan_stages, sources, weights_of
from fcn.solvers.stages import parse_weights


class Recorder(Progress):
    """Keeps all that it hears."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.names: Sequence[str] = []

    def counted(self, names: Sequence[str]) -> Sequence[str]:
        self.names = names
        return names

    def step(self, step: Step) -> None:
        self.steps.append(step)


@pytest.fixture(scope='module')
def trained(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The Run of a net that learned for two iterations."""
    started = trainer(tmp_path_factory.mktemp('runs'), mini, max_iter=2)
    started.train([])
    return started.run


def test_training_logs_and_prints_nothing(
    mini: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, 'fcn')
    run, recorder = trainer(tmp_path, mini, balance=True), Recorder()
    run.train([], recorder)
    assert capfd.readouterr() == ('', '')
    assert [step.iteration for step in recorder.steps] == list(range(7))
    assert all(step.max_iter == 6 for step in recorder.steps)
    shown = [step.iteration for step in recorder.steps if step.loss is not None]
    assert shown == [1, 6] and (recorder.steps[-1].images_per_second or 0) > 0
    assert len(recorder.names) == 8  # labels whose classes were counted
    messages = [record.getMessage() for record in caplog.records if record.name == 'fcn']
    assert sum('at iteration 3' in message for message in messages) == 1


def test_a_run_in_another_thread_leaves_signals_alone_and_can_be_stopped(
    mini: Path, tmp_path: Path
) -> None:
    run = trainer(tmp_path, mini, max_iter=100_000, val_every=100_000)
    results: list[Results | None] = []
    handlers: list[Any] = []

    class Stop(Progress):
        def step(self, step: Step) -> None:
            handlers.append(signal.getsignal(signal.SIGINT))
            if step.iteration == 3:
                run.stop('the caller')

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: results.append(run.train([], Stop())))
    thread.start()
    thread.join(60)
    assert results == [None] and set(handlers) == {before}
    assert run.run.iteration == 3
    assert run.run.log.read()[-1]['event'] == 'stopped by the caller'


def test_stages_start_from_one_another(mini: Path, tmp_path: Path) -> None:
    def options(name: str, init_missing: bool = True) -> Options:
        return Options(*sources(name, mini), max_iter=1, val_images=1, init_missing=init_missing)

    names = ['mini-fcn16s', 'mini-fcn8s']
    with pytest.raises(RunError, match='mini-fcn32s'):
        plan_stages(names, tmp_path, lambda name: options(name, init_missing=False))
    started = trainer(tmp_path, mini, max_iter=1)
    started.train([])
    first, second = plan_stages(names, tmp_path, options)
    assert [path for path, _ in first.starting_weights()] == [started.run.weights()]
    with pytest.raises(RunError, match='mini-fcn16s'):
        second.starting_weights()
    assert first.train() and [path for path, _ in second.starting_weights()] == [
        first.run.weights()
    ]
    assert first.done and not second.done
    assert 'done, 1 iterations' in first.describe() and 'starts from' in second.describe()


def test_a_mistake_in_the_last_net_is_found_first(trained: Run, mini: Path, tmp_path: Path) -> None:
    def options(name: str) -> Options:
        return Options(*sources(name, mini), init_missing=True)

    with pytest.raises(FCNError, match='mini-fcn6s'):
        names, weights = ['mini-fcn32s', 'mini-fcn6s'], [str(trained.folder)]
        plan_stages(names, tmp_path / 'runs', options, weights)
    with pytest.raises(FCNError, match='ilsvrc-vgg16'):
        sources('ilsvrc-vgg16')
    assert not (tmp_path / 'runs').exists()


@pytest.mark.parametrize('name', ['mini-vgg', 'mini-fcn32s'])
def test_the_miniature_says_how_to_draw_its_data(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r'data/mini: .*`python -m miniature`'):
        solve.main([name, '--gpu', '-1'])
    assert not list(tmp_path.iterdir())


def test_a_run_folder_that_cannot_be_written_is_named(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'file').touch()
    arguments = ['mini-vgg', '--data', str(mini), '--gpu', '-1', '--runs']
    with pytest.raises(RunError, match=rf'{tmp_path}/file/mini-vgg: .*--runs'):
        solve.main([*arguments, str(tmp_path / 'file')])
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=rf'{tmp_path}/runs/mini-vgg: .* {tmp_path}; .*--runs'):
        solve.main([*arguments, 'runs'])


def test_a_solver_state_given_as_weights_names_the_caffemodel_next_to_it(
    trained: Run, tmp_path: Path
) -> None:
    model = trained.weights()
    with pytest.raises(RunError, match=rf'{model.stem}\.solverstate: .*give {model}'):
        weights_of(model.with_suffix('.solverstate'))
    alone = tmp_path / 'alone.solverstate'
    alone.touch()
    with pytest.raises(RunError, match=r'alone\.solverstate: .*give a \.caffemodel'):
        weights_of(alone)
    with pytest.raises(RunError, match='nowhere'):
        weights_of('nowhere')


def test_weights_are_given_once_or_for_each_stream(trained: Run) -> None:
    model, net = str(trained.weights()), 'nyud-fcn32s-color-hha'
    assert parse_weights([model], 'mini-fcn16s') == [(Path(model), '')]
    assert parse_weights([str(trained.folder)], net) == [(Path(model), '')]
    both = parse_weights([f'{model}:hha', f'{model}:color'], net)
    assert both == [(Path(model), 'hha'), (Path(model), 'color')]
    for texts, name in (([f'{model}:hha'], net), ([model, model], 'mini-fcn16s')):
        with pytest.raises(RunError, match=f'{name} has '):
            parse_weights(texts, name)
