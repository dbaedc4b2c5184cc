"""Compares the memory that commands are reckoned to need with what they take.

    python -m benchmarks.memory                  all, to results/memory.md (a quarter of an hour)
    python -m benchmarks.memory --only mini      cases of these words alone, printed

Each case is a process of its own: a command on two images of one size, with drawn weights. What it
takes is watched every few milliseconds: the memory that it and the processes that read images for
it hold, less what it held before with all libraries loaded. Mapped files do not count: the system
takes them back.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.io import savemat
from tqdm import tqdm

from fcn.cli import Parser, run
from fcn.data_layers import DATASETS
from fcn.data_layers.images import save_label
from fcn.engine import net_of, versions
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.nets import deploy_net, find
from fcn.surgery import save, start
from fcn.text import markdown_table

from .__main__ import ROOT
from .machine import machine

ALLOWED = 0.15  # how far the two may lie apart, as a share of what is taken
# Task → net → sizes of images, width and height in pixels: a net of each kind. What takes less than
# half a gigabyte is reckoned too high, by a quarter for mini-fcn8s at 1500×1000: the workspace is
# reckoned as if it were as large as it can be.
LARGE = ((2000, 1500), (2500, 1800), (3000, 2000))
MIDDLE = ((1500, 1000), (1800, 1200), (2000, 1500))
SMALL = ((480, 360), (640, 480), (900, 600))
NETS = {
    'voc-fcn8s': SMALL,
    'voc-fcn-alexnet': MIDDLE,
    'voc-fcn8s-googlenet': MIDDLE,
    'nyud-fcn32s-color-hha': SMALL,
    'siftflow-fcn16s': SMALL,
    'mini-fcn8s': LARGE,
}
CASES = {
    'infer': NETS,
    'score': NETS,
    'train': {'voc-fcn8s': SMALL[1:2], 'voc-fcn8s-googlenet': SMALL[1:], 'mini-fcn8s': LARGE},
}


class Case(NamedTuple):
    """A command on images of one size, and the bytes that it was reckoned to take and took."""

    task: str
    net: str
    width: int
    height: int
    reckoned: float
    measured: float

    @property
    def difference(self) -> float:
        """How much more was reckoned than taken, as a share of what was taken."""
        return self.reckoned / self.measured - 1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m benchmarks.memory')
    parser.add_argument(
        '--only', nargs='+', metavar='WORD', help='print cases of these tasks or parts of nets'
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'results/memory.md', metavar='FILE')
    return parser.parse_args(arguments)


def draw_weights(net: str, file: Path) -> None:
    """Write weights of a net whose scores differ from pixel to pixel."""
    drawn = net_of(deploy_net(find(net)))
    start(drawn, [], init_missing=True)
    rng = np.random.default_rng(0)
    for layer, blobs in drawn.params.items():
        if layer.startswith('score'):
            blobs[0].data[...] = rng.normal(0, 0.01, blobs[0].shape)
    save(drawn, file)


def draw_images(net: str, width: int, height: int, folder: Path) -> None:
    """Write two images with their labels in the layout of the net's data set."""
    config = find(net)
    dataset = DATASETS[config.data]
    assert dataset.val and dataset.train
    kind, rng = dataset.kind, np.random.default_rng(0)
    for top, index in itertools.product((*config.input_names, *config.classes), range(2)):
        file = folder / kind.paths[top].format(index)
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = (height // 16 + 1, width // 16 + 1)
        if top in kind.inputs:
            blocks = rng.integers(0, 256, (*coarse, 3), np.uint8)
            Image.fromarray(blocks).resize((width, height)).save(file)
            continue
        blocks = rng.integers(1, len(kind.labels[top]), coarse, np.uint8)
        label = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
        if file.suffix == '.mat':
            savemat(file, {'S': label, 'segmentation': label}, do_compression=True)
        else:
            save_label(label, file)
    for split in {dataset.val.split, dataset.train.split}:
        names = folder / kind.split_file.format(split=split)
        names.parent.mkdir(parents=True, exist_ok=True)
        names.write_text('0\n1\n')


def measure(task: str, net: str, weights: Path, width: int, height: int) -> Case:
    """Run a command in a process and return what it was reckoned to take and took."""
    with tempfile.TemporaryDirectory(prefix='memory-') as scratch:
        folder = Path(scratch)
        draw_images(net, width, height, folder / 'data')
        arguments = [task, net, weights, folder / 'data', folder / 'out']
        command = [sys.executable, '-m', 'benchmarks.run_memory', *map(str, arguments)]
        with (folder / 'errors').open('w') as errors:
            process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=errors
            )
        assert process.stdout
        with process.stdout:
            reckoned = process.stdout.readline()
        before = taken = anonymous_memory(process.pid)
        while process.poll() is None:
            taken = max(taken, anonymous_memory(process.pid))
            time.sleep(0.005)
        if process.returncode:
            last = (folder / 'errors').read_text().strip().splitlines()[-1:]
            raise FCNError(f'{task} {net} at {width}×{height} failed: {"".join(last)}')
    return Case(task, net, width, height, int(reckoned), taken - before)


