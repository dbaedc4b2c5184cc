"""Encodes depth as HHA (Gupta, Girshick, Arbeláez and Malik, ECCV 2014), the second input of the NYUDv2 nets.

    python -m data_layers.hha data/nyud/data/depth hha

Each 16-bit depth PNG in FROM becomes a PNG of the same name in TO. Its red, green
and blue are horizontal disparity, height above the lowest point and angle of the
surface with gravity, fitted to bytes. Gravity is whatever makes most surfaces
level or upright, so the camera may be tilted.
"""

import os
from pathlib import Path

from tqdm import tqdm

from fcn.cli import Parser
from fcn.data_layers.hha import FARTHEST, NYUD_CAMERA, check_camera, encode_file
from fcn.errors import DataError
from fcn.text import printable


def main():
    parser = Parser(__doc__.splitlines()[0])
    parser.add_argument(
        'source', type=Path, metavar='FROM', help='folder of 16-bit depth PNGs, holes filled in'
    )
    parser.add_argument('target', type=Path, metavar='TO', help='folder for the HHA PNGs')
    parser.add_argument(
        '--raw',
        type=Path,
        metavar='DIR',
        help='folder of raw depth of the same names: surfaces are fitted only where it is not 0',
    )
    parser.add_argument(
        '--unit',
        type=float,
        default=0.001,
        metavar='METRES',
        help="what a depth of 1 means (default: %(default)s, NYUDv2's millimetres)",
    )
    parser.add_argument(
        '--camera',
        type=float,
        nargs=4,
        default=NYUD_CAMERA,
        metavar=('FX', 'FY', 'CX', 'CY'),
        help="in pixels, counted from 1 (default: NYUDv2's, %(default)s)",
    )
    args = parser.parse_args()
    check_camera(args.camera)
    if not 0 < args.unit <= FARTHEST:
        raise DataError(
            f'--unit {args.unit:g}: want the metres that a depth of 1 means, such as 0.001'
        )
    files = sorted(args.source.glob('*.png'))
    if os.path.realpath(args.target) in map(
        os.path.realpath, filter(None, (args.source, args.raw))
    ):
        raise DataError(f'{args.target}: would overwrite the originals; give another folder')
    if not files:
        raise DataError(f'{args.source}: no PNG files lie there')
    if there := [file.name for file in files if (args.target / file.name).exists()]:
        raise DataError(f'{args.target / there[0]}: is there already; give another folder')
    args.target.mkdir(parents=True, exist_ok=True)
    for file in tqdm(files, desc='hha', unit='image', dynamic_ncols=True):
        encode_file(
            file, args.target / file.name, args.raw and args.raw / file.name, args.unit, args.camera
        )
    print(f'{len(files)} HHA images in {printable(args.target)}')
