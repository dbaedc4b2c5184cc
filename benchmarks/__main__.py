"""Measures the engine against PyTorch on this CPU and writes a table.

    python -m benchmarks                         all, to results/bench-cpu.md (a quarter of an hour)
    python -m benchmarks --rounds 1 --out FILE   faster, and to another file

Contenders run in turns, each in a process of its own. Of each the minimum over all rounds counts:
other work on the machine then hardly shows. PyTorch is not among this project's requirements:
`pip install torch` first.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fcn.cli import Parser, integer, run
from fcn.engine import versions
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.text import markdown_table

from . import amortization
from .machine import processor
from .material import SIDE, prepare

ROOT = Path(__file__).resolve().parent.parent
THREADS = 2
# Contender → module, its last argument, CAFFE_CPU.
CONTENDERS = {
    'ours': ('run_caffe', None, None),
    'stock Caffe': ('run_caffe', None, 'stock'),
    'PyTorch': ('run_torch', 'nchw', None),
    'PyTorch, channels_last': ('run_torch', 'channels_last', None),
    'PyTorch, bf16': ('run_torch', 'bf16', None),
    'OpenCV dnn': ('run_opencv', None, None),
}
FP32 = ('PyTorch', 'PyTorch, channels_last')
# Title → net, pass, goals against PyTorch's best fp32: time as a ratio, memory in GB.
TASKS: dict[str, tuple[str, str, float, float | None]] = {
    'FCN-8s VGG-16, forward': ('voc-fcn8s', 'forward', 0.60, 1.2),
    'FCN-8s VGG-16, training iteration': ('voc-fcn8s', 'train', 0.75, 3.0),
    'FCN-GoogLeNet, forward': ('voc-fcn-googlenet', 'forward', 0.80, None),
    'FCN-AlexNet, forward': ('voc-fcn-alexnet', 'forward', 0.80, None),
}
TOLERANCE = 1e-3  # of the largest score: PyTorch's net and ours are the same

Result = dict[str, float]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m benchmarks')
    parser.add_argument(
        '--rounds',
        type=integer(1, 1000),
        default=3,
        metavar='N',
        help='turns of every contender (default: 3)',
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'results/bench-cpu.md', metavar='FILE')
    return parser.parse_args(arguments)


def untuned() -> dict[str, str]:
    """Return the environment without what chooses layers or kernels, with two threads.

    So each library takes its best kernels.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != 'CAFFE_CPU' and not key.startswith('OPENBLAS_')
    }
    return {**kept, 'OMP_NUM_THREADS': str(THREADS), 'OPENBLAS_NUM_THREADS': str(THREADS)}


def contend(name: str, folder: Path, what: str, times: int) -> Result | None:
    """Return what a contender's process prints, or None if it prints nothing."""
    module, form, stock = CONTENDERS[name]
    environment = untuned()
    if stock:
        environment['CAFFE_CPU'] = stock
    command = [sys.executable, '-m', f'benchmarks.{module}', str(folder), what, str(times)]
    command += [form] if form else []
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise FCNError(f'{name} failed ({what}): {result.stderr.strip().splitlines()[-1]}')
    return json.loads(result.stdout) if result.stdout.strip() else None


def check_same(folder: Path, side: int = SIDE) -> float:
    """Return the largest difference between PyTorch's scores and ours, as a share of the largest.

    Raises FCNError if the nets differ, or if the scores are not of an image of side×side.
    """
    for name in ('ours', 'PyTorch'):
        contend(name, folder, 'output', 1)
    ours, theirs = (np.load(folder / f'{name}.npy') for name in ('caffe', 'torch-nchw'))
    for scores in (ours, theirs):
        if scores.shape != ours.shape or scores.shape[2:] != (side, side):
            raise FCNError(
                f'scores are {ours.shape} and {theirs.shape}, not of a {side}×{side} image; '
                'nothing is reported'
            )
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if difference > TOLERANCE:
        raise FCNError(
            f'PyTorch computes another net: scores differ by {difference:.1e} of the largest'
        )
    return difference


def contenders(title: str) -> list[str]:
    """Return the contenders of a task.

    PyTorch's LRN knows no bf16, training in bf16 is another method, and OpenCV does not train.
    """
    _, what, *_ = TASKS[title]
    return [
        name
        for name in CONTENDERS
        if ('bf16' not in name or title == 'FCN-8s VGG-16, forward')
        and ('OpenCV' not in name or what == 'forward')
    ]


