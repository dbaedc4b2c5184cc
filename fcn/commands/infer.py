"""Segments images of any size: JPEG, PNG, BMP, GIF, TIFF, WebP and PPM.

    python infer.py photo.jpg                              voc-fcn8s as solve.py trained it
    python infer.py DIR 'holiday/*.png' --net NET --weights FILE --out DIR
    python infer.py DIR --recursive --json summary.json
    python infer.py photo.jpg --probabilities person       a grey PNG of one class, or npy of all
    python infer.py DIR --net nyud-fcn32s-color-hha --hha DIR
    python infer.py DIR --part 2/4                         a part of the images, in a job array
    mpiexec -n 4 python infer.py DIR                       four processes share the images out

For each image two pictures: NAME.png, the labels in the classes' colours, and NAME_overlay.jpg, the
labels over the image with a legend. A net with two kinds of labels draws NAME_geo.png and
NAME_geo_overlay.jpg too. Subfolders keep their names below --out.
"""

import argparse
import glob
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fcn.cli import (
    Parser,
    add_net_options,
    add_part_option,
    add_snapshot_option,
    add_white_option,
    bar,
    integer,
)
from fcn.data_layers.images import ENDINGS
from fcn.engine import own_gpu
from fcn.errors import DataError, FCNError, FCNErrors, RunError
from fcn.io import replacing, write_text
from fcn.mpi import ALONE, world
from fcn.nets import NetConfig
from fcn.segmenter import Segmentation, Segmenter, load
from fcn.text import few, printable

log = logging.getLogger('fcn')

COMPANIONS = ('depth', 'hha')


class Job(NamedTuple):
    """An image to segment: its files by input, and where its pictures go, without endings."""

    files: dict[str, Path]
    target: Path

    @property
    def file(self) -> Path:
        """The first input's file, which the pictures show."""
        return next(iter(self.files.values()))

    def picture(self, label: str, ending: str) -> Path:
        """Return the path of a picture; `label` is '' for the first kind of labels."""
        suffix = f'_{label}' if label else ''
        return self.target.with_name(f'{self.target.name}{suffix}{ending}')


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add('images', nargs='+', metavar='IMAGE', help='files, folders or patterns')
    add('--net', metavar='NET', help='net or run folder (default: that of --weights, or voc-fcn8s)')
    add(
        '--out',
        type=Path,
        default=Path('out'),
        metavar='DIR',
        help='where the pictures go (default: out)',
    )
    add('--recursive', action='store_true', help='look into the subfolders of folders too')
    add(
        '--tile',
        type=integer(1),
        metavar='SIDE',
        help='segment by tiles of at most SIDE pixels, to the same scores in less memory '
        '(default: where an image does not fit whole)',
    )
    add(
        '--probabilities',
        metavar='npy|CLASS',
        help='write the probabilities too: npy for NAME_probabilities.npy, C×H×W float32, or the '
        'name of a class for NAME_CLASS.png, grey from 0 to 255',
    )
    add('--json', type=Path, metavar='FILE', help="write each image's classes, shares and time")
    for name in COMPANIONS:
        add(
            f'--{name}',
            type=Path,
            metavar='DIR',
            help=f'for nets that see {name} too: the folder of its files, named as the images',
        )
    add(
        '--no-frame-cache',
        dest='frame_cache',
        action='store_false',
        help='compute anew for each image what the padding determines, not once for each size',
    )
    add_part_option(parser, 'segment')
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    add_snapshot_option(parser, 'to segment with')
    add_white_option(parser)
    return parser.parse_args(arguments)


