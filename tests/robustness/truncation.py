"""Cuts every kind of file of ours off at every byte, and reads what is left.

    python -m tests.robustness.truncation

What reads a file that is shorter than it was written must refuse it, and a snapshot that holds one
must be passed over: a file may be taken as complete at no shorter length. Files of weights and
solver states are checked by their sizes; of those the first and last bytes, and two thousand
lengths between, are tried.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
Notices = Callable[[], bool]


def lengths(size: int) -> list[int]:
    """Return the lengths to cut a file of `size` bytes to, longest first.

    These are all shorter ones of a small file, else those near the ends and many between.
    """
    if size <= 2 * EDGE + BETWEEN:
        return list(range(size - 1, -1, -1))
    between = np.linspace(EDGE, size - EDGE, BETWEEN, dtype=int).tolist()
    return sorted({*range(EDGE), *between, *range(size - EDGE, size)}, reverse=True)


def undetected(path: Path, notices: Notices) -> tuple[int, list[int]]:
    """Return how many lengths were tried, and those at which `notices` returned False.

    The file is as before after that.
    """
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


def refuses(read: Callable[..., Any], *arguments: Any) -> Notices:
    """Return a function that says whether `read(*arguments)` raises FCNError."""

    def notices() -> bool:
        try:
            read(*arguments)
        except FCNError:
            return True
        return False

    return notices


def run_files(folder: Path) -> Iterator[tuple[Path, Notices]]:
    """Yield each file of a finished run, and the function that says whether damage is noticed."""
    newest = Run(folder).iteration
    for file in sorted((Run(folder).snapshots.all()[-1][1]).iterdir()):
        yield file, lambda: Run(folder).snapshots.newest(WEIGHTS, STATE)['iteration'] != newest
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name != '.lock':
            yield file, lambda file=file: file.resolve() in Run(folder).damaged()


def other_files(folder: Path) -> Iterator[tuple[Path, Notices]]:
    """Yield, in the same way, files that other commands write and read again."""
    rng = np.random.default_rng(0)
    names = 'x.caffemodel', 'x.png', 'y.png', 'x.jpg'
    weights, image, label, photo = (folder / name for name in names)
    layers = [
        (f'layer{index}', 'Convolution', [rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)])
        for index in range(4)
    ]
    write_weights(weights, layers)
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(pixels).save(image)
    Image.fromarray(pixels).save(photo)
    save_label(pixels[..., 0] % 21, label)
    yield weights, refuses(lambda: list(read_weights(weights)))
    yield image, refuses(read_image, image)
    yield photo, refuses(read_image, photo)
    yield label, refuses(read_label, label)
    small: dict[str, Any] = {'train': 2, 'val': 1, 'size': (64, 64), 'objects': 2}
    drawn = generate(folder / 'drawn', **small)
    picture = 'JPEGImages/train_00000.jpg'
    for name in ('miniature.json', 'ImageSets/Segmentation/train.txt', picture):
        yield drawn / name, refuses(lambda: generate(drawn, **small))


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Cut all files off and return the result."""
    parser = Parser(__doc__, prog='python -m tests.robustness.truncation')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write the result there as JSON')
    args = parser.parse_args(arguments)
    files: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(folder, nets=['mini-vgg', NET])
        for file, notices in [*run_files(setting.reference / NET), *other_files(setting.folder)]:
            tried, missed = undetected(file, notices)
            files[file.name] = {'lengths': tried, 'undetected': missed}
            print(f'{file.name}: {tried} lengths, {len(missed)} not noticed', missed[:5] or '')
    result = {
        'files': files,
        'lengths': sum(file['lengths'] for file in files.values()),
        'undetected': sum(len(file['undetected']) for file in files.values()),
    }
    if args.out:
        dump(args.out, result)
    return result


if __name__ == '__main__':
    raise SystemExit(bool(main()['undetected']))
