"""Net surgery on files.

    python -m surgery init NET OUT --weights FILE   starting weights of a net of nets/table.py
    python -m surgery cast PROTOTXT FILE OUT        a classifier made fully convolutional
    python -m surgery rarefy PROTOTXT OUT           its subsampling removed, what follows dilated

`init` prints what was copied, cast, left and filled. `cast` writes OUT.prototxt and
OUT.caffemodel. `rarefy` writes a prototxt, for the weights that the net has already.
"""

import os
from pathlib import Path

from google.protobuf import text_format

from fcn.cli import Parser, whole
from fcn.errors import FCNError, WeightsError
from fcn.io import check_writable, write_text
from fcn.nets import deploy_net, find
from fcn.surgery import (
    convolutionalize,
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


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m surgery')
    commands = parser.add_subparsers(dest='command', required=True)
    init = commands.add_parser('init', help="make a net's starting weights")
    init.add_argument('net', metavar='NET', help='name of a net, or a prototxt')
    init.add_argument('out', type=Path, metavar='OUT', help='caffemodel to write')
    init.add_argument(
        '--weights',
        action='append',
        default=[],
        metavar='FILE[:STREAM]',
        help='caffemodel to take weights from; several may be given, each for the stream it names',
    )
    init.add_argument(
        '--init-missing', action='store_true', help='draw what the files lack from Gaussians'
    )
    init.add_argument('--seed', type=whole(0), default=1337, help='of the Gaussians')
    fully = commands.add_parser('cast', help='make a classifier fully convolutional')
    fully.add_argument(
        'net', metavar='PROTOTXT', help="the classifier's deploy prototxt, or a net's name"
    )
    fully.add_argument('weights', metavar='FILE', help='its caffemodel')
    fully.add_argument('out', type=Path, metavar='OUT', help='path without ending')
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
        help='whose strides go (default: all that subsample)',
    )
    rare.add_argument('--top', metavar='BLOB', help='where the net is to end, before it upsamples')
    rare.add_argument(
        '--batch', action='store_true', help='dilate nothing: end in a batch of subsampled versions'
    )
    return parser.parse_args(arguments)


def spec_of(net):
    """The NetParameter of the deploy net that a name or the path of a prototxt means."""
    if Path(net).suffix == '.prototxt':
        return read_spec(Path(net))
    return deploy_net(find(net)).to_proto()


def check_outputs(*files, inputs):
    """WeightsError if a file to write is one to read, or cannot be written."""
    for file in files:
        if clash := [
            source for source in inputs if os.path.realpath(source) == os.path.realpath(file)
        ]:
            raise WeightsError(f'{file}: would overwrite {clash[0]}; give another OUT')
        check_writable(file)


def init(args):
    path, spec = args.net, spec_of(args.net)
    check_outputs(
        args.out, inputs=[path, *(file for file, _ in map(weights_and_stream, args.weights))]
    )
    net = load(spec, path)
    report = start(net, list(map(weights_and_stream, args.weights)), args.init_missing, args.seed)
    print(report)
    if report.missing:
        raise WeightsError(
            f'{args.out}: not written, since {len(report.missing)} layers have no weights'
        )
    save(net, args.out)


def cast(args):
    path, spec = args.net, spec_of(args.net)
    prototxt, caffemodel = (
        args.out.with_name(args.out.name + end) for end in ('.prototxt', '.caffemodel')
    )
    check_outputs(prototxt, caffemodel, inputs=[path, args.weights])
    try:
        spec = convolutionalize(load(spec, path), spec)
    except WeightsError as error:
        raise WeightsError(str(error) if str(path) in str(error) else f'{path}: {error}') from error
    net = load(spec, f'{path}, cast')
    report = transplant(net, args.weights)
    print(report)
    if report.missing:
        raise WeightsError(
            f'{caffemodel}: not written, since {args.weights} lacks {few(report.missing)}'
        )
    save(net, caffemodel)
    write_text(prototxt, text_format.MessageToString(spec))


def rarefied(args):
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
    print(printable(f'{"stride 1":>12}  {", ".join(removed)}'))


def main(arguments=None):
    args = parse(arguments)
    {'init': init, 'cast': cast, 'rarefy': rarefied}[args.command](args)
    print(printable(args.out))
