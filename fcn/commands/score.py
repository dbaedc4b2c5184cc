"""Scores a net on a data set by the four metrics of section 5.

    python score.py                                     voc-fcn8s as solve.py trained it
    python score.py NET --weights FILE --data DIR       any net, any weights
    python score.py runs/mine                           a run folder
    python score.py --pred DIR --truth DIR              label images made elsewhere, without a net
    python score.py --pred DIR --truth DIR --legend FILE    of classes and colours of their own
    python score.py --submit DIR --data DIR --split test    files for PASCAL's server
    python score.py NET … --part 2/4 --out DIR          a part of the images, in a job array
    python score.py --merge DIR                         adds the parts in DIR
    mpiexec -n 4 python score.py NET …                  four processes share the images out

Where the largest image does not fit in memory, all go by tiles: a line says so. With --out DIR the
confusion matrix, the metrics and the predicted labels are kept. Each data set is
scored by its own custom: SIFT Flow leaves out classes that the truth lacks.
"""

import argparse
import json
import logging
from pathlib import Path

from fcn.cli import (
    Parser,
    add_class_options,
    add_net_options,
    add_part_option,
    add_snapshot_option,
    bar,
    integer,
)
from fcn.data_layers.own.coding import is_void
from fcn.data_layers.own.describe import classes_of
from fcn.data_layers.own.legends import Legend, read_legend
from fcn.data_layers.own.manifest import NAME, read_manifest
from fcn.data_layers.own.predicted import SIDES
from fcn.engine import choose_device, own_gpu, set_threads
from fcn.errors import DataError, RunError
from fcn.evaluation import Evaluation, evaluate, score_folders, scored_source, write_labels
from fcn.io import write_text
from fcn.memory_estimate import check_memory
from fcn.mpi import ALONE, world
from fcn.nets import find
from fcn.parts import merge, write_part
from fcn.runs import resolve, weights_of_net
from fcn.text import few, printable

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
    add_part_option(parser, 'score')
    add(
        '--merge',
        type=Path,
        nargs='+',
        metavar='PART',
        help='add parts of one scoring, files or their folder, instead',
    )
    add_net_options(parser, weights='caffemodel or run folder (default: runs/NET, or as published)')
    add_snapshot_option(parser, 'to score')
    group = parser.add_argument_group('labels predicted elsewhere')
    add = group.add_argument
    add('--pred', type=Path, metavar='DIR', help='score the label images below this folder instead')
    add('--truth', type=Path, metavar='DIR', help='against those of the same names below this one')
    add_class_options(group)
    for side in SIDES:
        add(f'--{side}-suffix', default='', metavar='TEXT', help='how names end there, as _mask')
    args = parser.parse_args(arguments)
    if bool(args.pred) != bool(args.truth):
        parser.error('--pred and --truth go together')
    options = ['classes', 'legend', 'foreground', 'pred_suffix', 'truth_suffix']
    if not args.pred and (given := [name for name in options if getattr(args, name)]):
        parser.error(f'--{given[0].replace("_", "-")} goes with --pred and --truth')
    if args.part and not (args.out or args.submit):
        parser.error(f'--part {args.part}: give --out DIR, where the part is written')
    if args.merge and (args.part or args.pred or args.submit):
        parser.error('--merge adds parts, and goes without --part, --pred and --submit')
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
    group = ALONE if args.part else world()
    device = choose_device(own_gpu(args.gpu, group.node_rank, group.node_size))
    tiles = check_memory(name, config, source, device=device, truth=False, sharing=group.node_size)
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
        args.part or group.part,
    )


def classes(args: argparse.Namespace) -> Legend:
    """Return the classes of labels that were predicted elsewhere: as the options name them, else
    those of the net. Raises DataError for a number or names that are not the legend's."""
    count, names = classes_of(args.classes)
    if args.legend:
        legend = read_legend(args.legend)
        held = tuple(name for name in legend.names if not is_void(name))
        if (names and set(names) != set(held)) or (count and count != len(held)):
            raise DataError(
                f'{args.legend}: has the classes {few(held)}, not those of --classes '
                f'{args.classes}; leave out one of them'
            )
        return legend
    if count:
        names = tuple(f'class {number}' for number in range(count))
    if args.foreground and not names:
        names = 'background', 'foreground'
    if names:
        return Legend(names)
    name, run = resolve(args.net)
    log.info('the classes are those of %s; --classes or --legend names others', args.net)
    if run and (run.folder / NAME).is_file():
        manifest = read_manifest(run.folder / NAME)
        return Legend(manifest.classes, manifest.colours)
    return Legend(find(name).dataset.classes)


def score(args: argparse.Namespace) -> Evaluation:
    """Score what the arguments name."""
    if args.merge:
        return merge(args.merge)
    if args.pred:
        return score_folders(
            args.pred,
            args.truth,
            classes(args),
            progress=bar('score', 'image'),
            foreground=args.foreground,
            unknown=args.unknown,
            suffixes=(args.pred_suffix, args.truth_suffix),
            part=args.part,
        )
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
        part=args.part,
    )


def report(evaluation: Evaluation) -> str:
    """Return what is printed: the four metrics and each class's IU in percent, for each label."""
    if not evaluation.others:
        return str(evaluation)
    results = {evaluation.label: evaluation, **evaluation.others}
    return '\n\n'.join(f'{label}:\n{result}' for label, result in results.items())


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    group = ALONE if args.part or args.merge else world()
    if args.threads:
        set_threads(args.threads)
    if args.submit:
        folder = submit(args)
        group.gather(None)  # All have written theirs.
        if group.first:
            print(printable(folder))
        return
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    evaluation = score(args)
    if args.part:
        print(printable(write_part(args.out, args.part, evaluation)))
        return
    if not group.first:
        return
    if args.out:
        text = json.dumps(evaluation.record(), indent=2)
        write_text(args.out / 'metrics.json', text + '\n')
    print(report(evaluation))
