"""Turns RGB label images in the VOC colours into the palette PNGs that are read here.

fcn convert FROM TO
"""

import os
from pathlib import Path

from fcn.cli import Parser
from fcn.data_layers.images import read_image, save_label, to_indices
from fcn.errors import DataError
from fcn.text import printable

BAND = 64  # rows at once: whole numbers of all of a large image would be gigabytes


def main():
    parser = Parser(__doc__.splitlines()[0])
    parser.add_argument('source', type=Path, metavar='FROM', help='folder of RGB label PNGs')
    parser.add_argument('target', type=Path, metavar='TO', help='folder for the palette PNGs')
    args = parser.parse_args()
    files = sorted(args.source.glob('*.png'))
    if os.path.realpath(args.source) == os.path.realpath(args.target):
        raise DataError(f'{args.target}: would overwrite the originals; give another folder')
    if not files:
        raise DataError(f'{args.source}: no PNG files lie there')
    args.target.mkdir(parents=True, exist_ok=True)
    for file in files:
        save_label(to_indices(read_image(file), file), args.target / file.name)
    print(f'{len(files)} labels in {printable(args.target)}')
