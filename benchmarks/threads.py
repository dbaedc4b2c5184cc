"""Measures what a second thread gains or costs, on quiet cores and beside other work.

    python -m benchmarks.threads                 to results/bench-threads.md (ten minutes)
    python -m benchmarks.threads --rounds 1 --out FILE

Each case runs with one thread and with all, in turns, each time in a process of its own: alone,
beside one busy loop, and beside a busy loop for each core. Of each the minimum over all rounds
counts, with the CPU seconds of that run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

import fcn
from fcn.cli import Parser, integer, run
from fcn.engine import caffe, net_of, release_activations, versions
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.nets import deploy_net, find
from fcn.surgery import start
from fcn.text import markdown_table
from miniature.generate import generate

from .machine import machine

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 2.0  # that a forward case is repeated for
ITERATIONS = 60
CORES = len(os.sched_getaffinity(0))
LOADS = {'quiet': 0, 'one busy loop': 1, 'one a core': CORES}

Seconds = tuple[float, float]  # of the wall and of the CPU


def pools() -> 'caffe.Net':
    """Return a net of eight small pooling layers."""
    spec = caffe.NetSpec()
    spec.data = caffe.layers.Input(shape={'dim': [1, 16, 96, 96]})
    top = spec.data
    for index in range(8):
        top = caffe.layers.Pooling(top, kernel_size=3, stride=1, pad=1, pool=index % 2)
        spec[f'pool{index}'] = top
    return net_of(spec)


def convolutions() -> 'caffe.Net':
    """Return a net of eight small convolutions."""
    spec = caffe.NetSpec()
    spec.data = caffe.layers.Input(shape={'dim': [1, 16, 64, 64]})
    top = spec.data
    for index in range(8):
        top = caffe.layers.Convolution(top, kernel_size=3, pad=1, num_output=16)
        spec[f'conv{index}'] = top
        spec[f'relu{index}'] = top = caffe.layers.ReLU(top, in_place=True)
    return net_of(spec)


def fully_convolutional(name: str, side: int = 500) -> 'caffe.Net':
    """Return a net of the table with drawn weights, for one image of side×side."""
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    net.blobs['data'].reshape(1, 3, side, side)
    net.reshape()
    release_activations(net)
    return net


FORWARD: dict[str, Callable[[], 'caffe.Net']] = {
    'eight small pools': pools,
    'eight small convolutions': convolutions,
    'mini-fcn8s, 500×500': lambda: fully_convolutional('mini-fcn8s'),
    'FCN-GoogLeNet, 500×500': lambda: fully_convolutional('voc-fcn-googlenet'),
}
TRAINING = f'training mini-fcn32s, {ITERATIONS} iterations'


def measure(case: str) -> Seconds:
    """Return the seconds of a case in this process: a pass, or a training with its readers."""
    if case == TRAINING:
        return train()
    net = FORWARD[case]()
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, net.blobs['data'].shape)
    scores = next(iter(net.forward().values()))
    if '500×500' in case and scores.shape[2:] != (500, 500):
        raise FCNError(f'{case}: computed {scores.shape}; nothing is reported')
    passes, began, cpu = 0, time.perf_counter(), time.process_time()
    while (wall := time.perf_counter() - began) < SECONDS:
        net.forward()
        passes += 1
    return wall / passes, (time.process_time() - cpu) / passes


def train() -> Seconds:
    """Return the seconds of a training, those of its reading process included."""
    with tempfile.TemporaryDirectory() as folder:
        data = generate(Path(folder) / 'data', train=40, val=4, objects=20)
        began, before = time.perf_counter(), os.times()
        fcn.train(
            'mini-fcn32s',
            data=data,
            runs=folder,
            iterations=ITERATIONS,
            val_images=4,
            init_missing=True,
            gpu=-1,
        )
        wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep so many processes busy in the context."""
    command = [sys.executable, '-c', 'while True: pass']
    processes = [subprocess.Popen(command) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measured(case: str, threads: int, load: str) -> Seconds:
    """Return the seconds of a case in a process of its own."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(('OMP_', 'GOMP_', 'OPENBLAS_'))
    }
    command = [sys.executable, '-m', 'benchmarks.threads', '--case', case]
    command += ['--threads', str(threads)]
    with busy(LOADS[load]):
        result = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    wall, cpu = json.loads(result.stdout)
    return wall, cpu


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m benchmarks.threads')
    add = parser.add_argument
    add('--rounds', type=integer(1, 1000), default=3, metavar='N', help='turns (default: 3)')
    add('--out', type=Path, default=ROOT / 'results/bench-threads.md', metavar='FILE')
    add('--case', choices=[*FORWARD, TRAINING], help='measure one case here, and print it')
    add('--threads', type=integer(1), default=CORES, help='threads of --case')
    return parser.parse_args(arguments)


def table(best: dict[tuple[str, int, str], Seconds]) -> str:
    """Return a row for each case and load: wall (CPU) seconds, and the ratios that matter."""
    rows = []
    for case, load in product([*FORWARD, TRAINING], LOADS):
        one, more = best[case, 1, load], best[case, CORES, load]
        rows.append(
            (
                case if load == 'quiet' else '',
                load,
                *(f'{wall:.4f} ({cpu:.4f})' for wall, cpu in (one, more)),
                f'{more[0] / one[0]:.2f}',
                f'{more[0] / best[case, CORES, "quiet"][0]:.2f}',
            )
        )
    head = ['', 'beside', 'one thread, s', f'{CORES} threads, s', 'against one', 'against quiet']
    return markdown_table(head, rows)


def verdicts(best: dict[tuple[str, int, str], Seconds]) -> str:
    """Return a line for each goal: whether it is met."""
    lines = []
    for case in (*FORWARD, TRAINING):
        ratio = best[case, CORES, 'one a core'][0] / best[case, 1, 'one a core'][0]
        lines.append((f'{case}, beside one a core, against one thread', ratio, 1.1))
    ratio = best[TRAINING, CORES, 'one busy loop'][0] / best[TRAINING, CORES, 'quiet'][0]
    lines.append((f'{TRAINING}, beside one busy loop, against quiet', ratio, 2.2))
    return '\n'.join(
        f'- {what}: {ratio:.2f}, goal {goal:.1f}, {"met" if ratio <= goal else "missed"}'
        for what, ratio, goal in lines
    )


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.case:
        fcn.set_threads(args.threads)
        print(json.dumps(measure(args.case)))
        return
    began = time.monotonic()
    best: dict[tuple[str, int, str], Seconds] = {}
    keys = list(product([*FORWARD, TRAINING], (1, CORES), LOADS))
    for _, key in tqdm(list(product(range(args.rounds), keys)), unit='run', dynamic_ncols=True):
        seconds = measured(*key)
        best[key] = min(best.get(key, seconds), seconds)
    text = f"""# Threads, on quiet cores and beside other work

`python -m benchmarks.threads --rounds {args.rounds}` at commit {versions()['fcn']} on
{time.strftime('%Y-%m-%d')} took {time.monotonic() - began:.0f} s in all; {machine()}.
Wall seconds, and CPU seconds in brackets, of one forward pass or of a whole training; the minimum
of {args.rounds} round{'' if args.rounds == 1 else 's'} in turns, each in a process of its own.

{table(best)}

{verdicts(best)}
"""
    write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    run(main)
