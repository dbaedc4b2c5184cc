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

from fcn.cli import Parser, add_net_options, whole
from fcn.data_layers import DATASETS, VOID, dataset_class, read_label, source_at
from fcn.data_layers.images import check_label, save_label
from fcn.data_layers.prefetch import evenly_spread
from fcn.engine import choose_device
from fcn.errors import DataError, RunError
from fcn.inference import evaluate, load_net, segment
from fcn.io import write_text
from fcn.memory_estimate import check_memory
from fcn.metrics import class_iou, confusion, format_metrics, metrics, or_none
from fcn.nets import deploy_net, find, train_net
from fcn.solvers import weights_for
from fcn.text import printable


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('net', nargs='?', default='voc-fcn8s', metavar='NET', help='default: voc-fcn8s')
    add('--data', metavar='DIR', help="folder of the images (default: the data set's own)")
    add('--split', metavar='SPLIT', help="list of images (default: the data set's own)")
    add('--images', type=whole(1), metavar='N', help='score so many of the images, evenly spread')
    add('--pred', type=Path, metavar='DIR', help='score the label PNGs in this folder instead')
    add(
        '--truth',
        type=Path,
        metavar='DIR',
        help='against the label PNGs of the same names in this one',
    )
    add('--out', type=Path, metavar='DIR', help='keep matrix, metrics and predictions here')
    add(
        '--submit',
        type=Path,
        metavar='DIR',
        help="write the labels of a VOC split, which needs no truth, as PASCAL's server takes them",
    )
    add(
        '--year',
        type=whole(2007, 9999),
        default=2012,
        metavar='YEAR',
        help='of the challenge to submit to (default: 2012)',
    )
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    args = parser.parse_args(arguments)
    if bool(args.pred) != bool(args.truth):
        parser.error('--pred and --truth go together')
    if args.submit and (args.pred or args.out or args.images):
        parser.error(
            '--submit writes every label of a split, and goes without --pred, --out and --images'
        )
    return args


def source_of(args, config):
    """Where the images lie, and the names of those to score."""
    if config.is_classifier:
        raise RunError(f'{args.net} is a classifier; score an FCN')
    source = DATASETS[config.data].val
    source = source_at(source, args.data) if args.data else source
    source = source._replace(
        split=args.split or source.split, options=(*source.options, ('limit', args.images))
    )
    return source, evenly_spread(source.names(), args.images)


def score_net(args, config):
    """{label: confusion matrix} of a net over a split."""
    source, names = source_of(args, config)
    dataset = dataset_class(source.dataset)(source.root, source.split)
    if args.out and os.path.realpath(args.out) in {
        os.path.dirname(os.path.realpath(dataset.path(top, names[0]))) for top in dataset.paths
    }:
        raise DataError(
            f'{args.out}: the predictions would overwrite the data set there; give another --out'
        )
    check_memory(args.net, config, source, device=args.device)
    net = load_net(train_net(config, source), weights_for(args.net, args.runs, args.weights))
    kept = iter(names)

    def keep(predicted):
        name = next(kept)
        for index, (label, classes) in enumerate(predicted.items()):
            save_label(classes[0], args.out / f'{name}{f"_{label}" if index else ""}.png')

    def progress(passes):
        return tqdm(passes, desc=args.net, unit='image', dynamic_ncols=True)

    return evaluate(net, len(names), progress, keep if args.out else None)[0]


def submit(args, config):
    """Write the labels of a split in the layout of PASCAL's server and return their folder."""
    if config.data != 'voc':
        raise RunError(
            f"{args.net} knows the classes of {config.data}; PASCAL's server takes VOC's"
        )
    source, _ = source_of(args, config)
    check_memory(args.net, config, source, device=args.device)
    return write_labels(
        config, weights_for(args.net, args.runs, args.weights), source, args.submit, args.year
    )


def write_labels(config, weights, source, root, year):
    """Write what a config's net with `weights` labels the images of `source` under `root`, in the layout of PASCAL's
    server for the challenge of `year`, and return the folder."""
    dataset = dataset_class(source.dataset)(source.root, source.split)
    folder = root / 'results' / f'VOC{year}' / 'Segmentation' / f'comp6_{source.split}_cls'
    net = load_net(deploy_net(config), weights)
    folder.mkdir(parents=True, exist_ok=True)
    (top,), (label,) = config.input_blobs, DATASETS[config.data].labels
    for name in tqdm(
        evenly_spread(dataset.names, dict(source.options).get('limit')),
        desc=folder.name,
        unit='image',
        dynamic_ncols=True,
    ):
        save_label(segment(net, config, {top: dataset.image(name)})[label], folder / f'{name}.png')
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
            raise DataError(
                f'{pred / file.name}: predicts {VOID} (void); every pixel needs a class'
            )
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
        records[label] = {
            **or_none(metrics(matrix, dataset.drop_absent)),
            'class_iou': or_none(
                dict(zip(dataset.labels[label], class_iou(matrix).tolist(), strict=True))
            ),
            'confusion': matrix.tolist(),
        }
    first, *others = records
    return records[first] | {label: records[label] for label in others}


def main(arguments=None):
    args = parse(arguments)
    config = find(args.net)
    dataset = DATASETS[config.data]
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.pred:
        matrices = {
            next(iter(dataset.labels)): score_folders(args.pred, args.truth, len(dataset.classes))
        }
    else:
        args.device = choose_device(args.gpu)
        if args.submit:
            print(printable(submit(args, config)))
            return
        matrices = score_net(args, config)
    if args.out:
        write_text(
            args.out / 'metrics.json', json.dumps(record(matrices, dataset), indent=2) + '\n'
        )
    print(report(matrices, dataset))
