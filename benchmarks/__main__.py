"""Measures the engine against PyTorch on this CPU and writes a table.

    python -m benchmarks                         all, into results/bench-cpu.md (a quarter of an hour)
    python -m benchmarks --rounds 1 --out FILE   quicker, elsewhere

Contenders run in turns, each in a process of its own, and of each the least time of
all rounds counts: other work on the machine then hardly shows. PyTorch is not among
this project's requirements: `pip install torch` first.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fcn.cli import Parser, run, whole
from fcn.engine import versions
from fcn.errors import FCNError
from fcn.io import write_text

from . import amortization
from .material import prepare

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
TASKS = {
    'FCN-8s VGG-16, forward': ('voc-fcn8s', 'forward', 0.60, 1.2),
    'FCN-8s VGG-16, training iteration': ('voc-fcn8s', 'train', 0.75, 3.0),
    'FCN-GoogLeNet, forward': ('voc-fcn-googlenet', 'forward', 0.80, None),
    'FCN-AlexNet, forward': ('voc-fcn-alexnet', 'forward', 0.80, None),
}
TOLERANCE = 1e-3  # of the largest score: PyTorch's net and ours are the same


def parse(arguments=None):
    parser = Parser(__doc__)
    parser.add_argument(
        '--rounds',
        type=whole(1, 1000),
        default=3,
        metavar='N',
        help='turns of every contender (default: 3)',
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'results/bench-cpu.md', metavar='FILE')
    return parser.parse_args(arguments)


def untuned():
    """The environment less what would choose layers or kernels, so that each library takes its best; two threads."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key != 'CAFFE_CPU' and not key.startswith('OPENBLAS_')
    }
    return {**kept, 'OMP_NUM_THREADS': str(THREADS), 'OPENBLAS_NUM_THREADS': str(THREADS)}


def contend(name, folder, what, times):
    """What a contender's process prints, as a dictionary; None if it prints nothing."""
    module, form, stock = CONTENDERS[name]
    environment = untuned()
    if stock:
        environment['CAFFE_CPU'] = stock
    command = [
        sys.executable,
        '-m',
        f'benchmarks.{module}',
        str(folder),
        what,
        str(times),
        *([form] if form else []),
    ]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if result.returncode:
        raise FCNError(f'{name} failed ({what}): {result.stderr.strip().splitlines()[-1]}')
    return json.loads(result.stdout) if result.stdout.strip() else None


def check_same(folder):
    """The largest difference between PyTorch's scores and ours, as a share of the largest score."""
    for name in ('ours', 'PyTorch'):
        contend(name, folder, 'output', 1)
    ours, theirs = (np.load(folder / f'{name}.npy') for name in ('caffe', 'torch-nchw'))
    difference = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if difference > TOLERANCE:
        raise FCNError(
            f'PyTorch computes another net: scores differ by {difference:.1e} of the largest'
        )
    return difference


def best(one, other):
    return other if one is None else {key: min(one[key], other[key]) for key in one}


def contenders(title):
    """Those of a task: PyTorch's LRN knows no bf16, training in bf16 is another method, and OpenCV does not train."""
    _, what, *_ = TASKS[title]
    return [
        name
        for name in CONTENDERS
        if ('bf16' not in name or title == 'FCN-8s VGG-16, forward')
        and ('OpenCV' not in name or what == 'forward')
    ]


def compare(title, folder, rounds, progress):
    """Contender → its least seconds and peak memory over the rounds."""
    _, what, *_ = TASKS[title]
    names = contenders(title)
    found = {}
    for _ in range(rounds):
        for name in names:
            found[name] = best(
                found.get(name), contend(name, folder, what, 3 if what == 'forward' else 1)
            )
            progress.update()
    return found


