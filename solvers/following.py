"""A run that another process leads: rank 0 of several alone writes the run folder."""

import contextlib
import mmap
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fcn.engine import caffe
from fcn.mpi import Group

from . import solver_state
from .run import Run
from .snapshot import STATE, WEIGHTS, Manifest


class Follower(Run):
    """The run as a process sees it that is not rank 0.

    Its folder is one of its own, for prototxts and the like, which is deleted in the end. How far
    the run has come it hears from rank 0 (`follow`) and counts on from there. Nothing is read from
    the run folder, which other machines may see late, or not at all.
    """

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix='fcn-')
        super().__init__(self._scratch.name)
        self._iteration, self._validated = 0, False

    def follow(self, iteration: int, validated: bool) -> None:
        """Take note of how far the run has come."""
        self._iteration, self._validated = iteration, validated

    @contextlib.contextmanager
    def open(self, settings: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[None]:
        yield

    def check(self, settings: Mapping[str, Any]) -> None:
        pass

    def note_files(self) -> None:
        pass

    @property
    def iteration(self) -> int:
        return self._iteration

    @property
    def validated(self) -> bool:
        return self._validated

    @property
    def starts_from(self) -> list[str] | None:
        return None

    def save(self, solver: caffe.SGDSolver, **state: Any) -> None:
        self.follow(solver.iter, False)

    def note_validation(
        self, iteration: int, results: Mapping[str, Mapping[str, float | None]]
    ) -> None:
        self._validated = True


def restore_together(run: Run, solver: caffe.SGDSolver, group: Group) -> Manifest:
    """Put the newest undamaged snapshot of rank 0's run into the solvers of all processes, and
    return its manifest.

    The files go from process to process. Raises RunError if it is of another net.
    """
    if group.size == 1:
        return run.restore(solver)
    manifest = group.from_first(lambda: run.restore(solver))
    iteration = manifest['iteration']
    counts = group.from_first(
        lambda: {name: len(blobs) for name, blobs in run.learned(iteration).items()}
    )
    with tempfile.TemporaryDirectory(prefix='fcn-') as folder:
        copies = {}
        for kind in (WEIGHTS, STATE):
            name = run.snapshots.file(iteration, kind).name
            content = None
            if group.first:
                with run.snapshots.file(iteration, kind).open('rb') as file:
                    content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            copy = group.bytes_from_first(content)
            copies[kind] = Path(folder, name)
            if not group.first:
                copy.tofile(copies[kind])
            del copy, content
        if not group.first:
            solver_state.restore(solver, copies[WEIGHTS], copies[STATE], counts)
    return manifest


def files_from_first(
    paths: Mapping[str, Path] | None, folder: Path, group: Group
) -> dict[str, Path]:
    """Return rank 0's files by name, copied into the `folder` of each other process."""

    names = group.from_first(lambda: {label: path.name for label, path in (paths or {}).items()})
    found = {label: folder / name for label, name in names.items()}
    for label, file in found.items():
        content = group.bytes_from_first(paths[label].read_bytes() if paths else None)
        if not group.first:
            content.tofile(file)
    return found
