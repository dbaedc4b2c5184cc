"""Scores a net on a data set by the four metrics of section 5.

    python score.py                                     voc-fcn8s as solve.py trained it
    python score.py NET --weights FILE --data DIR       any net, any weights
    python score.py runs/mine                           a run folder
    python score.py --pred DIR --truth DIR              label PNGs, without a net
    python score.py --submit DIR --data DIR --split test    files for PASCAL's server

Where the largest image does not fit in memory, all go by tiles: a line says so. With --out DIR the
confusion matrix, the metrics and the predicted labels are kept. Each data set is
scored by its own custom: SIFT Flow leaves out classes that the truth lacks.
"""

import argparse
import json
import logging
from pathlib import Path

from fcn.cli import Parser, add_net_options, add_snapshot_option, bar, integer
from fcn.engine import choose_device, set_threads
from fcn.errors import RunError
from fcn.evaluation import Evaluation, evaluate, score_folders, scored_source, write_labels
from fcn.io import write_text
from fcn.memory_estimate import check_memory
from fcn.nets import find
from fcn.runs import resolve, weights_of_net
from fcn.text import printable

log = logging.getLogger('fcn')


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        'net',
        nargs='?',
        default='voc-fcn8s',
        metavar='NET',
        help='a net or a run folder (default: voc-fcn8s)',
    )
    add('--data', metavar='DIR', help="folder of the images (default: the data set's own)")
    add('--split', metavar='SPLIT', help="list of images (default: the data set's own)")
    add('--images', type=integer(1), metavar='N', help='score N of the images, evenly spread')
    add('--pred', type=Path, metavar='DIR', help='score the label PNGs in this folder instead')
    add('--truth', type=Path, metavar='DIR', help='against the label PNGs of the same names here')
    add('--out', type=Path, metavar='DIR', help='keep the matrix, metrics and predictions here')
    add(
        '--submit',
        type=Path,
        metavar='DIR',
        help="write the labels of a VOC split, which needs no truth, as PASCAL's server takes them",
    )
    add(
        '--year',
        type=integer(2007, 9999),
        default=2012,
        metavar='YEAR',
        help='the challenge to submit to (default: 2012)',
    )
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    add_snapshot_option(parser, 'to score')
    args = parser.parse_args(arguments)
    if bool(args.pred) != bool(args.truth):
        parser.error('--pred and --truth go together')
    if args.submit and (args.pred or args.out or args.images):
        parser.error(
            '--submit writes every label of a split, and goes without --pred, --out and --images'
        )
    return args


def submit(args: argparse.Namespace) -> Path:
    """Write the labels of a split in the layout of PASCAL's server and return their folder."""
    name, _ = resolve(args.net)
    config = find(name)
    if config.data != 'voc':
        raise RunError(f"{name} knows the classes of {config.data}; PASCAL's server takes VOC's")
    source = scored_source(name, config, args.data, args.split, None)
    tiles = check_memory(name, config, source, device=choose_device(args.gpu), truth=False)
    if tiles:
        log.info('%s', tiles.why)
    _, weights = weights_of_net(args.net, args.weights, args.runs, args.snapshot)
    return write_labels(
        config,
        weights,
        source,
        args.submit,
        args.year,
        bar('submit', 'image'),
        tiles.side if tiles else None,
    )


def score(args: argparse.Namespace) -> Evaluation:
    """Score what the arguments name."""
    if args.pred:
        classes = find(args.net).dataset.classes
        return score_folders(args.pred, args.truth, classes, progress=bar('score', 'image'))
    return evaluate(
        args.net,
        args.data,
        args.split,
        weights=args.weights,
        snapshot=args.snapshot,
        images=args.images,
        out=args.out,
        gpu=args.gpu,
        runs=args.runs,
        progress=bar(Path(args.net).name, 'image'),
    )


def report(evaluation: Evaluation) -> str:
    """Return what is printed: the four metrics and each class's IU in percent, for each label."""
    if not evaluation.others:
        return str(evaluation)
    results = {evaluation.label: evaluation, **evaluation.others}
    return '\n\n'.join(f'{label}:\n{result}' for label, result in results.items())


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    if args.threads:
        set_threads(args.threads)
    if args.submit:
        print(printable(submit(args)))
        return
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    evaluation = score(args)
    if args.out:
        text = json.dumps(evaluation.record(), indent=2)
        write_text(args.out / 'metrics.json', text + '\n')
    print(report(evaluation))
