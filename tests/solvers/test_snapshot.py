"""What a snapshot vouches for, and what happens to one that is damaged."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_runs import assert_equal_weights, history, trainer, weights_of_run

from fcn import nets
from fcn.errors import FCNError, RunError, SnapshotError
from fcn.solvers import RECIPES, Progress, Run, Step, Trainer, weights_of
from fcn.solvers.snapshot import (
    MANIFEST,
    STATE,
    WEIGHTS,
    read_checksummed,
    verify,
    write_checksummed,
)
from fcn.surgery import read_weights

SLOW = pytest.mark.slow  # test_training resumes this net


@pytest.fixture(scope='module')
def trained_once(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 6 iterations with snapshots at 2, 4 and 6, validated at 3 and 6."""
    run = trainer(tmp_path_factory.mktemp('finished'), mini)
    run.train([])
    return run.run.folder


@pytest.fixture
def finished(trained_once: Path, mini: Path, tmp_path: Path) -> Trainer:
    """A copy of that run."""
    shutil.copytree(trained_once, tmp_path / trained_once.name)
    return trainer(tmp_path, mini)


def test_the_manifest_holds_all_that_a_run_resumes_from(finished: Trainer) -> None:
    iteration, folder = finished.run.snapshots.all()[-1]
    manifest = verify(folder, WEIGHTS, STATE)
    assert manifest['iteration'] == iteration == 6 and len(manifest['recent_losses']) == 6
    assert manifest['data'].items() >= {'seed': 1337, 'images_read': 6, 'epochs': 0.75}.items()
    assert manifest['settings'] == finished.settings and '99bd997' in manifest['versions']['caffe']
    assert manifest['validation']['label']['mean_iu'] > 0
    assert finished.run.damaged() == []


def test_every_validation_has_its_snapshot_and_the_best_is_kept(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(tmp_path, mini, max_iter=5, val_every=1, snapshot_every=5)
    validations = iter([0.1, 0.9, 0.2, 0.3, 0.4])
    note = run.run.note_validation

    def noted(iteration: int, results: Any) -> None:
        note(iteration, {'label': results['label'] | {'mean_iu': next(validations)}})

    monkeypatch.setattr(run.run, 'note_validation', noted)
    run.train([])
    assert [iteration for iteration, _ in run.run.snapshots.all()] == [2, 3, 4, 5]
    assert run.run.snapshots.best() == 2
    best = weights_of(tmp_path / 'mini-fcn32s' / 'snapshots' / 'iter_00000002')
    assert list(read_weights(best))


@pytest.mark.parametrize('damage', ['cut', 'bit', 'gone'])
@pytest.mark.parametrize('kind', [WEIGHTS, STATE, MANIFEST])
def test_a_damaged_snapshot_is_passed_over_with_a_warning(
    finished: Trainer,
    mini: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    damage: str,
) -> None:
    folder = finished.run.snapshots.all()[-1][1]
    file = folder / (kind if kind == MANIFEST else f'train_iter_6.{kind}')
    whole = weights_of_run(finished.run)
    content = bytearray(file.read_bytes())
    if damage == 'gone':
        file.unlink()
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content if damage == 'bit' else content[:-1])
    again = trainer(tmp_path, mini)
    assert not again.done and again.run.iteration == 4
    assert any(str(file) in record.getMessage() for record in caplog.records)
    newest = weights_of(tmp_path / 'mini-fcn32s', 'newest')
    assert newest.name == f'train_iter_{6 if kind == STATE else 4}.caffemodel'
    again.train([])
    assert again.done and (folder.parent / f'damaged_{folder.name}').is_dir()
    assert_equal_weights(whole, weights_of_run(again.run))


