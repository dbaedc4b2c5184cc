"""Feeds damaged files to the commands, as a user's own might be, and counts how they end.

    python -m tests.robustness.fuzz                     20,000 cases
    python -m tests.robustness.fuzz --count 500 --seed 7 --jobs 1 --out DIR
    python -m tests.robustness.fuzz --replay DIR/17.json

A case is good if the command ends by itself within 30 s, with 0, or with 2 and one line, prints no
traceback, failed check or Python warning, takes at most 1.5 GB more than it started with, and,
where it failed, leaves nothing behind. Of each failure --out gets the damaged file, what was
printed, and what --replay needs.
"""

import os

# Threads do not survive a fork. Caffe's libraries read this as they are loaded.
os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1')

import argparse
import contextlib
import gc
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fcn.cli import Parser, positive, run
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.text import markdown_table

from .cases import Recipe, arrange, recipes
from .formats import MUTATORS
from .judge import tree
from .material import build
from .server import COLD, Outcome, become_subreaper, run_case
from .setting import dump

Tallies = dict[tuple[str, str], dict[str, Any]]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = Parser(__doc__, prog='python -m tests.robustness.fuzz')
    add = parser.add_argument
    add('--count', type=int, default=20_000, metavar='N', help='cases (default: %(default)s)')
    add('--minutes', type=positive, metavar='N', help='start no case after so many')
    add('--seed', type=int, default=0, metavar='N', help='random seed for the damage')
    add('--jobs', type=int, default=2, metavar='N', help='cases at once (default: %(default)s)')
    failures = 'where failures go (default: out/fuzz)'
    add('--out', type=Path, default=Path('out/fuzz'), metavar='DIR', help=failures)
    kinds = 'only this kind of file; may be repeated'
    add('--kind', action='append', choices=sorted(MUTATORS), help=kinds)
    add('--replay', type=Path, metavar='FILE', help='try a failure again')
    args = parser.parse_args(arguments)
    if args.count < 1 or args.jobs < 1 or args.seed < 0:
        parser.error('--count and --jobs are above 0, --seed is not below it')
    args.deadline = time.monotonic() + 60 * args.minutes if args.minutes else float('inf')
    args.out = Path(os.path.realpath(args.out))
    return args


def key(recipe: Recipe) -> str:
    """Return a recipe's name in the records of failures."""
    return f'{recipe.kind}: {recipe.command}: {recipe.file}'


def deal(index: int, table: Sequence[Recipe]) -> Recipe:
    """Return the recipe of a case: kinds take turns, and so do the recipes of each kind."""
    kinds = list(dict.fromkeys(recipe.kind for recipe in table))
    turn, kind = divmod(index, len(kinds))
    own = [recipe for recipe in table if recipe.kind == kinds[kind]]
    return own[turn % len(own)]


def damaged(recipe: Recipe, setting: Path, seed: int, index: int, table: Sequence[Recipe]) -> bytes:
    """Return what a case has in the place of the recipe's file."""
    rng = np.random.default_rng([seed, index])
    others = [setting / one.original for one in table if one.kind == recipe.kind]
    other = others[int(rng.integers(len(others)))]
    return MUTATORS[recipe.kind]((setting / recipe.original).read_bytes(), rng, other.read_bytes())


