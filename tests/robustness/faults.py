"""Lets the disk fail under a training run, at every point in turn, and looks at what is left.

    python -m tests.robustness.faults [--points 100]

A library loaded before libc (fault.c) counts what solve.py and the processes it starts do to
the run folder: files opened and written, flushes, renames, new folders. Each of these uses, or
POINTS of them evenly spread, is made to fail with each error in turn: a disk that is full or
forbidden stays so, an input/output error comes once. The command must end with exit
code 2 and one line, or not be impressed at all; the snapshots left must be whole; and the
same command, on a disk that works, must end as a run that never failed, to the last bit.
"""

import errno
import shutil
import subprocess
import tempfile
from pathlib import Path

from tqdm import tqdm

from fcn.cli import Parser
from fcn.errors import SnapshotError
from fcn.solvers import Run
from fcn.solvers.snapshot import STATE, WEIGHTS, verify

from .setting import Setting, dump, left_behind

NET = 'mini-vgg'
ERRORS = {'ENOSPC': True, 'EIO': False, 'EACCES': True}  # whether it stays


class Disk:
    """A disk that fails when it is told to; needs a C compiler."""

    def __init__(self, folder):
        self.library, self.counter = Path(folder) / 'fault.so', Path(folder) / 'counter'
        subprocess.run(
            [
                'cc',
                '-shared',
                '-fPIC',
                '-O1',
                '-o',
                self.library,
                Path(__file__).with_name('fault.c'),
                '-ldl',
            ],
            check=True,
        )

    def failing(self, under, at=0, error='EIO'):
        """The environment of a process whose use number `at` of the folder `under` fails with `error`."""
        self.counter.write_bytes(bytes(8))
        return {
            'LD_PRELOAD': str(self.library),
            'FAULT_COUNTER': str(self.counter),
            'FAULT_UNDER': str(under),
            'FAULT_AT': str(at),
            'FAULT_ERRNO': str(getattr(errno, error)),
            'FAULT_FOR_GOOD': str(int(ERRORS[error])),
        }

    @property
    def uses(self):
        """How many uses were counted."""
        return int.from_bytes(self.counter.read_bytes(), 'little')


def fail_once(setting, disk, runs, at, error):
    """Train on a disk that fails, then on one that works: whether the first noticed, and what was wrong, in words."""
    process = setting.solve(NET, runs, **disk.failing(runs / NET, at, error))
    words, _ = process.communicate()
    wrong, noticed = [], process.returncode == 2
    # What was printed before may come after, from a buffer.
    ends = [line for line in words.splitlines() if line.startswith('solve.py: ')]
    if noticed:
        if 'Traceback' in words or len(ends) != 1:
            wrong.append(f'no clear end: {words[-300:]}')
    elif process.returncode:
        wrong.append(f'exit {process.returncode}: {words[-300:]}')
    for iteration, folder in Run(runs / NET).snapshots():
        try:
            verify(folder, WEIGHTS, STATE)
        except SnapshotError as damage:
            wrong.append(f'{iteration}: {damage}')
    process = setting.solve(NET, runs)
    words, _ = process.communicate()
    if process.returncode:
        wrong.append(f'does not go on: {words[-300:]}')
    else:
        wrong += setting.differences(NET, runs) + left_behind(runs)
    return noticed, wrong


def main(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.faults')
    parser.add_argument('--points', type=int, default=100, help='places to fail at, for each error')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    failures, ended = [], 0
    with tempfile.TemporaryDirectory() as folder:
        setting, disk = Setting(folder, nets=[NET]), Disk(folder)
        runs = setting.folder / 'counted'
        setting.solve(NET, runs, **disk.failing(runs / NET)).communicate()
        uses = disk.uses
        points = sorted({1 + index * uses // args.points for index in range(args.points)})
        cases = [(at, error) for at in points for error in ERRORS]
        for at, error in tqdm(cases, desc='faults', disable=None):
            runs = setting.folder / f'{error}-{at}'
            noticed, wrong = fail_once(setting, disk, runs, at, error)
            ended += noticed
            if wrong:
                failures.append({'use': at, 'error': error, 'wrong': wrong})
                print(failures[-1])
            else:
                shutil.rmtree(runs)
    result = dict(
        uses=uses,
        points=len(points),
        errors=list(ERRORS),
        cases=len(cases),
        ended=ended,
        failures=failures,
    )
    print(
        f'{len(cases) - len(failures)} of {len(cases)} faults survived, at {len(points)} of {uses} uses of the disk; '
        f'{ended} ended the command with exit code 2'
    )
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['failures']))
