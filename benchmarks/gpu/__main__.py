"""Checks and measures Caffe's GPU path in one command.

    python -m benchmarks.gpu          or: make gpu-check

Where a GPU is: every layer kind on the GPU against the CPU, the suite in GPU mode (not with
--no-suite), forward and training next to PyTorch, one net with TF32 too, images of many sizes at
flat memory. The figures go to results/bench-gpu.md. Without a GPU it says so, tries the same code
on the CPU and ends with 0.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.paper import TABLE1
from fcn.cli import Parser, run
from fcn.engine import choose_device, versions
from fcn.errors import FCNError
from fcn.io import write_text
from fcn.text import markdown_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'results' / 'bench-gpu.md'
NETS = ('voc-fcn-alexnet', 'voc-fcn32s', 'voc-fcn16s', 'voc-fcn8s', 'voc-fcn-googlenet')
TF32_NETS = ('voc-fcn8s',)
MAX_WORKERS = 16  # processes that test, each with a context of its own on the GPU
AGREE = 1e-3  # of the largest score, without TF32
MAX_GROWTH = 0.01  # of memory, from the first tenth of the images to the end


def measure(*arguments: str | int | Path, tf32: bool = False) -> dict[str, Any]:
    """Return what benchmarks.gpu.measure prints, in a process of its own."""
    command = [sys.executable, '-m', 'benchmarks.gpu.measure', *map(str, arguments)]
    command += ['--tf32'] if tf32 else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise FCNError(f'{" ".join(command[2:])} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def check(*arguments: str, gpu: bool) -> str:
    """Run pytest, its tests on the GPU unless they choose another device; return its last line.

    Raises FCNError if a test fails.
    """
    environment = {**os.environ, **({'FCN_TEST_GPU': '0'} if gpu else {})}
    environment |= dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), '1')
    workers = str(min(os.cpu_count() or 1, MAX_WORKERS))
    command = [sys.executable, '-m', 'pytest', '-q', '--numprocesses', workers, *arguments]
    print('$', *command[1:], flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode:
        raise FCNError(f'{" ".join(command[2:])}: failed, see above')
    return done.stdout.strip().splitlines()[-1].strip('= ')


def difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest difference of two digests, as a share of the largest value."""
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(map(abs, theirs))


