"""Lets the disk fail under a training run, at every point in turn, and checks what is left.

    python -m tests.robustness.faults [--points 100]

A library loaded before libc (fault.c) counts what solve.py and the processes it starts do to the
run folder: files opened and written, flushes, renames, new folders. Each of these uses, or POINTS
of them evenly spread, is made to fail with each error in turn. A disk that is full or forbidden
stays so; an input/output error comes once. The command must end with exit code 2 and one line, or
take no notice; the snapshots left must be complete; and the same command, on a disk that works,
must give the same result as a run that never failed, to the last bit.
"""

import errno
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fcn.cli import Parser
from fcn.errors import SnapshotError
from fcn.solvers import Run
from fcn.solvers.snapshot import STATE, WEIGHTS, verify

from .setting import Setting, dump, left_behind

NET = 'mini-vgg'
ERRORS = {'ENOSPC': True, 'EIO': False, 'EACCES': True}  # whether the error stays


class Disk:
    """A disk that fails when it is told to; needs a C compiler."""

    def __init__(self, folder: str | Path) -> None:
        self.library, self.counter = Path(folder) / 'fault.so', Path(folder) / 'counter'
        source = Path(__file__).with_name('fault.c')
        command = ['cc', '-shared', '-fPIC', '-O1', '-o', str(self.library), str(source), '-ldl']
        subprocess.run(command, check=True)

    def failing(self, under: Path, use: int = 0, error: str = 'EIO') -> dict[str, str]:
        """Return the environment of a process whose `use` of the folder `under` fails with `error`.

        Uses are counted from 1; with 0 none fails.
        """
        self.counter.write_bytes(bytes(8))
        return {
            'LD_PRELOAD': str(self.library),
            'FAULT_COUNTER': str(self.counter),
            'FAULT_UNDER': str(under),
            'FAULT_AT': str(use),
            'FAULT_ERRNO': str(getattr(errno, error)),
            'FAULT_FOR_GOOD': str(int(ERRORS[error])),
        }

    @property
    def uses(self) -> int:
        """How many uses were counted."""
        return int.from_bytes(self.counter.read_bytes(), 'little')


def fail_once(
    setting: Setting, disk: Disk, runs: Path, use: int, error: str
) -> tuple[bool, list[str]]:
    """Train on a disk that fails, then on one that works.

    Return whether the first command ended with 2, and what was wrong, a line each.
    """
    process = setting.solve(NET, runs, environment=disk.failing(runs / NET, use, error))
    output, _ = process.communicate()
    wrong, noticed = [], process.returncode == 2
    # What was printed before may come after, from a buffer.
    errors = [line for line in output.splitlines() if line.startswith('solve.py: ')]
    if noticed:
        if 'Traceback' in output or len(errors) != 1:
            wrong.append(f'does not end with one line: {output[-300:]}')
    elif process.returncode:
        wrong.append(f'exit {process.returncode}: {output[-300:]}')
    for iteration, folder in Run(runs / NET).snapshots.all():
        try:
            verify(folder, WEIGHTS, STATE)
        except SnapshotError as damage:
            wrong.append(f'{iteration}: {damage}')
    process = setting.solve(NET, runs)
    output, _ = process.communicate()
    if process.returncode:
        wrong.append(f'cannot be resumed: {output[-300:]}')
    else:
        wrong += setting.differences(NET, runs) + left_behind(runs)
    return noticed, wrong


def count_uses(setting: Setting, disk: Disk) -> int:
    """Return how often a run uses its folder."""
    runs = setting.folder / 'counted'
    setting.solve(NET, runs, environment=disk.failing(runs / NET)).communicate()
    return disk.uses


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Let the disk fail where the arguments say, and return the result."""
    parser = Parser(__doc__, prog='python -m tests.robustness.faults')
    parser.add_argument('--points', type=int, default=100, help='places to fail at, for each error')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    failures, ended = [], 0
    with tempfile.TemporaryDirectory() as folder:
        setting, disk = Setting(folder, nets=[NET]), Disk(folder)
        uses = count_uses(setting, disk)
        points = sorted({1 + index * uses // args.points for index in range(args.points)})
        cases = [(use, error) for use in points for error in ERRORS]
        for use, error in tqdm(cases, desc='faults', disable=None):
            runs = setting.folder / f'{error}-{use}'
            noticed, wrong = fail_once(setting, disk, runs, use, error)
            ended += noticed
            if wrong:
                failures.append({'use': use, 'error': error, 'wrong': wrong})
                print(failures[-1])
            else:
                shutil.rmtree(runs)
    result = {
        'uses': uses,
        'points': len(points),
        'errors': list(ERRORS),
        'cases': len(cases),
        'ended': ended,
        'failures': failures,
    }
    survived = f'{len(cases) - len(failures)} of {len(cases)} faults survived'
    print(
        f'{survived}, at {len(points)} of {uses} uses of the disk; {ended} ended with exit code 2'
    )
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['failures']))
