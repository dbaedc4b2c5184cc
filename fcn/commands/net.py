"""Writes the prototxts of a net: train, val, deploy and solver, for plain Caffe.

    fcn net voc-fcn16s-max              into the folder voc-fcn16s-max
    fcn net voc-fcn16s-max --out DIR    into another
    fcn net --list                      lists all nets
"""

from pathlib import Path

from fcn.cli import Parser
from fcn.errors import FCNError
from fcn.nets import NETS
from fcn.prototxts import write_prototxts
from fcn.text import printable


def parse(arguments: list[str] | None = None):
    parser = Parser(__doc__)
    parser.add_argument('net', nargs='?', metavar='NET', help='name of a net')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder to write to (default: NET)')
    parser.add_argument('--list', action='store_true', help='list all nets and what they are')
    args = parser.parse_args(arguments)
    if args.list == bool(args.net):
        parser.error('name one net, or give --list')
    return args


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    if args.list:
        width = max(map(len, NETS))
        for name, config in NETS.items():
            print(f'{name:<{width}}  {config.about} ({config.data})')
        return
    folder = args.out or Path(args.net)
    if folder.exists() and not folder.is_dir():
        raise FCNError(f'{folder}: is a file; name a folder with --out')
    for file in write_prototxts(args.net, folder, shown_as=folder.as_posix()):
        print(printable(file))
