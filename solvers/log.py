"""The log of a run: a file of one JSON object per line, for losses, validations and events."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fcn.io import flush, write_text

from .snapshot import Digest, digest

Record = dict[str, Any]


class Log:
    """The log in the file `path`, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[Record], None]] = []

    def append(self, **record: Any) -> None:
        """Add a record, with the time in seconds since 1970, and hand it to the listeners."""
        record = {'time': round(time.time(), 1), **record}
        with self.path.open('a') as file:
            file.write(json.dumps(record) + '\n')
        for listener in self.listeners:
            listener(record)

    def read(self) -> list[Record]:
        """Return the records.

        Left out are a line that a crash cut off, and what a run that was resumed from a snapshot
        had logged after that snapshot.
        """
        records: list[Record] = []
        with (
            contextlib.suppress(FileNotFoundError),
            self.path.open(errors='replace') as file,
        ):
            for line in file:
                if (record := _record(line)) is None:
                    continue
                if record.get('event') == 'resumed':
                    records = [old for old in records if old['iteration'] <= record['iteration']]
                records.append(record)
        return records

    def learning_curve(self) -> dict[str, list[float]]:
        """Return the losses and the validations as lists, by name."""
        records = self.read()
        losses = [record for record in records if 'loss' in record]
        validations = [record for record in records if 'validation' in record]
        return {
            'iteration': [record['iteration'] for record in losses],
            'loss': [record['smoothed_loss'] for record in losses],
            'val_iteration': [record['iteration'] for record in validations],
            'mean_iu': [record['validation']['mean_iu'] for record in validations],
        }

    def digest(self) -> Digest:
        """Bring the log to the disk and return its size and hash."""
        self.path.touch()
        flush(self.path)
        return digest(self.path)

    def begins_with(self, noted: Digest) -> bool:
        """Return whether the log still begins with what it held when `noted` was taken."""
        return self.path.exists() and digest(self.path, noted['bytes']) == noted

    def cut_back(self, noted: Digest, iteration: int) -> None:
        """Leave of the log what it held at the snapshot of `iteration`, when `noted` was taken.

        Of a damaged log, the records up to that iteration that can be read are kept.
        """
        if self.begins_with(noted):
            with self.path.open('r+b') as file:
                file.truncate(noted['bytes'])
            return
        records = [record for record in self.read() if record.get('iteration', 0) <= iteration]
        write_text(self.path, ''.join(json.dumps(record) + '\n' for record in records))

    def remove(self) -> None:
        """Remove the file, if it is there."""
        self.path.unlink(missing_ok=True)


def _record(line: str) -> Record | None:
    """Return the record in a line of the log, or None if the line is damaged."""
    try:
        record = json.loads(line)
        return record if isinstance(record, dict) and isinstance(record['iteration'], int) else None
    except (ValueError, KeyError, RecursionError):
        return None
