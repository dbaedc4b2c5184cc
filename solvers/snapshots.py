"""The snapshots of one run: which are there, which is the newest undamaged one, which are kept."""

import contextlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from fcn.engine import caffe
from fcn.errors import SnapshotError

from .snapshot import (
    MANIFEST,
    Manifest,
    discard,
    file_name,
    read_checksummed,
    verify,
    write_checksummed,
    write_snapshot,
)

MAX_RECENT = 3  # newest snapshots that are kept, besides the best one

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
        for _, folder in reversed(self.all()):
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
        found = []
        for iteration, folder in self.all():
            with contextlib.suppress(SnapshotError):
                if results := read_checksummed(folder / MANIFEST)['validation']:
                    found.append((next(iter(results.values()))['mean_iu'] or 0, iteration))
        return max(found)[1] if found else None

    def _prune(self) -> None:
        best = self.best()
        for iteration, folder in self.all()[:-MAX_RECENT]:
            if iteration != best:
                discard(folder)