def find_images(patterns: list[str], recursive: bool, out: Path) -> list[tuple[Path, Path]]:
    """Return (file, name) of the images that files, folders and patterns mean.

    The name is the path below the folder given, without its ending. What lies in the folder `out`
    is no input. Raises DataError for a pattern that means no image.
    """
    images: dict[Path, Path] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            candidates = sorted(path.rglob('*') if recursive else path.iterdir())
            say_passed_over(path, [file for file in candidates if not _is_below(file, out)])
            found = {file: file.relative_to(path) for file in candidates if looks_like_image(file)}
            kept = {file: name for file, name in found.items() if not _is_below(file, out)}
            found = kept or found
        elif path.exists():
            found = {path: Path(path.name)}
        else:
            files = filter(looks_like_image, map(Path, glob.glob(pattern, recursive=True)))
            found = {file: Path(file.name) for file in files}
        if not found:
            hint = '; give --recursive to look into its subfolders' if path.is_dir() else ''
            raise DataError(f'{pattern}: no image there{hint if not recursive else ""}')
        images |= dict(sorted(found.items()))
    return list(images.items())


def say_passed_over(folder: Path, files: Iterable[Path]) -> None:
    """Say how many of the files in a folder are no images here, by their endings."""
    others = (file for file in files if file.is_file() and not looks_like_image(file))
    if endings := Counter(file.suffix.lower() or file.name for file in others):
        counts = ', '.join(f'{count} {ending}' for ending, count in sorted(endings.items()))
        log.info('%s: files that are no images here are passed over: %s', folder, counts)


def looks_like_image(path: Path) -> bool:
    """Return whether a path is a file whose ending is that of an image."""
    return path.is_file() and path.suffix.lower() in ENDINGS and not path.name.startswith('.')


def _is_below(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))


def targets(images: list[tuple[Path, Path]], out: Path) -> list[Path]:
    """Return the path of each image's pictures without endings.

    Images of one folder and stem keep their own endings too, as a_jpg and a_png.
    """
    stems = Counter(name.with_suffix('') for _, name in images)
    names = [
        name.with_suffix('')
        if stems[name.with_suffix('')] == 1
        else name.with_name(name.name.replace('.', '_'))
        for _, name in images
    ]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f'{twice[0]}: several images of this name; segment their folders one by one'
        )
    return [out / name for name in names]


def plan(args: argparse.Namespace, config: NetConfig) -> list[Job]:
    """Return what is to be done. Raises DataError if a picture would overwrite what is read."""
    images = find_images(args.images, args.recursive, args.out)
    folders = {name: getattr(args, name) for name in COMPANIONS}
    jobs = [
        Job(input_files(config, file, folders), target)
        for (file, _), target in zip(images, targets(images, args.out), strict=True)
    ]
    read = {os.path.realpath(path) for job in jobs for path in job.files.values()}
    for job in jobs:
        for index, label in enumerate(config.classes):
            for ending in ('.png', '_overlay.jpg'):
                picture = job.picture(label if index else '', ending)
                if os.path.realpath(picture) in read:
                    raise DataError(
                        f'{picture}: the labels of {job.file} would overwrite it; '
                        'give another --out'
                    )
    return jobs


def input_files(config: NetConfig, file: Path, folders: dict[str, Path | None]) -> dict[str, Path]:
    """Return {input: file} of an image: itself for the first input, files of its name in `folders`
    for the others."""
    first, *others = config.input_names
    files = {first: file}
    for name in others:
        folder = folders[name]
        if folder is None:
            raise DataError(f'{file}: the net sees {name} too; give its folder with --{name}')
        named = folder.glob(f'{glob.escape(file.stem)}.*')
        found = [path for path in named if looks_like_image(path)]
        if len(found) != 1:
            raise DataError(
                f'{folder / file.stem}: {len(found) or "no"} files of {name} there for {file}; '
                'there must be one'
            )
        files[name] = found[0]
    return files


def check_options(args: argparse.Namespace, segmenter: Segmenter) -> None:
    """Raise FCNError for options that do not fit the net."""
    if args.tile is not None and args.tile < segmenter.smallest_tile:
        raise RunError(
            f'--tile {args.tile} is all overlap for {segmenter.name}; '
            f'give {segmenter.smallest_tile} or more'
        )
    if args.probabilities not in (None, 'npy', *segmenter.classes):
        raise FCNError(
            f'--probabilities {args.probabilities}: {segmenter.name} has no such class; give npy, '
            f'or one of {few(segmenter.classes, 60)}'
        )


