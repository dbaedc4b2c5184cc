"""Turns RGB label images in the VOC colours into the palette PNGs that are read here.

    python -m data_layers.convert FROM TO
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from command import Parser, printable, run
from files import replacing

from .images import DataError, read_image
from .palette import voc_palette

BAND = 64  # rows at once: whole numbers of all of a large image would be gigabytes


def to_indices(image, path=''):
    """H×W uint8 labels of an H×W×3 image in the VOC colours; DataError names a colour that is none."""
    keys = np.array([1 << 16, 1 << 8, 1])
    colours, labels = np.unique(voc_palette().astype(int) @ keys, return_index=True)
    indices = np.empty(image.shape[:2], np.uint8)
    for top in range(0, len(image), BAND):
        pixels = image[top:top + BAND].astype(int) @ keys
        places = np.searchsorted(colours, pixels).clip(max=len(colours) - 1)
        wrong = colours[places] != pixels
        if wrong.any():
            y, x = np.argwhere(wrong)[0] + (top, 0)
            raise DataError(f'{path}: the colour {tuple(map(int, image[y, x]))} at x={x}, y={y} is none of the '
                            "VOC palette's; a lossy format such as JPEG cannot hold labels")
        indices[top:top + BAND] = labels[places]
    return indices


def save_label(label, path):
    """Write an H×W uint8 label as a palette PNG in the VOC colours, whole or not at all."""
    image = Image.fromarray(label)
    image.putpalette(voc_palette().tobytes())
    with replacing(Path(path), durable=False) as partial:
        image.save(partial)


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


if __name__ == '__main__':
    run(main)
