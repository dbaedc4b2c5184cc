"""What a run folder tells of its training: how far it came, its curves, whether it is at work.

Folders are read and never written or locked, so that a run that is at work is not disturbed, and
one of another machine is seen by opening its folder.
"""

import contextlib
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fcn.errors import FCNError, RunError, SnapshotError
from fcn.io import read_text
from fcn.metrics import METRICS
from fcn.solvers.log import Log, Record
from fcn.solvers.run import ABOUT, LOG
from fcn.solvers.snapshot import read_checksummed

State = Literal['running', 'finished', 'interrupted', 'diverged', 'begun']
DEPTH = 3  # folders below the one that is looked through: runs/photos/NET
MAX_RUNS = 1000
MAX_FILE = 4 << 20  # bytes of a prototxt
LOCK = '.lock'
QUIET = 180.0  # seconds without a new line after which a run elsewhere counts as interrupted
PACE = 10  # records that the time left is reckoned from

Series = dict[str, list[float | None]]


@dataclass(frozen=True)
class History:
    """The run in `folder`: its net, how many iterations it was asked for, and its log's records."""

    folder: Path
    net: str
    max_iter: int | None
    records: tuple[Record, ...]

    @property
    def iteration(self) -> int:
        """The last iteration that the log tells of."""
        return max((record['iteration'] for record in self.records), default=0)

    @cached_property
    def training(self) -> Series:
        """The log's lines of losses as lists: time, iteration, loss, smoothed_loss, lr and
        images_per_second; None for what is missing or not finite."""
        names = 'time', 'iteration', 'loss', 'smoothed_loss', 'lr', 'images_per_second'
        lines = [record for record in self.records if 'loss' in record]
        return {name: [number(line.get(name)) for line in lines] for name in names}

    @cached_property
    def validations(self) -> Series:
        """The validations as lists: time, iteration, validation_loss and the four metrics of the
        first label, as fractions."""
        lines = self._validated
        series = {
            name: [number(line.get(name)) for line in lines]
            for name in ('time', 'iteration', 'validation_loss')
        }
        for metric in METRICS:
            series[metric] = [number(line['validation'].get(metric)) for line in lines]
        return series

    @cached_property
    def class_iu(self) -> Series:
        """Each class's IU at the validations, by name; empty for a run that logged none."""
        lines = [line.get('class_iu') for line in self._validated]
        noted = [line if isinstance(line, Mapping) else {} for line in lines]
        names = dict.fromkeys(name for line in noted for name in line)
        return {name: [number(line.get(name)) for line in noted] for name in names}

    @property
    def _validated(self) -> list[Record]:
        return [line for line in self.records if isinstance(line.get('validation'), Mapping)]

    @property
    def events(self) -> list[Record]:
        """The records of what happened besides: resumed, stopped, advice."""
        return [record for record in self.records if 'event' in record]

    @property
    def state(self) -> State:
        """What the run is doing: running, finished, interrupted, diverged, or begun, as far as its
        files tell."""
        if _is_locked(self.folder):
            return 'running'
        validated = max((record['iteration'] for record in self._validated), default=0)
        if self.max_iter is not None and validated >= self.max_iter:
            return 'finished'
        if self.records and str(self.records[-1].get('event', '')).startswith('loss is'):
            return 'diverged'
        # A lock of another machine is not seen, only its file, which the run removes as it ends.
        if (self.folder / LOCK).is_file() and self._age() < max(QUIET, 5 * self._gap()):
            return 'running'
        return 'interrupted' if self.records else 'begun'

    def _age(self) -> float:
        with contextlib.suppress(OSError):
            return time.time() - (self.folder / LOG).stat().st_mtime
        return math.inf

    def _gap(self) -> float:
        """Return the seconds between the last lines of the log."""
        times = [number(record.get('time')) or 0.0 for record in self.records[-PACE:]]
        return (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the run will take at its present pace, with validations; None if that is not
        known, or nothing is left."""
        begun = 0
        for index, record in enumerate(self.records):
            if record.get('event') == 'resumed':
                begun = index + 1
        recent = self.records[begun:][-PACE:]
        if self.max_iter is None or len(recent) < 2:
            return None
        done = recent[-1]['iteration'] - recent[0]['iteration']
        left = self.max_iter - recent[-1]['iteration']
        first, last = (number(record.get('time')) for record in (recent[0], recent[-1]))
        if done <= 0 or left <= 0 or first is None or last is None:
            return None
        return max(0.0, (last - first) * left / done)


def number(value: Any) -> float | None:
    """Return a finite number as it is, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def read_history(folder: str | Path) -> History:
    """Return the History of a run folder. Raises RunError for a folder that is none."""
    folder = Path(folder)
    if not is_run(folder):
        what = 'holds no log of a run' if folder.is_dir() else 'no such folder'
        raise RunError(f'{folder}: {what}; name a run folder, such as runs/voc-fcn8s')
    try:
        about = read_checksummed(folder / ABOUT)
        net = str(about['settings']['net'])
    except (SnapshotError, KeyError, TypeError):
        net = folder.resolve().name
    try:
        records = tuple(Log(folder / LOG).read())
    except OSError as error:
        raise RunError(f'{folder / LOG}: cannot be read ({error.strerror})') from error
    return History(folder, net, _max_iter(folder / 'solver.prototxt'), records)


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run that has begun."""
    return (folder / LOG).is_file() or (folder / ABOUT).is_file()


def find_runs(folder: str | Path, depth: int = DEPTH) -> list[Path]:
    """Return the run folders in `folder`, itself among them, in order of their names.

    Links to folders are not followed; a folder that cannot be read holds none.
    """
    found: list[Path] = []
    _find(Path(folder), depth, found)
    return found


def _find(folder: Path, depth: int, found: list[Path]) -> None:
    if len(found) >= MAX_RUNS:
        return
    if is_run(folder):
        found.append(folder)
        return
    if not depth:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        inside = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in sorted(inside):
            if not name.startswith('.'):
                _find(folder / name, depth - 1, found)


def short_names(folders: Iterable[Path]) -> list[str]:
    """Return names that tell folders apart: their ends, from where they first differ."""
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    for length in range(1, max(map(len, parts), default=1) + 1):
        names = ['/'.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return ['/'.join(part) for part in parts]


def _max_iter(file: Path) -> int | None:
    try:
        match = re.search(r'^max_iter: (\d{1,10})$', read_text(file, MAX_FILE), re.MULTILINE)
    except (FCNError, OSError):
        return None
    return int(match[1]) if match else None


def _is_locked(folder: Path) -> bool:
    """Return whether a process on this machine holds a run folder.

    Linux lists the locks: to try the lock would keep it from a training that begins just then.
    """
    try:
        about = (folder / LOCK).stat()
        locks = Path('/proc/locks').read_text()
    except OSError:
        return False
    device = f'{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}'
    return f' {device}:{about.st_ino} ' in locks
