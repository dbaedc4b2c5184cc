"""Segments images of any size: JPEG, PNG, BMP, GIF, TIFF, WebP and PPM.

    python infer.py photo.jpg                              voc-fcn8s as solve.py trained it
    python infer.py DIR 'holiday/*.png' --net NET --weights FILE --out DIR
    python infer.py DIR --net nyud-fcn32s-color-hha --hha DIR

For each image two pictures: NAME.png, the labels in the VOC colours, and
NAME_overlay.jpg, the labels over the image with a legend. A net with two kinds of
labels draws NAME_geo.png and NAME_geo_overlay.jpg too.
"""

import glob
import os
import sys
from collections import Counter
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from fcn.cli import Parser, add_net_options, whole
from fcn.data_layers import DATASETS
from fcn.data_layers.images import FORMATS, save_label
from fcn.engine import choose_device
from fcn.errors import DataError, FCNErrors, RunError
from fcn.inference import load_net, segment
from fcn.io import replacing
from fcn.memory import SHARE, free_memory
from fcn.memory_estimate import MemoryEstimate
from fcn.nets import deploy_net, find
from fcn.solvers import weights_for
from fcn.text import gigabytes, printable
from fcn.tiling import Tiling, segment_tiled
from fcn.visualize import overlay

COMPANIONS = ('depth', 'hha')
BAND = 256  # rows of an overlay that are painted at once
ENDINGS = {ending for ending, kind in Image.registered_extensions().items() if kind in FORMATS}


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('images', nargs='+', metavar='IMAGE', help='files, folders or patterns')
    add('--net', default='voc-fcn8s', metavar='NET', help='default: voc-fcn8s')
    add(
        '--out',
        type=Path,
        default=Path('out'),
        metavar='DIR',
        help='where the pictures go (default: out)',
    )
    add(
        '--tile',
        type=whole(1),
        metavar='SIDE',
        help='segment by tiles of at most SIDE pixels, to the same scores in '
        'less memory (default: where an image does not fit whole)',
    )
    for name in COMPANIONS:
        add(
            f'--{name}',
            type=Path,
            metavar='DIR',
            help=f'for nets that see {name} too: folder of files named as the images',
        )
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    return parser.parse_args(arguments)


def find_images(patterns):
    """The image files that files, folders and patterns mean; DataError for one that means none."""
    files = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = sorted(filter(looks_like_image, path.iterdir()))
        elif path.exists():
            found = [path]
        else:
            found = sorted(filter(looks_like_image, map(Path, glob.glob(pattern, recursive=True))))
        if not found:
            raise DataError(f'{pattern}: no image there')
        files += found
    return list(dict.fromkeys(files))


def looks_like_image(path):
    return path.is_file() and path.suffix.lower() in ENDINGS


def output_names(files):
    """A name for each file's pictures; files of one stem keep their endings too."""
    stems = Counter(file.stem for file in files)
    names = [file.stem if stems[file.stem] == 1 else file.name.replace('.', '_') for file in files]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f'{twice[0]}: several images of this name; segment their folders one by one'
        )
    return names


def outputs(out, inputs, labels):
    """{label: (its picture, its overlay)} for each {input: file}; DataError if one would overwrite what is read."""
    taken = {os.path.realpath(path) for files in inputs for path in files.values()}
    images = [next(iter(files.values())) for files in inputs]
    targets = []
    for file, name in zip(images, output_names(images), strict=True):
        ends = {label: f'_{label}' if index else '' for index, label in enumerate(labels)}
        pictures = {
            label: (out / f'{name}{end}.png', out / f'{name}{end}_overlay.jpg')
            for label, end in ends.items()
        }
        if clash := [
            picture
            for pair in pictures.values()
            for picture in pair
            if os.path.realpath(picture) in taken
        ]:
            raise DataError(
                f'{clash[0]}: the labels of {file} would overwrite it; give another --out'
            )
        targets.append(pictures)
    return targets


