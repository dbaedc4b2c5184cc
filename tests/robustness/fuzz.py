"""Feeds damaged files to the commands, as a user's own might be, and counts how they end.

    python -m tests.robustness.fuzz                     20,000 cases
    python -m tests.robustness.fuzz --count 500 --seed 7 --jobs 1 --out DIR
    python -m tests.robustness.fuzz --replay DIR/17.json

A case is good if the command ends by itself within 30 s with 0, or with 2 and one line,
prints no traceback, failed check or warning of Python's, takes no more than 1.5 GB beside what it
started with, and, where it failed, leaves nothing behind. What is not good is kept in
--out: the damaged file, what was printed, and what --replay needs.
"""

import os

# Threads do not survive a fork. Caffe's libraries read this as they are loaded.
os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1')

import contextlib
import gc
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.report import table
from fcn.cli import Parser, positive, run
from fcn.errors import FCNError
from fcn.io import write_text

from .cases import arrange, recipes
from .formats import MUTATORS
from .material import build
from .server import COLD, become_subreaper, run_case, tree
from .setting import dump


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.fuzz')
    add = parser.add_argument
    add('--count', type=int, default=20_000, metavar='N', help='cases (default: %(default)s)')
    add('--minutes', type=positive, metavar='N', help='begin no case after so many')
    add('--seed', type=int, default=0, metavar='N', help='of what is damaged, and how')
    add('--jobs', type=int, default=2, metavar='N', help='cases at once (default: %(default)s)')
    add(
        '--out',
        type=Path,
        default=Path('out/fuzz'),
        metavar='DIR',
        help='what failed (default: out/fuzz)',
    )
    add(
        '--kind',
        action='append',
        choices=sorted(MUTATORS),
        help='only this kind of file; may be repeated',
    )
    add('--replay', type=Path, metavar='FILE', help='try a failure again')
    args = parser.parse_args(arguments)
    if args.count < 1 or args.jobs < 1 or args.seed < 0:
        parser.error('--count and --jobs are above 0, --seed is not below it')
    return args


def key(recipe):
    return f'{recipe.kind}: {recipe.command}: {recipe.file}'


def deal(index, table):
    """The recipe of a case: kinds take turns, and the recipes of each kind."""
    kinds = list(dict.fromkeys(recipe.kind for recipe in table))
    turn, kind = divmod(index, len(kinds))
    own = [recipe for recipe in table if recipe.kind == kinds[kind]]
    return own[turn % len(own)]


def damaged(recipe, setting, seed, index, table):
    """What a case puts in the place of a file."""
    rng = np.random.default_rng([seed, index])
    others = [setting / one.original for one in table if one.kind == recipe.kind]
    other = others[int(rng.integers(len(others)))]
    return MUTATORS[recipe.kind]((setting / recipe.original).read_bytes(), rng, other.read_bytes())


