"""Writes a net as ONNX, and checks it: the file and Caffe compute the same two images.

    python export.py voc-fcn8s -o fcn8s.onnx               as published, or as solve.py trained it
    python export.py runs/mine --with-preprocessing --labels -o mine.onnx
    python export.py deploy.prototxt --weights FILE.caffemodel -o net.onnx

The file takes batches of images of any size: N×C×H×W float32, as Caffe does, and gives scores. It
says what it takes, its classes and their colours in its metadata. If it differs from Caffe by more
than 1e-4, nothing is written. docs/deploy.md says how to run it.
"""

import argparse
import os
import re
from pathlib import Path

from fcn.cli import Parser, add_snapshot_option, add_threads_option, folder_for_caffe
from fcn.errors import FCNError
from fcn.text import printable

MAX_SIDE = 1 << 14  # pixels of an image to check a file with


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        'net',
        nargs='?',
        metavar='NET',
        help='net, run folder or deploy prototxt (default: that of --weights, or voc-fcn8s)',
    )
    add('-o', '--out', type=Path, required=True, metavar='FILE', help='file to write, as net.onnx')
    add(
        '--weights',
        metavar='FILE',
        help='caffemodel or run folder (default: runs/NET, or as published)',
    )
    add(
        '--with-preprocessing',
        action='store_true',
        help='take images, N×H×W×3 uint8 RGB: the order of channels and the means are in the file',
    )
    add('--labels', action='store_true', help='give labels, N×H×W uint8, instead of scores')
    add('--half', action='store_true', help='keep the weights as float16, in half the bytes')
    add(
        '--size',
        type=size,
        metavar='H×W',
        help='take one image of this size alone, for runtimes that want to know it',
    )
    add('--simplify', action='store_true', help='fold what is constant, by onnxslim')
    add(
        '--runs',
        type=folder_for_caffe,
        default=Path('runs'),
        metavar='DIR',
        help='where run folders lie (default: runs)',
    )
    add_threads_option(parser)
    add_snapshot_option(parser, 'to export')
    return parser.parse_args(arguments)


def size(text: str) -> tuple[int, int]:
    """Return the height and width in an argument such as 500x333."""
    match = re.fullmatch(r'(\d{1,5})[x×](\d{1,5})', text)
    if not match or not all(1 <= int(side) <= MAX_SIDE for side in match.groups()):
        raise argparse.ArgumentTypeError(
            f'{text[:40]} is no height and width from 1 to {MAX_SIDE}, as 500x333'
        )
    height, width = map(int, match.groups())
    return height, width


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    for source in filter(None, (args.net, args.weights)):
        if os.path.realpath(source) == os.path.realpath(args.out):
            raise FCNError(f'{args.out}: would overwrite what is exported; give another --out')
    from fcn.engine import set_threads
    from fcn.onnx import OPSET, export

    if args.threads:
        set_threads(args.threads)
    result = export(
        args.net,
        args.out,
        args.weights,
        preprocessing=args.with_preprocessing,
        labels=args.labels,
        half=args.half,
        simplify=args.simplify,
        size=args.size,
        snapshot=args.snapshot,
        runs=args.runs,
    )
    for kind, values in (('input', result.inputs), ('output', result.outputs)):
        for name, about in values.items():
            print(printable(f'{kind} {name}: {about}'))
    if result.pinned:
        print(printable(f'takes images of one size, since {result.pinned}'))
    print(result.agreement)
    if result.half_labels is not None:
        print(f'float16 weights leave {100 * result.half_labels:.4g} % of the labels as they were')
    print(printable(f'{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, opset {OPSET}'))
