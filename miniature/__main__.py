"""The paper in miniature: an FCN learns to segment shapes, on a CPU, in minutes.

    python -m miniature

Draws a data set, trains a small VGG to classify single shapes, casts it to an FCN and trains that
at strides 32, 16 and 8, each from the last, by the code that trains the paper's nets. Prints a
table like the paper's Table 2 and draws its Figure 4.
"""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import fcn
from experiments.paper import TABLE2
from fcn.cli import Parser, add_threads_option, bar, run
from fcn.data_layers import DATASETS, Mini, evenly_spread
from fcn.metrics import METRICS
from fcn.nets import find
from fcn.progress import TrainingBar
from fcn.training import TrainingResult
from fcn.visualize import curves, grid

from .generate import generate

CLASSIFIER = 'mini-vgg'
STAGES = {'FCN-32s': 'mini-fcn32s', 'FCN-16s': 'mini-fcn16s', 'FCN-8s': 'mini-fcn8s'}
KINDS = {'FCN-32s': 'fcn32s', 'FCN-16s': 'fcn16s', 'FCN-8s': 'fcn8s'}  # in the paper's Table 2
QUICK = 10  # --quick learns for so many times fewer iterations,
QUICK_IMAGES = 80, 40  # and from so few images, and validates on so few
SHOWN = 4
CPU = -1


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
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
    add_threads_option(parser)
    return parser.parse_args(arguments)


def train(name: str, args: argparse.Namespace) -> TrainingResult:
    """Train a net that is not trained yet, and say what came of it."""
    max_iter = find(name).max_iter
    assert max_iter
    iterations = max_iter // QUICK if args.quick else max_iter
    with TrainingBar(name) as progress:
        result = fcn.train(
            name,
            data=args.data,
            iterations=iterations,
            snapshot='newest',  # The table says after how many iterations.
            runs=args.runs,
            # A few validations draw the curve; the table is of the whole set.
            val_every=iterations // 4,
            val_images=80,
            gpu=CPU,
            progress=progress,
        )
    print(result)
    return result


def table(evaluations: Mapping[str, fcn.Evaluation], iterations: Mapping[str, int]) -> str:
    """Return the four metrics of each stage in percent, after how many iterations, and the paper's
    own."""
    heads = ('pixel acc.', 'mean acc.', 'mean IU', 'f.w. IU')
    lines = [
        '',
        f'{"":9}{"iterations":>11}{"".join(f"{head:>11}" for head in heads)}'
        '      Table 2 of the paper (PASCAL VOC)',
    ]
    for stage, evaluation in evaluations.items():
        ours = ''.join(f'{100 * evaluation.metrics[metric]:11.1f}' for metric in METRICS)
        paper = ''.join(f'{figure:7.1f}' for figure in TABLE2[KINDS[stage]])
        lines.append(f'{stage:9}{iterations[stage]:11}{ours}      {paper}')
    return '\n'.join([*lines, ''])


def draw(out: Path, dataset: Mini, results: Mapping[str, TrainingResult]) -> list[Path]:
    """Write the pictures, and return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    segmenters = {
        stage: result.load(snapshot='newest', gpu=CPU) for stage, result in results.items()
    }
    rows: list[tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]] = []
    files = [out / 'figure4.png', out / 'curves.png']
    for name in evenly_spread(dataset.names, SHOWN):
        image, truth = dataset.pair(name)
        segmented = {stage: segmenter(image) for stage, segmenter in segmenters.items()}
        rows.append((image, {stage: found.labels for stage, found in segmented.items()}, truth))
        files.append(out / f'{name}_overlay.jpg')
        segmented['FCN-8s'].overlay().save(files[-1], quality=92)
    grid(files[0], rows, DATASETS['mini'])
    curves(files[1], {stage: result.learning_curve() for stage, result in results.items()})
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    if args.threads:
        fcn.set_threads(args.threads)
    began = time.monotonic()
    images = QUICK_IMAGES if args.quick else (800, 200)
    generate(args.data, *images, objects=400 if args.quick else 4000)
    results = {}
    for stage, name in {'classifier': CLASSIFIER, **STAGES}.items():
        results[stage] = train(name, args)
        if results[stage].interrupted:
            return 130
    del results['classifier']
    evaluations = {
        stage: fcn.evaluate(
            result.folder,
            args.data,
            'val',
            snapshot='newest',
            gpu=CPU,
            progress=bar(f'score {stage}', 'image'),
        )
        for stage, result in results.items()
    }
    print(table(evaluations, {stage: result.iteration for stage, result in results.items()}))
    pictures = draw(args.out, Mini(args.data, 'val'), results)
    print('The pictures are', *(f'  {os.path.relpath(file)}' for file in pictures), sep='\n')
    print(f'All of it took {time.monotonic() - began:.0f} s.')
    return 0


if __name__ == '__main__':
    run(main)
