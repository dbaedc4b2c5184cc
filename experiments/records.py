"""What an experiment found, as it is kept in results/NAME.json: enough to write its page again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fcn.io import write_text


@dataclass
class RunRecord:
    """A run that was used: its iterations and the minutes that they took.

    `earlier` are the minutes of training that it had before the experiment began, None in records
    from before they were noted. `iterations` is None for published weights.
    """

    iterations: int | None
    minutes: float
    earlier: float | None = None


@dataclass
class Figure:
    """A score of a net, to compare with what other pages say about it.

    `mean_iu` is in percent, `how` says what it is the score of: seeds, images, recipe.
    """

    net: str
    mean_iu: float
    iterations: int | None
    how: str


@dataclass
class Record:
    """One run of an experiment: its circumstances, and `raw`, the numbers that its module measured.

    `real` says whether it was on a real data set. `seconds` is the experiment's own time, without
    the `earlier` minutes of its runs. `learned_from` and `scored_on` count images, 0 if nothing was
    learned or scored. `differing` names the settings that runs were made with other values of,
    `published` the nets with published weights.
    """

    experiment: str
    backbone: str
    real: bool
    quick: bool
    command: str
    commit: str | None
    date: str
    machine: str
    seconds: float
    raw: dict[str, Any]
    learned_from: int = 0
    scored_on: int = 0
    runs: dict[str, RunRecord] = field(default_factory=dict)
    differing: dict[str, list[str]] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def save(self, path: Path) -> None:
        write_text(path, json.dumps(asdict(self), indent=2) + '\n')


def read_record(path: Path) -> Record:
    """Return the Record in a JSON file."""
    values = json.loads(path.read_text())
    runs = {label: RunRecord(**run) for label, run in values.pop('runs', {}).items()}
    return Record(runs=runs, figures=_figures(values), **values)


def is_record(path: Path) -> bool:
    """Return whether a JSON file holds a Record; other pages have files of their own."""
    return 'experiment' in json.loads(path.read_text())


def read_figures(path: Path) -> list[Figure]:
    """Return the figures in the JSON file of any page; [] if it holds none."""
    return _figures(json.loads(path.read_text()))


def _figures(values: dict[str, Any]) -> list[Figure]:
    return [Figure(**figure) for figure in values.pop('figures', [])]
