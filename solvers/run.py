"""A run folder: everything a training run is made of, and all it leaves behind.

    run.json                 what was asked for, and the versions of what computed it
    train.prototxt …         the nets and the solver as they were used
    surgery.txt              where each starting weight came from
    dataset.json             of one's own images: what they are, their classes and colours
    log.jsonl                one JSON object per line: losses, validations, events
    snapshots/iter_00004000  weights, solver state and manifest of one iteration

A snapshot's manifest holds the checksums of its files, and of the log as it was then. A run resumes
from the newest undamaged snapshot, with the log cut back to it: a run that is killed and resumed
gives the same result as an uninterrupted one.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fcn.engine import caffe
from fcn.errors import RunError, SnapshotError
from fcn.io import lock_folder
from fcn.surgery import read_weights

from . import solver_state
from .log import Log
from .snapshot import (
    STATE,
    WEIGHTS,
    Manifest,
    digest,
    matches,
    read_checksummed,
    write_checksummed,
)
from .snapshots import NEWEST, Choice, Snapshots

ABOUT, LOG, SURGERY, MANIFEST = 'run.json', 'log.jsonl', 'surgery.txt', 'dataset.json'
FILES = ('train.prototxt', 'val.prototxt', 'deploy.prototxt', 'solver.prototxt', SURGERY, MANIFEST)

# What becomes of a damaged file; the others are written again.
_CONSEQUENCES = {
    LOG: 'the records that can be read are kept',
    SURGERY: 'what it said about the start is lost',
}

logger = logging.getLogger('fcn')


class Run:
    """The run in `folder`; nothing is written until `open`.

    `new_run` returns the command that starts a new run from this one, for messages.
    """

    def __init__(self, folder: str | Path, new_run: Callable[[], str] | None = None) -> None:
        self._given, self._new_run = folder, new_run
        self.folder = Path(os.path.realpath(folder))
        self.log = Log(self.folder / LOG)
        self.snapshots = Snapshots(self.folder / 'snapshots')
        self._about: dict[str, Any] = {}

    @contextlib.contextmanager
    def open(self, settings: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[None]:
        """Start the run, or resume one of equal `settings` that has a snapshot.

        `settings` and `about` are recorded as the run starts. The folder is this process's for as
        long as the context lasts. Raises RunError if it is another's, if the run was started with
        other settings, or if the folder or its disk fails, now or later.
        """
        fix = 'wait for it to end, or give another folder with --runs'
        try:
            with lock_folder(self.folder, fix, RunError):
                self.snapshots.folder.mkdir(exist_ok=True)
                self.snapshots.forget()  # A file that was undamaged before may not be now.
                self._begin(settings, about)
                yield
        except (OSError, SnapshotError) as error:
            problem = str(error)
            if isinstance(error, OSError):
                problem = f'{error.filename or self.folder}: {error.strerror}'
            self.snapshots.forget()
            raise RunError(f'{problem}; {self._way_on()}') from error

    def _way_on(self) -> str:
        """Return what to do after the disk failed."""
        if iteration := self.iteration:
            return (
                f'the snapshot of iteration {iteration} is undamaged: fix the disk and give the '
                'same command to resume from it'
            )
        return 'give a folder that can be written with --runs'

    def _begin(self, settings: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.check(settings)
        self.snapshots.clean(self.iteration)
        self._about = {'settings': settings, **about}
        manifest = self._manifest()
        if manifest is None:
            self.log.remove()
            return
        for file in self.damaged():
            consequence = _CONSEQUENCES.get(file.name, 'it is written again')
            logger.warning('%s: missing or damaged; %s', file, consequence)
        with contextlib.suppress(SnapshotError):
            self._about = read_checksummed(self.folder / ABOUT)
        self.log.cut_back(manifest['log'], manifest['iteration'])

    def damaged(self) -> list[Path]:
        """Return the files besides the snapshots that are not as the run wrote them."""
        manifest = self._manifest()
        try:
            files = read_checksummed(self.folder / ABOUT)['files']
        except SnapshotError:
            files = {ABOUT: None}
        damaged = [
            self.folder / name
            for name, noted in files.items()
            if not matches(self.folder / name, noted)
        ]
        if manifest and not self.log.begins_with(manifest['log']):
            damaged.append(self.log.path)
        return damaged

    def note_files(self) -> None:
        """Write run.json, when all other small files are written."""
        files = {
            name: digest(self.folder / name) for name in FILES if (self.folder / name).exists()
        }
        # This one is written only once, as a run starts.
        if SURGERY in (noted := self._about.get('files', {})):
            files[SURGERY] = noted[SURGERY]
        write_checksummed(self.folder / ABOUT, **self._about | {'files': files})

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise RunError if the run cannot be resumed with these settings.

        It was made with others, or it has snapshots and all of them are damaged.
        """
        manifest = self._manifest()
        if manifest is None:
            if self.snapshots.all():
                raise RunError(
                    f'{self.snapshots.folder}: all snapshots are damaged; move {self.folder} away '
                    'to start again'
                )
            return
        old = manifest['settings']
        for key in settings:
            if old.get(key) != settings[key]:
                this, other = _differing(old.get(key), settings[key])
                raise RunError(
                    f'{self.folder / ABOUT}: this run has {key} {this}, not '
                    f'{other}; ask for the same, {self.other_folder}'
                )

    @property
    def other_folder(self) -> str:
        """What to do, in a message, where the run cannot go on as it was asked to."""
        if self._new_run:
            return (
                'give another folder with --runs, or start a new run from this one: '
                f'`{self._new_run()}`'
            )
        return 'or give another folder with --runs'

    @property
    def starts_from(self) -> list[str] | None:
        """The files that the run started from, as PATH or PATH:STREAM; None if that is lost."""
        try:
            return read_checksummed(self.folder / ABOUT).get('starts_from')
        except SnapshotError:
            return None

    def _manifest(self) -> Manifest | None:
        """Return the manifest of the snapshot that the run resumes from, None without one."""
        return self.snapshots.newest(WEIGHTS, STATE)

    @property
    def iteration(self) -> int:
        """The iteration that the run resumes from, 0 if it has no snapshot."""
        manifest = self._manifest()
        return manifest['iteration'] if manifest else 0

    @property
    def validated(self) -> bool:
        """Whether the newest snapshot has been validated."""
        manifest = self._manifest()
        return bool(manifest and manifest['validation'])

    def weights(self, snapshot: Choice = NEWEST) -> Path:
        """Return a snapshot's caffemodel: the BEST one's, the NEWEST one's, or an iteration's.

        One that is not the newest is logged, unless that was asked for. Raises RunError if there is
        no such snapshot, or no undamaged one.
        """
        if not self.snapshots.all():
            raise RunError(f'{self.folder}: holds no snapshot; train it first')
        manifest = self.snapshots.choose(snapshot)
        if manifest is None:
            raise RunError(
                f'{self.snapshots.folder}: the weights of all snapshots are damaged; train again'
            )
        if snapshot != NEWEST and (taken := self.snapshots.describe(manifest)):
            logger.info('%s: %s', self._given, taken)
        return self.snapshots.file(manifest['iteration'], WEIGHTS)

    def save(self, solver: caffe.SGDSolver, **state: Any) -> None:
        """Snapshot `solver`, with `state`, which Caffe does not hold, if there is none of its
        iteration; of old snapshots only the newest and the best stay."""
        if self.snapshots.path(solver.iter).exists():
            return
        self.snapshots.save(
            solver,
            settings=self._about['settings'],
            time=round(time.time()),
            log=self.log.digest(),
            **state,
        )

    def note_validation(
        self, iteration: int, results: Mapping[str, Mapping[str, float | None]]
    ) -> None:
        """Write the `results` {label: {metric: value}} of a validation into its snapshot."""
        self.snapshots.update(iteration, validation=results, log=self.log.digest())

    def restore(self, solver: caffe.SGDSolver) -> Manifest:
        """Put the newest undamaged snapshot into `solver` and return its manifest.

        Raises RunError if it is of another net.
        """
        manifest = self._manifest()
        assert manifest is not None
        iteration = manifest['iteration']
        weights, state = (self.snapshots.file(iteration, kind) for kind in (WEIGHTS, STATE))
        learned = self.learned(iteration)
        learning = {
            name: [tuple(blob.shape) for blob in blobs] for name, blobs in solver.net.params.items()
        }
        for name in [*learning, *learned]:
            if learned.get(name) != learning.get(name):
                raise RunError(
                    f"{self.folder}: this run's {name} has weights of {learned.get(name, 'no')} "
                    f"shapes, the net's now of {learning.get(name, 'no')}: its config or its data "
                    'set has changed; change it back, or give another folder with --runs'
                )
        counts = {name: len(shapes) for name, shapes in learned.items()}
        solver_state.restore(solver, weights, state, counts)
        return manifest

    def learned(self, iteration: int) -> dict[str, list[tuple[int, ...]]]:
        """Return the shapes of the weights in the snapshot of an iteration, by layer."""
        weights = self.snapshots.file(iteration, WEIGHTS)
        return {name: [blob.shape for blob in blobs] for name, blobs in read_weights(weights)}


def _differing(old: Any, new: Any) -> tuple[str, str]:
    """Return two differing settings as a message tells them: of two param_str what differs."""
    try:
        one, other = json.loads(old), json.loads(new)
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    except (TypeError, ValueError, AttributeError):
        return repr(old), repr(new)
    if not keys:
        return repr(old), repr(new)
    this, that = (', '.join(f'{key} {spec.get(key)!r}' for key in keys) for spec in (one, other))
    return this, that
