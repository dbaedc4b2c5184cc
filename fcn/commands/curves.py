"""Draws the learning curves of runs, and writes them as a table.

    fcn curves runs/a runs/b            curves.png: losses and mean IU; curves.csv: every number
    fcn curves runs --out out/mine      all runs in a folder, to out/mine.png and out/mine.csv

Of one run, the picture shows each class's IU too. Runs are read as they are: they may be at work,
or another machine's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fcn.cli import Parser
from fcn.curves import MANY, draw, write_csv
from fcn.errors import RunError
from fcn.history import History, find_runs, read_history, short_names
from fcn.io import check_writable, make_folder
from fcn.text import printable

ENDINGS = '.png', '.pdf', '.svg', '.csv'


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add('runs', nargs='+', type=Path, metavar='RUN', help='run folders, or folders of them')
    add(
        '--out',
        type=Path,
        default=Path('curves'),
        metavar='FILE',
        help='the picture, PNG, PDF or SVG; the table lies next to it (default: curves.png)',
    )
    return parser.parse_args(arguments)


def read(folders: Sequence[Path]) -> dict[str, History]:
    """Return the runs that folders are or hold, by a short name. Raises RunError for a folder
    without a run."""
    found: list[Path] = []
    for folder in folders:
        runs = find_runs(folder)
        if not runs:
            read_history(folder)  # Raises RunError, which says what is wrong.
        found += [run for run in runs if run.resolve() not in {path.resolve() for path in found}]
    if len(found) > MANY:
        raise RunError(f'{len(found)} runs: a picture tells {MANY} apart; name fewer')
    return dict(zip(short_names(found), map(read_history, found), strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    histories = read(args.runs)
    if not any(history.training['iteration'] for history in histories.values()):
        raise RunError(f'{args.runs[0]}: its log holds no losses yet; wait for the first iteration')
    named = args.out.suffix.lower() in ENDINGS
    stem = args.out.with_suffix('') if named else args.out
    suffix = args.out.suffix if named and args.out.suffix.lower() != '.csv' else '.png'
    picture, table = (stem.with_name(stem.name + ending) for ending in (suffix, '.csv'))
    make_folder(stem.parent)
    for path in (picture, table):
        check_writable(path)
    draw(picture, histories)
    write_csv(table, histories)
    for path in (picture, table):
        print(printable(path))
