"""The paper in miniature: an FCN learns to segment shapes, on a CPU, in minutes.

    python -m miniature

Draws a data set, trains a small VGG to classify single shapes, casts it to an FCN and
trains that at strides 32, 16 and 8, each from the last, by the code that trains the
paper's nets. Prints a table like the paper's Table 2 and draws its Figure 4.
"""

import os
import time
from pathlib import Path

from fcn.cli import Parser, run
from fcn.commands import infer, score, solve
from fcn.data_layers import DATASETS, Mini
from fcn.inference import load_net, segment
from fcn.metrics import METRICS
from fcn.nets import deploy_net, find
from fcn.solvers import Run
from fcn.visualize import curves, grid

from .generate import generate
from .shapes import CLASSES

STAGES = {'FCN-32s': 'mini-fcn32s', 'FCN-16s': 'mini-fcn16s', 'FCN-8s': 'mini-fcn8s'}
PAPER = {
    'FCN-32s': (89.1, 73.3, 59.4, 81.4),
    'FCN-16s': (90.0, 75.7, 62.4, 83.0),
    'FCN-8s': (90.3, 75.9, 62.7, 83.2),
}  # Table 2, on PASCAL VOC
SHOWN = 4


def parse(arguments=None):
    parser = Parser(__doc__, prog='python -m miniature')
    add = parser.add_argument
    add(
        '--data',
        type=Path,
        default=Path('data/mini'),
        metavar='DIR',
        help='data set to draw (default: data/mini)',
    )
    add(
        '--runs',
        type=Path,
        default=Path('runs'),
        metavar='DIR',
        help='where run folders lie (default: runs)',
    )
    add(
        '--out',
        type=Path,
        default=Path('out/miniature'),
        metavar='DIR',
        help='where the pictures go (default: out/miniature)',
    )
    add(
        '--quick',
        action='store_true',
        help='a tenth of the data and of the iterations, to try the code',
    )
    return parser.parse_args(arguments)


def train(args):
    """Train every stage that is not done; False if interrupted."""
    for name in ('mini-vgg', *STAGES.values()):
        arguments = [name, '--data', str(args.data), '--runs', str(args.runs), '--gpu', '-1']
        if args.quick:
            arguments += ['--iterations', str(find(name).max_iter // 10)]
        # A few validations draw the curve; the table is of the whole set.
        iterations = find(name).max_iter // (10 if args.quick else 1)
        arguments += ['--val-every', str(iterations // 4), '--val-images', '80']
        if solve.main(arguments):
            return False
    return True


def segment_all(dataset, runs):
    """{stage: list of labels} of every image of `dataset`, and {stage: metrics}."""
    labels, values = {}, {}
    for stage, name in STAGES.items():
        net = load_net(deploy_net(find(name)), Run(runs / name).weights())
        labels[stage] = [
            segment(net, find(name), {'data': dataset.image(example)})['label']
            for example in dataset.names
        ]
        values[stage] = score.score_labels(
            map(dataset.label, dataset.names), labels[stage], len(CLASSES)
        )
    return labels, values


def table(values):
    """The four metrics of each stage in percent, and the paper's own beside them."""
    lines = [
        '',
        f'{"":9}{"pixel acc.":>11}{"mean acc.":>11}{"mean IU":>9}{"f.w. IU":>9}'
        f'      Table 2 of the paper (PASCAL VOC)',
    ]
    for stage, found in values.items():
        ours = [100 * found[metric] for metric in METRICS]
        lines.append(
            f'{stage:9}{ours[0]:11.1f}{ours[1]:11.1f}{ours[2]:9.1f}{ours[3]:9.1f}'
            + '      '
            + ''.join(f'{figure:7.1f}' for figure in PAPER[stage])
        )
    return '\n'.join([*lines, ''])


def draw(args, dataset, labels):
    """Write the pictures and return their paths."""
    args.out.mkdir(parents=True, exist_ok=True)
    step = max(1, len(dataset.names) // SHOWN)
    shown = range(0, len(dataset.names), step)[:SHOWN]
    rows, files = [], [args.out / 'figure4.png', args.out / 'curves.png']
    for index in shown:
        image, truth = dataset.pair(dataset.names[index])
        rows.append((image, {stage: found[index] for stage, found in labels.items()}, truth))
        files.append(args.out / f'{dataset.names[index]}_overlay.jpg')
        infer.overlay(image, labels['FCN-8s'][index], CLASSES).save(files[-1], quality=92)
    grid(files[0], rows, DATASETS['mini'])
    curves(
        files[1], {stage: Run(args.runs / name).log.learning_curve() for stage, name in STAGES.items()}
    )
    return files


def main(arguments=None):
    args = parse(arguments)
    began = time.monotonic()
    generate(
        args.data, *((80, 40) if args.quick else (800, 200)), objects=400 if args.quick else 4000
    )
    if not train(args):
        return 130
    dataset = Mini(args.data, 'val')
    labels, values = segment_all(dataset, args.runs)
    print(table(values))
    print(
        'The pictures are',
        *(f'  {os.path.relpath(file)}' for file in draw(args, dataset, labels)),
        sep='\n',
    )
    print(f'{time.monotonic() - began:.0f} s')
    return 0


if __name__ == '__main__':
    run(main)