def make_folder(folder: Path, option: str) -> None:
    """Make a folder to write to. Raises FCNError, with its full path and the fix, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
        reason = 'no permission'
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise FCNError(
            f'{folder.absolute()}: cannot be written to ({reason}); name another with {option}'
        )


def write(job: Job, result: Segmentation, probabilities: str | None) -> dict[str, Any]:
    """Write the pictures of an image and return its entry in the summary."""
    job.target.parent.mkdir(parents=True, exist_ok=True)
    entry: dict[str, Any] = {
        'file': str(job.file),
        'width': result.labels.shape[1],
        'height': result.labels.shape[0],
    }
    for label, part in {'': result, **result.others}.items():
        picture = job.picture(label, '.png')
        with replacing(picture, durable=False) as partial:
            part.label_image().save(partial)
        with replacing(job.picture(label, '_overlay.jpg'), durable=False) as partial:
            part.overlay().save(partial, quality=92)
        shares = {name: round(share, 6) for name, share in part.shares.items()}
        entry |= {f'{label}_labels' if label else 'labels': str(picture)}
        entry |= {f'{label}_shares' if label else 'shares': shares}
    if probabilities == 'npy':
        with replacing(job.picture('', '_probabilities.npy'), durable=False) as partial:
            np.save(partial, result.probabilities)
    elif probabilities:
        grey = result.probabilities[result.classes.index(probabilities)]
        picture = job.picture('', f'_{probabilities.replace("/", "_")}.png')
        with replacing(picture, durable=False) as partial:
            Image.fromarray(np.rint(255 * grey).astype(np.uint8)).save(partial)
    return entry


def main(arguments: list[str] | None = None) -> None:
    began = time.monotonic()
    args = parse(arguments)
    group = ALONE if args.part else world()
    segmenter = load(
        args.net,
        args.weights,
        snapshot=args.snapshot,
        gpu=own_gpu(args.gpu, group.node_rank, group.node_size),
        threads=args.threads,
        white=args.white,
        frame_cache=args.frame_cache,
        runs=args.runs,
    )
    others = segmenter.inputs[1:]
    for name in COMPANIONS:
        if getattr(args, name) and name not in others:
            raise RunError(f'--{name}: {segmenter.name} sees no {name} besides the images')
    check_options(args, segmenter)
    jobs = plan(args, segmenter.config)
    make_folder(args.out, '--out')
    entries: list[dict[str, Any]] = []
    bad: list[FCNError] = []
    for job in bar('infer', 'image')((args.part or group.part).of(jobs)):
        start = time.monotonic()
        first, *more = job.files.items()
        try:
            result = segmenter(first[1], tile=args.tile, **dict(more))
        except DataError as error:  # The others are still wanted.
            bad.append(error)
            continue
        entry = write(job, result, args.probabilities)
        entries.append(entry | {'seconds': round(time.monotonic() - start, 3)})
    parts = group.gather((entries, [str(error) for error in bad]))
    places = {str(job.file): place for place, job in enumerate(jobs)}
    entries = [entry for entries, _ in parts for entry in entries]
    entries.sort(key=lambda entry: places[entry['file']])
    refused = [message for _, messages in parts for message in messages]
    if not group.first:
        sys.exit(2 if refused else 0)
    if args.json:
        summary = {
            'net': segmenter.name,
            'weights': str(segmenter.weights),
            'device': segmenter.device,
            **({'part': str(args.part)} if args.part else {}),
            'classes': segmenter.classes,
            'images': entries,
            'refused': refused,
            'seconds': round(time.monotonic() - began, 3),
        }
        write_text(args.json, json.dumps(summary, indent=1, ensure_ascii=False) + '\n')
    print(f'{len(entries)} images in {printable(args.out)}')
    if refused:
        all_bad = FCNErrors(refused)
        all_bad.agreed = True
        raise all_bad
