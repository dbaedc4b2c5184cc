"""Runs experiments of the paper and writes what they find.

    python -m experiments                       lists them
    python -m experiments table2                one, on the miniature: minutes on a CPU
    python -m experiments table2 figure4        several in turn, or `all`
    python -m experiments table2 --data DIR     on a real set in the layout of VOC, by VGG-16

Results go to results/NAME.md and NAME.json, with the pictures beside them. Nets are trained
once, in runs/experiments/; what was interrupted goes on.
"""

import importlib
import sys
from pathlib import Path

from fcn.cli import Parser, folder_for_caffe, run, whole
from fcn.engine import choose_device
from fcn.errors import FCNError

from . import EXPERIMENTS
from .study import TRUNKS, Study, StudyError


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m experiments')
    add = parser.add_argument
    add('names', nargs='*', metavar='NAME', help='experiments, or all')
    add(
        '--data',
        type=Path,
        metavar='DIR',
        help='a real set (default: the miniature, drawn in data/)',
    )
    add(
        '--train-data',
        type=Path,
        metavar='DIR',
        help='folder of the images to learn from, if another',
    )
    add('--trunk', choices=TRUNKS, help='default: mini, and vgg16 with --data')
    add(
        '--weights',
        metavar='FILE',
        help="the real trunk's classifier (default: as prepare.py brought it)",
    )
    add(
        '--iterations',
        type=whole(1),
        metavar='N',
        help='how long each FCN learns (default: by experiment and net)',
    )
    add('--quick', action='store_true', help='the smallest form, to try the code')
    add(
        '--runs',
        type=folder_for_caffe,
        default='runs/experiments',
        metavar='DIR',
        help='where run folders lie (default: runs/experiments)',
    )
    add(
        '--out',
        type=Path,
        metavar='DIR',
        help='where results go (default: results; with --quick out/experiments)',
    )
    add(
        '--gpu',
        type=whole(-1),
        metavar='ID',
        help='device; −1 is the CPU (default: the first GPU if there is one)',
    )
    args = parser.parse_args(arguments)
    if args.train_data and not args.data:
        parser.error('--train-data goes with --data')
    args.names = list(EXPERIMENTS) if args.names == ['all'] else args.names
    if unknown := [name for name in args.names if name not in EXPERIMENTS]:
        raise StudyError(
            f"no experiment is named '{unknown[0]}'; they are {', '.join(EXPERIMENTS)}, or all"
        )
    return args


def study(name, args, device):
    """The Study of experiment `name` that the command line asks for."""
    return Study(
        EXPERIMENTS[name],
        args.trunk or ('vgg16' if args.data else 'mini'),
        args.data,
        args.train_data,
        args.runs,
        args.out or Path('out/experiments' if args.quick else 'results'),
        args.quick,
        args.iterations,
        args.weights,
        device,
    )


def main(arguments=None):
    args = parse(arguments)
    if not args.names:
        width = max(map(len, EXPERIMENTS))
        for row in EXPERIMENTS.values():
            print(f'{row.name:{width}}  {row.words} ({row.section})')
        return 0
    device, failed = choose_device(args.gpu), []
    for name in args.names:
        try:
            asked = study(name, args, device)
            importlib.import_module(f'experiments.{name}').run(asked)
        except FCNError as error:
            if len(args.names) == 1:
                raise
            print(f'{name}: {error}', file=sys.stderr)  # The others are still wanted.
            failed.append(name)
    if failed:
        raise StudyError(f'{", ".join(failed)} of {len(args.names)} did not run')
    return 0


if __name__ == '__main__':
    run(main)
