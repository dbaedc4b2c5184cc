"""Net surgery on files.

    fcn surgery init NET OUT --weights FILE   make the starting weights of a net of nets/table.py
    fcn surgery import torch FILE OUT         take a classifier's weights out of PyTorch's file
    fcn surgery cast PROTOTXT FILE OUT        make a classifier fully convolutional
    fcn surgery rarefy PROTOTXT OUT           remove a net's subsampling and dilate what follows

`init` prints what was copied, cast, not used and filled. `import` takes VGG-16, VGG-19, AlexNet and
GoogLeNet of torchvision, and VGG of Hugging Face, as .pth or .safetensors, and needs no PyTorch.
`cast` writes OUT.prototxt and OUT.caffemodel. `rarefy` writes a prototxt, for the weights that the
net has already.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import text_format

from fcn.cli import Parser, integer
from fcn.data_layers.ilsvrc import MEAN
from fcn.engine import caffe
from fcn.errors import FCNError, WeightsError
from fcn.io import check_writable, write_text
from fcn.nets import deploy_net, find
from fcn.surgery import (
    convolutionalize,
    import_torch,
    load,
    rarefy,
    read_spec,
    save,
    start,
    subsampling,
    transplant,
    until,
    weights_and_stream,
)
from fcn.text import few, printable


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='fcn surgery')
    commands = parser.add_subparsers(dest='command', required=True)
    init = commands.add_parser('init', help="make a net's starting weights")
    init.add_argument('net', metavar='NET', help='name of a net, or a prototxt')
    init.add_argument('out', type=Path, metavar='OUT', help='caffemodel to write')
    init.add_argument(
        '--weights',
        action='append',
        default=[],
        metavar='FILE[:STREAM]',
        help='caffemodel to take weights from; several may be given, each with its stream',
    )
    init.add_argument(
        '--init-missing',
        action='store_true',
        help='draw layers that the files lack from seeded Gaussians',
    )
    init.add_argument('--seed', type=integer(0), default=1337, help='random seed of the Gaussians')
    other = commands.add_parser('import', help="take a classifier's weights out of PyTorch")
    other.add_argument('source', choices=['torch'], help='whose file it is: torch')
    other.add_argument('weights', metavar='FILE', help='.pth, .pt or .safetensors')
    other.add_argument('out', type=Path, metavar='OUT', help='caffemodel to write')
    other.add_argument(
        '--mean',
        type=mean,
        default=MEAN,
        metavar='B,G,R',
        help='what is subtracted from images in Caffe, 0 to 255 (default: '
        f'{",".join(f"{value:.3f}" for value in MEAN)}, as of the nets here)',
    )
    full = commands.add_parser('cast', help='make a classifier fully convolutional')
    full.add_argument(
        'net', metavar='PROTOTXT', help="the classifier's deploy prototxt, or a net's name"
    )
    full.add_argument('weights', metavar='FILE', help='its caffemodel')
    full.add_argument('out', type=Path, metavar='OUT', help='path without extension')
    rare = commands.add_parser('rarefy', help='remove subsampling and dilate what follows')
    rare.add_argument(
        'net',
        metavar='PROTOTXT',
        help="a fully convolutional net's deploy prototxt, or a net's name",
    )
    rare.add_argument('out', type=Path, metavar='OUT', help='prototxt to write')
    rare.add_argument(
        '--layers',
        type=lambda text: text.split(','),
        metavar='NAME,…',
        help='layers whose stride becomes 1 (default: all that subsample)',
    )
    rare.add_argument(
        '--top', metavar='BLOB', help='blob where the net ends, before it is upsampled'
    )
    rare.add_argument(
        '--batch',
        action='store_true',
        help='dilate nothing; the output is a batch of subsampled versions',
    )
    return parser.parse_args(arguments)


def mean(text: str) -> tuple[float, ...]:
    """Return the blue, green and red of an argument such as 104,117,123."""
    values = tuple(float(part) for part in text.split(','))
    if len(values) != 3 or not all(0 <= value <= 255 for value in values):
        raise argparse.ArgumentTypeError(f'{text[:40]} is not three numbers from 0 to 255')
    return values


def spec_of(net: str) -> 'caffe.proto.caffe_pb2.NetParameter':
    """Return the deploy net of a net's name, or of the path of a prototxt."""
    if Path(net).suffix == '.prototxt':
        return read_spec(Path(net))
    return deploy_net(find(net)).to_proto()


def check_outputs(*files: Path, inputs: Sequence[str]) -> None:
    """Raise FCNError if a file to write is one to read, or cannot be written."""
    for file in files:
        if clash := [
            source for source in inputs if os.path.realpath(source) == os.path.realpath(file)
        ]:
            raise WeightsError(f'{file}: would overwrite {clash[0]}; give another OUT')
        check_writable(file)


def init(args: argparse.Namespace) -> None:
    sources = list(map(weights_and_stream, args.weights))
    spec = spec_of(args.net)
    check_outputs(args.out, inputs=[args.net, *(file for file, _ in sources)])
    net = load(spec, args.net)
    report = start(net, sources, args.init_missing, args.seed)
    print(report)
    if report.missing:
        raise WeightsError(
            f'{args.out}: not written, since {len(report.missing)} layers have no weights; give '
            'a file that has them, or draw them with --init-missing'
        )
    save(net, args.out)


def imported(args: argparse.Namespace) -> None:
    check_outputs(args.out, inputs=[args.weights])
    result = import_torch(args.weights, args.out, args.mean)
    print('\n'.join(map(printable, str(result).split('\n'))))


def cast(args: argparse.Namespace) -> None:
    path, spec = args.net, spec_of(args.net)
    prototxt, caffemodel = (
        args.out.with_name(args.out.name + extension) for extension in ('.prototxt', '.caffemodel')
    )
    check_outputs(prototxt, caffemodel, inputs=[path, args.weights])
    net = load(spec, path)
    try:
        spec = convolutionalize(net, spec)
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}') from error
    net = load(spec, f'{path}, cast')
    report = transplant(net, args.weights)
    print(report)
    if report.missing:
        raise WeightsError(
            f'{caffemodel}: not written, since {args.weights} lacks {few(report.missing)}'
        )
    save(net, caffemodel)
    write_text(prototxt, text_format.MessageToString(spec))


def rarefied(args: argparse.Namespace) -> None:
    path, spec = args.net, spec_of(args.net)
    check_outputs(args.out, inputs=[path])
    try:
        if args.top:
            spec = until(spec, args.top)
        removed = args.layers or list(subsampling(spec))
        result = rarefy(spec, removed, args.batch)
    except FCNError as error:
        raise FCNError(f'{path}: {error}') from error
    write_text(args.out, text_format.MessageToString(result))
    print(printable(f'stride set to 1: {", ".join(removed)}'))


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    {'init': init, 'import': imported, 'cast': cast, 'rarefy': rarefied}[args.command](args)
    print(printable(args.out))
