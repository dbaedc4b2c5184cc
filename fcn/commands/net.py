"""Writes the prototxts of a net: train, val, deploy and solver, for plain Caffe.

fcn net voc-fcn16s-max              write them to the folder voc-fcn16s-max
fcn net voc-fcn16s-max --out DIR    write them to another folder
fcn net --list                      list all nets
fcn net --table                     print docs/nets.md, the same with sources and figures
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fcn.cli import Parser
from fcn.errors import FCNError
from fcn.nets import NETS
from fcn.prototxts import write_prototxts
from fcn.text import markdown_table, printable

PAGE = """# The nets

This page is written by `fcn net --table`. `fcn solve NET` trains a net from those that it starts
from, and `fcn net NET` writes its prototxts for plain Caffe. Those of the nets whose weights or
figures are published lie in `nets/NET`.

{table}

Figures are in percent. Those of VOC are for seg11valid and for the weights that the authors
published; the figures of `-fixed` and `-cvpr` are the CVPR paper's (those of AlexNet and GoogLeNet
from its Table 1, whose nets learned from the 1,112 images of VOC 2011 alone). The figures of NYUDv2
and SIFT Flow are the paper's too, for the test images, SIFT Flow's over the classes that occur
there. A dash means that we know of no certain figure.

The `deploy.prototxt` of every net also loads in OpenCV 4, which agrees with Caffe.
[voc-googlenet.md](../results/voc-googlenet.md) is a run on real images from real ILSVRC weights, on
two CPU cores.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument('net', nargs='?', metavar='NET', help='name of a net')
    parser.add_argument('--out', type=Path, metavar='DIR', help='folder to write to (default: NET)')
    parser.add_argument('--list', action='store_true', help='list all nets and what they are')
    parser.add_argument('--table', action='store_true', help='print the page docs/nets.md')
    args = parser.parse_args(arguments)
    if [args.net is not None, args.list, args.table].count(True) != 1:
        parser.error('name one net, or give --list or --table')
    return args


def page() -> str:
    """Return docs/nets.md: the table of all nets, in Markdown."""
    rows = [
        [
            f'`{name}`',
            config.about,
            config.data,
            ', '.join(f'`{parent}`' for parent in config.parents) or None,
            config.published,
        ]
        for name, config in NETS.items()
    ]
    head = ['net', 'what it is', 'data', 'starts from', 'published mean IU']
    return PAGE.format(table=markdown_table(head, rows))


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.table:
        print(page(), end='')
        return
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
