"""Trains a net: the loop of section 4.3, from its starting weights or its last snapshot."""

import contextlib
import logging
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from fcn import surgery
from fcn.data_layers import Source
from fcn.engine import caffe, release_activations, threads, versions
from fcn.errors import DataError, DivergedError, FCNError
from fcn.inference import close_layers
from fcn.io import list_digest, write_text
from fcn.memory_estimate import Tiles, check_memory, tiles_of_all
from fcn.mpi import MPIGroup
from fcn.nets import find
from fcn.text import few

from .advice import Circumstances
from .balance import weight_files
from .following import Follower, files_from_first, restore_together
from .monitor import Meter, handled_signals, watched_losses
from .options import Options
from .overrides import augmented, check, scaled_batch_size
from .progress import Progress
from .prototxts import Prototxts
from .recipes import recipe_of
from .run import SURGERY, Run
from .share import Share, part_of_process, share_out
from .tensorboard import TensorBoard
from .together import Alone, Together, check_equal, seeded_passes
from .validation import Results, Validation

# What a net starts from: (caffemodel, stream) pairs.
Weights = Sequence[tuple[str | Path, str]]

SILENT = Progress()

logger = logging.getLogger('fcn')


class Trainer:
    """One net's training in one run folder.

    It prints nothing: the logger `fcn` reports, and a Progress hears of each iteration.
    """

    def __init__(self, name: str, folder: str | Path, options: Options) -> None:
        """Plan the training of net `name` in `folder`. Raises FCNError for impossible options."""
        self.name, self.config, self.options = name, replace(find(name), own=options.own), options
        check(name, self.config, options)
        self.dataset, self.recipe = self.config.dataset, recipe_of(name)
        train, val = options.train or self.dataset.train, options.val or self.dataset.val
        assert train and val and self.config.max_iter  # as every net has that is trained
        self.val_source = val
        self.iter_size = scaled_batch_size(options.batch or self.recipe.iter_size, options.sampling)
        batch = None
        if options.crop and options.batch:  # Of one size, they pass the net at once.
            batch, self.iter_size = self.iter_size, 1
        self.train_source = augmented(train, options.mirror, options.jitter, options.crop, batch)
        self.max_iter = options.max_iter or self.config.max_iter
        self.val_every = options.val_every or max(1, self.max_iter // 20)
        self.snapshot_every = options.snapshot_every or min(self.recipe.snapshot, self.val_every)
        group = self.group = options.group
        if group.size > 1:
            self.share = share_out(
                name,
                group,
                self.iter_size,
                _batch(self.train_source),
                options.batch or self.recipe.iter_size,
                options.sampling,
            )
        else:
            self.share = Share(0, 1, self.iter_size, _batch(self.train_source))
        self.run = Run(folder, options.new_run) if group.first else Follower()
        # What was asked of this process, and what all agreed to.
        self._asked: str | None = None
        self._stopped_by: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What must not change while a run is resumed. None is what a run has that was made before
        there was such a setting."""
        return dict(
            net=self.name,
            train=self._identity(self.train_source),
            val=self._identity(self.val_source),
            base_lr=self.options.base_lr or self.config.base_lr,
            iter_size=self.iter_size,
            seed=self.options.seed,
            momentum=self.options.momentum,
            sampling=self.options.sampling,
            balance=self.options.balance or None,
        )

    def _identity(self, source: Source) -> str:
        """Return what tells one source from another: of one's own images, what they are, wherever
        they lie."""
        if self.options.own:
            source = source._replace(root=self.options.own.manifest.fingerprint())
        return source.param_str()

    @property
    def done(self) -> bool:
        """Whether the run has all its iterations and a last validation.

        Raises RunError if it was made with other settings. Of several processes, rank 0 knows.
        """
        self.run.check(self.settings)
        return self.run.iteration >= self.max_iter and self.run.validated

    @property
    def images(self) -> int:
        """How many images an iteration reads."""
        return self.iter_size * _batch(self.train_source)

    def check_data(self) -> tuple[int, Tiles | None]:
        """Return how many forward passes validate the net once, and by which tiles, if not whole.

        Raises DataError, now rather than after an hour, if data is missing or too large.
        """
        tiles = check_memory(
            self.name,
            self.config,
            self.val_source,
            self.train_source.with_options(batch=self.share.own_batch),
            self.options.device,
            sharing=self.group.node_size,
        )
        self.train_source.names()
        count = min(self.options.val_images or sys.maxsize, len(self.val_source.names()))
        return max(1, count // _batch(self.val_source)), tiles

    def train(self, sources: Weights, progress: Progress = SILENT) -> Results | None:
        """Train to max_iter and return the last validation's {label: {metric: fraction}}.

        `sources` are the starting weights as surgery.start takes them; a run that has a snapshot
        resumes from it instead. A run that is stopped, by `stop`, or by SIGINT, SIGTERM or SIGHUP
        if this is the main thread, finishes the iteration, makes a snapshot and returns None.
        Raises FCNError, RunError, DataError or DivergedError.
        """
        group = self.group
        passes, tiles = group.together(self.check_data)
        tiles = tiles_of_all(group, tiles)
        # Read now: the list may change under a run of days, and the layer reads it once.
        names = self.train_source.names()
        data = dict(count=len(names), list=list_digest(names))
        group.together(lambda: self._check_alike(data))
        about = dict(
            command=self.options.command,
            device=self.options.device,
            starts_from=[f'{path}:{stream}' if stream else str(path) for path, stream in sources],
            versions=self._versions(),
        )
        with contextlib.ExitStack() as stack:
            opened = self.run.open(self.settings, about)
            group.together(lambda: stack.enter_context(opened))
            if isinstance(self.run, Follower):
                self.run.follow(*group.gather((0, False))[0])
            else:
                group.gather((self.run.iteration, self.run.validated))
            # Before the signals: counting takes minutes, and there is nothing to snapshot yet.
            class_weights = self._class_weights(progress)
            stack.enter_context(handled_signals(self._on_signal))
            nets = self._write_nets(stack, passes, class_weights)
            solver = group.together(lambda: caffe.get_solver(str(nets / 'solver.prototxt')))
            stack.callback(close_layers, solver.net)
            losses: list[float] = []
            if self.run.iteration:
                losses = self._resume(solver, data)
            else:
                self._start(solver, sources)
            board = self._board(stack) if self.options.tensorboard and group.first else None
            validate = Validation(
                self.name,
                self.config,
                self.run,
                passes,
                self.dataset.drop_absent,
                self._is_stopped,
                self._agree_to_stop,
                part_of_process(self._validated_source(passes), self.share),
                tiles,
                solver.net,
                self._circumstances,
                group,
                nets,
                board,
            )
            stack.callback(validate.close)
            release_activations(solver.net)
            meter = Meter(solver.iter, self.max_iter, self.images, self.recipe.average_loss, losses)
            with self._stepping(solver, nets) as step:
                return self._learn(solver, step, validate, meter, data, progress)

    def _versions(self) -> dict[str, Any]:
        return {**versions(), 'processes': self.group.size}

    def _check_alike(self, data: dict[str, Any]) -> None:
        """Raise FCNError unless all processes learn from the same list, on devices of one kind."""
        kind = self.options.device.split()[0]
        for rank, (other, device) in enumerate(self.group.gather((data, kind))):
            if other != data:
                raise DataError(
                    f'{self.train_source.root}: the list {self.train_source.split} is another one '
                    f'for process {rank}; give all machines the same data'
                )
            if device != kind:
                raise FCNError(
                    f'process {rank} would compute on a {device}, another on a {kind}; give '
                    '--gpu -1, or machines of one kind'
                )

    @contextlib.contextmanager
    def _stepping(self, solver: caffe.SGDSolver, nets: Path) -> Iterator[Callable[[], float]]:
        """Yield what takes a step of the solver, with the other processes, and returns its loss."""
        share = self.share
        with (
            watched_losses(solver, self._diverged) as losses,
            seeded_passes(solver, self.options.seed, share.passes, share.first_pass, losses),
        ):
            if not isinstance(self.group, MPIGroup):
                yield Alone(solver, losses)
                return
            together = Together(
                solver,
                nets / 'train.prototxt',
                self.group,
                share,
                self.options.device,
                losses,
                lambda: self._asked is not None,
                self._hear_stop,
            )
            with contextlib.closing(together):
                logger.info('%s: %s', self.name, together.about())
                yield together
                together.note(self.run.log)

    def _learn(
        self,
        solver: caffe.SGDSolver,
        step: Callable[[], float],
        validate: Validation,
        meter: Meter,
        data: dict[str, Any],
        progress: Progress,
    ) -> Results | None:
        """Iterate to the end, with snapshots and validations in their turn, and return the last
        validation's results; None if the run was stopped."""
        result = None
        if self.run.iteration and not self.run.validated and self._validates(solver.iter):
            result = validate(solver)
        for _ in self._iterations(solver, step, meter, progress):
            validates = self._validates(solver.iter)
            if self._stopped_by:
                self.run.log.append(iteration=solver.iter, event=f'stopped by {self._stopped_by}')
            if solver.iter % self.snapshot_every == 0 or validates or self._stopped_by:
                self._snapshot(solver, meter, data)
            if self._stopped_by:
                break
            if validates:
                result = validate(solver)
        if self._stopped_by and solver.iter:  # between two iterations
            self._snapshot(solver, meter, data)
        return result if not self._stopped_by else None

    def stop(self, reason: str) -> None:
        """End training after this iteration, with a snapshot; `reason` is noted in the log."""
        self._asked = reason
        if self.group.size == 1:
            self._stopped_by = reason
        logger.info('%s: finishing this iteration, then a snapshot', reason)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop(signal.Signals(number).name)

    def _is_stopped(self) -> bool:
        """Return whether a validation is to end, as this process or another was told."""
        if self._asked is not None:
            self.group.tell_stop()
        return self._asked is not None or self.group.hears_stop()

    def _hear_stop(self) -> None:
        """Find out which process was told to stop, and why; all call it together."""
        for rank, reason in enumerate(self.group.gather(self._asked)):
            if reason and not self._stopped_by:
                self._stopped_by = f'{reason} to process {rank}' if rank else reason
                if rank and self.group.first:
                    logger.info('%s: finishing this iteration, then a snapshot', self._stopped_by)

    def _agree_to_stop(self) -> bool:
        """Return whether any process was told to stop; all call it together."""
        if self.group.size > 1:
            self._hear_stop()
            self.group.forget_stop()
        return self._stopped_by is not None

    def _validates(self, iteration: int) -> bool:
        """Return whether the net is validated after so many iterations. It is snapshotted as well,
        in case it is the best."""
        return iteration % self.val_every == 0 or iteration >= self.max_iter

    def _board(self, stack: contextlib.ExitStack) -> TensorBoard:
        """Return the event files that the run's log is written to as well."""
        log = self.run.log
        board = stack.enter_context(TensorBoard(self.run.folder, self.run.iteration, log.read()))
        log.listeners.append(board.record)
        stack.callback(log.listeners.clear)
        return board

    def _circumstances(self, iteration: int) -> Circumstances:
        """Return what is known of the run, to explain what goes wrong in it."""
        usual, own = self.config.base_lr, self.options.own
        assert usual
        return Circumstances(
            done=iteration / self.max_iter,
            iterations=self.max_iter,
            drawn=self.run.starts_from == [],
            rate=self.options.base_lr or usual,
            recipes_rate=usual,
            holders=own.manifest.holders if own else (),
            images=len(own.manifest.examples()) if own else 0,
        )

    def _class_weights(self, progress: Progress) -> dict[str, Path] | None:
        """Return {label: the file of its class weights}, None if the loss is not balanced."""
        if not self.options.balance:
            return None
        resumed = self.run.iteration > 0
        files = None
        if self.group.first:
            files = weight_files(
                self.run.folder, self.train_source, self.config.classes, resumed, progress
            )
        return files_from_first(files, self.run.folder, self.group)

    def _start(self, solver: caffe.SGDSolver, sources: Weights) -> None:
        """Put the starting weights into a solver. Raises FCNError if they lack some."""
        self.group.together(lambda: self._fill(solver, sources) if self.group.first else None)
        self.group.copy_arrays(
            [blob.data for blobs in solver.net.params.values() for blob in blobs]
        )

    def _fill(self, solver: caffe.SGDSolver, sources: Weights) -> None:
        """The same in rank 0, which then copies them."""
        report = surgery.start(
            solver.net,
            sources,
            init_missing=self.options.init_missing or not sources,
            seed=self.options.seed,
        )
        write_text(self.run.folder / SURGERY, f'{report}\n')
        self.run.note_files()
        if report.missing:
            raise FCNError(
                f'{self.name}: no weights for {few(report.missing)}, and a layer of zeros learns '
                'nothing; give --weights that hold them, or initialise them with --init-missing'
            )

    def _resume(self, solver: caffe.SGDSolver, data: dict[str, Any]) -> list[float]:
        """Put the newest snapshot into a solver and return the losses of its last iterations.

        Raises FCNError if the list of images has changed.
        """
        manifest = restore_together(self.run, solver, self.group)
        processes = manifest.get('versions', {}).get('processes', 1)
        if processes != self.group.size:
            logger.warning(
                '%s: iteration %d was reached by %d processes and training goes on with %d: the '
                'results are equal up to rounding; start as many for the same bits',
                self.run.folder,
                solver.iter,
                processes,
                self.group.size,
            )
        before = manifest.get('versions', {}).get('threads', threads())
        if self.options.device == 'cpu' and before != threads():
            logger.warning(
                '%s: iteration %d was reached with threads=%d and training goes on with %d: the '
                'results are equal up to rounding; give --threads %d for the same bits',
                self.run.folder,
                solver.iter,
                before,
                threads(),
                before,
            )
        if manifest.get('data', {}).get('list', data['list']) != data['list']:
            raise FCNError(
                f'{self.train_source.root}: the list {self.train_source.split} is not what it was '
                f'at iteration {solver.iter}; put it back, {self.run.other_folder}'
            )
        self.run.note_files()
        self.run.log.append(
            iteration=solver.iter,
            event='resumed',
            command=self.options.command,
            device=self.options.device,
            versions=self._versions(),
        )
        return manifest['recent_losses']

    def _write_nets(
        self,
        stack: contextlib.ExitStack,
        passes: int,
        class_weights: dict[str, Path] | None,
    ) -> Path:
        """Write the nets and the solver, and return the folder of those that this process computes
        with: the run's, or one that lasts as long as `stack`, with nets that read its share."""
        files = Prototxts(
            self.name,
            self.config,
            self.options,
            self.train_source,
            self._validated_source(passes),
            self.max_iter,
            self.run.iteration,
        )
        if self.group.first:
            files.write(self.run.folder, Share(0, 1, *self.share[2:]), class_weights)
        if self.group.size == 1:
            return self.run.folder
        own = self.run.folder
        if self.group.first:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='fcn-')))
        files.write(own, self.share, class_weights)
        return own

    def _validated_source(self, passes: int) -> Source:
        """Return what is validated in so many forward passes."""
        return self.val_source.with_options(limit=passes * _batch(self.val_source))

    def _iterations(
        self,
        solver: caffe.SGDSolver,
        take_step: Callable[[], float],
        meter: Meter,
        progress: Progress,
    ) -> Iterator[None]:
        """Step to max_iter, one iteration at a time, and log the loss."""
        progress.step(meter.start())
        while solver.iter < self.max_iter and not self._stopped_by:
            loss = take_step()
            step = meter.add(solver.iter, loss)
            if step.images_per_second is not None:
                self.run.log.append(
                    iteration=solver.iter,
                    loss=loss,
                    smoothed_loss=step.loss,
                    lr=solver.lr,
                    images_per_second=round(step.images_per_second, 2),
                )
            progress.step(step)
            yield
            meter.skip()

    def _diverged(self, iteration: int, loss: float) -> NoReturn:
        self.run.log.append(iteration=iteration, event=f'loss is {loss}')
        raise DivergedError(
            f'{self.name}: the loss is {loss} at iteration {iteration}. The learning rate is too '
            'high for these starting weights, or they are not what the net expects; the last '
            f'snapshot is of iteration {self.run.iteration}'
        )

    def _snapshot(self, solver: caffe.SGDSolver, meter: Meter, data: dict[str, Any]) -> None:
        """Snapshot the solver, and what it does not hold: how far the data was read, and the
        losses that are smoothed."""
        read = solver.iter * self.images
        check_equal(solver, self.group, self.run.iteration)
        self.run.save(
            solver,
            recent_losses=list(meter.losses),
            command=self.options.command,
            versions=self._versions(),
            data=dict(
                seed=self.options.seed,
                images_read=read,
                epochs=read / data['count'],
                list=data['list'],
            ),
        )


def _batch(source: Source) -> int:
    """Return how many images a forward pass reads."""
    return dict(source.options).get('batch', 1)
