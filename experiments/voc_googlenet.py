"""Writes results/NAME.md, its curves and its overlays from run folders and what score.py kept of them.

    python results/report.py NAME --runs DIR --scores DIR --photos FILE… --nets NET…

`--scores` holds a folder a net, as `score.py NET --out SCORES/NET` leaves it.
"""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from experiments.report import clean, machine, minutes
from fcn.cli import Parser, run
from fcn.commands import infer
from fcn.data_layers import DATASETS
from fcn.inference import load_net, segment
from fcn.metrics import METRICS
from fcn.nets import deploy_net, find
from fcn.solvers import Run
from fcn.visualize import curves

FOLDER = Path(__file__).resolve().parent


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('name')
    add('--runs', type=Path, default=Path('runs'))
    add('--scores', type=Path, required=True)
    add('--photos', type=Path, nargs='+', required=True, help='pictures that may be published')
    add('--nets', nargs='+', required=True)
    return parser.parse_args(arguments)


def stage_section(name, runs):
    """How a net was trained: its command, its time and its last losses."""
    run = Run(runs / name)
    records = run.log.read()
    about = json.loads((runs / name / 'run.json').read_text())
    losses = [record for record in records if 'smoothed_loss' in record]
    return (
        f'- `{name}`: {losses[-1]["iteration"]} iterations in {minutes(run):.0f} minutes, base_lr '
        f'{about["settings"]["base_lr"]:g}, smoothed loss {losses[0]["smoothed_loss"]:.2f} → '
        f'{losses[-1]["smoothed_loss"]:.2f}; Caffe {about["versions"]["caffe"]}, '
        f'this repository at {about["versions"].get("fcn", "a commit not recorded")}, started by\n'
        f'  `{clean(about["command"])}`'
    )


def tables(nets, scores):
    """The four metrics of each net, then the IU of each class, as two tables in Markdown."""
    found = {name: json.loads((scores / name / 'metrics.json').read_text()) for name in nets}
    lines = [
        '| net | ' + ' | '.join(metric.replace('_', ' ') for metric in METRICS) + ' |',
        '|---|' + '---|' * len(METRICS),
    ]
    lines += [
        f'| `{name}` | ' + ' | '.join(f'{100 * values[metric]:.1f}' for metric in METRICS) + ' |'
        for name, values in found.items()
    ]
    lines += [
        '',
        '| class IU | ' + ' | '.join(f'`{name}`' for name in nets) + ' |',
        '|---|' + '---|' * len(nets),
    ]
    for kind in next(iter(found.values()))['class_iou']:
        values = [found[name]['class_iou'][kind] for name in nets]
        lines.append(
            f'| {kind} | '
            + ' | '.join('–' if v is None else f'{100 * v:.1f}' for v in values)
            + ' |'
        )
    return '\n'.join(lines)


def overlays(name, runs, photos, path):
    """One sheet of the photos segmented by net `name`, three to a config."""
    config = find(name)
    dataset = DATASETS[config.data]
    net = load_net(deploy_net(config), Run(runs / name).weights())
    tiles = []
    for photo in photos:
        images = infer.read_inputs(config, {next(iter(config.input_blobs)): photo})
        (image,), (label, *_) = images.values(), segment(net, config, images).values()
        tile = infer.overlay(image, label, dataset.classes)
        tile.thumbnail((400, 400))
        tiles.append(tile)
    rows = [tiles[i : i + 3] for i in range(0, len(tiles), 3)]
    heights = [max(tile.height for tile in config) for config in rows]
    sheet = Image.new('RGB', (3 * 400, sum(heights)), 'white')
    for i, config in enumerate(rows):
        for j, tile in enumerate(config):
            sheet.paste(tile, (400 * j + (400 - tile.width) // 2, sum(heights[:i])))
    sheet.save(path, quality=88)


def main(arguments=None):
    args = parse(arguments)
    commit = subprocess.run(
        ['git', 'rev-parse', '--short', 'HEAD'],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER,
    ).stdout.strip()
    curves(
        FOLDER / f'{args.name}-curves.png',
        {name: Run(args.runs / name).log.learning_curve() for name in args.nets},
    )
    overlays(args.nets[-1], args.runs, args.photos, FOLDER / f'{args.name}-overlays.jpg')
    photos = ', '.join(photo.name for photo in args.photos)
    text = f"""# {args.name}

{tables(args.nets, args.scores)}

## How

{chr(10).join(stage_section(name, args.runs) for name in args.nets)}

Machine: {machine()}. Report written {datetime.now(UTC):%Y-%m-%d} at commit {commit}.

![learning curves]({args.name}-curves.png)

Overlays of `{args.nets[-1]}` on photos of free licence ({photos}):

![overlays]({args.name}-overlays.jpg)
"""
    (FOLDER / f'{args.name}.md').write_text(text)
    print(FOLDER / f'{args.name}.md')


if __name__ == '__main__':
    run(main)