def rows(
    nets: Iterable[str],
    what: str,
    weights: Path,
    tf32: bool,
    side: int,
    runs: int,
    frameworks: Sequence[str],
) -> Iterator[list[str]]:
    """Yield a line of the table for each net: milliseconds and GiB of each framework, their ratio.

    Raises FCNError if the two frameworks' scores disagree.
    """
    for name in nets:
        options = ('--weights', weights, '--side', side, '--runs', runs)
        results = {
            framework: measure(framework, what, name, *options, tf32=tf32)
            for framework in frameworks
        }
        ms = {
            framework: 1e3 * sorted(result['seconds'])[runs // 2]
            for framework, result in results.items()
        }
        gib = {framework: result['bytes'] / 2**30 for framework, result in results.items()}
        cells = [name, 'on' if tf32 else 'off', f'{ms["caffe"]:.1f}', f'{gib["caffe"]:.2f}']
        if 'torch' in results:
            ratio = ms['caffe'] / ms['torch']
            cells += [f'{ms["torch"]:.1f}', f'{gib["torch"]:.2f}', f'{ratio:.2f}']
        if 'torch' in results and what == 'forward':
            apart = difference(results['caffe']['result'], results['torch']['result'])
            if not tf32 and not apart < AGREE:
                raise FCNError(
                    f"{name}: Caffe's and PyTorch's scores are {apart:.2g} apart, above {AGREE}"
                )
            cells.append(f'{apart:.1g}')
        if what == 'forward':
            cells.append(str(TABLE1[name].ms) if name in TABLE1 else '–')
        print(*cells, sep='  ', flush=True)
        yield cells


def flat(weights: Path, net: str, images: int, side: int) -> str:
    """Return a sentence on memory over images of many sizes; raise FCNError if it grows."""
    options = ('--weights', weights, '--side', side, '--runs', images)
    result = measure('caffe', 'mixed', net, *options)
    history = result['history']
    if history[-1] > history[1] * (1 + MAX_GROWTH):
        raise FCNError(f'memory grew from {history[1]} to {history[-1]} bytes over {images} images')
    return (
        f'{net} trained on {images} images of {result["sizes"]} sizes from {side // 3} to {side} '
        f'pixels, the largest first: {history[1] / 2**30:.2f} GiB after a tenth of them, '
        f'{history[-1] / 2**30:.2f} at the end.'
    )


def report(
    device: str,
    seconds: float,
    forward: Sequence[Sequence[str]],
    train: Sequence[Sequence[str]],
    memory: str,
    torch: str | None,
    tests: Mapping[str, str],
) -> str:
    """Return the page; `seconds` is how long the whole command took, `tests` what pytest said."""
    about = '\n'.join(f'- {name}: {value}' for name, value in versions().items() if name != 'tf32')
    said = '\n'.join(f'- {what}: {line}' for what, line in tests.items())
    head = ['net', 'TF32', 'Caffe ms', 'GiB']
    head += ['PyTorch ms', 'GiB', 'Caffe / PyTorch'] if torch else []
    forward_head = [*head, *(['scores apart'] if torch else []), 'paper, K40c, ms']
    return f"""# Caffe on the GPU

Median of 20 runs after 3 to warm up, one image of 500×500. Memory is all that is used on the
device, so the bare context counts. By `make gpu-check`, on {device}; PyTorch:
{torch or 'not installed'}. All of it, with the tests on the GPU, took {seconds:.0f} s.

{about}

## Tests on the GPU

{said}

## Forward

{markdown_table(forward_head, forward)}

## A training iteration

Forward, backward and update, of one image.

{markdown_table(head, train)}

## Memory

{memory}
"""


def torch_version() -> str | None:
    """Return the version of PyTorch, asked for in another process, or None if there is none."""
    if not importlib.util.find_spec('torch'):
        return None
    command = [sys.executable, '-c', 'import torch; print(torch.__version__)']
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None


def main() -> int:
    parser = Parser(__doc__, prog='python -m benchmarks.gpu')
    parser.add_argument(
        '--no-suite', action='store_true', help='of the tests, run those of the layers alone'
    )
    args = parser.parse_args()
    began = time.monotonic()
    device = choose_device()
    gpu = device != 'cpu'
    if not gpu:
        print('gpu-check: no GPU here: nothing is measured; the same code is tried on the CPU')
    torch = torch_version()
    frameworks = ('caffe', 'torch') if torch else ('caffe',)
    if not torch:
        print('gpu-check: PyTorch is not installed, so Caffe is measured alone (pip install torch)')
    tests = {
        'every kind of layer, against the CPU and against differences': check('tests/gpu', gpu=gpu)
    }
    if gpu and not args.no_suite:
        tests['the suite'] = check('tests', '--ignore=tests/gpu', '-m', 'not slow', gpu=True)
    nets, side, runs, images = (
        (NETS, 500, 20, 500) if gpu else (('voc-fcn-alexnet', 'voc-fcn-googlenet'), 64, 1, 10)
    )
    modes = {False: nets, True: TF32_NETS} if gpu else {False: nets}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, 'weights.npz')
        forward, train = (
            [
                cells
                for tf32, measured in modes.items()
                for cells in rows(measured, what, weights, tf32, side, runs, frameworks)
            ]
            for what in ('forward', 'train')
        )
        memory = flat(weights, 'voc-fcn8s' if gpu else 'voc-fcn-alexnet', images, side)
    if not gpu:
        print('gpu-check: no GPU here: what could be tried on the CPU works; nothing was written')
        return 0
    seconds = time.monotonic() - began
    write_text(RESULTS, report(device, seconds, forward, train, memory, torch, tests))
    print(f'gpu-check: {RESULTS.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    run(main)
