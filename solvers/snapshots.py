"""The snapshots of one run: which are there, which is the best, the newest, which are kept."""

import contextlib
import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fcn.engine import caffe
from fcn.errors import FCNError, RunError, SnapshotError
from fcn.text import few

from .snapshot import (
    MANIFEST,
    WEIGHTS,
    Manifest,
    discard,
    file_name,
    read_checksummed,
    verify,
    write_checksummed,
    write_snapshot,
)

MAX_RECENT = 3  # newest snapshots that are kept, besides the best one

# Which snapshot to use: the best, the newest, or that of an iteration.
BEST, NEWEST = 'best', 'newest'
Choice = str | int

logger = logging.getLogger('fcn')


class Snapshot(NamedTuple):
    """One snapshot, damaged or not."""

    iteration: int
    folder: Path


class Snapshots:
    """The snapshots in `folder`, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Verifying reads a gigabyte: the manifest, or None of a damaged snapshot, is remembered.
        self._verified: dict[tuple[Path, tuple[str, ...]], Manifest | None] = {}

    def all(self) -> list[Snapshot]:
        """Return all snapshots, damaged or not, the oldest first."""
        found = []
        for folder in self.folder.glob('iter_*'):
            if match := re.fullmatch(r'iter_(\d+)', folder.name):
                found.append(Snapshot(int(match[1]), folder))
        return sorted(found)

    def newest(self, *kinds: str) -> Manifest | None:
        """Return the manifest of the newest snapshot whose files of `kinds` are undamaged.

        None if there is none. A warning is logged for each that is passed over.
        """
        return self._first_undamaged((folder for _, folder in reversed(self.all())), *kinds)

    def _first_undamaged(self, folders: Iterable[Path], *kinds: str) -> Manifest | None:
        for folder in folders:
            key = folder, kinds
            if key not in self._verified:
                try:
                    self._verified[key] = verify(folder, *kinds)
                except SnapshotError as error:
                    self._verified[key] = None
                    logger.warning('%s; this snapshot is passed over', error)
            if manifest := self._verified[key]:
                return manifest
        return None

    def choose(self, choice: Choice) -> Manifest | None:
        """Return the manifest of a snapshot with undamaged weights, None if there is none.

        BEST is the validated one whose first label has the highest mean IU, or the NEWEST if none
        was validated. Raises RunError if that of an iteration is missing or damaged, FCNError for
        any other choice.
        """
        if isinstance(choice, int) and not isinstance(choice, bool):
            return self._at(choice)
        if choice not in (BEST, NEWEST):
            raise FCNError(f'snapshot={choice!r}: give {BEST!r}, {NEWEST!r} or an iteration')
        best = None
        if choice == BEST:
            best = self._first_undamaged((folder for *_, folder in self._ranked()), WEIGHTS)
        return best or self.newest(WEIGHTS)

    def _at(self, iteration: int) -> Manifest:
        """Return the manifest of an iteration's snapshot. Raises RunError, which names those with
        undamaged weights, if it is missing or damaged."""
        folders = dict(self.all())
        problem = 'there is none'
        if iteration in folders:
            try:
                return verify(folders[iteration], WEIGHTS)
            except SnapshotError as error:
                problem = f'it is damaged ({error})'
        others = [number for number, folder in folders.items() if _undamaged(folder)]
        fix = f'those of {few(others)} are undamaged' if others else 'all others are damaged too'
        raise RunError(f'{self.folder}: the snapshot of iteration {iteration}: {problem}; {fix}')

    def describe(self, manifest: Manifest) -> str:
        """Return in one line which snapshot is used and what the newest is, '' if it is that."""
        newest = self.newest(WEIGHTS)
        if newest is None or newest['iteration'] == manifest['iteration']:
            return ''
        best = ', the best' if manifest['iteration'] == self.best() else ''
        return (
            f'the snapshot of iteration {manifest["iteration"]} ({_score(manifest, "mean IU ")}'
            f'{best}); the newest is that of {newest["iteration"]} ({_score(newest)})'
        )

    def forget(self) -> None:
        """Verify the files again when they are next asked for."""
        self._verified.clear()

    def path(self, iteration: int) -> Path:
        """Return the folder of the snapshot of `iteration`."""
        return self.folder / f'iter_{iteration:08}'

    def file(self, iteration: int, kind: str) -> Path:
        """Return a file of the snapshot of `iteration`, its WEIGHTS or STATE."""
        return self.path(iteration) / file_name(iteration, kind)

    def clean(self, resumed_from: int) -> None:
        """Remove what a crash left, and rename the snapshots after `resumed_from` to damaged_…"""
        for stale in self.folder.glob('.partial*'):
            shutil.rmtree(stale)
        for iteration, folder in self.all():
            if iteration > resumed_from:
                damaged = folder.with_name(f'damaged_{folder.name}')
                shutil.rmtree(damaged, ignore_errors=True)
                folder.rename(damaged)

    def save(self, solver: caffe.SGDSolver, **state: Any) -> None:
        """Snapshot `solver`, with `state` in the manifest, and remove old snapshots."""
        write_snapshot(solver, self.path(solver.iter), validation=None, **state)
        self.forget()
        self._prune()

    def update(self, iteration: int, **entries: Any) -> None:
        """Change entries in the manifest of a snapshot, and remove old snapshots."""
        manifest = self.path(iteration) / MANIFEST
        write_checksummed(manifest, **read_checksummed(manifest) | entries)
        self.forget()
        self._prune()

    def best(self) -> int | None:
        """Return the iteration of the snapshot whose first label has the highest mean IU.

        None if no snapshot was validated.
        """
        ranked = self._ranked()
        return ranked[0][1] if ranked else None

    def _ranked(self) -> list[tuple[float, int, Path]]:
        """Return (mean IU, iteration, folder) of the validated snapshots, the best first."""
        found = []
        for iteration, folder in self.all():
            with contextlib.suppress(SnapshotError):
                manifest = read_checksummed(folder / MANIFEST)
                if manifest.get('validation'):
                    found.append((_mean_iu(manifest) or 0, iteration, folder))
        return sorted(found, reverse=True)

    def _prune(self) -> None:
        best = self.best()
        for iteration, folder in self.all()[:-MAX_RECENT]:
            if iteration != best:
                discard(folder)


def _undamaged(folder: Path) -> bool:
    """Return whether a snapshot's weights are undamaged."""
    try:
        verify(folder, WEIGHTS)
    except SnapshotError:
        return False
    return True


def _mean_iu(manifest: Manifest) -> float | None:
    """Return the mean IU of a validated snapshot's first label; None if no pixel had a class."""
    return next(iter(manifest['validation'].values()))['mean_iu']


def _score(manifest: Manifest, prefix: str = '') -> str:
    if not manifest.get('validation'):
        return 'not validated'
    return f'{prefix}{100 * (_mean_iu(manifest) or 0):.1f}'
