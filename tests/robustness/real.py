"""Kills the training of a real net on photographs once; compares the end with one never killed.

    python -m tests.robustness.real --data DIR --weights bvlc_googlenet.caffemodel

As tests.robustness.kills does, but with FCN-GoogLeNet from its ILSVRC weights, dropout included.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fcn.cli import Parser
from fcn.solvers import Run

from .setting import ROOT, differences, dump

NET = 'voc-fcn-googlenet'


def start(args: argparse.Namespace, runs: Path) -> subprocess.Popen[bytes]:
    """Start the training, in RUNS/voc-fcn-googlenet."""
    options = {
        '--data': args.data,
        '--train-split': args.train_split,
        '--val-split': args.val_split,
        '--weights': args.weights,
        '--runs': runs,
        '--gpu': -1,
        '--iterations': args.iterations,
        '--val-images': 8,
        '--val-every': args.iterations // 2,
        '--snapshot-every': 7,
    }
    words = [str(word) for option in options.items() for word in option]
    return subprocess.Popen([sys.executable, str(ROOT / 'solve.py'), NET, *words])


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Train twice, once killed and resumed, and return the result."""
    parser = Parser(__doc__, prog='python -m tests.robustness.real')
    add = parser.add_argument
    add('--data', type=Path, required=True, metavar='DIR', help='a set in the layout of VOC')
    add('--train-split', default='train', metavar='SPLIT')
    add('--val-split', default='seg11valid', metavar='SPLIT')
    add('--weights', type=Path, required=True, metavar='FILE', help="the classifier's caffemodel")
    add('--iterations', type=int, default=40)
    add('--seed', type=int, default=0, help='random seed for the moment of the kill')
    add('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / 'whole', Path(folder) / 'killed'
        began = time.monotonic()
        assert start(args, whole).wait() == 0
        after = random.Random(args.seed).uniform(0.3, 0.9) * (time.monotonic() - began)
        process = start(args, killed)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait()
        iteration = Run(killed / NET).iteration
        assert start(args, killed).wait() == 0
        different = differences(Run(killed / NET), Run(whole / NET))
    result = {
        'net': NET,
        'iterations': args.iterations,
        'went_on_from': iteration,
        'differences': different,
    }
    outcome = ', '.join(different) or 'equal to the last bit'
    print(f'resumed at iteration {iteration} of {args.iterations}: {outcome}')
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['differences']))
