"""Brings data sets and weights onto the disk.

    python prepare.py voc               PASCAL VOC 2011, or sbd, nyud, siftflow, pascal-context
    python prepare.py ilsvrc            the classifiers that nets start from, or those of the nets named
    python prepare.py fcn-weights NET   weights that the paper's authors published
    python prepare.py voc --from VOCtrainval_25-May-2011.tar --from VOC2011test.tar

Downloads go on where they were interrupted, and what is there is left alone. With --from,
archives at hand are used instead: those of any year for voc, several for one set. voc and
sbd together give VOC's list seg11valid, which its nets are validated on.
"""

from pathlib import Path

from fcn.cli import Parser
from fcn.errors import FCNError
from fcn.preparation import SETS, lock, make

KINDS = ('ilsvrc', 'fcn-weights')


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('what', choices=(*SETS, *KINDS), metavar='WHAT', help=', '.join((*SETS, *KINDS)))
    add(
        'nets',
        nargs='*',
        default=[],
        metavar='NET',
        help='nets whose weights to bring (default: all of them)',
    )
    add(
        '--from',
        dest='given',
        action='append',
        default=[],
        type=Path,
        metavar='FILE',
        help='an archive, a list or a caffemodel at hand, instead of a download; may be repeated',
    )
    add(
        '--data',
        type=Path,
        default=Path('data'),
        metavar='DIR',
        help='where data sets lie (default: data)',
    )
    add(
        '--weights',
        type=Path,
        default=Path('weights'),
        metavar='DIR',
        help='where weights lie (default: weights)',
    )
    return parser.parse_intermixed_args(arguments)


def prepare_set(args):
    """Make a data set and say what there is."""
    if args.nets:
        raise FCNError(f"'{args.nets[0]}': {args.what} is one data set; name no more")
    root = args.data / args.what
    for split, number in make(args.what, args.data, args.given).items():
        print(f'{split:10} {number:6} examples')
    files = [file for file in root.rglob('*') if file.is_file()]
    print(f'{len(files)} files, {_size(files)} in {root}')
    downloads = [file for file in (args.data / 'downloads' / args.what).glob('*') if file.is_file()]
    if downloads:
        print(f'{_size(downloads)} of downloads are kept in {args.data / "downloads" / args.what}')


def prepare_weights(args):
    """Bring weights and say which."""
    from fcn.preparation import weights  # It loads Caffe, which data sets do without.

    with lock(args.weights):
        for name, file, layers in weights.bring(args.what, args.nets, args.weights, args.given):
            print(f'{name:24} {layers:3} layers, {_size([file])} in {file}')


def _size(files):
    size = sum(file.stat().st_size for file in files)
    return f'{size / 1e6:,.1f} MB'


def main(arguments=None):
    args = parse(arguments)
    if args.what in SETS:
        prepare_set(args)
    else:
        prepare_weights(args)
    return 0
