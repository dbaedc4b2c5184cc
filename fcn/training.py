"""Trains a net from Python: the same as the command `solve`."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fcn.data_layers.augment import MAX_CROP, MAX_JITTER, MIN_CROP
from fcn.data_layers.own.describe import Asked
from fcn.engine import choose_device, own_gpu
from fcn.errors import FCNError
from fcn.metrics import format_results
from fcn.mpi import world
from fcn.own import choose_net, is_own, plan, plan_together
from fcn.segmenter import Segmenter, load
from fcn.solvers import Options, Progress, Stage, plan_stages, sources, unused_folder
from fcn.solvers.log import Log

LARGEST = 2**31 - 1  # number in Caffe's solver files


@dataclass(frozen=True)
class TrainingResult:
    """A run that `train` trained, or went on with.

    `metrics` are those of its last validation, fractions by name, those of the first label;
    `others` holds the same of other labels. They are empty if the run was `interrupted` before one.
    """

    net: str
    folder: Path
    iteration: int
    metrics: Mapping[str, float]
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    interrupted: bool = False

    def load(self, *, snapshot: str | int | None = None, gpu: int | None = None) -> Segmenter:
        """Load the trained net, to segment images with; `snapshot` is that of `fcn.load`."""
        return load(self.folder, snapshot=snapshot, gpu=gpu)

    def learning_curve(self) -> dict[str, list[float]]:
        """Return the log's smoothed losses and validations, as lists by name."""
        return Log(self.folder / 'log.jsonl').learning_curve()

    def __str__(self) -> str:
        state = 'interrupted' if self.interrupted else 'trained'
        score = f': {format_results({"label": self.metrics})}' if self.metrics else ''
        return f'{self.net}, {state}, {self.iteration} iterations in {self.folder}{score}'


