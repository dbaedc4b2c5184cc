"""Trains a net: the loop of section 4.3, from its starting weights or its last snapshot."""

import contextlib
import math
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass

import caffe
from tqdm import tqdm

import surgery
from data_layers import DATASETS
from engine import lean, versions
from errors import UserError, few
from files import write_text
from nets import deploy_net, find, train_net

from .evaluate import compared, evaluate, losses
from .metrics import format_results, metrics, or_none
from .recipes import recipe_of, solver_prototxt
from .run import Run

DISPLAY = 20  # iterations between lines of the log, which has the first and the last too


class TrainingError(UserError):
    """Training cannot go on, in one line with the likely cause."""


@dataclass
class Options:
    """What can be asked of a run beside the net. None leaves the recipe's own choice."""

    train: object = None  # data_layers.Source
    val: object = None
    max_iter: int | None = None
    base_lr: float | None = None
    batch: int | None = None  # images whose gradients are added before a step
    seed: int = 1337
    val_every: int | None = None
    val_images: int | None = None
    snapshot_every: int | None = None
    init_missing: bool = False
    command: str = ''
    device: str = 'cpu'


class Trainer:
    """One net's training in one run folder."""

    def __init__(self, name, folder, options):
        self.name, self.row, self.options = name, find(name), options
        self.dataset = DATASETS[self.row.data]
        self.train_source = options.train or self.dataset.train
        self.val_source = options.val or self.dataset.val
        self.recipe = recipe_of(name)
        self.iter_size = options.batch or self.recipe.iter_size
        self.max_iter = options.max_iter or self.row.max_iter
        self.val_every = options.val_every or max(1, self.max_iter // 20)
        self.snapshot_every = options.snapshot_every or min(self.recipe.snapshot, self.val_every)
        self.run = Run(folder)
        self._stop = None

    @property
    def settings(self):
        """What must not change while a run goes on."""
        return dict(net=self.name, train=self.train_source.param_str(), val=self.val_source.param_str(),
                    base_lr=self.options.base_lr or self.row.base_lr, iter_size=self.iter_size,
                    seed=self.options.seed)

    @property
    def done(self):
        """Whether the run has all its iterations; RunError if it was made with other settings."""
        self.run.check(self.settings)
        return self.run.iteration >= self.max_iter

    def train(self, sources):
        """Train to max_iter and return the last validation's {label: metrics}, or None if interrupted.

        `sources` are the starting weights as surgery.start takes them; a run that
        has a snapshot goes on from it instead. SIGINT and SIGTERM finish the
        iteration, snapshot and return. Raises TrainingError, RunError, or DataError.
        """
        val_passes = self.check_data()
        about = dict(command=self.options.command, device=self.options.device,
                     starts_from=[f'{path}:{stream}' if stream else str(path) for path, stream in sources],
                     versions=versions())
        with self.run.open(self.settings, about), _Signals(self._note_stop):
            solver = self._solver(sources)
            val_net = caffe.Net(str(self.run.folder / 'val.prototxt'), caffe.TEST)
            lean(solver.net)
            lean(val_net, compared(val_net))
            result = None
            for _ in self._iterations(solver):
                last = solver.iter >= self.max_iter
                if solver.iter % self.snapshot_every == 0 or last or self._stop:
                    self.run.save(solver)
                if self._stop:
                    self.run.log(iteration=solver.iter, event=f'stopped by {self._stop}')
                    return None
                if solver.iter % self.val_every == 0 or last:
                    result = self._validate(solver, val_net, val_passes)
            return result if not self._stop else None

    def check_data(self):
        """Passes that validate once; DataError now rather than after an hour."""
        self.train_source.names()
        count = min(self.options.val_images or sys.maxsize, len(self.val_source.names()))
        return max(1, count // dict(self.val_source.options).get('batch', 1))

    def _solver(self, sources):
        self._write_prototxts()
        solver = caffe.get_solver(str(self.run.folder / 'solver.prototxt'))
        if self.run.iteration:
            self.run.restore(solver)
            self.run.log(iteration=solver.iter, event='resumed', command=self.options.command,
                         device=self.options.device, versions=versions())
            return solver
        report = surgery.start(solver.net, sources, init_missing=self.options.init_missing or not sources,
                               seed=self.options.seed)
        write_text(self.run.folder / 'surgery.txt', f'{report}\n')
        if report.missing:
            raise TrainingError(f'{self.name}: no weights for {few(report.missing)}, and zeros learn '
                                'nothing; give --weights that hold them, or draw them with --init-missing')
        return solver

    def _write_prototxts(self):
        folder, batch = self.run.folder, dict(self.train_source.options).get('batch', 1)
        drawn = (('seed', self.options.seed), ('position', self.run.iteration * self.iter_size * batch))
        train = self.train_source._replace(options=(*self.train_source.options, *drawn))
        val = self.val_source._replace(
            options=(*self.val_source.options, ('limit', self.options.val_images)))
        for file, spec in (('train', train_net(self.row, train)), ('val', train_net(self.row, val)),
                           ('deploy', deploy_net(self.row))):
            write_text(folder / f'{file}.prototxt', f'name: "{self.name}"\n{spec.to_proto()}')
        changes = {} if self.options.base_lr is None else {'base_lr': self.options.base_lr}
        write_text(folder / 'solver.prototxt', solver_prototxt(
            self.name, train_net=str(folder / 'train.prototxt'), max_iter=self.max_iter,
            iter_size=self.iter_size, snapshot=0, snapshot_prefix='train', **changes))

    def _iterations(self, solver):
        """Step to max_iter, one iteration at a time, watching and logging the loss."""
        recent = deque(maxlen=self.recipe.average_loss)
        bar = tqdm(total=self.max_iter, initial=solver.iter, desc=self.name, unit='it', smoothing=0.05,
                   dynamic_ncols=True, mininterval=0.2 if sys.stderr.isatty() else 30)
        images = self.iter_size * dict(self.train_source.options).get('batch', 1)
        shown, then = solver.iter, time.monotonic()
        with bar, self._watched_losses(solver) as passes:
            while solver.iter < self.max_iter:
                passes.clear()
                # Dropout depends on the seed and the iteration alone: going on is as not stopping.
                caffe.set_random_seed(self.options.seed + solver.iter)
                solver.step(1)
                loss = sum(passes) / len(passes)
                recent.append(loss)
                bar.update()
                if solver.iter % DISPLAY == 0 or solver.iter in (1, self.max_iter):
                    mean, now = sum(recent) / len(recent), time.monotonic()
                    rate = images * (solver.iter - shown) / (now - then)
                    shown, then = solver.iter, now
                    bar.set_postfix_str(f'loss {mean:.4g}, {rate:.1f} images/s', refresh=False)
                    self.run.log(iteration=solver.iter, loss=loss, smoothed_loss=mean, lr=solver.lr,
                                 images_per_second=round(rate, 2))
                yield
                if shown == solver.iter:  # What was done between two iterations does not slow them.
                    then = time.monotonic()

    @contextlib.contextmanager
    def _watched_losses(self, solver):
        """A list that gets the loss of every forward pass, the sum of the net's. One that is not finite raises
        TrainingError before the backward pass: Caffe's max pooling notes no place for
        the maximum of NaNs, and its backward would then write outside its array.
        """
        passes, last, names = [], len(solver.net.layers) - 1, losses(solver.net)
        watched = [solver]  # Caffe keeps the callback for good: it must not keep the solver.

        def after_forward(index):
            if index != last or not watched:
                return
            loss = sum(float(watched[0].net.blobs[name].data) for name in names)
            if not math.isfinite(loss):
                self.run.log(iteration=watched[0].iter, event=f'loss is {loss}')
                raise TrainingError(
                    f'{self.name}: the loss is {loss} at iteration {watched[0].iter}. The learning rate is too high '
                    'for these starting weights, or they are not what the net expects; the last snapshot is of '
                    f'iteration {self.run.iteration}')
            passes.append(loss)

        solver.net.after_forward(after_forward)
        try:
            yield passes
        finally:
            watched.clear()

    def _validate(self, solver, net, passes):
        net.share_with(solver.net)
        matrices, loss = evaluate(net, passes, progress=self._until_stopped)
        if self._stop:
            return None
        results = {label: metrics(matrix, self.dataset.drop_absent) for label, matrix in matrices.items()}
        (first, values), *others = results.items()
        self.run.log(iteration=solver.iter, validation=or_none(values), validation_loss=loss,
                     **{f'validation_{label}': or_none(more) for label, more in others})
        tqdm.write(f'{self.name} at iteration {solver.iter}: {format_results(results)}', file=sys.stderr)
        predicted = matrices[first].sum(0)
        if (predicted > 0).sum() == 1:
            tqdm.write(f'WARNING: every pixel is class {predicted.argmax()}. Early in training that is usual; if it '
                       'stays, the weights were not transplanted (see surgery.txt in the run folder), the labels '
                       'are wrong, or the learning rate is too low', file=sys.stderr)
        return results

    def _until_stopped(self, passes):
        """The passes of a validation, ended early by a signal."""
        for index in passes:
            yield index
            if self._stop:
                return

    def _note_stop(self, number, frame):
        self._stop = signal.Signals(number).name
        tqdm.write(f'{self._stop}: finishing this iteration, then a snapshot', file=sys.stderr)


class _Signals:
    """Hands SIGINT and SIGTERM to `handler` for as long as it is entered."""

    def __init__(self, handler):
        self.handler = handler

    def __enter__(self):
        self.old = {number: signal.signal(number, self.handler) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_):
        for number, handler in self.old.items():
            signal.signal(number, handler)
