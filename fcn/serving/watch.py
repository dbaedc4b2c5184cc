"""Runs as the page watches them: their state, their curves, and where they came from."""

from pathlib import Path
from typing import Any

from fcn.errors import SnapshotError
from fcn.history import History, Series, read_history
from fcn.solvers.log import Record
from fcn.solvers.run import ABOUT, LOG
from fcn.solvers.snapshot import read_checksummed

POINTS = 1500  # of a curve; more are thinned out
EVENTS = 200  # the newest, that are shown
TEXT = 600  # characters of an event

Stamp = tuple[int, int]


class Watch:
    """Reads logs again when they have grown."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[Stamp, History]] = {}

    def history(self, folder: Path) -> tuple[Stamp, History]:
        """Return the history of a run, and a stamp that changes as its log does.

        Raises RunError if it cannot be read.
        """
        stamp = _stamp(folder)
        held = self._read.get(folder)
        if held is None or held[0] != stamp:
            if len(self._read) > 64:
                self._read.clear()
            self._read[folder] = held = (stamp, read_history(folder))
        return held

    def summary(self, name: str, folder: Path) -> dict[str, Any]:
        """Return a line about a run."""
        _, history = self.history(folder)
        scores = [score for score in history.validations['mean_iu'] if score is not None]
        training = history.training
        return {
            'id': name,
            'net': history.net,
            'state': history.state,
            'iteration': history.iteration,
            'max_iter': history.max_iter,
            'mean_iu': scores[-1] if scores else None,
            'best_mean_iu': max(scores, default=None),
            'seconds_left': history.seconds_left if history.state == 'running' else None,
            'images_per_second': _last(training['images_per_second']),
            'lr': _last(training['lr']),
            'loss': _last(training['smoothed_loss']),
            'updated': _last([record.get('time') for record in history.records]),
        }

    def detail(self, name: str, folder: Path) -> dict[str, Any]:
        """Return all that is shown of a run."""
        _, history = self.history(folder)
        about = _about(folder)
        return {
            **self.summary(name, folder),
            'training': thinned(history.training),
            'validations': history.validations,
            'class_iu': history.class_iu,
            'events': [_event(record) for record in history.events[-EVENTS:]],
            'command': str(about.get('command', ''))[:TEXT],
            'device': str(about.get('device', '')),
            'starts_from': [str(path)[:TEXT] for path in about.get('starts_from', [])][:4],
        }


def parents(folder: Path, runs: dict[str, Path]) -> list[str]:
    """Return the ids of the runs that a run came from, the oldest first, as far as they are in
    `runs`: 32s, then 16s, of 8s."""
    chain: list[str] = []
    here = folder.resolve()
    resolved = {path.resolve(): name for name, path in runs.items()}
    for _ in range(8):
        begun = _about(here).get('starts_from')
        file = Path(str(begun[0])) if isinstance(begun, list) and begun else None
        # RUN/snapshots/iter_N/FILE
        if file is None or len(file.parts) < 4:
            break
        # A run that was moved here with its parents lies next to them.
        candidates = file.parents[2], here.parent / file.parents[2].name
        found = next((path for path in candidates if path in resolved and path != here), None)
        if found is None or resolved[found] in chain:
            break
        chain.insert(0, resolved[found])
        here = found
    return chain


def thinned(series: Series, points: int = POINTS) -> Series:
    """Return a series of at most about so many points, its last among them."""
    length = len(next(iter(series.values())))
    if length <= points:
        return series
    step = -(-length // points)
    kept = [*range(0, length - 1, step), length - 1]
    return {name: [values[index] for index in kept] for name, values in series.items()}


def _stamp(folder: Path) -> Stamp:
    try:
        about = (folder / LOG).stat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_size


def _about(folder: Path) -> dict[str, Any]:
    try:
        return read_checksummed(folder / ABOUT)
    except SnapshotError:
        return {}


def _event(record: Record) -> dict[str, Any]:
    return {
        'time': record.get('time'),
        'iteration': record['iteration'],
        'event': str(record['event'])[:TEXT],
    }


def _last(values: list[Any]) -> Any:
    return next((value for value in reversed(values) if value is not None), None)
