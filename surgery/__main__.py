"""Net surgery on files.

    python -m surgery init NET OUT --weights FILE   starting weights of a net of nets/table.py
    python -m surgery cast PROTOTXT FILE OUT        a classifier made fully convolutional

`init` prints what was copied, cast, left and filled. `cast` writes OUT.prototxt and
OUT.caffemodel.
"""

import argparse
import tempfile
from pathlib import Path

import caffe
from google.protobuf import text_format

from command import run
from errors import few
from files import write_text
from nets import FOLDER, find

from . import WeightsError, cast_net, read_spec, save, start, transplant, weights_and_stream


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog='python -m surgery', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)
    init = commands.add_parser('init', help="make a net's starting weights")
    init.add_argument('net', metavar='NET', help='name of a net, or a prototxt')
    init.add_argument('out', type=Path, metavar='OUT', help='caffemodel to write')
    init.add_argument('--weights', action='append', default=[], metavar='FILE[:STREAM]',
                      help='caffemodel to take weights from; several may be given, each for the stream it names')
    init.add_argument('--init-missing', action='store_true',
                      help='draw what the files lack from Gaussians')
    init.add_argument('--seed', type=int, default=1337, help='of the Gaussians')
    fully = commands.add_parser('cast', help='make a classifier fully convolutional')
    fully.add_argument('net', metavar='PROTOTXT', help="the classifier's deploy prototxt, or a net's name")
    fully.add_argument('weights', metavar='FILE', help='its caffemodel')
    fully.add_argument('out', type=Path, metavar='OUT', help='path without ending')
    return parser.parse_args(arguments)


def prototxt_of(net):
    """The deploy prototxt that a name or a path means."""
    if Path(net).suffix == '.prototxt':
        return Path(net)
    find(net)
    return FOLDER / net / 'deploy.prototxt'


def load(path):
    """The caffe.Net of a prototxt that parses."""
    read_spec(path)
    return caffe.Net(str(path), caffe.TEST)


def init(args):
    net = load(prototxt_of(args.net))
    report = start(net, list(map(weights_and_stream, args.weights)), args.init_missing, args.seed)
    print(report)
    if report.missing:
        raise WeightsError(f'{args.out}: not written, since {len(report.missing)} layers have no weights')
    save(net, args.out)


def cast(args):
    path = prototxt_of(args.net)
    if path.resolve() == args.out.with_name(f'{args.out.name}.prototxt').resolve():
        raise WeightsError(f'{args.out}: would overwrite {path}; give another OUT')
    spec = cast_net(load(path), read_spec(path))
    prototxt, caffemodel = (args.out.with_name(args.out.name + end) for end in ('.prototxt', '.caffemodel'))
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(text_format.MessageToString(spec))
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    report = transplant(net, args.weights)
    print(report)
    if report.missing:
        raise WeightsError(f'{caffemodel}: not written, since {args.weights} lacks {few(report.missing)}')
    save(net, caffemodel)
    write_text(prototxt, text_format.MessageToString(spec))


def main(arguments=None):
    args = parse(arguments)
    {'init': init, 'cast': cast}[args.command](args)
    print(args.out)


if __name__ == '__main__':
    run(main)
