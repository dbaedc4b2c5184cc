"""Several nets trained in turn, each from the last: the stages of section 4.2."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fcn.data_layers import Source, source_at
from fcn.errors import RunError
from fcn.nets import find
from fcn.surgery import weights_and_stream
from fcn.text import few

from .options import Options
from .progress import Progress
from .run import Run
from .snapshots import BEST, Choice
from .train import SILENT, Trainer, Weights
from .validation import Results
from .weights import starting_weights, weights_of


class Stage:
    """One net of a sequence, in its run folder.

    `sources` are its starting weights; where they are None, it starts from its parents', the stages
    `before` it among them, when it is trained. `snapshot` is the one of theirs to take, by default
    the best. `unread` names the options that say nothing if it is resumed.
    """

    def __init__(
        self,
        trainer: Trainer,
        runs: Path,
        before: Sequence[str] = (),
        sources: Weights | None = None,
        snapshot: Choice | None = None,
        unread: Sequence[str] = (),
    ) -> None:
        self.trainer, self._runs, self._before = trainer, runs, before
        self._sources, self._snapshot, self._unread = sources, snapshot, unread

    @property
    def name(self) -> str:
        return self.trainer.name

    @property
    def run(self) -> Run:
        return self.trainer.run

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train. Raises RunError if the settings differ. Of
        several processes, all ask together."""
        return self.trainer.group.from_first(lambda: self.trainer.done)

    def starting_weights(self) -> Weights:
        """Return what the net starts from; nothing if it is resumed."""
        if self.run.iteration or not self.trainer.group.first:
            return []
        if self._sources is None:  # Once: finding them verifies a gigabyte.
            self._sources = self._parents_weights()
        return self._sources

    def check_parents(self) -> None:
        """Find the weights of the parents that no stage before this one trains.

        Raises RunError, which says how to get them, if they are missing.
        """
        if self._sources is not None or self.run.iteration:
            return
        found = self._parents_weights(self._before)
        if not set(self._before) & set(self.trainer.config.parents):
            self._sources = found

    def _parents_weights(self, trained_before: Sequence[str] = ()) -> Weights:
        drawn = []
        if self.trainer.options.init_missing:
            drawn = [name for name in self.trainer.config.parents if name not in self._before]
        return starting_weights(self.name, self._runs, trained_before, self._snapshot, drawn)

    def describe(self) -> str:
        """Return in one line what is to be done. Of several processes, rank 0 alone knows."""
        if self.trainer.done:
            return f'{self.name}: done, {self.run.iteration} iterations in {self.run.folder}'
        if self.run.iteration:
            unread = f', without reading {" and ".join(self._unread)}' if self._unread else ''
            return (
                f'{self.name}: resumes from iteration {self.run.iteration} in {self.run.folder}'
                f'{unread}'
            )
        sources = [
            f'{path} as {stream}' if stream else str(path)
            for path, stream in self.starting_weights()
        ]
        return f'{self.name}: starts from {" and ".join(sources) or "random weights"}'

    def train(self, progress: Progress = SILENT) -> Results | None:
        """Train to the end and return {label: {metric: fraction}}, or None if it was stopped."""
        return self.trainer.train(self.starting_weights(), progress)


def plan_stages(
    names: Sequence[str],
    runs: str | Path,
    options_for: Callable[[str], Options],
    weights: Sequence[str] = (),
    from_run: str | Path | None = None,
    snapshot: Choice | None = None,
) -> list[Stage]:
    """Return the stages that train the nets `names` in turn, each in the folder of its name under
    `runs`.

    `options_for` returns the options of a net. The first starts from `weights`, as `parse_weights`
    reads them, or from those of the run folder `from_run`. `snapshot` is the one to take of the
    runs that the nets start from, by default the best; that of an iteration is the first net's. All
    is checked that can be: a mistake in the last net is found before the first has trained for
    days. Raises FCNError, RunError or DataError. Of several processes, all plan together, and
    rank 0 alone looks at run folders.
    """
    group = options_for(names[0]).group
    return group.together(
        lambda: _plan(names, Path(runs), options_for, weights, from_run, snapshot)
    )


