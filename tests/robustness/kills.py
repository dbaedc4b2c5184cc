"""Kills training at random moments, lets it go on, and compares the end with a run never killed.

    python -m tests.robustness.kills [--kills 100] [--seed 0]

Each of the runs is of solve.py itself, is killed with SIGKILL once, at a moment drawn evenly from
the time between its first file and its end, and is then started again with the same command. Weights, solver state,
smoothed losses, validations and log must be equal to the last bit.
"""

import collections
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

from fcn.cli import Parser

from .setting import NETS, Setting, dump


def kill_once(setting, name, runs, after):
    """Start a run and kill it `after` seconds from its first file; return what it was at."""
    process = setting.solve(name, runs)
    wait_for(runs / name / '.lock', process)
    time.sleep(after)
    ended = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if ended:
        return 'ended'
    return 'snapshotting' if list((runs / name / 'snapshots').glob('.partial*')) else 'training'


def wait_for(file, process):
    """Return when a process has made its first file, or has ended."""
    while not file.exists() and process.poll() is None:
        time.sleep(0.005)


def main(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.kills')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    draw, moments, unequal, early = random.Random(args.seed), collections.Counter(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(folder)
        durations = {}
        for name in NETS:
            process = setting.solve(name, setting.folder / 'timed')
            wait_for(setting.folder / 'timed' / name / '.lock', process)
            began = time.monotonic()
            process.communicate()
            durations[name] = time.monotonic() - began
        for index in tqdm(range(args.kills), desc='kills', disable=None):
            name, runs = NETS[index % len(NETS)], setting.folder / f'killed-{index}'
            while (
                moment := kill_once(setting, name, runs, draw.uniform(0, durations[name]))
            ) == 'ended':
                shutil.rmtree(runs)  # It was over before it was killed: that is no kill.
                early += 1
            moments[moment] += 1
            process = setting.solve(name, runs)
            words, _ = process.communicate()
            differences = [words[-300:]] if process.returncode else setting.differences(name, runs)
            if differences:
                unequal.append({'index': index, 'net': name, 'differences': differences})
                print(unequal[-1])
            else:
                shutil.rmtree(runs)
    result = dict(
        kills=args.kills,
        ended_before=early,
        equal=args.kills - len(unequal),
        moments=dict(moments),
        unequal=unequal,
    )
    print(
        f'{result["equal"]} of {args.kills} ends equal; killed while '
        + ', '.join(f'{moment} {count}' for moment, count in moments.most_common())
    )
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['unequal']))
