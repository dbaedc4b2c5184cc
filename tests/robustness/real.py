"""Kills the training of a real net on real photographs once, and compares its end with one never killed.

    python -m tests.robustness.real --data DIR --weights bvlc_googlenet.caffemodel

As reliability.kills does, but of FCN-GoogLeNet from its ILSVRC weights, dropout included.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fcn.cli import Parser
from fcn.solvers import Run

from .setting import ROOT, differences, dump

NET = 'voc-fcn-googlenet'


def main(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.real')
    add = parser.add_argument
    add('--data', type=Path, required=True, metavar='DIR', help='a set in the layout of VOC')
    add('--train-split', default='train', metavar='SPLIT')
    add('--val-split', default='seg11valid', metavar='SPLIT')
    add('--weights', type=Path, required=True, metavar='FILE', help="the classifier's caffemodel")
    add('--iterations', type=int, default=40)
    add('--seed', type=int, default=0, help='of the moment')
    add('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / 'whole', Path(folder) / 'killed'

        def start(runs):
            return subprocess.Popen(
                [
                    sys.executable,
                    str(ROOT / 'solve.py'),
                    NET,
                    '--data',
                    args.data,
                    '--train-split',
                    args.train_split,
                    '--val-split',
                    args.val_split,
                    '--weights',
                    args.weights,
                    '--runs',
                    runs,
                    '--gpu',
                    '-1',
                    '--iterations',
                    str(args.iterations),
                    '--val-images',
                    '8',
                    '--val-every',
                    str(args.iterations // 2),
                    '--snapshot-every',
                    '7',
                ]
            )

        began = time.monotonic()
        assert start(whole).wait() == 0
        after = random.Random(args.seed).uniform(0.3, 0.9) * (time.monotonic() - began)
        process = start(killed)
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        process.wait()
        at = Run(killed / NET).iteration
        assert start(killed).wait() == 0
        found = differences(Run(killed / NET), Run(whole / NET))
    result = dict(net=NET, iterations=args.iterations, went_on_from=at, differences=found)
    print(
        f'went on from iteration {at} of {args.iterations}:',
        ', '.join(found) or 'equal to the last bit',
    )
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['differences']))
