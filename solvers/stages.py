"""Several nets trained in turn, each from the last: the stages of section 4.2."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fcn.data_layers import DATASETS, Source, source_at
from fcn.errors import RunError
from fcn.nets import find
from fcn.surgery import weights_and_stream

from .options import Options
from .progress import Progress
from .run import Run
from .train import SILENT, Trainer, Weights
from .validation import Results
from .weights import starting_weights, weights_of


class Stage:
    """One net of a sequence, in its run folder.

    `given` are its starting weights; without them, it starts from its parents' when it is trained.
    """

    def __init__(self, trainer: Trainer, runs: Path, given: Weights = ()) -> None:
        self.trainer, self._runs, self._given = trainer, runs, given
        self._sources: Weights | None = None

    @property
    def name(self) -> str:
        return self.trainer.name

    @property
    def run(self) -> Run:
        return self.trainer.run

    @property
    def done(self) -> bool:
        """Whether there is nothing left to train. Raises RunError if the settings differ."""
        return self.trainer.done

    def starting_weights(self) -> Weights:
        """Return what the net starts from; nothing if it is resumed."""
        if self.run.iteration:
            return []
        if self._sources is None:  # Once: finding them verifies a gigabyte.
            self._sources = self._given or starting_weights(self.name, self._runs)
        return self._sources

    def describe(self) -> str:
        """Return in one line what is to be done."""
        if self.done:
            return f'{self.name}: done, {self.run.iteration} iterations in {self.run.folder}'
        if self.run.iteration:
            ignored = ', without reading --weights again' if self._given else ''
            return (
                f'{self.name}: resumes from iteration {self.run.iteration} in {self.run.folder}'
                f'{ignored}'
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
) -> list[Stage]:
    """Return the stages that train the nets `names` in turn, each in the folder of its name under
    `runs`.

    `options_for` returns the options of a net, and `weights` are the starting weights of the first,
    as `parse_weights` reads them. All is checked that can be: a mistake in the last net is found
    before the first has trained for days. Raises FCNError, RunError or DataError.
    """
    runs = Path(runs)
    given = parse_weights(weights, names[0]) if weights else []
    stages: list[Stage] = []
    for name in names:
        trainer = Trainer(name, runs / name, options_for(name))
        stage = Stage(trainer, runs, [] if stages else given)
        stage.run.check(trainer.settings)
        _check_writable(stage.run.folder)
        trainer.check_data()
        if not (stage.run.iteration or stage._given):
            starting_weights(name, runs, [before.name for before in stages])
        stages.append(stage)
    return stages


def parse_weights(texts: Sequence[str], name: str) -> Weights:
    """Return (caffemodel, stream) pairs of FILE or FILE:STREAM, each a caffemodel or a run folder.

    Raises RunError unless they are one file for each stream of net `name`, or one for all.
    """
    sources = [(weights_of(path), stream) for path, stream in map(weights_and_stream, texts)]
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
    dataset = DATASETS[find(name).data]
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
