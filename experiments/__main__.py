"""Runs experiments of the paper and writes pages on what they find.

    python -m experiments                       lists them
    python -m experiments table2                one, on the miniature: minutes on a CPU
    python -m experiments table2 figure4        several in turn, or `all`
    python -m experiments table2 --data DIR     on a real set in the layout of VOC, by VGG-16
    python -m experiments table2 --rewrite      writes its pages again, from what is stored

Results go to results/NAME.md and NAME.json, with the pictures next to them. Nets are trained once,
in runs/experiments/; what was interrupted is resumed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fcn.cli import Parser, add_device_options, folder_for_caffe, integer, run
from fcn.engine import choose_device, set_threads
from fcn.errors import FCNError

from . import EXPERIMENTS, pages, study
from .settings import BACKBONES, Settings


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
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
        help='folder of the images to learn from, if it is another',
    )
    add('--backbone', choices=BACKBONES, help='default: mini, and vgg16 with --data')
    add(
        '--weights',
        metavar='FILE',
        help="the real backbone's classifier (default: where prepare.py puts it)",
    )
    add(
        '--iterations',
        type=integer(1),
        metavar='N',
        help='how long each FCN learns (default: by experiment and net)',
    )
    add('--quick', action='store_true', help='the smallest form, to try the code')
    add(
        '--rewrite',
        action='store_true',
        help='only write the pages again, from the records in the folder --out',
    )
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
    add_device_options(parser)
    args = parser.parse_args(arguments)
    if args.train_data and not args.data:
        parser.error('--train-data goes with --data')
    args.names = list(EXPERIMENTS) if args.names == ['all'] else args.names
    if unknown := [name for name in args.names if name not in EXPERIMENTS]:
        raise FCNError(
            f'{unknown[0]}: no such experiment; take one of {", ".join(EXPERIMENTS)}, or all'
        )
    args.out = args.out or Path('out/experiments' if args.quick else 'results')
    return args


def settings_of(name: str, args: argparse.Namespace, device: str) -> Settings:
    """Return the settings of experiment `name` that the command line asks for."""
    return Settings(
        EXPERIMENTS[name],
        args.backbone or ('vgg16' if args.data else 'mini'),
        args.data,
        args.train_data,
        args.runs,
        args.out,
        args.quick,
        args.iterations,
        args.weights,
        device,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    if not args.names:
        width = max(map(len, EXPERIMENTS))
        for row in EXPERIMENTS.values():
            print(f'{row.name:{width}}  {row.about} ({row.section})')
        return 0
    if args.rewrite:
        for name in args.names:
            print(*pages.rewrite(args.out, name), sep='\n')
        return 0
    device, failed = choose_device(args.gpu), []
    if args.threads:
        set_threads(args.threads)
    for name in args.names:
        try:
            print(study.run(settings_of(name, args, device)).read_text())
        except FCNError as error:
            if len(args.names) == 1:
                raise
            print(f'{name}: {error}', file=sys.stderr)  # The others are still wanted.
            failed.append(name)
    if failed:
        raise FCNError(f'{", ".join(failed)} of {len(args.names)} did not run')
    return 0


if __name__ == '__main__':
    run(main)
