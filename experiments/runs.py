"""The trained nets of an experiment: runs that are there, and runs that it makes."""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from fcn.nets import NetConfig, find
from fcn.progress import TrainingBar
from fcn.solvers import Options, Run, Trainer, published, starting_weights, weights_of
from fcn.solvers.log import Log
from fcn.solvers.snapshot import STATE, WEIGHTS

from .sets import Sets
from .settings import Settings

VAL_IMAGES = 80  # of each validation while a net learns; pages score them all
QUICK = 10  # --quick learns for so many times fewer iterations
QUICK_REAL = 4  # iterations of --quick on real images,
QUICK_IMAGES = 6  # and how many are scored, and of any set validated on


class Published:
    """Stands for the run of a net whose weights are used as they were published."""

    iteration = None
    log = Log(Path(os.devnull))

    def __init__(self, file: Path) -> None:
        self.folder = file

    def weights(self) -> Path:
        return self.folder


class Use(NamedTuple):
    """A run that an experiment uses, and the minutes of training that it had had before."""

    run: Run | Published
    earlier: float


def has_ended(run: Run) -> bool:
    """Return whether a run has come to the end that it was asked for: it validated last."""
    records = run.log.read()
    return bool(
        run.iteration
        and records
        and 'validation' in records[-1]
        and records[-1]['iteration'] == run.iteration
    )


def differing_settings(run: Run, settings: dict[str, Any]) -> list[str]:
    """Return the names of the settings that a run was made with other values of."""
    manifest = run.snapshots.newest(WEIGHTS, STATE)
    assert manifest is not None
    return [key for key in settings if manifest['settings'].get(key) != settings[key]]


def minutes(run: Run | Published) -> float:
    """Return how long a run was at work, without the times that it was stopped."""
    records = pairwise(run.log.read())
    return sum(b['time'] - a['time'] for a, b in records if b.get('event') != 'resumed') / 60


class Runs:
    """Trains the nets of an experiment, and notes which runs it used.

    `used` is {label: Use}, `differing` {net: names of settings} of the runs that were made by other
    settings than this command's, and `learned_from` the number of images to learn from.
    """

    def __init__(self, settings: Settings, sets: Sets) -> None:
        self.settings, self.sets = settings, sets
        self.used: dict[str, Use] = {}
        self.differing: dict[str, list[str]] = {}
        self.learned_from = 0

    def train(
        self, net: str, label: str | None = None, iterations: int | None = None, **options: Any
    ) -> Run | Published:
        """Return the run of `net`, trained to its end in the run folder `label` (default: the net).

        What is finished is not trained again, and what was interrupted is resumed. `iterations` are
        those of the command line or the recipe unless given; nets that share a label must ask for
        the same number. A parent is trained first, as the net's config names it. More `options` are
        fields of solvers.Options.

        A run of a real net that has come to an end, such as solve.py makes in days, is used as it
        is, unless it is one of ours that is to go on to `--iterations`; without a run, so are the
        weights that are published and fetched. Raises KeyboardInterrupt after Ctrl-C.
        """
        run = Run(self.settings.runs / (label or net))
        trainer = self._trainer(net, run, iterations, options)
        earlier = minutes(run)
        # A folder that we named tells nothing about the data: there the settings decide.
        if self.settings.data and not label:
            requested = self.settings.iterations
            if has_ended(run):
                differing = differing_settings(run, trainer.settings)
                if requested is None or differing:
                    self.differing[net] = differing
                    return self._note(net, net, run, earlier)
            if requested is None and not run.snapshots.all() and (file := published(net)):
                return self._note(net, net, Published(file), 0)
        self.learned_from = len(trainer.train_source.names())
        if not trainer.done:
            sources = [] if run.iteration else self._starting_weights(net)
            with TrainingBar(net) as progress:
                if trainer.train(sources, progress) is None:
                    raise KeyboardInterrupt
        return self._note(label or net, net, run, earlier)

    def _trainer(
        self, net: str, run: Run, iterations: int | None, options: dict[str, Any]
    ) -> Trainer:
        config, settings = find(net), self.settings
        requested = None if config.is_classifier else settings.iterations
        max_iter = iterations or requested or self.usual_iterations(config)
        defaults: dict[str, Any] = dict(
            val_every=max(1, max_iter // 4),
            val_images=QUICK_IMAGES if settings.quick else VAL_IMAGES,
            device=settings.device,
            command=settings.command,
        )
        sources = self.sets.source(net, 'train'), self.sets.source(net, 'val')
        return Trainer(net, run.folder, Options(*sources, max_iter, **defaults | options))

    def usual_iterations(self, config: NetConfig) -> int:
        """Return the iterations of a net where nothing else is asked for."""
        assert config.max_iter
        if not self.settings.quick:
            return config.max_iter
        return QUICK_REAL if self.settings.data else config.max_iter // QUICK

    def _starting_weights(self, net: str) -> list[tuple[Path, str]]:
        """Return the (caffemodel, stream) of each parent of a net, trained if it is not yet."""
        parents = find(net).parents
        if all(find(name).max_iter for name in parents):
            return [(self.train(name).weights(), stream) for name, stream in parents.items()]
        if self.settings.weights:
            return [(weights_of(self.settings.weights), '')]
        return starting_weights(net, self.settings.runs)

    def finished(self, net: str) -> Run | None:
        """Return the run of `net` if it has come to an end in the run folders, else None."""
        run = Run(self.settings.runs / net)
        if not has_ended(run):
            return None
        self._note(net, net, run, minutes(run))
        return run

    def _note(self, label: str, net: str, run: Run | Published, earlier: float) -> Run | Published:
        """Note a run, after those that it went on from: their time is a part of its own."""
        if isinstance(run, Run):
            for parent in find(net).parents:
                ancestor = Run(self.settings.runs / parent)
                if parent not in self.used and ancestor.iteration:
                    self._note(parent, parent, ancestor, minutes(ancestor))
        self.used.setdefault(label, Use(run, earlier))
        return run
