"""Cuts every kind of file of ours off at every byte, and reads what is left.

    python -m tests.robustness.truncation

A file that is shorter than it was written must be refused by what reads it, and a snapshot passed
over: no length may be taken for the whole. Files of weights and solver states are known
by their sizes; of those the first and last bytes, and two thousand lengths between, are tried.
"""

import contextlib
import io
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn.cli import Parser
from fcn.data_layers import read_image, read_label
from fcn.data_layers.images import save_label
from fcn.errors import FCNError
from fcn.solvers import Run
from fcn.solvers.snapshot import STATE, WEIGHTS
from fcn.surgery import read_weights, write_weights
from miniature.generate import generate

from .setting import Setting, dump

NET = 'mini-fcn32s'
EDGE, BETWEEN = 1024, 2000


def lengths(size):
    """Lengths to cut a file to, each below its size: all, or the edges and many between, longest first."""
    if size <= 2 * EDGE + BETWEEN:
        return list(range(size - 1, -1, -1))
    between = np.linspace(EDGE, size - EDGE, BETWEEN, dtype=int).tolist()
    return sorted({*range(EDGE), *between, *range(size - EDGE, size)}, reverse=True)


def undetected(path, notices):
    """(lengths tried, those that `notices`, a function of nothing, did not see), with the file put back after."""
    content = path.read_bytes()
    tried, missed = lengths(len(content)), []
    try:
        for length in tqdm(tried, desc=path.name, leave=False, disable=None):
            os.truncate(path, length)
            with contextlib.redirect_stderr(io.StringIO()):
                if not notices():
                    missed.append(length)
    finally:
        path.write_bytes(content)
    return len(tried), missed


def refuses(read, *arguments):
    """A function that says whether reading is refused as the user's to mend."""

    def notices():
        try:
            read(*arguments)
        except FCNError:
            return True
        return False

    return notices


def run_files(folder):
    """(file, how its damage is noticed) of a finished run."""
    newest = Run(folder).iteration
    for file in sorted((Run(folder).snapshots()[-1][1]).iterdir()):
        yield file, lambda: Run(folder).newest(WEIGHTS, STATE)['iteration'] != newest
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name != '.lock':
            yield file, lambda file=file: file.resolve() in Run(folder).damaged()


def other_files(folder):
    """(file, how its damage is noticed) of what other commands write and read again."""
    draw = np.random.default_rng(0)
    weights, image, label, photo = (
        folder / name for name in ('x.caffemodel', 'x.png', 'y.png', 'x.jpg')
    )
    write_weights(
        weights,
        [
            (f'layer{index}', 'Convolution', [draw.normal(size=(4, 3, 3, 3)), draw.normal(size=4)])
            for index in range(4)
        ],
    )
    pixels = draw.integers(0, 256, (8, 8, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(pixels).save(image)
    Image.fromarray(pixels).save(photo)
    save_label(pixels[..., 0] % 21, label)
    yield weights, refuses(lambda: list(read_weights(weights)))
    yield image, refuses(read_image, image)
    yield photo, refuses(read_image, photo)
    yield label, refuses(read_label, label)
    small = dict(train=2, val=1, size=(64, 64), objects=2)
    drawn = generate(folder / 'drawn', **small)
    for name in (
        'miniature.json',
        'ImageSets/Segmentation/train.txt',
        'JPEGImages/train_00000.jpg',
    ):
        yield drawn / name, refuses(lambda: generate(drawn, **small))


def main(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.truncation')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(folder, nets=['mini-vgg', NET])
        for file, notices in [*run_files(setting.reference / NET), *other_files(setting.folder)]:
            tried, missed = undetected(file, notices)
            files[file.name] = {'lengths': tried, 'undetected': missed}
            print(f'{file.name}: {tried} lengths, {len(missed)} not noticed', missed[:5] or '')
    result = dict(
        files=files,
        lengths=sum(file['lengths'] for file in files.values()),
        undetected=sum(len(file['undetected']) for file in files.values()),
    )
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['undetected']))
