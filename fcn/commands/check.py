"""Looks through a folder of your own images and labels before they are learned from.

    fcn check photos/                        what is this? is it sound?
    fcn check photos/ --foreground 255       masks of one kind of object, 0 and 255
    fcn check photos/ --legend legend.csv    masks in colours: lines of name,red,green,blue

It knows images with masks, the layouts of VOC, COCO, LabelMe, Cityscapes, CamVid, ADE20K,
Supervisely and YOLO, reads every label once, and writes what it found to --out: contact.png, some
pictures with their labels over them, and dataset.json, the classes and the split. `solve.py --data`
does the same before it trains. The exit code is 2 if something is wrong.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn.cli import Parser, add_data_options, bar, integer
from fcn.data_layers.dataset import evenly_spread
from fcn.data_layers.images import read_image
from fcn.data_layers.own.check import Checked, check, report
from fcn.data_layers.own.dataset import read_own_label, turns
from fcn.data_layers.own.describe import Asked, Described, describe
from fcn.data_layers.own.manifest import NAME
from fcn.errors import DataError
from fcn.io import make_folder
from fcn.text import printable, shortened
from fcn.visualize import contact_sheet

SHOWN = 8  # pictures of the contact sheet


class Shown(NamedTuple):
    """What a picture's legend is made of."""

    classes: tuple[str, ...]
    colours: np.ndarray


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add('folder', type=Path, metavar='DIR', help='folder of the images and labels')
    add(
        '--out',
        type=Path,
        metavar='DIR',
        help='where the picture and the description go (default: out/check-NAME)',
    )
    add('--seed', type=integer(0), default=1337, metavar='N', help='of the split (default: 1337)')
    add_data_options(parser)
    return parser.parse_args(arguments)


def draw(described: Described, checked: Checked, path: Path) -> bool:
    """Draw the contact sheet of the examples that can be read; return whether there are any."""
    manifest = described.manifest
    sound = [image.example for image in checked.images if not image.problem]
    rows = []
    for example in evenly_spread(sound, SHOWN):
        image = read_image(manifest.root / example.image, turns(manifest, example))
        label = read_own_label(manifest, example)
        if label.shape == image.shape[:2]:
            rows.append((image, label))
    whole = max(1, sum(checked.pixels.values()))
    shares = [checked.pixels[number] / whole for number in range(len(manifest.classes))]
    if rows:
        # Between dollars, Matplotlib would read formulas.
        names = (shortened(name, 30).replace('$', r'\$') for name in manifest.classes)
        contact_sheet(path, rows, Shown(tuple(names), manifest.palette), shares)
    return bool(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    root = Path(os.path.realpath(args.folder))
    described = describe(root, Asked.of(args), bar('check', 'label'))
    checked = check(described, bar('check', 'label'))
    print(printable_lines(report(described, checked)))
    if checked.errors:
        raise DataError(f'{root}: is not sound; correct what is WRONG above')
    out = args.out or Path('out') / f'check-{root.name}'
    make_folder(out)
    described.manifest.write(out / NAME)
    files = [out / NAME]
    if draw(described, checked, out / 'contact.png'):
        files.append(out / 'contact.png')
    print('Look at', *(f'  {printable(file)}' for file in files), sep='\n')
    return 0


def printable_lines(text: str) -> str:
    """Return a text of several lines with control characters of names escaped."""
    return '\n'.join(map(printable, text.split('\n')))
