"""Scores a net on a data set by the four metrics of section 5.

    python score.py                                     voc-fcn8s as solve.py trained it
    python score.py NET --weights FILE --data DIR       any net, any weights
    python score.py --pred DIR --truth DIR              label PNGs, without a net

With --out DIR the confusion matrix, the metrics and the predicted labels are kept.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from command import add_net_options, run
from data_layers import DATASETS, VOID, DataError, dataset_class, layers, read_label, source_at
from data_layers.convert import save_label
from data_layers.images import check_label
from data_layers.prefetch import limited
from engine import lean
from files import write_text
from nets import find, train_net
from solvers import (
    RunError,
    choose_device,
    class_iou,
    confusion,
    evaluate,
    format_metrics,
    load_net,
    metrics,
    weights_of,
)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('net', nargs='?', default='voc-fcn8s', metavar='NET', help='default: voc-fcn8s')
    add('--data', metavar='DIR', help="folder of the images (default: the data set's own)")
    add('--split', metavar='SPLIT', help="list of images (default: the data set's own)")
    add('--images', type=int, metavar='N', help='score so many of the images, evenly spread')
    add('--pred', type=Path, metavar='DIR', help='score the label PNGs in this folder instead')
    add('--truth', type=Path, metavar='DIR', help='against the label PNGs of the same names in this one')
    add('--out', type=Path, metavar='DIR', help='keep matrix, metrics and predictions here')
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET)')
    args = parser.parse_args(arguments)
    if bool(args.pred) != bool(args.truth):
        parser.error('--pred and --truth go together')
    if args.images is not None and args.images < 1:
        parser.error(f'--images {args.images} is not above 0')
    return args


def score_net(args):
    """The confusion matrix of a net over a split."""
    row = find(args.net)
    dataset = DATASETS[row.data]
    if row.head is None:
        raise RunError(f'{args.net} is a classifier; score an FCN')
    source = source_at(dataset.val, args.data) if args.data else dataset.val
    source = source._replace(split=args.split or source.split, options=(*source.options, ('limit', args.images)))
    names = dataset_class(getattr(layers, source.layer).dataset)(source.root, source.split).names
    names = limited(names, args.images)
    net = load_net(train_net(row, source), weights_of(args.weights or args.runs / args.net))
    lean(net, net.bottom_names['loss'])
    kept = iter(names)

    def keep(labels):
        save_label(labels[0], args.out / f'{next(kept)}.png')

    def progress(passes):
        return tqdm(passes, desc=args.net, unit='image', dynamic_ncols=True)

    matrix, _ = evaluate(net, len(names), progress, keep if args.out else None)
    return matrix


def score_folders(args, classes):
    """The confusion matrix of the label PNGs in one folder against those of the same names in another."""
    files = sorted(args.truth.glob('*.png'))
    if not files:
        raise DataError(f'{args.truth}: no PNG files lie there')
    matrix = np.zeros((classes, classes), np.int64)
    for file in tqdm(files, desc='score', unit='image', dynamic_ncols=True):
        truth, prediction = read_label(file), read_label(args.pred / file.name)
        check_label(truth, truth.shape, classes, file)
        check_label(prediction, truth.shape, classes, args.pred / file.name)
        if (prediction[truth != VOID] == VOID).any():
            raise DataError(f'{args.pred / file.name}: predicts {VOID} (void); every pixel needs a class')
        matrix += confusion(truth, prediction, classes)
    return matrix


def score_labels(truths, predictions, classes):
    """The four metrics over pairs of label arrays."""
    return metrics(sum(confusion(*pair, classes) for pair in zip(truths, predictions, strict=True)))


def report(matrix, names):
    """The table that is printed: the four metrics, then each class's IU in percent."""
    lines = [format_metrics(metrics(matrix)), '']
    width = max(map(len, names))
    for name, iou in zip(names, class_iou(matrix), strict=True):
        lines.append(f'{name:<{width}}  ' + ('   –' if np.isnan(iou) else f'{100 * iou:5.1f}'))
    return '\n'.join(lines)


def main(arguments=None):
    args = parse(arguments)
    names = DATASETS[find(args.net).data].classes
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.pred:
        matrix = score_folders(args, len(names))
    else:
        choose_device(args.gpu)
        matrix = score_net(args)
    if args.out:
        ious = [None if np.isnan(iou) else iou for iou in class_iou(matrix).tolist()]
        write_text(args.out / 'metrics.json', json.dumps(
            {**metrics(matrix), 'class_iou': dict(zip(names, ious, strict=True)),
             'confusion': matrix.tolist()}, indent=2) + '\n')
    print(report(matrix, names))


if __name__ == '__main__':
    run(main)