def _plan(
    names: Sequence[str],
    runs: Path,
    options_for: Callable[[str], Options],
    weights: Sequence[str],
    from_run: str | Path | None,
    snapshot: Choice | None,
) -> list[Stage]:
    """Return what `plan_stages` does, for this process."""
    if weights and from_run is not None:
        raise RunError(f'--weights and --from {from_run} exclude each other; give one of them')
    options = {'--weights': weights, '--from': from_run, '--snapshot': snapshot}
    unread = [option for option, value in options.items() if value]
    given: Weights | None = None
    stages: list[Stage] = []
    for index, name in enumerate(names):
        trainer = Trainer(name, runs / name, options_for(name))
        if not trainer.group.first:
            trainer.check_data()
            stages.append(Stage(trainer, runs))
            continue
        if weights and not index:
            given = parse_weights(weights, name, snapshot)
        trainer.run.check(trainer.settings)
        if from_run is not None and not index:
            given = _weights_of_run(trainer.run, from_run, snapshot)
        if index:
            given, unread = None, []
            snapshot = None if isinstance(snapshot, int) else snapshot
        stage = Stage(trainer, runs, names[:index], given, snapshot, unread)
        _check_writable(stage.run.folder)
        trainer.check_data()
        stage.check_parents()
        stages.append(stage)
    return stages


def _weights_of_run(run: Run, origin: str | Path, snapshot: Choice | None) -> Weights:
    """Return the (caffemodel, stream) of the run folder `origin`, from which `run` starts; nothing
    if it is resumed.

    Raises RunError if it is the same run, has no snapshots, or if `run` started from another.
    """
    source = Run(origin)
    if source.folder == run.folder:
        raise RunError(
            f'--from {origin}: a run does not start from itself; give another folder with --runs'
        )
    if run.iteration:
        begun = run.starts_from
        if begun is not None and not any(
            Path(file).is_relative_to(source.folder) for file in begun
        ):
            raise RunError(
                f'{run.folder}: this run started from {few(begun) or "drawn weights"}, not from '
                f'{origin}; leave out --from to resume it, or give another folder with --runs'
            )
        return []
    if not source.snapshots.all():
        raise RunError(
            f'--from {origin}: no run folder with a snapshot; give a file with --weights'
        )
    return [(source.weights(BEST if snapshot is None else snapshot), '')]


def unused_folder(runs: str | Path, name: str) -> Path:
    """Return a folder like `runs`, such as runs2, in which net `name` has no snapshot."""
    runs = Path(runs)
    if runs.name in ('', '..'):
        runs = Path('runs')
    stem = runs.name.rstrip('0123456789')
    for number in itertools.count(int(runs.name[len(stem) :] or 1) + 1):
        folder = runs.with_name(f'{stem}{number}')
        if not Run(folder / name).snapshots.all():
            return folder
    raise AssertionError


def parse_weights(texts: Sequence[str], name: str, snapshot: Choice | None = None) -> Weights:
    """Return (caffemodel, stream) pairs of FILE or FILE:STREAM, each a caffemodel or a run folder,
    whose `snapshot` is taken, by default the best.

    Raises RunError unless they are one file for each stream of net `name`, or one for all.
    """
    sources = [
        (weights_of(path, snapshot), stream) for path, stream in map(weights_and_stream, texts)
    ]
    named, streams = [stream for _, stream in sources], list(find(name).streams)
    for_all = named == ['']  # such as the file of a coarser net with the same streams
    if not for_all and sorted(named) != sorted(streams):
        expected = 'one stream; give one file'
        if len(streams) > 1:
            listed = ' and '.join(streams)
            expected = f'the streams {listed}; give one file for each, as FILE:{streams[0]}'
        raise RunError(f'--weights {" ".join(texts)}: {name} has {expected}')
    return sources


def sources(
    name: str,
    data: str | Path | None = None,
    train_data: str | Path | None = None,
    train_split: str | None = None,
    val_split: str | None = None,
) -> tuple[Source, Source]:
    """Return what net `name` learns from and what it is validated on.

    `data` is a folder for both and `train_data` another to learn from; what is None is the data
    set's own. Raises DataError for a folder of another layout.
    """
    dataset = find(name).dataset
    train, val = dataset.train, dataset.val
    if train is None or val is None:
        raise RunError(f'{name} is fetched, not trained; name another net')
    if folder := train_data or data:
        train = source_at(train, folder)
    if data:
        val = source_at(val, data)
    return (
        train._replace(split=train_split or train.split),
        val._replace(split=val_split or val.split),
    )


def _check_writable(folder: Path) -> None:
    """Raise RunError if a run folder can neither be made nor be written."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise RunError(
            f'{folder}: {existing} is not a folder; move it away, or give another folder with '
            '--runs'
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunError(
            f'{folder}: no permission to write to {existing}; make it writable, or give another '
            'folder with --runs'
        )
