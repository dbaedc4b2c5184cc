"""A run folder: everything a training run is made of, and all it leaves behind.

    run.json                 what was asked for, and the versions that answered
    train.prototxt …         the nets and the solver as they were used
    surgery.txt              where each starting weight came from
    log.jsonl                one JSON object a line: losses, validations, events
    snapshots/iter_00004000  weights, solver state and manifest of one iteration

A snapshot's manifest holds the hashes of its files and of the log as it was then: a run
goes on from the newest snapshot that is whole, with the log cut back to it, so that
a run killed at any moment ends as one that never was.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

from fcn.errors import RunError, SnapshotError
from fcn.io import flush, write_text
from fcn.surgery import read_weights
from fcn.text import printable

from .snapshot import (
    MANIFEST,
    STATE,
    WEIGHTS,
    digest,
    discard,
    file_name,
    matches,
    read_checksummed,
    verify,
    write_checksummed,
    write_snapshot,
)

KEPT = 3  # newest snapshots; the best one is kept as well
SURGERY = 'surgery.txt'
FILES = ('train.prototxt', 'val.prototxt', 'deploy.prototxt', 'solver.prototxt', SURGERY)


class Run:
    """The run in `folder`; nothing is written until `open`."""

    def __init__(self, folder):
        self.folder = Path(os.path.realpath(folder))
        self.snapshot_folder = self.folder / 'snapshots'
        self._verified = {}  # (folder, kinds): manifest, or None of a snapshot that is damaged

    @contextlib.contextmanager
    def open(self, settings, about):
        """Start the run, or go on with one of equal `settings` that has a snapshot.

        `settings` and `about` are recorded as the run starts.

        The folder is this process's for as long as the context lasts. Raises RunError
        if it is another's, if the run was started with other settings, or if the
        folder or its disk fails, now or later.
        """
        try:
            self.snapshot_folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / '.lock').open('w') as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise RunError(
                        f'{self.folder}: another process trains here; wait for it to end, or give another '
                        'folder with --runs'
                    ) from error
                self._verified.clear()  # What was whole when it was asked for may not be now.
                self._begin(settings, about)
                yield
        except (OSError, SnapshotError) as error:
            failed = isinstance(error, SnapshotError)
            words = str(error) if failed else f'{error.filename or self.folder}: {error.strerror}'
            self._verified.clear()
            left = self.iteration
            raise RunError(
                f'{words}; '
                + (
                    f'the snapshot of iteration {left} stands: mend the disk and give the '
                    'same command to go on from it'
                    if left
                    else 'name a folder that can be written with --runs'
                )
            ) from error

    def _begin(self, settings, about):
        for stale in self.snapshot_folder.glob('.partial*'):
            shutil.rmtree(stale)
        self.check(settings)
        manifest = self.newest(WEIGHTS, STATE)
        for iteration, folder in self.snapshots():
            if manifest is None or iteration > manifest['iteration']:
                spoilt = folder.with_name(f'damaged_{folder.name}')
                shutil.rmtree(spoilt, ignore_errors=True)
                folder.rename(spoilt)
        self._about = {'settings': settings, **about}
        if manifest is None:
            (self.folder / 'log.jsonl').unlink(missing_ok=True)
            return
        for file in self.damaged():
            _say(
                f'{file}: missing or damaged; '
                + {
                    'log.jsonl': 'what can be read of it is kept',
                    SURGERY: 'what it said of the start is not known again',
                }.get(file.name, 'it is written anew')
            )
        with contextlib.suppress(SnapshotError):
            self._about = read_checksummed(self.folder / 'run.json')
        self._cut_log(manifest)

    def damaged(self):
        """The files beside the snapshots that are not as the run wrote them, as Paths."""
        manifest = self.newest(WEIGHTS, STATE)
        log = self.folder / 'log.jsonl'
        whole = not manifest or (
            log.exists() and digest(log, manifest['log']['bytes']) == manifest['log']
        )
        try:
            files = read_checksummed(self.folder / 'run.json')['files']
        except SnapshotError:
            files = {'run.json': None}
        damaged = [
            self.folder / name
            for name, noted in files.items()
            if not matches(self.folder / name, noted)
        ]
        return damaged if whole else [*damaged, log]

    def note_files(self):
        """Write run.json, when all other small files are written."""
        files = {
            name: digest(self.folder / name) for name in FILES if (self.folder / name).exists()
        }
        if SURGERY in (
            noted := self._about.get('files', {})
        ):  # It is written once, as a run starts.
            files[SURGERY] = noted[SURGERY]
        write_checksummed(self.folder / 'run.json', **self._about | {'files': files})

    def _cut_log(self, manifest):
        """Leave of the log what it held when the snapshot was made."""
        log, noted = self.folder / 'log.jsonl', manifest['log']
        if log.exists() and digest(log, noted['bytes']) == noted:
            with log.open('r+b') as file:
                file.truncate(noted['bytes'])
            return
        records = [
            record
            for record in self.read_log()
            if record.get('iteration', 0) <= manifest['iteration']
        ]
        write_text(log, ''.join(json.dumps(record) + '\n' for record in records))

    def check(self, settings):
        """Raise RunError if the run has snapshots and was made with other settings, or if none of them is whole."""
        manifest = self.newest(WEIGHTS, STATE)
        if manifest is None:
            if self.snapshots():
                raise RunError(
                    f'{self.snapshot_folder}: no snapshot is whole; move {self.folder} away to start anew'
                )
            return
        old = manifest['settings']
        for key in settings:
            if old.get(key) != settings[key]:
                raise RunError(
                    f'{self.folder / "run.json"}: this run has {key} {old.get(key)!r}, not '
                    f'{settings[key]!r}; ask for the same, or give another folder with --runs'
                )

    def snapshots(self):
        """[(iteration, folder)], oldest first, whole or not."""
        found = []
        for folder in self.snapshot_folder.glob('iter_*'):
            if match := re.fullmatch(r'iter_(\d+)', folder.name):
                found.append((int(match[1]), folder))
        return sorted(found)

    def newest(self, *kinds):
        """The manifest of the newest snapshot whose files of `kinds` are whole, None if there is none.

        Those that are not are passed over with a word about each.
        """
        for _, folder in reversed(self.snapshots()):
            key = folder, kinds
            if key not in self._verified:
                try:
                    self._verified[key] = verify(folder, *kinds)
                except SnapshotError as error:
                    self._verified[key] = None
                    _say(f'{error}; this snapshot is passed over')
            if self._verified[key]:
                return self._verified[key]
        return None

    @property
    def iteration(self):
        """The iteration that the run goes on from, 0 if it has no snapshot."""
        manifest = self.newest(WEIGHTS, STATE)
        return manifest['iteration'] if manifest else 0

    @property
    def validated(self):
        """Whether the newest snapshot has been validated."""
        manifest = self.newest(WEIGHTS, STATE)
        return bool(manifest and manifest['validation'])

    def weights(self):
        """The newest snapshot's caffemodel; RunError if there is none."""
        if not self.snapshots():
            raise RunError(f'{self.folder}: no snapshot there; train it first')
        manifest = self.newest(WEIGHTS)
        if manifest is None:
            raise RunError(
                f'{self.snapshot_folder}: no snapshot has weights that are whole; train it again'
            )
        return self._snapshot(manifest['iteration']) / file_name(manifest['iteration'], WEIGHTS)

    def save(self, solver, **state):
        """Snapshot `solver` with the `state` of what is not Caffe's, and drop all but the newest and the best."""
        folder = self._snapshot(solver.iter)
        if folder.exists():
            return
        write_snapshot(
            solver,
            folder,
            settings=self._about['settings'],
            validation=None,
            time=round(time.time()),
            log=self._log_digest(),
            **state,
        )
        self._verified.clear()
        self._prune()

    def note_validation(self, iteration, results):
        """Write the validation `results` {label: {metric: value}} of a snapshot into its manifest."""
        folder = self._snapshot(iteration)
        write_checksummed(
            folder / MANIFEST,
            **read_checksummed(folder / MANIFEST)
            | {'validation': results, 'log': self._log_digest()},
        )
        self._verified.clear()
        self._prune()

    def restore(self, solver):
        """Put the newest whole snapshot into `solver` and return its manifest; RunError if it is of another net."""
        manifest = self.newest(WEIGHTS, STATE)
        folder, iteration = self._snapshot(manifest['iteration']), manifest['iteration']
        weights = read_weights(folder / file_name(iteration, WEIGHTS))
        learned = {name: [blob.shape for blob in blobs] for name, blobs in weights}
        for name, blobs in solver.net.params.items():
            shapes = [tuple(blob.shape) for blob in blobs]
            if learned.get(name) != shapes:
                raise RunError(
                    f"{self.folder}: this run's {name} has weights of {learned.get(name, 'no')} shapes, the "
                    f"net's now of {shapes}: its row or its data set has changed; change it back, or give "
                    'another folder with --runs'
                )
        with contextlib.chdir(folder):
            solver.restore(file_name(iteration, STATE))
        return manifest

    def best(self):
        """The iteration of the kept snapshot whose first label has the highest mean IU, None if none was validated."""
        found = []
        for iteration, folder in self.snapshots():
            with contextlib.suppress(SnapshotError):
                if results := read_checksummed(folder / MANIFEST)['validation']:
                    found.append((next(iter(results.values()))['mean_iu'] or 0, iteration))
        return max(found)[1] if found else None

    def _prune(self):
        best = self.best()
        for iteration, folder in self.snapshots()[:-KEPT]:
            if iteration != best:
                discard(folder)

    def _snapshot(self, iteration):
        return self.snapshot_folder / f'iter_{iteration:08}'

    def _log_digest(self):
        log = self.folder / 'log.jsonl'
        log.touch()
        flush(log)
        return digest(log)

    def log(self, **record):
        """Add a line to the log, stamped with the time."""
        with (self.folder / 'log.jsonl').open('a') as file:
            file.write(json.dumps({'time': round(time.time(), 1), **record}) + '\n')

    def read_log(self):
        """The log's records: without a line cut off by a crash, and without what a run
        that was resumed from a snapshot had logged after it."""
        records = []
        with (
            contextlib.suppress(FileNotFoundError),
            (self.folder / 'log.jsonl').open(errors='replace') as file,
        ):
            for line in file:
                if (record := _record(line)) is None:
                    continue
                if record.get('event') == 'resumed':
                    records = [old for old in records if old['iteration'] <= record['iteration']]
                records.append(record)
        return records

    def learning_curve(self):
        """The log's losses and validations, as lists by name."""
        records = self.read_log()
        losses = [record for record in records if 'loss' in record]
        validations = [record for record in records if 'validation' in record]
        return {
            'iteration': [record['iteration'] for record in losses],
            'loss': [record['smoothed_loss'] for record in losses],
            'val_iteration': [record['iteration'] for record in validations],
            'mean_iu': [record['validation']['mean_iu'] for record in validations],
        }


def _record(line):
    """The record in a line of the log; None if the line is damaged."""
    try:
        record = json.loads(line)
        return record if isinstance(record, dict) and isinstance(record['iteration'], int) else None
    except (ValueError, KeyError, RecursionError):
        return None


def _say(words):
    print(f'WARNING: {printable(words)}', file=sys.stderr)
