"""One run of an experiment: what its module measures with, and the page that comes of it."""

import importlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from fcn.engine import versions

from .pages import write_page
from .records import Record, RunRecord
from .runs import Published, Runs, minutes
from .scoring import Scoring
from .sets import Sets
from .settings import Settings


class Study:
    """What an experiment is given: its settings, data sets, runs and scores."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sets = Sets(settings)
        self.runs = Runs(settings, self.sets)
        self.scoring = Scoring(settings, self.sets)
        self._began = time.monotonic()

    def picture(self, what: str) -> Path:
        """Return the path of the page's picture of `what`, in a folder that is there."""
        self.settings.out.mkdir(parents=True, exist_ok=True)
        return self.settings.out / f'{self.settings.stem}-{what}.png'

    def record(self, raw: dict[str, Any]) -> Record:
        """Return the record of what was measured until now, and how."""
        runs, settings = self.runs, self.settings
        return Record(
            experiment=settings.name,
            backbone=settings.backbone,
            real=not settings.mini,
            quick=settings.quick,
            command=settings.command,
            commit=versions()['fcn'],
            date=f'{datetime.now(UTC):%Y-%m-%d}',
            machine=machine(),
            seconds=round(time.monotonic() - self._began, 1),
            # As it will be read: numbers that are keys become texts.
            raw=json.loads(json.dumps(raw)),
            learned_from=runs.learned_from,
            scored_on=self.scoring.images,
            runs={
                label: RunRecord(
                    use.run.iteration, round(minutes(use.run), 2), round(use.earlier, 2)
                )
                for label, use in runs.used.items()
            },
            differing=runs.differing,
            published=[label for label, use in runs.used.items() if isinstance(use.run, Published)],
        )

    def report(self, raw: dict[str, Any]) -> Path:
        """Write the record and its page into `out`, and return the page's path."""
        self.settings.out.mkdir(parents=True, exist_ok=True)
        self.record(raw).save(self.settings.out / f'{self.settings.stem}.json')
        return write_page(self.settings.out, self.settings.stem)


def run(settings: Settings) -> Path:
    """Run an experiment and return the path of its page."""
    study = Study(settings)
    return study.report(importlib.import_module(f'experiments.{settings.name}').measure(study))
