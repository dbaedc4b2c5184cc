"""Trains nets as the paper did, each stage from the last.

    python solve.py                     FCN-8s for PASCAL VOC: 32s, then 16s, then 8s
    python solve.py voc-fcn-alexnet     any net of nets/table.py, or several in turn
    python solve.py --data DIR …        on images and labels of your own, in the layout of VOC

What is finished is skipped, and what was interrupted goes on from its last snapshot.
"""

import shlex
import sys

from fcn.cli import Parser, add_net_options, number, positive, whole
from fcn.data_layers import DATASETS, source_at
from fcn.data_layers.augment import MAX_JITTER
from fcn.engine import choose_device
from fcn.errors import RunError
from fcn.metrics import format_results
from fcn.nets import find
from fcn.solvers import Options, Trainer, starting_weights, weights_of
from fcn.surgery import weights_and_stream

FCN8S = ['voc-fcn32s', 'voc-fcn16s', 'voc-fcn8s']


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('nets', nargs='*', default=FCN8S, metavar='NET', help='default: ' + ' '.join(FCN8S))
    add('--data', metavar='DIR', help='folder of the images, to learn from and to validate on')
    add('--train-data', metavar='DIR', help='folder of the images to learn from, if another')
    add('--train-split', metavar='SPLIT', help='list of images to learn from')
    add('--val-split', metavar='SPLIT', help='list of images to validate on')
    add(
        '--init-missing',
        action='store_true',
        help='draw what the starting weights lack from seeded Gaussians',
    )
    add('--iterations', type=whole(1), metavar='N', help="default: the net's recipe")
    add('--base-lr', type=positive, metavar='RATE', help="default: the net's recipe")
    add(
        '--batch',
        type=whole(1),
        metavar='N',
        help='forward passes, of most nets an image each, whose gradients make one step',
    )
    add(
        '--momentum',
        type=number(lambda value: 0 <= value < 1, 'from 0 to less than 1'),
        metavar='P',
        help="default: the net's recipe",
    )
    add(
        '--mirror',
        action='store_true',
        help='exchange left and right in half of the images to learn from',
    )
    add(
        '--jitter',
        type=whole(0, MAX_JITTER),
        default=0,
        metavar='N',
        help='move the images to learn from by up to N pixels',
    )
    add(
        '--sample',
        type=number(lambda value: 0.001 <= value <= 1, 'from 0.001 to 1'),
        metavar='P',
        help="let the loss keep a cell of the net's last score with probability P, of a batch that grows by 1/P",
    )
    add('--balance', action='store_true', help='weigh the loss by class, the rare more')
    add(
        '--seed',
        type=whole(0),
        default=1337,
        help='of the order of images, dropout and drawn weights',
    )
    add('--val-every', type=whole(1), metavar='N', help='iterations between validations')
    add('--val-images', type=whole(1), metavar='N', help='validate on so many of the images')
    add('--snapshot-every', type=whole(1), metavar='N', help='iterations between snapshots')
    add_net_options(
        parser,
        weights='starting weights of the first net: a caffemodel or a run folder; for a net of '
        'two streams one each, as FILE:STREAM',
        several=True,
    )
    return parser.parse_args(arguments)


def options(name, args, device):
    """The Options of one net's training that the command line asks for."""
    dataset = DATASETS[find(name).data]
    train, val = dataset.train, dataset.val
    if args.train_data or args.data:
        train = source_at(train, args.train_data or args.data)
    if args.data:
        val = source_at(val, args.data)
    if args.train_split:
        train = train._replace(split=args.train_split)
    if args.val_split:
        val = val._replace(split=args.val_split)
    return Options(
        train,
        val,
        max_iter=args.iterations,
        base_lr=args.base_lr,
        batch=args.batch,
        seed=args.seed,
        val_every=args.val_every,
        val_images=args.val_images,
        snapshot_every=args.snapshot_every,
        init_missing=args.init_missing,
        command=shlex.join(sys.argv),
        device=device,
        momentum=args.momentum,
        mirror=args.mirror,
        jitter=args.jitter,
        sampling=args.sample,
        balance=args.balance,
    )


def given_weights(texts, config):
    """[(caffemodel, stream)] of what --weights names; RunError unless it is one file a stream of the net."""
    sources = [(weights_of(path), stream) for path, stream in map(weights_and_stream, texts)]
    found, streams = [stream for _, stream in sources], list(config.streams)
    whole = found == ['']  # a file of all streams, such as a coarser net of as many
    if not whole and sorted(found) != sorted(streams):
        raise RunError(
            f'--weights {" ".join(texts)}: the net has '
            + (
                f'the streams {" and ".join(streams)}; give one file for each, as FILE:{streams[0]}'
                if len(streams) > 1
                else 'one stream; give one file'
            )
        )
    return sources


def main(arguments=None):
    args = parse(arguments)
    device = choose_device(args.gpu)
    given = given_weights(args.weights, find(args.nets[0])) if args.weights else None
    trainers = []
    for index, name in enumerate(
        args.nets
    ):  # A mistake in the last is told before the first has trained for days.
        if not find(name).max_iter:
            raise RunError(f'{name} is fetched, not trained')
        trainers.append(Trainer(name, args.runs / name, options(name, args, device)))
        trainers[-1].run.check(trainers[-1].settings)
        trainers[-1].check_data()
        if not (trainers[-1].run.iteration or (index == 0 and given)):
            starting_weights(name, args.runs, trained_before=args.nets[:index])
    for index, trainer in enumerate(trainers):
        if trainer.done:
            print(
                f'{trainer.name}: done, {trainer.run.iteration} iterations in {trainer.run.folder}'
            )
            continue
        sources = []
        if trainer.run.iteration:
            print(
                f'{trainer.name}: goes on from iteration {trainer.run.iteration} in {trainer.run.folder}'
                + (', without reading --weights again' if args.weights and index == 0 else '')
            )
        else:
            sources = given if given and index == 0 else starting_weights(trainer.name, args.runs)
            print(
                f'{trainer.name}: starts from',
                ' and '.join(
                    f'{path}{f" as {stream}" if stream else ""}' for path, stream in sources
                )
                or 'drawn weights',
            )
        result = trainer.train(sources)
        if result is None:
            return 130
        print(f'{trainer.name}: {format_results(result)}')
    return 0
