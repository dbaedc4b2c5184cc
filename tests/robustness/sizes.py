"""Segments images of many sizes in one process and watches its memory.

    python -m tests.robustness.sizes                    10,000 images, segmented as by infer.py
    python -m tests.robustness.sizes --through layer    fed by a data layer, as score.py scores
    python -m tests.robustness.sizes --net voc-fcn-googlenet --count 1000 --seed 7

Layers keep primitives and workspaces for shapes that they have seen, and a heap that is torn by
blocks of all sizes never shrinks: either would end a long evaluation. Memory is flat if no hundred
images take 5 % more than the maximum of the first 500. Sides are drawn evenly from 32 to 400, so
that the first 500 come near the largest.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn.cli import Parser, run
from fcn.commands import surgery
from fcn.data_layers import DATASETS, Source
from fcn.data_layers.images import save_label
from fcn.engine import choose_device
from fcn.errors import FCNError
from fcn.inference import evaluate, load_net, segment
from fcn.nets import NetConfig, deploy_net, find, train_net

from .setting import dump

MAX_GROWTH = 0.05  # by which memory may grow after the first images


class Plan(NamedTuple):
    """How many images are the first ones, how many make a window, and what is drawn."""

    first: int = 500
    window: int = 100
    sides: tuple[int, int] = (32, 400)  # pixels
    files: int = 500  # pictures that the data layer reads again and again


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = Parser(__doc__, prog='python -m tests.robustness.sizes')
    add = parser.add_argument
    add('--count', type=int, default=10_000, metavar='N', help='images (default: %(default)s)')
    add('--seed', type=int, default=0, metavar='N', help='random seed for their sizes and pixels')
    add('--net', default='mini-fcn8s', metavar='NET', help='default: %(default)s')
    add('--through', choices=('array', 'layer'), default='array', help='how the net gets images')
    add('--out', type=Path, metavar='FILE', help='JSON of every hundred, for the report')
    args = parser.parse_args(arguments)
    minimum = Plan().first + Plan().window
    if args.count < minimum or args.seed < 0:
        parser.error(f'--count is {minimum} or more, --seed not below 0')
    return args


def resident() -> int:
    """Return how many bytes of this process are in memory."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


def pictures(seed: int, sides: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield H×W×3 uint8 images of random sizes without end."""
    rng = np.random.default_rng(seed)
    while True:
        height, width = rng.integers(*sides, 2, endpoint=True)
        yield rng.integers(0, 256, (height, width, 3), np.uint8)


def by_array(config: NetConfig, weights: Path, args: argparse.Namespace, plan: Plan) -> Iterator:
    """Yield after each image that a deploy net segments, as infer.py does."""
    net = load_net(deploy_net(config), str(weights))
    top = next(iter(DATASETS[config.data].inputs))
    for image, _ in zip(pictures(args.seed, plan.sides), range(args.count), strict=False):
        segment(net, config, {top: image})
        yield


def by_layer(
    config: NetConfig, weights: Path, args: argparse.Namespace, plan: Plan, folder: Path
) -> Iterator:
    """Yield after each image that a data layer feeds to the net, as in score.py."""
    dataset = DATASETS[config.data]
    for part in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / part).mkdir(parents=True)
    for index, image in zip(range(plan.files), pictures(args.seed, plan.sides), strict=False):
        Image.fromarray(image).save(folder / 'JPEGImages' / f'{index}.jpg')
        label = image[:, :, 0] % len(dataset.classes)
        save_label(label, folder / 'SegmentationClass' / f'{index}.png')
    names = ''.join(f'{index}\n' for index in range(plan.files))
    (folder / 'ImageSets/Segmentation/val.txt').write_text(names)
    source = Source(dataset.kind.__name__, str(folder), 'val')
    net = load_net(train_net(config, source), str(weights))
    for _ in range(args.count):
        evaluate(net, 1)
        yield


def watch(
    args: argparse.Namespace, plan: Plan, after_image: Callable[[], None] = lambda: None
) -> list[int]:
    """Return the maximum of the resident memory in each window of images, in bytes.

    `after_image` is called after each image. A test leaks memory there, to see that it is noticed.
    """
    config = find(args.net)
    if list(DATASETS[config.data].inputs) != ['data'] or config.is_classifier:
        raise FCNError(
            f'{args.net}: give a net that sees colour alone and segments, such as mini-fcn8s'
        )
    windows, maximum = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch, 'weights.caffemodel')
        surgery.main(['init', args.net, str(weights), '--init-missing'])
        if args.through == 'array':
            images = by_array(config, weights, args, plan)
        else:
            images = by_layer(config, weights, args, plan, Path(scratch, 'set'))
        progress = tqdm(images, total=args.count, unit='image', dynamic_ncols=True, disable=None)
        for number, _ in enumerate(progress, 1):
            after_image()
            maximum = max(maximum, resident())
            if number % plan.window == 0:
                windows.append(maximum)
                maximum = 0
    return windows


def summary(windows: Sequence[int], plan: Plan) -> dict[str, Any]:
    """Return the report's figures on what `watch` returned: bytes, and growth as a fraction."""
    count = plan.first // plan.window
    first, later = max(windows[:count]), windows[count:]
    growth = max(later) / first - 1
    return {'first': first, 'most': max(later), 'end': later[-1], 'growth': growth}


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch as the arguments say; return 1 if memory grew too far."""
    args, plan = parse(arguments), Plan()
    choose_device(-1)
    start = time.monotonic()
    windows = watch(args, plan)
    result = {
        'net': args.net,
        'through': args.through,
        'count': args.count,
        'seed': args.seed,
        **summary(windows, plan),
        'seconds': round(time.monotonic() - start, 1),
    }
    if args.out:
        dump(args.out, {**result, 'windows': windows})
    first, most, end = (f'{result[key] / 1e6:.1f} MB' for key in ('first', 'most', 'end'))
    growth = f'{100 * result["growth"]:+.1f} %'
    print(
        f'{args.count} images of {plan.sides[0]} to {plan.sides[1]} pixels a side, {args.net}: '
        f'maximum {first} in the first {plan.first}, {most} after that ({growth}), {end} in the '
        f'last {plan.window}; {result["seconds"]:.0f} s'
    )
    return int(result['growth'] > MAX_GROWTH)


if __name__ == '__main__':
    run(main)
