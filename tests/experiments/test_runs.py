"""Which runs an experiment uses as they are, which it trains, and how long they took."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.runs import Published, has_ended, minutes
from experiments.sets import Sets
from experiments.study import Study
from fcn.data_layers import Source
from fcn.solvers import Options, Run, Trainer
from fcn.solvers.snapshot import MANIFEST, STATE, WEIGHTS, digest, file_name, write_checksummed


def plant(run: Run, settings: dict[str, Any]) -> None:
    """Give a run a snapshot of iteration 40, of empty files, made with `settings`."""
    folder = run.snapshots.folder / 'iter_00000040'
    folder.mkdir(parents=True)
    files = {
        file_name(40, kind): digest(touched(folder / file_name(40, kind)))
        for kind in (WEIGHTS, STATE)
    }
    validation = {'label': {'mean_iu': 0.5}}
    write_checksummed(
        folder / MANIFEST, iteration=40, files=files, settings=settings, validation=validation
    )


def touched(path: Path) -> Path:
    path.touch()
    return path


def write_log(run: Run, *times: float, **event: str) -> None:
    """Give a run a log of a record at each of the times, in seconds; the last has the event."""
    records = [dict(iteration=index + 1, time=time) for index, time in enumerate(times)]
    records[-1].update(event)
    run.folder.mkdir(parents=True, exist_ok=True)
    run.log.path.write_text(''.join(json.dumps(record) + '\n' for record in records))


def test_a_run_has_ended_when_it_validated_last(
    tmp_path: Path, study: Callable[..., Study]
) -> None:
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, {})
    assert not has_ended(run)
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    assert has_ended(run) and study().runs.finished('voc-fcn32s').iteration == 40
    run.log.append(iteration=40, event='stopped by SIGINT')
    assert not has_ended(run) and study().runs.finished('voc-fcn32s') is None


def test_a_finished_run_of_a_real_net_is_used_as_it_is(
    tmp_path: Path, voc: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: pytest.fail('trained again'))
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, {'net': 'voc-fcn32s', 'seed': 1})
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    for iterations in (None, 60):  # Made with other settings, it cannot go on.
        runs = study(backbone='vgg16', data=voc, iterations=iterations).runs
        assert runs.train('voc-fcn32s').folder == run.folder
        assert 'seed' in runs.differing['voc-fcn32s']


def test_a_run_of_ours_goes_on_if_more_iterations_are_requested(
    tmp_path: Path, voc: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    requested = []
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: requested.append(self.max_iter))
    longer = study(backbone='vgg16', data=voc, iterations=60)
    sources = [longer.sets.source('voc-fcn32s', phase) for phase in ('train', 'val')]
    run = Run(tmp_path / 'runs' / 'voc-fcn32s')
    plant(run, Trainer('voc-fcn32s', tmp_path, Options(*sources)).settings)
    run.log.append(iteration=40, validation={'mean_iu': 0.5})
    with pytest.raises(KeyboardInterrupt):  # as if interrupted: it did not train to the end
        longer.runs.train('voc-fcn32s')
    assert requested == [60]
    assert study(backbone='vgg16', data=voc).runs.train('voc-fcn32s').iteration == 40


def test_minutes_leave_out_the_time_that_a_run_was_stopped(tmp_path: Path) -> None:
    lines = [
        dict(iteration=1, time=0),
        dict(iteration=2, time=900),
        dict(iteration=2, time=5000, event='resumed'),
        dict(iteration=3, time=5060),
    ]
    (tmp_path / 'log.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert minutes(Run(tmp_path)) == 16


def test_earlier_training_counts_with_that_of_ancestors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    """The whole time of a net is that of the runs that it went on from, too."""
    for net, seconds in (('mini-vgg', 300), ('mini-fcn32s', 120)):
        run = Run(tmp_path / 'runs' / net)
        plant(run, {})
        write_log(run, 0, seconds)
    monkeypatch.setattr(Trainer, 'done', True)
    monkeypatch.setattr(Run, 'check', lambda self, settings: None)
    monkeypatch.setattr(Sets, 'source', _source)
    runs = study().runs
    runs.train('mini-fcn32s')
    assert {label: use.earlier for label, use in runs.used.items()} == {
        'mini-vgg': 5,
        'mini-fcn32s': 2,
    }


class Empty(Source):
    """A source of no images."""

    def names(self) -> list[str]:
        return []


def _source(self: Sets, net: str, phase: str, images: int | None = None) -> Source:
    return Empty('Mini', 'nowhere', phase)


def test_published_weights_are_used_where_there_is_no_run(
    tmp_path: Path, voc: Path, monkeypatch: pytest.MonkeyPatch, study: Callable[..., Study]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainer, 'train', lambda self, *arguments: pytest.fail('trained'))
    (tmp_path / 'weights').mkdir()
    file = touched(tmp_path / 'weights/fcn32s-heavy-pascal.caffemodel')
    real = study(backbone='vgg16', data=voc)
    run = real.runs.train('voc-fcn32s')
    assert isinstance(run, Published) and run.weights().resolve() == file
    record = real.record({})
    assert record.published == ['voc-fcn32s'] and record.runs['voc-fcn32s'].iterations is None
