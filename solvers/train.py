"""Trains a net: the loop of section 4.3, from its starting weights or its last snapshot."""

import contextlib
import hashlib
import signal
import sys
import time
from collections import deque
from dataclasses import dataclass

import caffe
from tqdm import tqdm

from fcn import surgery
from fcn.data_layers import DATASETS
from fcn.engine import release_activations, versions
from fcn.errors import DivergedError, FCNError, SnapshotError
from fcn.inference import compared, evaluate
from fcn.io import write_text
from fcn.memory_estimate import check_memory
from fcn.metrics import format_results, metrics, or_none
from fcn.nets import deploy_net, find, train_net
from fcn.text import few

from .balance import class_weights, write_infogain
from .monitor import handled_signals, watched_losses
from .overrides import augmented, check, scaled_batch_size
from .recipes import recipe_of, solver_prototxt
from .run import Run
from .snapshot import read_checksummed, write_checksummed

DISPLAY = 20  # iterations between lines of the log, which has the first and the last too


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
    momentum: float | None = None
    mirror: bool = False  # exchange left and right in half of the examples
    jitter: int = 0  # move examples by up to so many pixels
    sampling: float | None = (
        None  # probability that the loss keeps a cell; the batch grows by its inverse
    )
    balance: bool = False  # weigh the loss by class


