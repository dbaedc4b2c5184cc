"""Kills training at random moments, resumes it, and compares the result with a run never killed.

    python -m tests.robustness.kills [--kills 100] [--seed 0]

Each run is of solve.py itself. It is killed with SIGKILL once, at a moment drawn evenly from the
time between its first file and its end, and is then started again with the same command. Weights,
solver state, smoothed losses, validations and log must be equal to the last bit.
"""

import collections
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fcn.cli import Parser

from .setting import NETS, Setting, dump


def kill_once(setting: Setting, name: str, runs: Path, after: float) -> str:
    """Start a run, kill it `after` seconds from its first file, and return what it was doing."""
    process = setting.solve(name, runs)
    wait_for(runs / name / '.lock', process)
    time.sleep(after)
    ended = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if ended:
        return 'ended'
    return 'snapshotting' if list((runs / name / 'snapshots').glob('.partial*')) else 'training'


def wait_for(file: Path, process: subprocess.Popen[Any]) -> None:
    """Return when `file` exists or the process that makes it has ended."""
    while not file.exists() and process.poll() is None:
        time.sleep(0.005)


def measure(setting: Setting) -> dict[str, float]:
    """Return {net: seconds from its run's first file to its end}."""
    durations = {}
    for name in NETS:
        process = setting.solve(name, setting.folder / 'timed')
        wait_for(setting.folder / 'timed' / name / '.lock', process)
        start = time.monotonic()
        process.communicate()
        durations[name] = time.monotonic() - start
    return durations


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Kill as many runs as the arguments say, and return the result."""
    parser = Parser(__doc__, prog='python -m tests.robustness.kills')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    draw, unequal, early = random.Random(args.seed), [], 0
    moments: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(folder)
        durations = measure(setting)
        for index in tqdm(range(args.kills), desc='kills', disable=None):
            name, runs = NETS[index % len(NETS)], setting.folder / f'killed-{index}'
            while (
                moment := kill_once(setting, name, runs, draw.uniform(0, durations[name]))
            ) == 'ended':
                shutil.rmtree(runs)  # It was over before it was killed: that is no kill.
                early += 1
            moments[moment] += 1
            process = setting.solve(name, runs)
            output, _ = process.communicate()
            differences = [output[-300:]] if process.returncode else setting.differences(name, runs)
            if differences:
                unequal.append({'index': index, 'net': name, 'differences': differences})
                print(unequal[-1])
            else:
                shutil.rmtree(runs)
    result = {
        'kills': args.kills,
        'ended_before': early,
        'equal': args.kills - len(unequal),
        'moments': dict(moments),
        'unequal': unequal,
    }
    shares = ', '.join(f'{moment} {count}' for moment, count in moments.most_common())
    print(f'{result["equal"]} of {args.kills} ends equal; killed while {shares}')
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['unequal']))
