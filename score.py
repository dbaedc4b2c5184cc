"""Scores a net on a data set by the four metrics of section 5.

    python score.py                                     voc-fcn8s as solve.py trained it
    python score.py NET --weights FILE --data DIR       any net, any weights
    python score.py --pred DIR --truth DIR              label PNGs, without a net
    python score.py --submit DIR --data DIR --split test    files for PASCAL's server

With --out DIR the confusion matrix, the metrics and the predicted labels are kept.
Each data set is scored by its own custom: SIFT Flow leaves out classes that the truth lacks.
"""

import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from command import Parser, add_net_options, run, whole
from data_layers import DATASETS, VOID, DataError, dataset_class, read_label, source_at
from data_layers.convert import save_label
from data_layers.images import check_label
from data_layers.prefetch import limited
from errors import printable
from files import write_text
from nets import deploy_net, find, input_tops, train_net
from solvers import (
    RunError,
    check_memory,
    choose_device,
    class_iou,
    confusion,
    evaluate,
    format_metrics,
    load_net,
    metrics,
    or_none,
    segment,
    weights_for,
)


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('net', nargs='?', default='voc-fcn8s', metavar='NET', help='default: voc-fcn8s')
    add('--data', metavar='DIR', help="folder of the images (default: the data set's own)")
    add('--split', metavar='SPLIT', help="list of images (default: the data set's own)")
    add('--images', type=whole(1), metavar='N', help='score so many of the images, evenly spread')
    add('--pred', type=Path, metavar='DIR', help='score the label PNGs in this folder instead')
    add('--truth', type=Path, metavar='DIR', help='against the label PNGs of the same names in this one')
    add('--out', type=Path, metavar='DIR', help='keep matrix, metrics and predictions here')
    add('--submit', type=Path, metavar='DIR', help='write the labels of a VOC split, which needs no truth, as '
        "PASCAL's server takes them")
    add('--year', type=whole(2007, 9999), default=2012, metavar='YEAR',
        help='of the challenge to submit to (default: 2012)')
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    args = parser.parse_args(arguments)
    if bool(args.pred) != bool(args.truth):
        parser.error('--pred and --truth go together')
    if args.submit and (args.pred or args.out or args.images):
        parser.error('--submit writes every label of a split, and goes without --pred, --out and --images')
    return args


def source_of(args, row):
    """Where the images lie, and the names of those to score."""
    if row.head is None:
        raise RunError(f'{args.net} is a classifier; score an FCN')
    source = DATASETS[row.data].val
    source = source_at(source, args.data) if args.data else source
    source = source._replace(split=args.split or source.split, options=(*source.options, ('limit', args.images)))
    return source, limited(source.names(), args.images)


def score_net(args, row):
    """{label: confusion matrix} of a net over a split."""
    source, names = source_of(args, row)
    dataset = dataset_class(source.dataset)(source.root, source.split)
    if args.out and os.path.realpath(args.out) in {
            os.path.dirname(os.path.realpath(dataset.path(top, names[0]))) for top in dataset.paths}:
        raise DataError(f'{args.out}: the predictions would overwrite the data set there; give another --out')
    check_memory(args.net, row, source, device=args.device)
    net = load_net(train_net(row, source), weights_for(args.net, args.runs, args.weights))
    kept = iter(names)

    def keep(predicted):
        name = next(kept)
        for index, (label, classes) in enumerate(predicted.items()):
            save_label(classes[0], args.out / f'{name}{f"_{label}" if index else ""}.png')

    def progress(passes):
        return tqdm(passes, desc=args.net, unit='image', dynamic_ncols=True)

    return evaluate(net, len(names), progress, keep if args.out else None)[0]


def submit(args, row):
    """Write the labels of a split in the layout of PASCAL's server and return their folder."""
    if row.data != 'voc':
        raise RunError(f"{args.net} knows the classes of {row.data}; PASCAL's server takes VOC's")
    source, _ = source_of(args, row)
    check_memory(args.net, row, source, device=args.device)
    return write_labels(row, weights_for(args.net, args.runs, args.weights), source, args.submit, args.year)


def write_labels(row, weights, source, root, year):
    """Write what a row's net with `weights` labels the images of `source` under `root`, in the layout of PASCAL's
    server for the challenge of `year`, and return the folder."""
    dataset = dataset_class(source.dataset)(source.root, source.split)
    folder = root / 'results' / f'VOC{year}' / 'Segmentation' / f'comp6_{source.split}_cls'
    net = load_net(deploy_net(row), weights)
    folder.mkdir(parents=True, exist_ok=True)
    (top,), (label,) = input_tops(row), DATASETS[row.data].labels
    for name in tqdm(limited(dataset.names, dict(source.options).get('limit')), desc=folder.name, unit='image',
                     dynamic_ncols=True):
        save_label(segment(net, row, {top: dataset.image(name)})[label], folder / f'{name}.png')
    return folder


def score_folders(pred, truths, classes, files=None):
    """The confusion matrix of the label PNGs in the folder `pred` against those of the same names in
    the folder `truths`, or of those `files` of it."""
    files = sorted(truths.glob('*.png')) if files is None else files
    if not files:
        raise DataError(f'{truths}: no PNG files lie there')
    matrix = np.zeros((classes, classes), np.int64)
    for file in tqdm(files, desc='score', unit='image', dynamic_ncols=True):
        truth, prediction = read_label(file), read_label(pred / file.name)
        check_label(truth, truth.shape, classes, file)
        check_label(prediction, truth.shape, classes, pred / file.name)
        if (prediction[truth != VOID] == VOID).any():
            raise DataError(f'{pred / file.name}: predicts {VOID} (void); every pixel needs a class')
        matrix += confusion(truth, prediction, classes)
    return matrix


def score_labels(truths, predictions, classes):
    """The four metrics over pairs of label arrays."""
    return metrics(sum(confusion(*pair, classes) for pair in zip(truths, predictions, strict=True)))


def report(matrices, dataset):
    """What is printed of {label: confusion matrix}: the four metrics, then each class's IU in percent."""
    lines = []
    for label, matrix in matrices.items():
        if len(matrices) > 1:
            lines += [*([''] if lines else []), f'{label}:']
        lines += [format_metrics(metrics(matrix, dataset.drop_absent)), '']
        names = dataset.labels[label]
        width = max(map(len, names))
        for name, iou in zip(names, class_iou(matrix), strict=True):
            lines.append(f'{name:<{width}}  ' + ('   –' if np.isnan(iou) else f'{100 * iou:5.1f}'))
    return '\n'.join(lines)


def record(matrices, dataset):
    """What metrics.json keeps: the first label's metrics, and those of others under their names."""
    records = {}
    for label, matrix in matrices.items():
        records[label] = {**or_none(metrics(matrix, dataset.drop_absent)),
                          'class_iou': or_none(dict(zip(dataset.labels[label], class_iou(matrix).tolist(),
                                                        strict=True))),
                          'confusion': matrix.tolist()}
    first, *others = records
    return records[first] | {label: records[label] for label in others}


def main(arguments=None):
    args = parse(arguments)
    row = find(args.net)
    dataset = DATASETS[row.data]
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.pred:
        matrices = {next(iter(dataset.labels)): score_folders(args.pred, args.truth, len(dataset.classes))}
    else:
        args.device = choose_device(args.gpu)
        if args.submit:
            print(printable(submit(args, row)))
            return
        matrices = score_net(args, row)
    if args.out:
        write_text(args.out / 'metrics.json', json.dumps(record(matrices, dataset), indent=2) + '\n')
    print(report(matrices, dataset))


if __name__ == '__main__':
    run(main)
