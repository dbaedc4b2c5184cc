"""Writes results/voc-googlenet.md: nets trained by hand on real images, from real weights.

    python -m experiments.voc_googlenet --scores DIR --photos FILE…    from run folders and scores
    python -m experiments.voc_googlenet --rewrite                      again, from what is stored

`--scores` holds a folder for each net, as `score.py NET --out SCORES/NET` leaves it.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

import fcn
from benchmarks.machine import machine
from fcn.cli import Parser, folder_for_caffe, run
from fcn.engine import versions
from fcn.io import write_text
from fcn.metrics import METRICS
from fcn.solvers import Run
from fcn.text import markdown_table
from fcn.visualize import curves

from . import pages
from .links import links
from .records import Figure, read_figures
from .runs import minutes
from .settings import shortened_paths

NAME = 'voc-googlenet'
TITLE = 'FCN-GoogLeNet on real images, from real ILSVRC weights'
NETS = ('voc-fcn-googlenet', 'voc-fcn16s-googlenet', 'voc-fcn8s-googlenet')
DURATION = (
    'Minutes are of training, with its validations and without stops. They leave out the training '
    'of the classifier, the preparation of the data and the scores.'
)
COLUMNS, TILE = 3, 400  # of the sheet of overlays; pixels


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__, prog='python -m experiments.voc_googlenet')
    add = parser.add_argument
    add(
        '--runs',
        type=folder_for_caffe,
        default=Path('runs'),
        metavar='DIR',
        help='where run folders lie (default: runs)',
    )
    add('--scores', type=Path, metavar='DIR', help='where the scores lie, a folder for each net')
    add(
        '--photos',
        type=Path,
        nargs='+',
        metavar='FILE',
        help='photos that may be published, to draw overlays on',
    )
    add('--nets', nargs='+', default=NETS, metavar='NET', help=f'default: {" ".join(NETS)}')
    add(
        '--out',
        type=Path,
        default=Path('results'),
        metavar='DIR',
        help='where the page goes (default: results)',
    )
    add('--rewrite', action='store_true', help='only write the page again, from the stored record')
    args = parser.parse_args(arguments)
    if not args.rewrite and not (args.scores and args.photos):
        parser.error('give --scores and --photos, or --rewrite')
    return args


def describe_run(name: str, runs: Path) -> dict[str, Any]:
    """Return how a net was trained: its command, its time and its first and last losses."""
    trained = Run(runs / name)
    about = json.loads((trained.folder / 'run.json').read_text())
    losses = [record for record in trained.log.read() if 'smoothed_loss' in record]
    return dict(
        iterations=losses[-1]['iteration'],
        minutes=minutes(trained),
        base_lr=about['settings']['base_lr'],
        losses=[losses[0]['smoothed_loss'], losses[-1]['smoothed_loss']],
        caffe=about['versions']['caffe'],
        commit=about['versions'].get('fcn'),
        command=shortened_paths(about['command']),
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Draw the pictures, and return the record of the page."""
    args.out.mkdir(parents=True, exist_ok=True)
    nets = {}
    for name in args.nets:
        scores = json.loads((args.scores / name / 'metrics.json').read_text())
        kept = {key: scores[key] for key in (*METRICS, 'class_iou')}
        images = len(list((args.scores / name).glob('*.png')))  # score.py writes their labels there
        nets[name] = describe_run(name, args.runs) | kept | {'images': images}
    logs = {name: Run(args.runs / name).log.learning_curve() for name in args.nets}
    curves(args.out / f'{NAME}-curves.png', logs)
    draw_overlays(args.runs / args.nets[-1], args.photos, args.out / f'{NAME}-overlays.jpg')
    return dict(
        introduction='',
        notes='',
        machine=machine(),
        date=f'{datetime.now(UTC):%Y-%m-%d}',
        commit=versions()['fcn'],
        photos=', '.join(photo.name for photo in args.photos),
        nets=nets,
    )


def draw_overlays(folder: Path, photos: Sequence[Path], path: Path) -> None:
    """Write a sheet of the photos, segmented by the net of a run folder, to `path`."""
    segmenter, tiles = fcn.load(folder), []
    for photo in photos:
        tile = segmenter(photo).overlay()
        tile.thumbnail((TILE, TILE))
        tiles.append(tile)
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.height for tile in row) for row in rows]
    sheet = Image.new('RGB', (COLUMNS * TILE, sum(heights)), 'white')
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            sheet.paste(tile, (TILE * j + (TILE - tile.width) // 2, sum(heights[:i])))
    sheet.save(path, quality=88)


def figures(record: dict[str, Any]) -> list[Figure]:
    """Return the scores of the nets, to compare with other pages."""
    return [
        Figure(
            name,
            round(100 * net['mean_iu'], 3),
            net['iterations'],
            f'one seed, base_lr {net["base_lr"]:g}, scored on {net["images"]} images',
        )
        for name, net in record['nets'].items()
    ]


def page(folder: Path) -> str:
    """Return the text of the page of the record in `folder`, in Markdown."""
    record = json.loads((folder / f'{NAME}.json').read_text())
    nets = record['nets']
    scores = [
        (f'`{name}`', net['iterations'], *(100 * net[metric] for metric in METRICS))
        for name, net in nets.items()
    ]
    by_class = [
        (kind, *(None if value is None else 100 * value for value in values))
        for kind, *values in zip(
            next(iter(nets.values()))['class_iou'],
            *(net['class_iou'].values() for net in nets.values()),
            strict=True,
        )
    ]
    titles = [f'`{name}`, {net["iterations"]} iterations' for name, net in nets.items()]
    other = links(folder, NAME, read_figures(folder / f'{NAME}.json')).section
    last = list(nets)[-1]
    text = [
        f'# {TITLE}',
        record['introduction'],
        markdown_table(['net', 'iterations', *pages.HEADS], scores),
        markdown_table(['class IU', *titles], by_class),
        f'## Other figures of these nets\n\n{other}' if other else '',
        '## How',
        '\n'.join(describe(name, net) for name, net in nets.items()),
        DURATION,
        record['notes'],
        f'Machine: {record["machine"]}. Measured on {record["date"]} at commit {record["commit"]}.',
        f'![learning curves]({NAME}-curves.png)',
        f'Overlays of `{last}` on photos of free licence ({record["photos"]}):',
        f'![overlays]({NAME}-overlays.jpg)',
    ]
    return '\n\n'.join(filter(None, text)) + '\n'


def describe(name: str, net: dict[str, Any]) -> str:
    """Return how a net was trained, as an item of a list."""
    first, last = net['losses']
    return (
        f'- `{name}`: {net["iterations"]} iterations in {net["minutes"]:.0f} minutes, base_lr '
        f'{net["base_lr"]:g}, smoothed loss {first:.2f} → {last:.2f}; Caffe {net["caffe"]}, this '
        f'repository at {net["commit"] or "a commit not recorded"}, started by\n'
        f'  `{net["command"]}`'
    )


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    path = args.out / f'{NAME}.json'
    record = json.loads(path.read_text()) if args.rewrite else measure(args)
    record['figures'] = list(map(asdict, figures(record)))
    write_text(path, json.dumps(record, indent=2) + '\n')
    write_text(path.with_suffix('.md'), page(args.out))
    pages.refresh(args.out, links(args.out, NAME, figures(record)).pages)
    print(path.with_suffix('.md'))


if __name__ == '__main__':
    run(main)
