"""Segments images of many sizes in one process and watches its memory.

    python -m tests.robustness.sizes                    10,000 images of mini-fcn8s, as infer.py segments
    python -m tests.robustness.sizes --through layer    fed by a data layer, as score.py scores
    python -m tests.robustness.sizes --net voc-fcn-googlenet --count 1000 --seed 7

Layers keep primitives and workspaces for shapes that they saw, and a heap that is torn
by blocks of all sizes never shrinks: either would end a long evaluation. Memory is flat
if no hundred of images takes 5 % more than the first 500 did at most. Sides are drawn
evenly from 32 to 400, so that the first 500 come near the largest.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn.cli import Parser, run
from fcn.commands import surgery as surgery_command
from fcn.data_layers import DATASETS, Source
from fcn.data_layers.images import save_label
from fcn.engine import choose_device
from fcn.errors import FCNError
from fcn.inference import evaluate, load_net, segment
from fcn.nets import deploy_net, find, train_net

from .setting import dump

FIRST, WINDOW = 500, 100  # images
GOAL = 0.05  # by which memory may grow after the first
SIDES = 32, 400  # pixels
FILES = 500  # pictures that the data layer reads again and again


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m tests.robustness.sizes')
    add = parser.add_argument
    add('--count', type=int, default=10_000, metavar='N', help='images (default: %(default)s)')
    add('--seed', type=int, default=0, metavar='N', help='of their sizes and pixels')
    add('--net', default='mini-fcn8s', metavar='NET', help='default: %(default)s')
    add('--through', choices=('array', 'layer'), default='array', help='how images come to the net')
    add('--out', type=Path, metavar='FILE', help='JSON of every hundred, for the report')
    args = parser.parse_args(arguments)
    if args.count < FIRST + WINDOW or args.seed < 0:
        parser.error(f'--count is {FIRST + WINDOW} or more, --seed not below 0')
    return args


def resident():
    """Bytes of this process that are in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


def pictures(seed):
    """Yield H×W×3 uint8 images of random sizes without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield rng.integers(
            0, 256, (*rng.integers(SIDES[0], SIDES[1], 2, endpoint=True), 3), np.uint8
        )


def by_array(config, weights, args):
    """Yield after each image that a deploy net segments, as infer.py does it."""
    net, top = load_net(deploy_net(config), weights), next(iter(DATASETS[config.data].inputs))
    for image, _ in zip(pictures(args.seed), range(args.count), strict=False):
        segment(net, config, {top: image})
        yield


def by_layer(config, weights, args, folder):
    """Yield after each image that a data layer feeds, as score.py does it."""
    for part in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / part).mkdir(parents=True)
    for index, image in zip(range(FILES), pictures(args.seed), strict=False):
        Image.fromarray(image).save(folder / 'JPEGImages' / f'{index}.jpg')
        save_label(
            image[:, :, 0] % len(DATASETS[config.data].classes),
            folder / 'SegmentationClass' / f'{index}.png',
        )
    (folder / 'ImageSets/Segmentation/val.txt').write_text(
        ''.join(f'{index}\n' for index in range(FILES))
    )
    net = load_net(
        train_net(config, Source(DATASETS[config.data].kind.__name__, str(folder), 'val')), weights
    )
    for _ in range(args.count):
        evaluate(net, 1)
        yield


def watch(args):
    """The greatest resident memory in each hundred of images, in bytes."""
    config = find(args.net)
    if list(DATASETS[config.data].inputs) != ['data'] or config.is_classifier:
        raise FCNError(
            f'{args.net}: give a net that sees colour alone and segments, such as mini-fcn8s'
        )
    windows, most = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        weights, folder = Path(scratch, 'weights.caffemodel'), Path(scratch, 'set')
        surgery_command.main(['init', args.net, str(weights), '--init-missing'])
        images = (
            by_array(config, weights, args)
            if args.through == 'array'
            else by_layer(config, weights, args, folder)
        )
        for number, _ in enumerate(
            tqdm(images, total=args.count, unit='image', dynamic_ncols=True, disable=None), 1
        ):
            most = max(most, resident())
            if number % WINDOW == 0:
                windows.append(most)
                most = 0
    return windows


def summary(windows):
    """The figures of the report, of what `watch` gave: bytes, and growth as a fraction."""
    first, later = windows[: FIRST // WINDOW], windows[FIRST // WINDOW :]
    return dict(
        first=max(first), most=max(later), end=later[-1], growth=max(later) / max(first) - 1
    )


def main(arguments=None):
    args = parse(arguments)
    choose_device(-1)
    began = time.monotonic()
    windows = watch(args)
    found = dict(
        net=args.net,
        through=args.through,
        count=args.count,
        seed=args.seed,
        **summary(windows),
        seconds=round(time.monotonic() - began, 1),
    )
    if args.out:
        dump(args.out, {**found, 'windows': windows})
    print(
        f'{args.count} images of {SIDES[0]}–{SIDES[1]} a side through {args.net}: {found["first"] / 1e6:.1f} MB at '
        f'most in the first {FIRST}, {found["most"] / 1e6:.1f} MB after that ({100 * found["growth"]:+.1f} %), '
        f'{found["end"] / 1e6:.1f} MB in the last {WINDOW}; {found["seconds"]:.0f} s'
    )
    return int(found['growth'] > GOAL)


if __name__ == '__main__':
    run(main)