def attempt(recipe, setting, scratch, content, cold=False):
    """The Outcome of a command on a file's `content`."""
    folder = Path(tempfile.mkdtemp(prefix='case-', dir=scratch))
    try:
        arrange(recipe, setting, folder, content)
        return run_case(recipe, folder, cold)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(job, args, setting, scratch, table, report):
    """Try every case of one job and write a line of JSON for each."""
    become_subreaper()
    gc.freeze()
    for index in range(job, args.count, args.jobs):
        if time.monotonic() > args.end:
            break
        recipe = deal(index, table)
        content = damaged(recipe, setting, args.seed, index, table)
        outcome = attempt(recipe, setting, scratch, content, cold=index // args.jobs % COLD == 0)
        if outcome.wrong:
            keep(args, index, recipe, content, outcome)
        line = dict(
            index=index,
            kind=recipe.kind,
            command=recipe.command,
            status=outcome.status,
            seconds=outcome.seconds,
            peak=outcome.peak,
            wrong=outcome.wrong,
        )
        os.write(report, (json.dumps(line) + '\n').encode())


def keep(args, index, recipe, content, outcome):
    """Write a failure to --out, so that it can be tried again."""
    (args.out / f'{index}.input').write_bytes(content)
    write_text(
        args.out / f'{index}.json',
        json.dumps(
            dict(
                seed=args.seed,
                index=index,
                recipe=key(recipe),
                command=f'{recipe.program} {recipe.argv}',
                input=f'{index}.input',
                **outcome._asdict(),
            ),
            indent=2,
        )
        + '\n',
    )


def fuzz(args, table=None):
    """Try all cases; {(kind, command): tally}, and the failures as {index: what was wrong}."""
    args.end = time.monotonic() + 60 * args.minutes if args.minutes else float('inf')
    args.out = Path(os.path.realpath(args.out))
    args.out.mkdir(parents=True, exist_ok=True)
    table = [recipe for recipe in table or recipes() if not args.kind or recipe.kind in args.kind]
    with new_setting() as (setting, scratch):
        table = [recipe for recipe in table if (setting / recipe.original).is_file()]
        before = tree(setting)
        check_undamaged(table, setting, scratch)
        tallies, failures = {}, {}
        for line in tqdm(
            _lines(args, setting, scratch, table),
            total=args.count,
            unit='case',
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 30,
        ):
            tally = tallies.setdefault(
                (line['kind'], line['command']),
                dict(tried=0, good=0, refused=0, failed=0, slowest=0, peak=0),
            )
            tally['tried'] += 1
            tally['good'] += line['status'] == 0 and not line['wrong']
            tally['refused'] += line['status'] == 2 and not line['wrong']
            tally['failed'] += bool(line['wrong'])
            tally['slowest'] = max(tally['slowest'], line['seconds'])
            tally['peak'] = max(tally['peak'], line['peak'])
            if line['wrong']:
                failures[line['index']] = (
                    f'{line["kind"]}, {line["command"]}: {"; ".join(line["wrong"])}'
                )
        if tree(setting) != before:
            raise FCNError('a command wrote to files that it should only read')
    return tallies, failures


def check_undamaged(table, setting, scratch):
    """Raise FCNError unless every command does its work on files that are whole: the check of the checks."""
    for recipe in table:
        outcome = attempt(recipe, setting, scratch, (setting / recipe.original).read_bytes())
        expected = (
            2 if recipe.command == 'miniature' else 0
        )  # whose runs lie in no folder, lest it train
        if outcome.status != expected or outcome.wrong:
            raise FCNError(
                f'{key(recipe)} ends with {outcome.status} on the file as it should be '
                f'({"; ".join(outcome.wrong)}): {outcome.stderr[-600:]}'
            )


@contextlib.contextmanager
def new_setting():
    """A new setting and a folder for cases, in memory where there is a file system there."""
    memory = Path('/dev/shm')
    folder = Path(
        tempfile.mkdtemp(prefix='fuzz-', dir=memory if os.access(memory, os.W_OK) else None)
    )
    setting, scratch = folder / 'setting', folder / 'cases'
    try:
        setting.mkdir()
        scratch.mkdir()
        with contextlib.chdir(Path.cwd()):  # The setting becomes the current folder.
            build(setting)
            yield setting, scratch
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lines(args, setting, scratch, table):
    """Fork the jobs and yield what they report of each case."""
    receive, send = os.pipe()
    jobs = []
    for job in range(args.jobs):
        if (child := os.fork()) == 0:
            os.close(receive)
            code = 1
            try:
                work(job, args, setting, scratch, table, send)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        jobs.append(child)
    os.close(send)
    try:
        with open(receive, encoding='utf-8') as reports:
            for line in reports:
                yield json.loads(line)
    except BaseException:  # Ctrl-C, or nobody wants more.
        for job in jobs:
            os.kill(job, signal.SIGKILL)
            os.waitpid(job, 0)
        raise
    if any(os.waitpid(job, 0)[1] for job in jobs):
        raise FCNError('a job of the fuzzer broke down; its words stand above')


def table_of(rows):
    """The cases by file and command, as a table."""
    head = ['file', 'command', 'tried', 'taken', 'refused', 'failures', 'slowest, s']
    return table(
        head,
        [
            [
                row['kind'],
                row['command'],
                row['tried'],
                row['good'],
                row['refused'],
                row['failed'],
                float(row['slowest']),
            ]
            for row in rows
        ],
    )


def replay(args):
    """Try a failure again and print how it ends; 0 if it is good now."""
    try:
        about = json.loads(args.replay.read_text())
        content = (args.replay.parent / about['input']).read_bytes()
        (recipe,) = (recipe for recipe in recipes() if key(recipe) == about['recipe'])
    except (ValueError, KeyError, TypeError) as error:
        raise FCNError(f'{args.replay}: no failure that --out keeps ({error})') from error
    become_subreaper()
    with new_setting() as (setting, scratch):
        outcome = attempt(recipe, setting, scratch, content)
    print(outcome.stdout, outcome.stderr, sep='\n')
    print(f'exit {outcome.status} in {outcome.seconds:.1f} s:', '; '.join(outcome.wrong) or 'good')
    return bool(outcome.wrong)


def main(arguments=None):
    args = parse(arguments)
    if args.replay:
        return replay(args)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # It cleans up after itself as on Ctrl-C.
    began = time.monotonic()
    tallies, failures = fuzz(args)
    seconds, tried = time.monotonic() - began, sum(tally['tried'] for tally in tallies.values())
    rows = [
        dict(kind=kind, command=command, **tally)
        for (kind, command), tally in sorted(tallies.items())
    ]
    dump(
        args.out / 'fuzz.json',
        dict(
            count=tried,
            seed=args.seed,
            jobs=args.jobs,
            seconds=round(seconds, 1),
            rows=rows,
            failures={str(index): words for index, words in sorted(failures.items())},
        ),
    )
    print(table_of(rows))
    for index, words in sorted(failures.items()):
        print(f'{args.out / str(index)}.json: {words}')
    print(f'{tried} cases, {len(failures)} failures, {seconds:.0f} s')
    return bool(failures)


if __name__ == '__main__':
    run(main)