def anonymous_memory(process: int) -> int:
    """Return the bytes of memory, but of mapped files, of a process and of those that read images
    for it, with what it shares with them. (The others that training starts share its memory, and
    would count it twice.)"""
    total = 0
    try:
        children = Path(f'/proc/{process}/task/{process}/children').read_text().split()
        readers = [
            child for child in children if 'prefetch' in Path(f'/proc/{child}/cmdline').read_text()
        ]
        for number in (process, *readers):
            kinds = 'RssAnon|RssShmem' if number == process else 'RssAnon'
            status = Path(f'/proc/{number}/status').read_text()
            total += 1024 * sum(map(int, re.findall(rf'^(?:{kinds}):\s+(\d+)', status, re.M)))
    except (FileNotFoundError, ProcessLookupError):  # It ended just now.
        pass
    return total


def report(cases: Sequence[Case], seconds: float) -> str:
    """Return the page."""
    head = ['command', 'net', 'image', 'reckoned, GB', 'taken, GB', 'difference, %']
    rows = [
        (
            case.task,
            case.net,
            f'{case.width}×{case.height}',
            f'{case.reckoned / 1e9:.2f}',
            f'{case.measured / 1e9:.2f}',
            f'{100 * case.difference:+.0f}',
        )
        for case in cases
    ]
    far = [case for case in cases if abs(case.difference) > ALLOWED]
    worst = max(cases, key=lambda case: abs(case.difference))
    verdict = f'{len(cases) - len(far)} of {len(cases)} lie within {ALLOWED:.0%}; the farthest is '
    verdict += f'{worst.task} {worst.net} at {worst.width}×{worst.height}.'
    return f"""# The memory reckoned and taken

`python -m benchmarks.memory` at commit {versions()['fcn']} on {time.strftime('%Y-%m-%d')} took
{seconds:.0f} s; {machine()}.

Before a command allocates anything it reckons what the largest image will need, and refuses it, or
goes by tiles. Here each ran on two images of one size with drawn weights, whole, in a process of
its own. Taken is the memory that it held at most, with the processes that read images for it, less
what it held before with all libraries loaded. Mapped files do not count: the system takes them
back.

{markdown_table(head, rows)}

{verdict}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    began = time.monotonic()
    wanted = [
        (task, net, size)
        for task, nets in CASES.items()
        for net, sizes in nets.items()
        for size in sizes
        if not args.only or any(word in (task, net) for word in args.only)
    ]
    cases = []
    with tempfile.TemporaryDirectory(prefix='memory-') as scratch:
        for task, net, (width, height) in tqdm(wanted, unit='case', dynamic_ncols=True):
            weights = Path(scratch) / f'{net}.caffemodel'
            if not weights.exists():
                draw_weights(net, weights)
            cases.append(measure(task, net, weights, width, height))
            tqdm.write(f'{cases[-1]} {100 * cases[-1].difference:+.0f} %', sys.stderr)
    text = report(cases, time.monotonic() - began)
    if not args.only:
        write_text(args.out, text)
    print(text)


if __name__ == '__main__':
    run(main)