def train(
    net: str | None = None,
    data: str | Path | None = None,
    iterations: int | None = None,
    *,
    weights: str | Path | list[str] | None = None,
    from_run: str | Path | None = None,
    snapshot: str | int | None = None,
    runs: str | Path = 'runs',
    train_data: str | Path | None = None,
    train_split: str | None = None,
    val_split: str | None = None,
    base_lr: float | None = None,
    batch: int | None = None,
    momentum: float | None = None,
    mirror: bool = False,
    jitter: int = 0,
    crop: int | None = None,
    sample: float | None = None,
    balance: bool = False,
    init_missing: bool = False,
    seed: int = 1337,
    val_every: int | None = None,
    val_images: int | None = None,
    snapshot_every: int | None = None,
    tensorboard: bool = False,
    gpu: int | None = None,
    progress: Progress | None = None,
    classes: int | str | Sequence[str] | None = None,
    legend: str | Path | None = None,
    foreground: int | None = None,
    unlabelled: Literal['background', 'void'] = 'background',
    unknown: Literal['refuse', 'snap', 'void'] = 'refuse',
    val_share: float = 0.2,
    white: int | None = None,
) -> TrainingResult:
    """Train a net in the folder runs/NET, or go on where a run there was interrupted.

    `net` is a name of fcn.NETS. `data` is the folder of the images to learn from and to validate
    on, `train_data` that of other images to learn from; by default they are the data set's own.
    `weights` is a caffemodel or a run folder to start from, for a net of two streams a list of
    FILE:STREAM; by default those of the net's parents. `from_run` is a run folder instead, of which
    a new run starts: of the same net with another rate or other data, say. `snapshot` is the one to
    take of a run that it starts from: 'best', 'newest' or an iteration; by default the best that
    was validated. What is None is the recipe's own. The other options are those of
    `solve.py --help`.

    `data` may be a folder of the user's own images and labels. Then the net takes its classes, a
    net of None is chosen, and the run's folder is runs/DATA/NET. `classes` are their number, their
    names, or a file of names, and the options after it are those of `fcn check --help`.

    Processes that MPI connects train together (docs/cluster.md): all call this with the same
    arguments, and each returns the same.

    Ctrl-C takes a snapshot and returns, if this is the main thread. `progress` hears about every
    iteration; fcn.progress.TrainingBar shows a bar. Raises FCNError, RunError, DataError,
    WeightsError, or DivergedError if the loss is no longer finite.
    """
    arguments = dict(locals())
    for name, value, minimum, maximum in (
        ('iterations', iterations, 1, LARGEST),
        ('batch', batch, 1, LARGEST),
        ('seed', seed, 0, LARGEST),
        ('jitter', jitter, 0, MAX_JITTER),
        ('crop', crop, MIN_CROP, MAX_CROP),
        ('val_every', val_every, 1, LARGEST),
        ('val_images', val_images, 1, LARGEST),
        ('snapshot_every', snapshot_every, 1, LARGEST),
        ('base_lr', base_lr, 1e-37, 1e38),
        ('momentum', momentum, 0, 1 - 1e-7),
        ('sample', sample, 0.001, 1),
    ):
        if value is not None and not minimum <= value <= maximum:
            raise FCNError(f'{name}={value}: is not from {minimum:g} to {maximum:g}')
    group = world()
    device = choose_device(own_gpu(gpu, group.node_rank, group.node_size))
    asked = Asked(
        classes if classes is None or isinstance(classes, str) else _classes(classes),
        None if legend is None else Path(legend),
        foreground,
        unlabelled,
        unknown,
        seed,
        val_share,
        white,
    )
    given = [] if weights is None else weights if isinstance(weights, list) else [str(weights)]
    own = None
    if data is not None and is_own(data, net, asked):
        if train_data or train_split or val_split:
            raise FCNError('train_data, train_split and val_split are for the sets of the paper')
        own = plan_together(group, lambda: plan(data, runs, asked))
        net = net or group.from_first(lambda: choose_net(given, device).net)
        runs = own.runs if own else runs
    if net is None:
        raise FCNError('net=None: name a net of fcn.NETS')
    train, val = None, None
    if not own:
        train, val = sources(net, data, train_data, train_split, val_split)
    options = Options(
        train,
        val,
        max_iter=iterations,
        base_lr=base_lr,
        batch=batch,
        seed=seed,
        val_every=val_every,
        val_images=val_images,
        snapshot_every=snapshot_every,
        init_missing=init_missing,
        command=f'fcn.train({net!r}, …)',
        device=device,
        momentum=momentum,
        mirror=mirror,
        jitter=jitter,
        crop=crop,
        sampling=sample,
        balance=balance,
        tensorboard=tensorboard,
        new_run=lambda: _new_run(arguments),
        group=group,
    )
    if own:
        options = own.options(net, options)
    (stage,) = plan_stages([net], runs, lambda _: options, given, from_run, snapshot)
    if not stage.done:
        stage.train(progress or Progress())
    done = stage.done
    come_to = group.from_first(lambda: _result(stage))
    come_to['folder'] = Path(come_to['folder'])
    return TrainingResult(**come_to, interrupted=not done)


def _result(stage: Stage) -> dict[str, Any]:
    """Return what a stage has come to, from its run folder, as the fields of a TrainingResult."""
    run = stage.run
    manifest = run.snapshots.newest('caffemodel')
    validation = dict((manifest or {}).get('validation') or {})
    first = next(iter(validation), '')
    metrics = validation.pop(first, {})
    return dict(
        net=stage.name,
        folder=str(run.folder),
        iteration=run.iteration,
        metrics=metrics,
        others=validation,
    )


def _classes(classes: int | Sequence[str]) -> str:
    """Return classes as the option --classes says them. Raises FCNError for a comma in a name."""
    if not isinstance(classes, int) and any(',' in name for name in classes):
        raise FCNError('classes: a name holds a comma; write the names into a file, one a line')
    return str(classes) if isinstance(classes, int) else ','.join(classes)


def _new_run(arguments: Mapping[str, Any]) -> str:
    """Return the call of `train` with the same arguments, but from the weights of this run, in
    another folder."""
    net, runs = arguments['net'], Path(arguments['runs'])
    given = {
        name: arguments[name]
        for name, parameter in inspect.signature(train).parameters.items()
        if name not in ('net', 'weights', 'snapshot', 'progress')
        and arguments[name] != parameter.default
    }
    given |= {'runs': unused_folder(runs, net), 'from_run': arguments['from_run'] or runs / net}
    words = [
        f'{name}={str(value)!r}' if isinstance(value, Path) else f'{name}={value!r}'
        for name, value in given.items()
    ]
    return f'fcn.train({", ".join([repr(net), *words])})'
