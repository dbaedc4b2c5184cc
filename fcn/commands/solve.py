"""Trains nets as the paper did, each stage from the last.

    python solve.py                     FCN-8s for PASCAL VOC: 32s, then 16s, then 8s
    python solve.py voc-fcn-alexnet     any net of nets/table.py, or several in turn
    python solve.py --data DIR          on images and labels of your own; a net is chosen
    python solve.py NET --data DIR      or named: it takes the classes of the set
    python solve.py NET --from RUN --runs DIR …    another rate or other data, from a run's weights
    mpiexec -n 4 python solve.py NET --batch 4 …   four processes share each batch (docs/cluster.md)

What is finished is skipped, and what was interrupted resumes from its last snapshot.
"""

import argparse
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

from fcn.cli import (
    Parser,
    add_data_options,
    add_net_options,
    add_snapshot_option,
    bar,
    integer,
    number,
    positive,
)
from fcn.data_layers.augment import MAX_CROP, MAX_JITTER, MIN_CROP
from fcn.data_layers.own.describe import Asked
from fcn.engine import choose_device, own_gpu, set_threads
from fcn.errors import FCNError
from fcn.metrics import format_results
from fcn.mpi import ALONE, Group, world
from fcn.own import Plan, choose_net, is_own, plan, plan_together
from fcn.progress import TrainingBar
from fcn.solvers import SILENT, Options, plan_stages, sources, unused_folder
from fcn.text import command_line

FCN8S = ['voc-fcn32s', 'voc-fcn16s', 'voc-fcn8s']
START = 'nets', 'runs', 'weights', 'from_run', 'snapshot'  # arguments of what starts, and where


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add(
        'nets',
        nargs='*',
        metavar='NET',
        help='default: ' + ' '.join(FCN8S) + '; for images of your own, one is chosen',
    )
    add('--data', metavar='DIR', help='folder of the images, to learn from and to validate on')
    add('--train-data', metavar='DIR', help='folder of the images to learn from, if another')
    add('--train-split', metavar='SPLIT', help='list of images to learn from')
    add('--val-split', metavar='SPLIT', help='list of images to validate on')
    add(
        '--init-missing',
        action='store_true',
        help='initialise layers missing from the starting weights, or all if there are none '
        '(seeded He initialisation)',
    )
    add('--iterations', type=integer(1), metavar='N', help="default: the net's recipe")
    add('--base-lr', type=positive, metavar='RATE', help="default: the net's recipe")
    add(
        '--batch',
        type=integer(1),
        metavar='N',
        help='forward passes, of most nets an image each, whose gradients make one step; with '
        '--crop, crops that pass the net at once',
    )
    add(
        '--momentum',
        type=number(lambda value: 0 <= value < 1, 'from 0 to less than 1'),
        metavar='P',
        help="default: the net's recipe",
    )
    add('--mirror', action='store_true', help='mirror half of the images to learn from')
    add(
        '--jitter',
        type=integer(0, MAX_JITTER),
        default=0,
        metavar='N',
        help='shift the images to learn from by up to N pixels',
    )
    add(
        '--crop',
        type=integer(MIN_CROP, MAX_CROP),
        metavar='N',
        help='learn from N×N pixels of each image, from a place that is drawn anew every time',
    )
    add(
        '--sample',
        type=number(lambda value: 0.001 <= value <= 1, 'from 0.001 to 1'),
        metavar='P',
        help='patch sampling: keep each loss cell with probability P and enlarge the batch by 1/P '
        '(section 3.4)',
    )
    add(
        '--balance',
        action='store_true',
        help='weight the loss by class, rare classes more (median frequency balancing)',
    )
    add(
        '--seed',
        type=integer(0),
        default=1337,
        metavar='N',
        help='random seed for image order, dropout and weight initialisation (default: 1337)',
    )
    add('--val-every', type=integer(1), metavar='N', help='iterations between validations')
    add('--val-images', type=integer(1), metavar='N', help='validate on N of the images')
    add('--snapshot-every', type=integer(1), metavar='N', help='iterations between snapshots')
    add(
        '--tensorboard',
        action='store_true',
        help='write event files for TensorBoard to RUN/tensorboard too',
    )
    add_net_options(
        parser,
        weights='starting weights of the first net: a caffemodel or a run folder; for a net of '
        'two streams one each, as FILE:STREAM',
        several=True,
    )
    add(
        '--from',
        dest='from_run',
        type=Path,
        metavar='RUN',
        help="start the first net from this run folder's weights, as a new run with any options; "
        'goes without --weights',
    )
    add_snapshot_option(parser, "to start from (an iteration: the first net's)")
    add_data_options(parser)
    return parser.parse_args(arguments)


def options(
    name: str, args: argparse.Namespace, device: str, own: Plan | None, group: Group = ALONE
) -> Options:
    """Return the options of one net's training that the command line asks for."""
    train, val = None, None
    if not own:
        train, val = sources(name, args.data, args.train_data, args.train_split, args.val_split)
    asked = Options(
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
        crop=args.crop,
        sampling=args.sample,
        balance=args.balance,
        tensorboard=args.tensorboard,
        new_run=lambda: new_run(name, args),
        group=group,
    )
    return own.options(name, asked) if own else asked


def new_run(name: str, args: argparse.Namespace) -> str:
    """Return the command that asks for the same of nets `name` and later, but from the weights of
    the run of `name`, in another folder."""
    nets = args.nets[args.nets.index(name) :]
    start = args.runs / name
    if args.from_run and nets == args.nets:
        start = args.from_run
    words = [*nets, '--from', start, '--runs', unused_folder(args.runs, name), *given_options(args)]
    return f'{command_line("solve")} {shlex.join(map(str, words))}'


def given_options(args: argparse.Namespace) -> list[str]:
    """Return the options that are not the defaults as words of a command, without those of what
    starts and where."""
    defaults = vars(parse([]))
    words: list[str] = []
    for name, value in vars(args).items():
        if name not in START and value != defaults[name]:
            option = f'--{name.replace("_", "-")}'
            words += [option] if value is True else [option, str(value)]
    return words


def plan_own(args: argparse.Namespace, device: str) -> Plan | None:
    """Return the plan for the set of the user's own that the arguments name, and complete them;
    None for a set of the paper."""
    asked = Asked.of(args)
    if not args.data or not is_own(args.data, args.nets[0] if args.nets else None, asked):
        return None
    if args.train_data or args.train_split or args.val_split:
        raise FCNError(
            '--train-data, --train-split and --val-split are for the sets of the paper; a set of '
            'your own has train and val as its folders or lists'
        )
    own = plan(args.data, args.runs, asked, bar('check', 'label'))
    if not args.nets:
        choice = choose_net(args.weights or [], device)
        args.nets = [choice.net]
        print(f'{choice.net}: {choice.reason}')
    args.runs = own.runs
    return own


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    group = world()
    device = choose_device(own_gpu(args.gpu, group.node_rank, group.node_size))
    if args.threads:
        set_threads(args.threads)
    own = plan_together(group, lambda: plan_own(args, device))
    args.nets = group.from_first(lambda: args.nets or FCN8S)
    stages = plan_stages(
        args.nets,
        args.runs,
        lambda name: options(name, args, device, own, group),
        args.weights or (),
        args.from_run,
        args.snapshot,
    )
    for stage in stages:
        if group.first:
            print(stage.describe(), flush=True)
        if stage.done:
            continue
        with TrainingBar(stage.name) if group.first else nullcontext(SILENT) as progress:
            results = stage.train(progress)
        if results is None:
            return 130
        if group.first:
            print(f'{stage.name}: {format_results(results)}')
    return 0
