"""Measures each layer of a net on this CPU and prints a table.

    python -m benchmarks.layers                              a forward pass of FCN-8s, 500×500
    python -m benchmarks.layers voc-fcn-googlenet --train    a training iteration

A layer's time is the minimum over all passes, and so is its CPU time, which other work on the
machine changes least. Its rate is given twice: of the multiply-adds of a direct convolution, and of
those that its kernel carries out. Its share of sgemm's rate is reckoned from CPU times.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn.cli import Parser, integer, run
from fcn.engine import caffe, release_activations
from fcn.nets import find
from fcn.text import markdown_table

from .clock import Task, seconds_of
from .machine import processor
from .material import prepare, with_weights

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r'fcn: (\S+) (\S+) (\S+) (.+) (\d+\.\d{3}) ms, CPU (\d+\.\d{3}) ms')
TILES = re.compile(r'F\((\d+)x\d+,(\d+)x')
MIN_SECONDS = 5e-4  # Layers that take less are summed up.


class Pass(NamedTuple):
    """A pass of a layer, computed by `kernel`: its seconds, and those of CPU time."""

    layer: str
    kind: str
    name: str
    kernel: str
    seconds: float
    cpu: float


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m benchmarks.layers')
    parser.add_argument('net', nargs='?', default='voc-fcn8s', metavar='NET')
    parser.add_argument('--train', action='store_true', help='a training iteration')
    parser.add_argument('--threads', type=integer(1, 1024), default=2, metavar='N')
    parser.add_argument('--times', type=integer(1, 1000), default=5, metavar='N', help='passes')
    parser.add_argument('--run', type=Path, help=argparse.SUPPRESS)  # in a process of its own
    return parser.parse_args(arguments)


def compute(folder: Path, train: bool, times: int) -> None:
    """Compute passes of the net in `folder`, whose layers say what they do on stderr.

    Prints the minima of the passes' wall and CPU seconds, and sgemm's floating point operations per
    second, and per second of CPU time.
    """
    if train:
        solver = caffe.SGDSolver(str(folder / 'solver.prototxt'))
        net = with_weights(solver.net, folder)
        net.blobs['label'].data[...] = 3
    else:
        net = with_weights(caffe.Net(str(folder / 'deploy.prototxt'), caffe.TEST), folder)
    release_activations(net)
    net.blobs['data'].data[...] = np.load(folder / 'data.npy')
    task = (lambda: solver.step(1)) if train else net.forward
    task()
    wall, cpu = minima(task, times)
    size = 2048
    matrix = np.ones((size, size), np.float32)
    rates = [2 * size**3 / seconds for seconds in minima(lambda: matrix @ matrix, 8)]
    print(wall, cpu, *rates)


def minima(task: Task, times: int) -> tuple[float, float]:
    """Return the minima of the wall and CPU seconds of some calls of `task`."""
    walls, cpus = [], []
    for _ in range(times):
        began = time.process_time()
        walls.append(seconds_of(task))
        cpus.append(time.process_time() - began)
    return min(walls), min(cpus)


def passes(log: str) -> Iterator[Pass]:
    """Yield each pass of each layer once, with the minima of its times."""
    times: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for *key, wall, cpu in LINE.findall(log):
        times.setdefault(tuple(key), []).append((float(wall) / 1e3, float(cpu) / 1e3))
    for key, both in times.items():
        walls, cpus = zip(*both, strict=True)
        yield Pass(*key, min(walls), min(cpus))


def multiply_adds(net: 'caffe.Net', one: Pass) -> tuple[float, float]:
    """Return the multiply-adds of a pass of a convolution: of a direct one, and of its kernel's.

    Both are 0 for other layers. The transforms of Winograd's algorithms count as nothing.
    """
    if one.kind != 'Convolution':
        return 0, 0
    weights = net.params[one.layer][0].data
    above, below = (
        net.blobs[names[one.layer][0]].data for names in (net.top_names, net.bottom_names)
    )
    direct = float(weights.size) * above.shape[0] * np.prod(above.shape[2:])
    found = TILES.search(one.kernel)
    if not found:
        return direct, direct
    tile, taps = map(int, found.groups())
    written = below if one.name == 'backward-data' else above
    tiles = written.shape[0] * np.prod([ceil(side / tile) for side in written.shape[2:]])
    return direct, float(weights.size) / taps**2 * (tile + taps - 1) ** 2 * tiles


def table(folder: Path, train: bool, log: str, rate: float) -> str:
    """Return the table of all passes that take long enough; `rate` is sgemm's, by CPU time."""
    net = caffe.Net(str(folder / f'{"train" if train else "deploy"}.prototxt'), caffe.TRAIN)
    rows: list[tuple[str, ...]] = []
    rest = np.zeros(2)
    for one in passes(log):
        if one.seconds < MIN_SECONDS:
            rest += (one.seconds, one.cpu)
            continue
        counts = multiply_adds(net, one)
        shown = [f'{2 * count / one.seconds / 1e9:.0f}' if count else '' for count in counts]
        share = f'{200 * counts[1] / one.cpu / rate:.0f} %' if counts[1] else ''
        label = f'{one.layer}, {one.name}' if train else one.layer
        both = [f'{1e3 * value:.1f}' for value in (one.seconds, one.cpu)]
        rows.append((label, *both, one.kernel, *shown, share))
    rows.append(('all others', *(f'{1e3 * value:.1f}' for value in rest), '', '', '', ''))
    head = ['', 'ms', 'CPU ms', 'kernel', 'GFLOP/s, direct', 'GFLOP/s, carried out', 'of sgemm']
    return markdown_table(head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.run:
        return compute(args.run, args.train, args.times)
    find(args.net)
    with tempfile.TemporaryDirectory(prefix='bench-') as scratch:
        folder = Path(scratch)
        prepare(args.net, folder)
        command = [sys.executable, '-m', 'benchmarks.layers', '--times', str(args.times)]
        command += ['--run', str(folder), *(['--train'] if args.train else [])]
        threads = str(args.threads)
        result = subprocess.run(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                'FCN_VERBOSE': '1',
                'GLOG_minloglevel': '2',
                'OMP_NUM_THREADS': threads,
                'OPENBLAS_NUM_THREADS': threads,
            },
            capture_output=True,
            text=True,
        )
        if result.returncode:
            raise SystemExit(result.stderr)
        wall, cpu, rate, cpu_rate = map(float, result.stdout.split())
        what = 'a training iteration' if args.train else 'a forward pass'
        print(
            f'{args.net}, {what}: {wall:.3f} s, {cpu:.3f} s of CPU time; {processor()}, '
            f'{threads} threads; sgemm: {rate / 1e9:.0f} GFLOP/s, '
            f'{cpu_rate / 1e9:.0f} by CPU time\n'
        )
        print(table(folder, args.train, result.stderr, cpu_rate))


if __name__ == '__main__':
    run(main)
