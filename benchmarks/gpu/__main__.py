"""Caffe's GPU path, checked and measured in one command.

    python -m benchmarks.gpu          or: make gpu-check

Where a GPU is: every layer kind on the GPU against the CPU, the suite in GPU mode, forward and training
beside PyTorch with TF32 and without, images of many sizes at flat memory; the figures go to
results/bench-gpu.md. Where none is, it says so, tries the same code on the CPU and ends with 0.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fcn.cli import Parser, run
from fcn.engine import choose_device, versions
from fcn.errors import FCNError
from fcn.io import write_text

from .specs import NETS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'results' / 'bench-gpu.md'
AGREE = 1e-3  # of the largest score, without TF32
GROWTH = 0.01  # of memory, from the first tenth of the images to the end


def measure(*words, tf32=False):
    """What benchmarks.gpu.measure prints, asked in a process of its own."""
    command = [
        sys.executable,
        '-m',
        'benchmarks.gpu.measure',
        *map(str, words),
        *(['--tf32'] if tf32 else []),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise FCNError(f'{" ".join(command[2:])} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def check(*arguments, gpu):
    """Run pytest, its tests on the GPU unless they choose otherwise."""
    environment = {**os.environ, **({'FCN_TEST_GPU': '0'} if gpu else {})}
    command = [sys.executable, '-m', 'pytest', '-q', *arguments]
    print('$', *command[1:], flush=True)
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise FCNError(f'{" ".join(command[2:])}: failed, see above')


def difference(ours, theirs):
    """The largest difference of two digests, of the largest value."""
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(map(abs, theirs))


def rows(nets, what, weights, tf32, side, runs, frameworks):
    """A line of the table for each net: milliseconds and GiB of each framework, their ratio."""
    for name in nets:
        found = {
            framework: measure(
                framework,
                what,
                name,
                '--weights',
                weights,
                '--side',
                side,
                '--runs',
                runs,
                tf32=tf32,
            )
            for framework in frameworks
        }
        ms = {
            framework: 1e3 * sorted(one['seconds'])[runs // 2] for framework, one in found.items()
        }
        gib = {framework: one['bytes'] / 2**30 for framework, one in found.items()}
        cells = [name, 'on' if tf32 else 'off', f'{ms["caffe"]:.1f}', f'{gib["caffe"]:.2f}']
        if 'torch' in found:
            apart = (
                difference(found['caffe']['result'], found['torch']['result'])
                if what == 'forward'
                else None
            )
            if apart is not None and not tf32 and not apart < AGREE:
                raise FCNError(
                    f"{name}: Caffe's and PyTorch's scores are {apart:.2g} apart, above {AGREE}"
                )
            cells += [
                f'{ms["torch"]:.1f}',
                f'{gib["torch"]:.2f}',
                f'{ms["caffe"] / ms["torch"]:.2f}',
            ]
            cells += [f'{apart:.1g}'] if apart is not None else []
        if what == 'forward':
            cells += [str(NETS[name] or '–')]
        print(*cells, sep='  ', flush=True)
        yield cells


def table(head, lines):
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in [head, ['---'] * len(head), *lines])


def flat(weights, net, images, side):
    """A sentence on memory over images of many sizes; FCNError if it grows."""
    found = measure('caffe', 'mixed', net, '--weights', weights, '--side', side, '--runs', images)
    history = found['history']
    if history[-1] > history[1] * (1 + GROWTH):
        raise FCNError(f'memory grew from {history[1]} to {history[-1]} bytes over {images} images')
    return (
        f'{net} trained on {images} images of {found["sizes"]} sizes from {side // 3} to {side} pixels, the '
        f'largest first: {history[1] / 2**30:.2f} GiB after a tenth of them, {history[-1] / 2**30:.2f} at the end.'
    )


def report(device, forward, train, memory, torch):
    about = '\n'.join(f'- {name}: {value}' for name, value in versions().items() if name != 'tf32')
    head = ['net', 'TF32', 'Caffe ms', 'GiB'] + (
        ['PyTorch ms', 'GiB', 'Caffe / PyTorch'] if torch else []
    )
    return f"""# Caffe on the GPU

Median of 20 runs after 3 to warm up, one image of 500×500; memory is all that is used on the device, so the
bare context counts. By `make gpu-check`, on {device}; PyTorch: {torch or 'not installed'}.

{about}

## Forward

{table(head + (['scores apart'] if torch else []) + ['paper, K40c, ms'], forward)}

## A training iteration

Forward, backward and update, of one image.

{table(head, train)}

## Memory

{memory}
"""


def main():
    Parser(__doc__, prog='python -m benchmarks.gpu').parse_args()
    device = choose_device()
    gpu = device != 'cpu'
    if not gpu:
        print('gpu-check: no GPU at hand: nothing is measured; the same code is tried on the CPU')
    torch = (
        importlib.util.find_spec('torch')
        and subprocess.run(
            [sys.executable, '-c', 'import torch; print(torch.__version__)'],
            capture_output=True,
            text=True,
        ).stdout.strip()
    )
    frameworks = ('caffe', 'torch') if torch else ('caffe',)
    if not torch:
        print('gpu-check: PyTorch is not installed, so Caffe is measured alone (pip install torch)')
    check('tests/gpu', gpu=gpu)
    if gpu:
        check('tests', '--ignore=tests/gpu', gpu=True)
    nets, side, runs, images = (
        (NETS, 500, 20, 500) if gpu else (('voc-fcn-alexnet', 'voc-fcn-googlenet'), 64, 1, 10)
    )
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, 'weights.npz')
        forward, train = (
            [
                cells
                for tf32 in ((False, True) if gpu else (False,))
                for cells in rows(nets, what, weights, tf32, side, runs, frameworks)
            ]
            for what in ('forward', 'train')
        )
        memory = flat(weights, 'voc-fcn8s' if gpu else 'voc-fcn-alexnet', images, side)
    if gpu:
        write_text(RESULTS, report(device, forward, train, memory, torch))
        print(f'gpu-check: {RESULTS.relative_to(ROOT)}')
    else:
        print(
            'gpu-check: no GPU at hand: what could be tried on the CPU works; nothing was written'
        )
    return 0


if __name__ == '__main__':
    run(main)
