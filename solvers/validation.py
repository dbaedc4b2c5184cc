"""Validates a net that is being trained: the four metrics of section 5, and warnings."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from fcn.data_layers import Source, evenly_spread
from fcn.engine import caffe, release_activations
from fcn.errors import DataError
from fcn.inference import close_layers, compared_blobs, evaluate
from fcn.memory_estimate import Tiles
from fcn.metrics import class_iou, format_results, metrics, or_none
from fcn.mpi import Group
from fcn.nets import NetConfig
from fcn.tiled_evaluation import TiledEvaluation
from fcn.visualize import overlay

from .advice import Advice, Circumstances, advise
from .run import Run
from .tensorboard import IMAGES, SIDE, Picture, TensorBoard

Results = dict[str, dict[str, float]]

logger = logging.getLogger('fcn')


class Validation:
    """Validates net `name` over `passes` forward passes of the val.prototxt in the folder `nets`,
    or, by `tiles` of the images of `source`, of the deploy.prototxt. It has the weights of `net`.

    Of a `group` of processes, each computes its part of the passes, which are those that `source`
    and the val.prototxt name. `drop_absent` leaves classes that the truth lacks out of the mean IU.
    A validation ends early once `stopped()` in one of them, as `agree_to_stop()` then says in all.
    `about` returns what is known of the run at an iteration, for the causes of what goes wrong,
    which is told once. `board` gets some of the images with their labels.
    """

    def __init__(
        self,
        name: str,
        config: NetConfig,
        run: Run,
        passes: int,
        drop_absent: bool,
        stopped: Callable[[], bool],
        agree_to_stop: Callable[[], bool],
        source: Source,
        tiles: Tiles | None,
        net: caffe.Net,
        about: Callable[[int], Circumstances],
        group: Group,
        nets: Path,
        board: TensorBoard | None = None,
    ) -> None:
        self.name, self.run, self._group = name, run, group
        self._passes, self._drop_absent, self._stopped = passes, drop_absent, stopped
        self._agree_to_stop = agree_to_stop
        self._classes, self._segments = config.classes, not config.is_classifier
        self._about = about
        self._config, self._source, self._board = config, source, board
        phase = 'deploy' if tiles else 'val'
        self._net = caffe.Net(str(nets / f'{phase}.prototxt'), caffe.TEST)
        self._net.share_with(net)  # This frees its own weights, before training needs the memory.
        release_activations(self._net, compared_blobs(self._net))
        if tiles:
            logger.info('%s', tiles.why)
            tiled = TiledEvaluation(self._net, config, source, tiles.side)
            self._evaluate, self.close = tiled.evaluate, tiled.close
        else:
            self._evaluate = partial(evaluate, self._net)
            self.close = partial(close_layers, self._net)

    def __call__(self, solver: caffe.SGDSolver) -> Results | None:
        """Return {label: {metric: fraction}} of the net of `solver`, or None if it was stopped.

        They are noted in the log and in the snapshot of this iteration.
        """
        self._net.share_with(solver.net)
        seen: list[np.ndarray] = []
        counted = self._count(seen)
        if counted is None:
            return None
        matrices, loss = counted
        results = {label: metrics(matrix, self._drop_absent) for label, matrix in matrices.items()}
        noted = {label: or_none(values) for label, values in results.items()}
        first, *others = noted
        self.run.log.append(
            iteration=solver.iter,
            validation=noted[first],
            validation_loss=loss,
            **{f'validation_{label}': noted[label] for label in others},
            **self._class_iu(matrices),
        )
        if self._board:
            self._board.pictures(solver.iter, self._pictures(seen))
        told: list[Advice] = []
        if self._segments:
            told = self._advise(solver.iter, matrices[first], self._classes[first])
        self.run.note_validation(solver.iter, noted)
        logger.info('%s at iteration %d: %s', self.name, solver.iter, format_results(results))
        for advice in told:
            logger.warning('%s: %s', self.name, advice.text)
        return results

    def _count(self, seen: list[np.ndarray]) -> tuple[dict[str, np.ndarray], float] | None:
        """Return {label: confusion matrix} and the mean loss of all passes, None if stopped.

        `seen` gets the first labels predicted, if there is a board to show them on.
        """
        mine = self._group.part.size(self._passes)
        losses: list[float] = []
        matrices = {
            label: np.zeros((len(names), len(names)), np.int64)
            for label, names in self._classes.items()
        }
        if mine:
            each = partial(_keep_some, seen) if self._board and self._segments else None
            matrices, losses = self._evaluate(mine, progress=self._until_stopped, each=each)
        if self._agree_to_stop():
            return None
        # In the order of passes, as one process adds them up.
        parts, loss = self._group.gather(losses), 0.0
        for number in range(self._passes):
            turn, rank = divmod(number, self._group.size)
            loss += parts[rank][turn]
        return self._group.sum(matrices), loss / self._passes

    def _class_iu(self, matrices: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
        """Return each class's IU by name, as the log has it: `class_iu` of the first label, and
        `class_iu_LABEL` of others."""
        if not self._segments:
            return {}
        result = {}
        for index, (label, matrix) in enumerate(matrices.items()):
            iou = dict(zip(self._classes[label], class_iou(matrix).tolist(), strict=True))
            result[f'class_iu_{label}' if index else 'class_iu'] = or_none(iou)
        return result

    def _pictures(self, predicted: Sequence[np.ndarray]) -> Iterator[Picture]:
        """Yield the first images of the validation with the `predicted` labels over them."""
        source, label = self._source, next(iter(self._config.classes))
        data = source.open()
        options = dict(source.options)
        (number, total), batch = options.get('part', (0, 1)), options.get('batch', 1)
        names = [
            name
            for place, name in enumerate(evenly_spread(data.names, options.get('limit')))
            if place // batch % total == number
        ]
        top = self._config.input_names[0]
        for name, labels in zip(names, predicted, strict=False):
            try:
                image = data.image(name, top)
            except DataError as error:  # It was there a moment ago.
                logger.warning('%s', error)
                continue
            if image.ndim == 3 and image.shape[:2] == labels.shape:
                colours = self._config.dataset.colours_of(label)
                drawn = overlay(image, labels, self._classes[label], colours)
                drawn.thumbnail((SIDE, SIDE))
                yield Picture(name, np.asarray(drawn))

    def _advise(self, iteration: int, matrix: np.ndarray, classes: Sequence[str]) -> list[Advice]:
        """Return what is wrong that the run has not told before, and note it in the log."""
        log = self.run.log
        told = {record.get('advice') for record in log.read()}
        losses, about = log.learning_curve()['loss'], self._about(iteration)
        new = [
            advice
            for advice in advise(matrix, classes, losses, about, self._drop_absent)
            if advice.kind not in told
        ]
        for advice in new:
            log.append(iteration=iteration, event=advice.text, advice=advice.kind)
        return new

    def _until_stopped(self, passes: Iterable[int]) -> Iterator[int]:
        """Yield the passes until a signal stops them."""
        for index in passes:
            yield index
            if self._stopped():
                return


def _keep_some(seen: list[np.ndarray], predicted: dict[str, np.ndarray]) -> None:
    """Keep the first label's predictions, H×W uint8 each, of the first images."""
    for labels in next(iter(predicted.values())):
        if len(seen) < IMAGES:
            seen.append(labels)