def input_files(config, file, folders):
    """{input: file} of an image: itself for the first input, files of its name in `folders` for the others."""
    first, *others = config.input_blobs
    files = {first: file}
    for name in others:
        if folders[name] is None:
            raise DataError(f'{file}: the net sees {name} too; give the folder of it with --{name}')
        found = [
            path
            for path in folders[name].glob(f'{glob.escape(file.stem)}.*')
            if looks_like_image(path)
        ]
        if len(found) != 1:
            raise DataError(
                f'{folders[name] / file.stem}: {len(found) or "no"} files of {name} there for {file}; '
                'there must be one'
            )
        (files[name],) = found
    return files


def read_inputs(config, files):
    """{input: array} of {input: file}, all H×W; DataError if one is of another size."""
    inputs = DATASETS[config.data].inputs
    images = {name: inputs[name].read(file, rotate=True) for name, file in files.items()}
    first = next(iter(images))
    (height, width), *others = (image.shape[:2] for image in images.values())
    for (name, file), size in zip(list(files.items())[1:], others, strict=True):
        if size != (height, width):
            raise DataError(
                f'{file}: the {name} is {size[1]}×{size[0]}, its {first} {width}×{height}; '
                'they must be equal'
            )
    return images


def segment_fitting(net, config, estimate, files, side=None, free=None):
    """The inputs in `files` and their labels, found by tiles of at most side×side, or of what fits if the image
    does not fit whole in `free` bytes, or in the memory that is free now."""
    images = read_inputs(config, files)
    first = next(iter(images))
    height, width = images[first].shape[:2]
    free = free_memory() if free is None else free
    if side is None and estimate.fits(height, width, free):
        return images, segment(net, config, images)
    if side and not estimate.fits(min(side, height), min(side, width), free):
        raise DataError(
            f'--tile {side}: a tile of {files[first]} needs '
            f'{gigabytes(estimate.bytes(min(side, height), min(side, width)))} and '
            f'{gigabytes(SHARE * free)} may be taken; give a smaller one, or leave the option out'
        )
    side = side or estimate.tile(Tiling.of(config), free)
    tqdm.write(printable(f'{files[first]}: {width}×{height} by tiles of {side}'), file=sys.stderr)
    return images, segment_tiled(net, config, images, side)


def main(arguments=None):
    args = parse(arguments)
    config = find(args.net)
    if config.is_classifier:
        raise RunError(f'{args.net} is a classifier; segment with an FCN')
    labels = config.classes
    folders = {name: getattr(args, name) for name in COMPANIONS}
    if idle := [
        name
        for name, folder in folders.items()
        if folder and name not in list(config.input_blobs)[1:]
    ]:
        raise RunError(f'--{idle[0]}: {args.net} sees no {idle[0]} beside the images; leave it out')
    inputs = [input_files(config, file, folders) for file in find_images(args.images)]
    targets = outputs(args.out, inputs, labels)
    if args.tile is not None and args.tile < Tiling.of(config).smallest():
        raise RunError(
            f'--tile {args.tile} is all overlap for {args.net}; give {Tiling.of(config).smallest()} or more'
        )
    device = choose_device(args.gpu)
    net = load_net(deploy_net(config), weights_for(args.net, args.runs, args.weights))
    estimate, bad = MemoryEstimate(net, device), []
    # A GPU's is asked for once: the weights come to it later, and what an image took stays for the next.
    free = None if device == 'cpu' else max(0, free_memory(device) - estimate.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    for files, pictures in tqdm(
        list(zip(inputs, targets, strict=True)), unit='image', dynamic_ncols=True
    ):
        try:
            images, found = segment_fitting(net, config, estimate, files, args.tile, free)
        except DataError as error:  # The others are still wanted.
            bad.append(error)
            continue
        image = next(iter(images.values()))
        for label, (picture, painted) in pictures.items():
            save_label(found[label], picture)
            with replacing(painted, durable=False) as partial:
                overlay(image, found[label], labels[label]).save(partial, quality=92)
    print(f'{len(inputs) - len(bad)} images in {printable(args.out)}')
    if bad:
        raise FCNErrors(bad)
