"""Encodes depth as HHA (Gupta, Girshick, Arbeláez and Malik, ECCV 2014), the second input of the
NYUDv2 nets.

    fcn hha data/nyud/data/depth hha

Each 16-bit depth PNG in FROM becomes a PNG of the same name in TO. Its red, green and blue are the
horizontal disparity, the height above the lowest point and the angle between the surface and
gravity, fitted to bytes. Gravity is the direction that makes most surfaces level or upright, so the
camera may be tilted.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from fcn.cli import Parser
from fcn.data_layers.hha import MAX_DEPTH, NYUD_CAMERA, check_camera, encode_file
from fcn.errors import DataError
from fcn.io import make_folder
from fcn.text import printable


def parse() -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add('source', type=Path, metavar='FROM', help='folder of 16-bit depth PNGs, holes filled in')
    add('target', type=Path, metavar='TO', help='folder for the HHA PNGs')
    add(
        '--raw',
        type=Path,
        metavar='DIR',
        help='folder of raw depth of the same names: surfaces are fitted only where it is not 0',
    )
    add(
        '--unit',
        type=float,
        default=0.001,
        metavar='METRES',
        help="what a depth of 1 means (default: %(default)s, NYUDv2's millimetres)",
    )
    add(
        '--camera',
        type=float,
        nargs=4,
        default=NYUD_CAMERA,
        metavar=('FX', 'FY', 'CX', 'CY'),
        help=f"in pixels, counted from 1 (default: NYUDv2's, {' '.join(map(str, NYUD_CAMERA))})",
    )
    return parser.parse_args()


def check(args: argparse.Namespace, files: Sequence[Path]) -> None:
    """Raise DataError for arguments that cannot be right, and if a file would be overwritten."""
    check_camera(args.camera)
    if not 0 < args.unit <= MAX_DEPTH:
        raise DataError(
            f'--unit {args.unit:g}: give the metres that a depth of 1 means, such as 0.001'
        )
    sources = map(os.path.realpath, filter(None, (args.source, args.raw)))
    if os.path.realpath(args.target) in sources:
        raise DataError(f'{args.target}: would overwrite the originals; give another folder')
    if not files:
        raise DataError(
            f'{os.path.abspath(args.source)}: no PNG files lie there; give the folder of the depth'
        )
    for file in files:
        if (args.target / file.name).exists():
            raise DataError(f'{args.target / file.name}: is there already; give another folder')


def main() -> None:
    args = parse()
    files = sorted(args.source.glob('*.png'))
    check(args, files)
    make_folder(args.target)
    for file in tqdm(files, desc='hha', unit='image', dynamic_ncols=True):
        raw = args.raw / file.name if args.raw else None
        encode_file(file, args.target / file.name, raw, args.unit, args.camera)
    print(f'{len(files)} HHA images in {printable(args.target)}')
