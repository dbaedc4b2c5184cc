"""A run folder: everything a training run is made of, and all it leaves behind.

    run.json                 what was asked for, and the versions that answered
    train.prototxt …         the nets and the solver as they were used
    log.jsonl                one JSON object a line: losses, validations, events
    snapshots/iter_00004000  weights and solver state of one iteration

A snapshot is written in a folder beside, flushed to the disk and renamed: it is
there whole or not at all. Caffe writes into a solver state the path of its weights
as it was given, and looks for it there: both are written and read with their own
folder as the current one, so that a run may be moved.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from pathlib import Path

from errors import UserError
from files import flush, write_text

KEPT = 3


class RunError(UserError):
    """A run folder cannot be used as asked, in one line with the mend."""


class Run:
    """The run in `folder`; nothing is written until `open`."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.snapshot_folder = self.folder / 'snapshots'

    @contextlib.contextmanager
    def open(self, settings, about):
        """Start the run, or go on with one of equal `settings` that has a snapshot.

        `settings` and `about` are recorded as the run starts.

        The folder is this process's for as long as the context lasts. Raises RunError
        if it is another's, or if the run was started with other settings.
        """
        self.snapshot_folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / '.lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(f'{self.folder}: another process trains here; wait for it to end, or give another '
                               'folder with --runs') from error
            self._begin(settings, about)
            yield

    def _begin(self, settings, about):
        self.check(settings)
        if not self.snapshots():
            write_text(self.folder / 'run.json', json.dumps({'settings': settings, **about}, indent=2) + '\n')
        for stale in self.snapshot_folder.glob('.partial*'):
            shutil.rmtree(stale)

    def check(self, settings):
        """Raise RunError if the run has snapshots and was made with other settings."""
        file = self.folder / 'run.json'
        if not self.snapshots():
            return
        try:
            old = json.loads(file.read_text())['settings']
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f'{file}: damaged ({error}); move the folder away to start anew') from error
        for key in settings:
            if old.get(key) != settings[key]:
                raise RunError(f"{file}: this run has {key} {old.get(key)!r}, not {settings[key]!r}; ask for "
                               'the same, or give another folder with --runs')

    def snapshots(self):
        """[(iteration, folder)], oldest first."""
        found = []
        for folder in self.snapshot_folder.glob('iter_*'):
            if match := re.fullmatch(r'iter_(\d+)', folder.name):
                found.append((int(match[1]), folder))
        return sorted(found)

    @property
    def iteration(self):
        """The iteration of the newest snapshot, 0 if there is none."""
        snapshots = self.snapshots()
        return snapshots[-1][0] if snapshots else 0

    def weights(self):
        """The newest snapshot's caffemodel; RunError if there is none."""
        snapshots = self.snapshots()
        if not snapshots:
            raise RunError(f'{self.folder}: no snapshot there; train it first')
        iteration, folder = snapshots[-1]
        return folder / f'train_iter_{iteration}.caffemodel'

    def save(self, solver):
        """Snapshot `solver` and drop all but the newest snapshots."""
        iteration = solver.iter
        final = self.snapshot_folder / f'iter_{iteration:08}'
        if final.exists():
            return
        partial = self.snapshot_folder / f'.partial-{os.getpid()}'
        partial.mkdir(parents=True)
        with contextlib.chdir(partial):
            solver.snapshot()
        for file in partial.iterdir():
            flush(file)
        partial.rename(final)
        flush(self.snapshot_folder)
        for _, old in self.snapshots()[:-KEPT]:
            shutil.rmtree(old)

    def restore(self, solver):
        """Put the newest snapshot into `solver`."""
        iteration, folder = self.snapshots()[-1]
        with contextlib.chdir(folder):
            solver.restore(f'train_iter_{iteration}.solverstate')

    def log(self, **record):
        """Add a line to the log, stamped with the time."""
        with (self.folder / 'log.jsonl').open('a') as file:
            file.write(json.dumps({'time': round(time.time(), 1), **record}) + '\n')

    def read_log(self):
        """The log's records: without a line cut off by a crash, and without what a run
        that was resumed from a snapshot had logged after it."""
        records = []
        with contextlib.suppress(FileNotFoundError), (self.folder / 'log.jsonl').open() as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    record = json.loads(line)
                    if record.get('event') == 'resumed':
                        records = [old for old in records if old['iteration'] <= record['iteration']]
                    records.append(record)
        return records

    def learning_curve(self):
        """The log's losses and validations, as lists by name."""
        records = self.read_log()
        losses = [record for record in records if 'loss' in record]
        validations = [record for record in records if 'validation' in record]
        return {'iteration': [record['iteration'] for record in losses],
                'loss': [record['smoothed_loss'] for record in losses],
                'val_iteration': [record['iteration'] for record in validations],
                'mean_iu': [record['validation']['mean_iu'] for record in validations]}
