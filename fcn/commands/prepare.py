"""Brings data sets and weights onto the disk.

    python prepare.py voc               PASCAL VOC 2011; or sbd, nyud, siftflow, pascal-context
    python prepare.py ilsvrc [NET …]    the classifiers that nets start from: all, or those named
    python prepare.py fcn-weights NET   weights that the paper's authors published
    python prepare.py check DIR         look through images and labels of your own (`fcn check`)
    python prepare.py voc --from VOCtrainval_25-May-2011.tar --from VOC2011test.tar

An interrupted download goes on where it stopped, and what is on the disk is left alone. With
--from, archives at hand are used instead of downloads: for voc those of any year, for one set
several. Prepare both voc and sbd: together they give the list seg11valid, on which VOC's nets are
validated.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from fcn.cli import Parser
from fcn.commands import check
from fcn.errors import FCNError
from fcn.io import lock_folder, make_folder
from fcn.preparation import ARCHIVES, make

WEIGHTS = ('ilsvrc', 'fcn-weights')


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        'what', choices=(*ARCHIVES, *WEIGHTS), metavar='WHAT', help=', '.join((*ARCHIVES, *WEIGHTS))
    )
    add(
        'nets',
        nargs='*',
        default=[],
        metavar='NET',
        help='nets whose weights to fetch (default: all that are published)',
    )
    add(
        '--from',
        dest='given',
        action='append',
        default=[],
        type=Path,
        metavar='FILE',
        help='use this archive, list or caffemodel instead of a download; may be repeated',
    )
    add(
        '--data',
        type=Path,
        default=Path('data'),
        metavar='DIR',
        help='folder of the data sets (default: data)',
    )
    add(
        '--weights',
        type=Path,
        default=Path('weights'),
        metavar='DIR',
        help='folder of the weights (default: weights)',
    )
    return parser.parse_intermixed_args(arguments)


def prepare_set(args: argparse.Namespace) -> None:
    """Make a data set and print what it holds."""
    if args.nets:
        raise FCNError(f"'{args.nets[0]}': {args.what} is one data set; name nothing after it")
    root = args.data / args.what
    for split, number in make(args.what, args.data, args.given).items():
        print(f'{split:10} {number:6} examples')
    files = [file for file in root.rglob('*') if file.is_file()]
    print(f'{len(files)} files, {_megabytes(files)} in {root}')
    downloads = args.data / 'downloads' / args.what
    if kept := [file for file in downloads.glob('*') if file.is_file()]:
        print(f'{_megabytes(kept)} of downloads are kept in {downloads}')


def prepare_weights(args: argparse.Namespace) -> None:
    """Bring weights and print which."""
    from fcn.preparation import weights  # It loads Caffe, which data sets do without.

    make_folder(args.weights)
    with lock_folder(args.weights):
        for name, file, layers in weights.bring(args.what, args.nets, args.weights, args.given):
            print(f'{name:24} {layers:3} layers, {_megabytes([file])} in {file}')


def _megabytes(files: Iterable[Path]) -> str:
    size = sum(file.stat().st_size for file in files)
    return f'{size / 1e6:,.1f} MB'


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ['check']:
        return check.main(given[1:])
    args = parse(given)
    if args.what in ARCHIVES:
        prepare_set(args)
    else:
        prepare_weights(args)
    return 0
