"""Turns RGB label images in the VOC colours into the palette PNGs that the data sets read.

    fcn convert FROM TO

Each PNG in FROM becomes a PNG of the same name in TO, whose values are the numbers of the classes.
"""

import os
from pathlib import Path

from fcn.cli import Parser
from fcn.data_layers.images import read_image, save_label, to_indices
from fcn.errors import DataError
from fcn.io import make_folder
from fcn.text import printable


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path, metavar='FROM', help='folder of RGB label PNGs')
    parser.add_argument('target', type=Path, metavar='TO', help='folder for the palette PNGs')
    args = parser.parse_args()
    files = sorted(args.source.glob('*.png'))
    if os.path.realpath(args.source) == os.path.realpath(args.target):
        raise DataError(f'{args.target}: would overwrite the originals; give another folder')
    if not files:
        raise DataError(
            f'{os.path.abspath(args.source)}: no PNG files lie there; give the folder of the labels'
        )
    make_folder(args.target)
    for file in files:
        save_label(to_indices(read_image(file), file), args.target / file.name)
    print(f'{len(files)} labels in {printable(args.target)}')