def compare(title: str, folder: Path, rounds: int, progress: tqdm) -> dict[str, Result]:
    """Return the minimum of each contender's seconds and of its peak memory over the rounds."""
    _, what, *_ = TASKS[title]
    best: dict[str, Result] = {}
    for _ in range(rounds):
        for name in contenders(title):
            result = contend(name, folder, what, 3 if what == 'forward' else 1)
            assert result
            best[name] = {key: min(best.get(name, result)[key], result[key]) for key in result}
            progress.update()
    return best


def sgemm_rate(size: int = 2048) -> float:
    """Return the multiply-adds per second of NumPy's matrix product."""
    script = (
        'import numpy as np\n'
        'from benchmarks.clock import min_seconds\n'
        f'a = np.ones(({size}, {size}), np.float32)\n'
        'print(min_seconds(lambda: a @ a, 8))'
    )
    command = [sys.executable, '-c', script]
    result = subprocess.run(
        command, cwd=ROOT, env=untuned(), capture_output=True, text=True, check=True
    )
    return size**3 / float(result.stdout)


def section(title: str, results: Mapping[str, Result], limit: float | None) -> str:
    """Return a task's table, and a line on the goals.

    `limit` is the seconds that the multiply-adds of the pass take at the rate of sgemm.
    """
    _, _, time_goal, memory_goal = TASKS[title]
    reference = min(results[name]['seconds'] for name in FP32)
    rows = [
        (
            name,
            f'{result["seconds"]:.3f}',
            f'{result["seconds"] / reference:.2f}',
            f'{result["peak"] / 1e9:.2f}',
        )
        for name, result in results.items()
    ]
    ours = results['ours']
    goals = [('time', ours['seconds'] / reference, time_goal)]
    if memory_goal:
        goals.append(('GB', ours['peak'] / 1e9, memory_goal))
    verdicts = '; '.join(
        f'{what}: {value:.2f}, goal {goal:.2f}, {"met" if value <= goal else "missed"}'
        for what, value, goal in goals
    )
    head = ['', 's', 'against PyTorch', 'peak GB']
    lines = [f'## {title}', '', markdown_table(head, rows), '', f'{verdicts}.']
    if limit:
        lines.append(
            f'At the rate of sgemm the multiply-adds alone would take {limit:.3f} s; '
            'Winograd makes do with fewer.'
        )
    return '\n'.join(lines) + '\n'


def heading(
    rounds: int,
    seconds: float,
    rate: float,
    loads: Iterable[float],
    differences: Mapping[str, float],
) -> str:
    """Return what was measured, where, how, and how long all of it took."""
    same = ', '.join(f'{name} {value:.0e}' for name, value in differences.items())
    loads = sorted(loads)
    commit, torch = versions()['fcn'], importlib.metadata.version('torch')
    return f"""# The engine on the CPU

`python -m benchmarks --rounds {rounds}` at commit {commit} on {time.strftime('%Y-%m-%d')}
took {seconds:.0f} s in all; {processor()}, {THREADS} threads; PyTorch {torch};
images of {SIDE}×{SIDE}, one a batch, fp32 but where it says bf16.
Seconds are of one pass, the minimum of {rounds} round{'' if rounds == 1 else 's'} in turns; the
machine's load average was {loads[0]:.1f} to {loads[-1]:.1f}, of which these processes make 2.
Memory is the process's largest from the first pass on, weights and libraries included. sgemm:
{2 * rate / 1e9:.0f} GFLOP/s.
The largest difference between PyTorch's scores and ours, as a share of the largest score: {same}.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if not importlib.util.find_spec('torch'):
        raise FCNError(
            'PyTorch is not installed, and the engine is measured against it: pip install torch'
        )
    began = time.monotonic()
    work, differences = {}, {}
    results: dict[str, dict[str, Result]] = {}
    rates, loads = [], []
    runs = args.rounds * sum(len(contenders(title)) for title in TASKS)
    with tqdm(total=runs, unit='run', dynamic_ncols=True) as progress:
        for name in dict.fromkeys(net for net, *_ in TASKS.values()):
            with tempfile.TemporaryDirectory(prefix='bench-') as scratch:
                folder = Path(scratch)
                work[name] = prepare(name, folder)
                differences[name] = check_same(folder)
                for title in (title for title, (net, *_) in TASKS.items() if net == name):
                    rates.append(sgemm_rate())
                    results[title] = compare(title, folder, args.rounds, progress)
                    loads.append(os.getloadavg()[0])
    sections = [
        section(title, results[title], work[net] / max(rates) if what == 'forward' else None)
        for title, (net, what, *_) in TASKS.items()
    ]
    sections.append(amortization.report())
    seconds = time.monotonic() - began
    text = '\n'.join([heading(args.rounds, seconds, max(rates), loads, differences), *sections])
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    run(main)