def test_the_same_snapshot_may_be_damaged_twice(
    finished: Trainer, mini: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        (finished.run.snapshots.all()[-1][1] / MANIFEST).unlink()
        trainer(tmp_path, mini).train([])
    assert trainer(tmp_path, mini).done


@pytest.mark.parametrize('change', ['edited', 'gone'])
def test_a_list_that_changes_under_a_run_stops_only_a_resumed_one(
    mini: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer reads it once: snapshots are of the list that was read."""
    file = mini / 'ImageSets/Segmentation/train.txt'
    names, run = file.read_text(), trainer(tmp_path, mini, max_iter=4)
    before = run.run.save

    def save(*arguments: Any, **state: Any) -> None:
        file.write_text(names[5:]) if change == 'edited' else file.unlink(missing_ok=True)
        before(*arguments, **state)

    monkeypatch.setattr(run.run, 'save', save)
    run.train([])
    assert run.run.iteration == 4
    file.write_text(names[5:])
    with pytest.raises(FCNError, match=r'list train .* iteration 4'):
        trainer(tmp_path, mini).train([])
    file.write_text(names)
    assert trainer(tmp_path, mini).train([])


def test_a_layer_whose_shapes_changed_is_named_before_caffe_sees_it(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer(tmp_path, mini, max_iter=2).train([])
    config = nets.find('mini-fcn32s')
    monkeypatch.setitem(
        nets.NETS,
        'mini-fcn32s',
        replace(
            config,
            backbone=nets.find('mini-fcn-pool4').backbone,
            head=nets.find('mini-fcn-pool4').head,
        ),
    )
    with pytest.raises(RunError, match=r'score_\w+ has weights of .* shapes'):
        trainer(tmp_path, mini).train([])


def test_a_state_damaged_after_it_was_verified_is_not_read(mini: Path, tmp_path: Path) -> None:
    trainer(tmp_path, mini, max_iter=4).train([])
    again = trainer(tmp_path, mini)
    assert again.run.iteration == 4
    file = next((tmp_path / 'mini-fcn32s/snapshots').glob('iter_*4/*.solverstate'))
    file.write_bytes(file.read_bytes()[:-9])
    again.train([])
    assert again.done and any(
        record.get('event') == 'resumed' and record['iteration'] == 3
        for record in again.run.log.read()
    )


def test_a_damaged_file_that_is_written_only_once_stays_known(mini: Path, tmp_path: Path) -> None:
    trainer(tmp_path, mini, max_iter=2).train([])
    file = tmp_path / 'mini-fcn32s/surgery.txt'
    file.write_text('nonsense')
    again = trainer(tmp_path, mini)
    again.train([])
    assert again.run.damaged() == [file]


def test_a_list_that_changed_stops_a_run(mini: Path, tmp_path: Path) -> None:
    root = tmp_path / 'data'
    shutil.copytree(mini, root)
    trainer(tmp_path, root, max_iter=2).train([])
    names = root / 'ImageSets' / 'Segmentation' / 'train.txt'
    names.write_text('\n'.join(names.read_text().split()[:-1]))
    with pytest.raises(FCNError, match=r'list train .* iteration 2'):
        trainer(tmp_path, root, max_iter=4).train([])


def test_a_run_whose_snapshots_are_all_damaged_is_not_started_again(
    finished: Trainer, mini: Path, tmp_path: Path
) -> None:
    for _, folder in finished.run.snapshots.all():
        (folder / MANIFEST).write_text('{')
    with pytest.raises(RunError, match=r'all snapshots are damaged; move .* away'):
        trainer(tmp_path, mini).train([])


def test_no_truncated_manifest_is_read(tmp_path: Path) -> None:
    file = tmp_path / MANIFEST
    write_checksummed(file, iteration=4, recent_losses=[1.5, 2.25])
    whole = file.read_bytes()
    assert read_checksummed(file) == {'iteration': 4, 'recent_losses': [1.5, 2.25]}
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(SnapshotError, match='missing or damaged'):
            read_checksummed(file)


def test_damaged_small_files_and_logs_are_noticed(
    finished: Trainer, mini: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finished.run.folder
    for name in ('deploy.prototxt', 'surgery.txt', 'log.jsonl'):
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    run = Run(folder)
    assert [file.name for file in run.damaged()] == ['deploy.prototxt', 'surgery.txt', 'log.jsonl']
    (folder / 'run.json').write_text('{}')
    trainer(tmp_path, mini, max_iter=8).train([])
    warnings = [record.getMessage() for record in caplog.records]
    assert any(
        str(folder / 'run.json') in text and 'it is written again' in text for text in warnings
    )
    assert any(
        str(folder / 'log.jsonl') in text and 'can be read are kept' in text for text in warnings
    )
    assert Run(folder).damaged() == []
    assert json.loads((folder / 'run.json').read_text())['settings'] == finished.settings


class StopAt(Progress):
    """Stops a run after an iteration, as a signal does."""

    def __init__(self, run: Trainer, iteration: int) -> None:
        self.run, self.iteration = run, iteration

    def step(self, step: Step) -> None:
        if step.iteration == self.iteration:
            self.run.stop('SIGTERM')


@pytest.mark.parametrize('recipe', RECIPES)
@pytest.mark.parametrize('name', [pytest.param('mini-fcn32s', marks=SLOW), 'mini-fcn16s'])
def test_a_resumed_run_equals_an_uninterrupted_one_with_every_recipe(
    recipe: str, name: str, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at and between snapshots, before and after a validation: weights, momentum, losses
    and log are equal."""
    monkeypatch.setitem(nets.NETS, name, replace(nets.NETS[name], recipe=recipe))
    options: dict[str, Any] = dict(batch=2, base_lr=1e-8, val_every=4)
    whole = trainer(tmp_path / 'whole', mini, name, **options)
    whole.train([])
    for iteration in (1, 2, 4, 5, 6):
        part = trainer(tmp_path / 'parts', mini, name, **options)
        assert part.train([], StopAt(part, iteration)) is None
        assert part.run.iteration == iteration
    part = trainer(tmp_path / 'parts', mini, name, **options)
    part.train([])
    manifests = [
        read_checksummed(run.run.snapshots.all()[-1].folder / MANIFEST) for run in (whole, part)
    ]
    for key in ('iteration', 'recent_losses', 'validation', 'data'):
        assert manifests[0][key] == manifests[1][key], key
    states = [run.run.snapshots.file(6, STATE).read_bytes() for run in (whole, part)]
    assert states[0] == states[1]
    assert_equal_weights(weights_of_run(whole.run), weights_of_run(part.run))
    logs = [history(run.run) for run in (whole, part)]
    assert logs[0] == logs[1]