def attempt(
    recipe: Recipe, setting: Path, scratch: Path, content: bytes, cold: bool = False
) -> Outcome:
    """Return the Outcome of a command on a file's `content`."""
    folder = Path(tempfile.mkdtemp(prefix='case-', dir=scratch))
    try:
        arrange(recipe, setting, folder, content)
        return run_case(recipe, folder, cold)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(
    job: int,
    args: argparse.Namespace,
    setting: Path,
    scratch: Path,
    table: Sequence[Recipe],
    report: int,
) -> None:
    """Try every case of one job and write a line of JSON for each to the descriptor `report`."""
    become_subreaper()
    gc.freeze()
    for index in range(job, args.count, args.jobs):
        if time.monotonic() > args.deadline:
            break
        recipe = deal(index, table)
        content = damaged(recipe, setting, args.seed, index, table)
        outcome = attempt(recipe, setting, scratch, content, cold=index // args.jobs % COLD == 0)
        if outcome.wrong:
            keep(args, index, recipe, content, outcome)
        line = {
            'index': index,
            'kind': recipe.kind,
            'command': recipe.command,
            'status': outcome.status,
            'seconds': outcome.seconds,
            'peak': outcome.peak,
            'wrong': outcome.wrong,
        }
        os.write(report, (json.dumps(line) + '\n').encode())


def keep(
    args: argparse.Namespace, index: int, recipe: Recipe, content: bytes, outcome: Outcome
) -> None:
    """Write a failure to --out, so that it can be tried again."""
    (args.out / f'{index}.input').write_bytes(content)
    record = {
        'seed': args.seed,
        'index': index,
        'recipe': key(recipe),
        'command': f'{recipe.program} {recipe.argv}',
        'input': f'{index}.input',
        **outcome._asdict(),
    }
    write_text(args.out / f'{index}.json', json.dumps(record, indent=2) + '\n')


def fuzz(args: argparse.Namespace) -> tuple[Tallies, dict[int, str]]:
    """Try all cases; return {(kind, command): tally}, and {index: what was wrong} of failures."""
    args.out.mkdir(parents=True, exist_ok=True)
    table = [recipe for recipe in recipes() if not args.kind or recipe.kind in args.kind]
    tallies: Tallies = {}
    failures = {}
    with new_setting() as (setting, scratch):
        table = [recipe for recipe in table if (setting / recipe.original).is_file()]
        before = tree(setting)
        check_undamaged(table, setting, scratch)
        progress = tqdm(
            _reports(args, setting, scratch, table),
            total=args.count,
            unit='case',
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 30,
        )
        for line in progress:
            _add(line, tallies)
            if line['wrong']:
                what = f'{line["kind"]}, {line["command"]}'
                failures[line['index']] = f'{what}: {"; ".join(line["wrong"])}'
        if tree(setting) != before:
            raise FCNError('a command wrote to files that it should only read')
    return tallies, failures


def _add(line: dict[str, Any], tallies: Tallies) -> None:
    """Add the report of a case to its tally."""
    empty = {'tried': 0, 'good': 0, 'refused': 0, 'failed': 0, 'slowest': 0, 'peak': 0}
    tally = tallies.setdefault((line['kind'], line['command']), empty)
    tally['tried'] += 1
    tally['good'] += line['status'] == 0 and not line['wrong']
    tally['refused'] += line['status'] == 2 and not line['wrong']
    tally['failed'] += bool(line['wrong'])
    tally['slowest'] = max(tally['slowest'], line['seconds'])
    tally['peak'] = max(tally['peak'], line['peak'])


def check_undamaged(table: Sequence[Recipe], setting: Path, scratch: Path) -> None:
    """Raise FCNError unless every command works on undamaged files: the check of the checks."""
    for recipe in table:
        outcome = attempt(recipe, setting, scratch, (setting / recipe.original).read_bytes())
        # The miniature's folder of runs is a file, so that it does not train.
        expected = 2 if recipe.command == 'miniature' else 0
        if outcome.status != expected or outcome.wrong:
            raise FCNError(
                f'{key(recipe)} ends with {outcome.status} on the undamaged file '
                f'({"; ".join(outcome.wrong)}): {outcome.stderr[-600:]}'
            )


@contextlib.contextmanager
def new_setting() -> Iterator[tuple[Path, Path]]:
    """Make a setting and a folder for cases, in memory where there is a file system there."""
    memory = Path('/dev/shm')
    parent = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix='fuzz-', dir=parent))
    setting, scratch = folder / 'setting', folder / 'cases'
    try:
        setting.mkdir()
        scratch.mkdir()
        with contextlib.chdir(Path.cwd()):  # The setting becomes the current folder.
            build(setting)
            yield setting, scratch
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reports(
    args: argparse.Namespace, setting: Path, scratch: Path, table: Sequence[Recipe]
) -> Iterator[dict[str, Any]]:
    """Fork the jobs and yield what they report of each case."""
    receive, send = os.pipe()
    jobs = []
    for job in range(args.jobs):
        if (pid := os.fork()) == 0:
            os.close(receive)
            status = 1
            try:
                work(job, args, setting, scratch, table, send)
                status = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(status)
        jobs.append(pid)
    os.close(send)
    try:
        with open(receive, encoding='utf-8') as reports:
            for line in reports:
                yield json.loads(line)
    except BaseException:  # Ctrl-C, or nobody wants more.
        for pid in jobs:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    if any([os.waitpid(pid, 0)[1] for pid in jobs]):
        raise FCNError('a job of the fuzzer broke down; what it printed is above')


def table_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return the tallies by file and command as a Markdown table."""
    head = ['file', 'command', 'tried', 'taken', 'refused', 'failures', 'slowest, s']
    columns = 'kind', 'command', 'tried', 'good', 'refused', 'failed'
    return markdown_table(
        head, [[*(row[name] for name in columns), float(row['slowest'])] for row in rows]
    )


def replay(args: argparse.Namespace) -> bool:
    """Try a failure again and print how it ends; return whether it still fails."""
    try:
        about = json.loads(args.replay.read_text())
        content = (args.replay.parent / about['input']).read_bytes()
        (recipe,) = (recipe for recipe in recipes() if key(recipe) == about['recipe'])
    except (ValueError, KeyError, TypeError) as error:
        raise FCNError(f'{args.replay}: is no failure that --out wrote ({error})') from error
    become_subreaper()
    with new_setting() as (setting, scratch):
        outcome = attempt(recipe, setting, scratch, content)
    print(outcome.stdout, outcome.stderr, sep='\n')
    print(f'exit {outcome.status} in {outcome.seconds:.1f} s:', '; '.join(outcome.wrong) or 'good')
    return bool(outcome.wrong)


def main(arguments: Sequence[str] | None = None) -> bool:
    """Try the cases that the arguments ask for; return whether any failed."""
    args = parse(arguments)
    if args.replay:
        return replay(args)
    # SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    tallies, failures = fuzz(args)
    seconds, tried = time.monotonic() - start, sum(tally['tried'] for tally in tallies.values())
    rows = [
        {'kind': kind, 'command': command, **tally}
        for (kind, command), tally in sorted(tallies.items())
    ]
    result = {
        'count': tried,
        'seed': args.seed,
        'jobs': args.jobs,
        'seconds': round(seconds, 1),
        'rows': rows,
        'failures': {str(index): wrong for index, wrong in sorted(failures.items())},
    }
    dump(args.out / 'fuzz.json', result)
    print(table_of(rows))
    for index, wrong in sorted(failures.items()):
        print(f'{args.out / str(index)}.json: {wrong}')
    print(f'{tried} cases, {len(failures)} failures, {seconds:.0f} s')
    return bool(failures)


if __name__ == '__main__':
    run(main)
