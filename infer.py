"""Segments images of any size and format.

    python infer.py photo.jpg                              voc-fcn8s as solve.py trained it
    python infer.py DIR 'holiday/*.png' --net NET --weights FILE --out DIR

For each image two pictures: NAME.png, the labels in the VOC colours, and
NAME_overlay.jpg, the labels over the image with a legend.
"""

import argparse
import glob
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from command import add_net_options, run
from data_layers import DATASETS, DataError, read_image, to_blob, voc_palette
from data_layers.convert import save_label
from engine import lean
from nets import deploy_net, find
from solvers import Footprint, RunError, choose_device, load_net, predict, weights_of

ENDINGS = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('images', nargs='+', metavar='IMAGE', help='files, folders or patterns')
    add('--net', default='voc-fcn8s', metavar='NET', help='default: voc-fcn8s')
    add('--out', type=Path, default=Path('out'), metavar='DIR', help='where the pictures go (default: out)')
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET)')
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
    stems = [file.stem for file in files]
    names = [file.stem if stems.count(file.stem) == 1 else file.name.replace('.', '_') for file in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{twice}: several images of this name; segment their folders one by one")
    return names


def outputs(out, files):
    """[(file, its label picture, its overlay)]; DataError if one would overwrite an image that is read."""
    inputs = {file.resolve() for file in files}
    triples = [(file, out / f'{name}.png', out / f'{name}_overlay.jpg')
               for file, name in zip(files, output_names(files), strict=True)]
    for file, *pictures in triples:
        if clash := [picture for picture in pictures if picture.resolve() in inputs]:
            raise DataError(f'{clash[0]}: the labels of {file} would overwrite it; give another --out')
    return triples


def segment_fitting(net, footprint, file, dataset):
    """The image in `file` and its labels, found on a smaller copy if it is too large for the net."""
    image = read_image(file, rotate=True)
    height, width = image.shape[:2]
    factor = footprint.scale(height, width)
    if factor == 1:
        return image, segment(net, image, dataset)
    size = max(1, int(factor * width)), max(1, int(factor * height))
    tqdm.write(f'{file}: {width}×{height} is more than memory holds; segmented at {size[0]}×{size[1]}',
               file=sys.stderr)
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    label = Image.fromarray(segment(net, small, dataset)).resize((width, height), Image.Resampling.NEAREST)
    return image, np.asarray(label)


def segment(net, image, dataset):
    """H×W uint8 labels of an H×W×3 RGB image, by a deploy net of a DataSet."""
    blob = to_blob(image, dataset.mean, dataset.scale)
    net.blobs['data'].reshape(1, *blob.shape)
    net.blobs['data'].data[0] = blob
    net.forward()
    return predict(net.blobs['score'].data)[0]


def overlay(image, label, classes, opacity=0.55):
    """The image with its labels painted over all but the background, and a legend below."""
    palette = voc_palette()
    painted = np.where((label == 0)[..., None], image, (1 - opacity) * image + opacity * palette[label])
    present = [int(value) for value in np.unique(label) if value] or [0]
    height, width = label.shape
    size = max(12, min(28, width // 25))
    font = ImageFont.load_default(size)
    entries, rows, x = [], 1, 0
    for value in present:
        step = int(size * 2.2 + font.getlength(classes[value]))
        if x and x + step > width:
            x, rows = 0, rows + 1
        entries.append((x, rows - 1, value))
        x += step
    line = int(size * 1.6)
    canvas = Image.new('RGB', (width, height + rows * line), 'white')
    canvas.paste(Image.fromarray(painted.astype(np.uint8)))
    draw = ImageDraw.Draw(canvas)
    for x, row, value in entries:
        y = height + row * line + (line - size) // 2
        draw.rectangle((x + 2, y, x + size, y + size - 2), fill=tuple(map(int, palette[value])), outline='black')
        draw.text((x + int(size * 1.3), y - size // 8), classes[value], fill='black', font=font)
    return canvas


def main(arguments=None):
    args = parse(arguments)
    row = find(args.net)
    if row.head is None:
        raise RunError(f'{args.net} is a classifier; segment with an FCN')
    dataset = DATASETS[row.data]
    files = find_images(args.images)
    targets = outputs(args.out, files)
    choose_device(args.gpu)
    net = load_net(deploy_net(row), weights_of(args.weights or args.runs / args.net))
    lean(net)
    footprint, bad = Footprint(net), []
    args.out.mkdir(parents=True, exist_ok=True)
    for file, picture, painted in tqdm(targets, unit='image', dynamic_ncols=True):
        try:
            image, label = segment_fitting(net, footprint, file, dataset)
        except DataError as error:  # The others are still wanted.
            bad.append(error)
            continue
        save_label(label, picture)
        overlay(image, label, dataset.classes).save(painted, quality=92)
    print(f'{len(files) - len(bad)} images in {args.out}')
    if bad:
        raise DataError('\n'.join(map(str, bad)))


if __name__ == '__main__':
    run(main)