def sgemm_rate(size=2048):
    """Multiply-adds a second of NumPy's matrix product."""
    script = (
        f'import numpy as np, time\na = np.ones(({size}, {size}), np.float32)\nbest = 9\nfor _ in range(8):\n'
        ' start = time.perf_counter(); a @ a; best = min(best, time.perf_counter() - start)\nprint(best)'
    )
    result = subprocess.run(
        [sys.executable, '-c', script], env=untuned(), capture_output=True, text=True, check=True
    )
    return size**3 / float(result.stdout)


def table(title, found, limit):
    """A Markdown table of a task's contenders, and a line on the goals."""
    _, _, time_goal, memory_goal = TASKS[title]
    reference = min(found[name]['seconds'] for name in FP32)
    lines = [f'## {title}', '', '| | s | against PyTorch | peak GB |', '|---|---|---|---|']
    for name, result in found.items():
        lines.append(
            f'| {name} | {result["seconds"]:.3f} | {result["seconds"] / reference:.2f} | '
            f'{result["peak"] / 1e9:.2f} |'
        )
    ours = found['ours']
    goals = [('time', ours['seconds'] / reference, time_goal)]
    if memory_goal:
        goals.append(('GB', ours['peak'] / 1e9, memory_goal))
    lines.append('')
    lines.append(
        '; '.join(
            f'{what}: {value:.2f}, goal {goal:.2f}, {"met" if value <= goal else "missed"}'
            for what, value, goal in goals
        )
        + '.'
    )
    if limit:
        lines.append(
            f'At the rate of sgemm the multiply-adds alone would take {limit:.3f} s; '
            'Winograd makes do with fewer.'
        )
    return '\n'.join(lines) + '\n'


def machine():
    model = next(
        (
            line.split(':')[1].strip()
            for line in Path('/proc/cpuinfo').read_text().splitlines()
            if line.startswith('model name')
        ),
        platform.machine(),
    )
    return f'{model}, {THREADS} threads'


def heading(rounds, rate, loads, differences):
    """What was measured, where, and how."""
    same = ', '.join(f'{name} {value:.0e}' for name, value in differences.items())
    return (
        f'# The engine on the CPU\n\n`python -m benchmarks --rounds {rounds}` at commit {versions()["fcn"]} '
        f'on {time.strftime("%Y-%m-%d")}; '
        f'{machine()}; PyTorch {importlib.metadata.version("torch")}; images of 500×500, one a batch, fp32 but '
        f"where it says bf16.\nOf {rounds} rounds in turns the least counts; the machine's load average was "
        f"{min(loads):.1f} to {max(loads):.1f}, of which these processes make 2.\nMemory is the process's largest "
        f'from the first pass on, weights and libraries included. sgemm: {2 * rate / 1e9:.0f} GFLOP/s.\nThe '
        f"largest difference between PyTorch's scores and ours, as a share of the largest score: {same}.\n"
    )


def main(arguments=None):
    args = parse(arguments)
    if not importlib.util.find_spec('torch'):
        raise FCNError(
            'PyTorch is not installed, and it is what the engine is measured against: pip install torch'
        )
    found, work, differences, rates, loads = {}, {}, {}, [], []
    contests = sum(len(contenders(title)) for title in TASKS)
    with tqdm(total=args.rounds * contests, unit='run', dynamic_ncols=True) as progress:
        for name in dict.fromkeys(row[0] for row in TASKS.values()):
            with tempfile.TemporaryDirectory(prefix='bench-') as scratch:
                folder = Path(scratch)
                work[name] = prepare(name, folder)
                differences[name] = check_same(folder)
                for title, (net, *_) in TASKS.items():
                    if net == name:
                        rates.append(sgemm_rate())
                        found[title] = compare(title, folder, args.rounds, progress)
                        loads.append(os.getloadavg()[0])
    text = heading(args.rounds, max(rates), loads, differences)
    for title, (name, what, *_) in TASKS.items():
        text += '\n' + table(
            title, found[title], work[name] / max(rates) if what == 'forward' else None
        )
    text += '\n' + amortization.report()
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    run(main)