class Trainer:
    """One net's training in one run folder."""

    def __init__(self, name, folder, options):
        self.name, self.config, self.options = name, find(name), options
        self.dataset = DATASETS[self.config.data]
        check(name, self.config, options)
        self.train_source = augmented(
            options.train or self.dataset.train, options.mirror, options.jitter
        )
        self.val_source = options.val or self.dataset.val
        self.recipe = recipe_of(name)
        self.iter_size = scaled_batch_size(options.batch or self.recipe.iter_size, options.sampling)
        self.max_iter = options.max_iter or self.config.max_iter
        self.val_every = options.val_every or max(1, self.max_iter // 20)
        self.snapshot_every = options.snapshot_every or min(self.recipe.snapshot, self.val_every)
        self.run = Run(folder)
        self._recent = deque(maxlen=self.recipe.average_loss)
        self._stop = None

    @property
    def settings(self):
        """What must not change while a run goes on."""
        return dict(
            net=self.name,
            train=self.train_source.param_str(),
            val=self.val_source.param_str(),
            base_lr=self.options.base_lr or self.config.base_lr,
            iter_size=self.iter_size,
            seed=self.options.seed,
            momentum=self.options.momentum,
            sampling=self.options.sampling,
            balance=self.options.balance or None,
        )  # None is what a run that never heard of it has

    @property
    def done(self):
        """Whether the run has all its iterations and a last validation; RunError if it was made with other settings."""
        self.run.check(self.settings)
        return self.run.iteration >= self.max_iter and self.run.validated

    def train(self, sources):
        """Train to max_iter and return the last validation's {label: metrics}, or None if interrupted.

        `sources` are the starting weights as surgery.start takes them; a run that
        has a snapshot goes on from it instead. SIGINT, SIGTERM and SIGHUP finish the
        iteration, snapshot and return. Raises FCNError, RunError, or DataError.
        """
        val_passes = self.check_data()
        # Read now: the list may change under a run of days, and the layer reads it once.
        names = self.train_source.names()
        self._count, self._list = len(names), hashlib.sha256('\n'.join(names).encode()).hexdigest()
        about = dict(
            command=self.options.command,
            device=self.options.device,
            starts_from=[f'{path}:{stream}' if stream else str(path) for path, stream in sources],
            versions=versions(),
        )
        with self.run.open(self.settings, about), contextlib.ExitStack() as stack:
            matrices = (
                self._matrices()
            )  # Counting takes minutes, and there is nothing to snapshot yet.
            stack.enter_context(handled_signals(self._note_stop))
            solver = self._solver(sources, val_passes, matrices)
            val_net = caffe.Net(str(self.run.folder / 'val.prototxt'), caffe.TEST)
            release_activations(solver.net)
            release_activations(val_net, compared(val_net))
            result = None
            if self.run.iteration and not self.run.validated and self._validates(solver.iter):
                result = self._validate(solver, val_net, val_passes)
            for _ in self._iterations(solver):
                validates = self._validates(solver.iter)
                if self._stop:
                    self.run.log(iteration=solver.iter, event=f'stopped by {self._stop}')
                if solver.iter % self.snapshot_every == 0 or validates or self._stop:
                    self._snapshot(solver)
                if self._stop:
                    break
                if validates:
                    result = self._validate(solver, val_net, val_passes)
            if self._stop and solver.iter:  # between two iterations
                self._snapshot(solver)
            return result if not self._stop else None

    def _validates(self, iteration):
        """Whether the net is validated after so many iterations. It is snapshotted as well, in case it is the best."""
        return iteration % self.val_every == 0 or iteration >= self.max_iter

    @property
    def images(self):
        """Images that an iteration reads."""
        return self.iter_size * dict(self.train_source.options).get('batch', 1)

    def check_data(self):
        """Passes that validate once; DataError now rather than after an hour."""
        training = check_memory(
            self.name, self.config, self.train_source, training=True, device=self.options.device
        )
        check_memory(
            self.name, self.config, self.val_source, beside=training, device=self.options.device
        )
        self.train_source.names()
        count = min(self.options.val_images or sys.maxsize, len(self.val_source.names()))
        return max(1, count // dict(self.val_source.options).get('batch', 1))

    def _solver(self, sources, val_passes, matrices):
        self._write_prototxts(val_passes, matrices)
        solver = caffe.get_solver(str(self.run.folder / 'solver.prototxt'))
        if self.run.iteration:
            manifest = self.run.restore(solver)
            self._recent.extend(manifest['recent_losses'])
            if manifest.get('data', {}).get('list', self._list) != self._list:
                raise FCNError(
                    f'{self.train_source.root}: the list {self.train_source.split} is not what it was '
                    f'at iteration {solver.iter}; put it back, or give another folder with --runs'
                )
            self.run.note_files()
            self.run.log(
                iteration=solver.iter,
                event='resumed',
                command=self.options.command,
                device=self.options.device,
                versions=versions(),
            )
            return solver
        report = surgery.start(
            solver.net,
            sources,
            init_missing=self.options.init_missing or not sources,
            seed=self.options.seed,
        )
        write_text(self.run.folder / 'surgery.txt', f'{report}\n')
        self.run.note_files()
        if report.missing:
            raise FCNError(
                f'{self.name}: no weights for {few(report.missing)}, and zeros learn '
                'nothing; give --weights that hold them, or draw them with --init-missing'
            )
        return solver

    def _write_prototxts(self, val_passes, matrices):
        folder = self.run.folder
        drawn = (('seed', self.options.seed), ('position', self.run.iteration * self.images))
        train = self.train_source._replace(options=(*self.train_source.options, *drawn))
        val = self.val_source._replace(
            options=(
                *self.val_source.options,
                ('limit', val_passes * dict(self.val_source.options).get('batch', 1)),
            )
        )
        sampling = self.options.sampling and dict(
            p=self.options.sampling,
            seed=self.options.seed,
            position=self.run.iteration * self.iter_size,
        )
        for file, spec in (
            ('train', train_net(self.config, train, sampling, matrices)),
            ('val', train_net(self.config, val)),
            ('deploy', deploy_net(self.config)),
        ):
            write_text(folder / f'{file}.prototxt', f'name: "{self.name}"\n{spec.to_proto()}')
        changes = {
            key: value
            for key in ('base_lr', 'momentum')
            if (value := getattr(self.options, key)) is not None
        }
        write_text(
            folder / 'solver.prototxt',
            solver_prototxt(
                self.name,
                train_net=str(folder / 'train.prototxt'),
                max_iter=self.max_iter,
                iter_size=self.iter_size,
                snapshot=0,
                snapshot_prefix='train',
                **changes,
            ),
        )

    def _matrices(self):
        """{label: the file of its class weights} in the run folder, counted as the run starts; None without balance."""
        if not self.options.balance:
            return None
        noted = self.run.folder / 'class_weights.json'
        try:
            weights = (
                read_checksummed(noted) if self.run.iteration else None
            )  # What never snapshotted may start otherwise.
        except SnapshotError:
            weights = None
        if weights is None:
            counted = class_weights(self.train_source)
            weights = {label: counted[label].tolist() for label in self.config.classes}
            write_checksummed(noted, **weights)
        files = {label: self.run.folder / f'{label}.binaryproto' for label in weights}
        for label, file in files.items():
            write_infogain(file, weights[label])
        return files

    def _iterations(self, solver):
        """Step to max_iter, one iteration at a time, watching and logging the loss."""
        bar = tqdm(
            total=self.max_iter,
            initial=solver.iter,
            desc=self.name,
            unit='it',
            smoothing=0.05,
            dynamic_ncols=True,
            mininterval=0.2 if sys.stderr.isatty() else 30,
        )
        shown, then = solver.iter, time.monotonic()
        with bar, watched_losses(solver, self._diverged) as passes:
            while solver.iter < self.max_iter and not self._stop:
                passes.clear()
                # Dropout depends on the seed and the iteration alone: going on is as not stopping.
                caffe.set_random_seed(self.options.seed + solver.iter)
                solver.step(1)
                loss = sum(passes) / len(passes)
                self._recent.append(loss)
                bar.update()
                if solver.iter % DISPLAY == 0 or solver.iter in (1, self.max_iter):
                    mean, now = sum(self._recent) / len(self._recent), time.monotonic()
                    rate = self.images * (solver.iter - shown) / (now - then)
                    shown, then = solver.iter, now
                    bar.set_postfix_str(f'loss {mean:.4g}, {rate:.1f} images/s', refresh=False)
                    self.run.log(
                        iteration=solver.iter,
                        loss=loss,
                        smoothed_loss=mean,
                        lr=solver.lr,
                        images_per_second=round(rate, 2),
                    )
                yield
                if shown == solver.iter:  # What was done between two iterations does not slow them.
                    then = time.monotonic()

    def _diverged(self, iteration, loss):
        self.run.log(iteration=iteration, event=f'loss is {loss}')
        raise DivergedError(
            f'{self.name}: the loss is {loss} at iteration {iteration}. The learning rate is too high for these '
            'starting weights, or they are not what the net expects; the last snapshot is of iteration '
            f'{self.run.iteration}'
        )

    def _snapshot(self, solver):
        """Snapshot the solver with all that it does not hold: where the data stands, and the losses being smoothed."""
        read = solver.iter * self.images
        self.run.save(
            solver,
            recent_losses=list(self._recent),
            command=self.options.command,
            versions=versions(),
            data=dict(
                seed=self.options.seed, images_read=read, epochs=read / self._count, list=self._list
            ),
        )

    def _validate(self, solver, net, passes):
        net.share_with(solver.net)
        matrices, loss = evaluate(net, passes, progress=self._until_stopped)
        if self._stop:
            return None
        results = {
            label: metrics(matrix, self.dataset.drop_absent) for label, matrix in matrices.items()
        }
        (first, values), *others = results.items()
        self.run.log(
            iteration=solver.iter,
            validation=or_none(values),
            validation_loss=loss,
            **{f'validation_{label}': or_none(more) for label, more in others},
        )
        self.run.note_validation(
            solver.iter, {label: or_none(found) for label, found in results.items()}
        )
        _tell(f'{self.name} at iteration {solver.iter}: {format_results(results)}')
        predicted = matrices[first].sum(0)
        if (predicted > 0).sum() == 1:
            _tell(
                f'WARNING: every pixel is class {predicted.argmax()}. Early in training that is usual; if it '
                'stays, the weights were not transplanted (see surgery.txt in the run folder), the labels '
                'are wrong, or the learning rate is too low'
            )
        return results

    def _until_stopped(self, passes):
        """The passes of a validation, ended early by a signal."""
        for index in passes:
            yield index
            if self._stop:
                return

    def _note_stop(self, number, frame):
        self._stop = signal.Signals(number).name
        _tell(f'{self._stop}: finishing this iteration, then a snapshot')


def _tell(words):
    """Print to the terminal, above the progress bar; it may be the terminal that has gone."""
    with contextlib.suppress(OSError):
        tqdm.write(words, file=sys.stderr)
