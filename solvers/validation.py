"""Validates a net that is being trained: the four metrics of section 5, and warnings."""

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from fcn.data_layers import Source
from fcn.engine import caffe, release_activations
from fcn.inference import close_layers, compared_blobs, evaluate
from fcn.memory_estimate import Tiles
from fcn.metrics import format_results, metrics, or_none
from fcn.nets import NetConfig
from fcn.tiled_evaluation import TiledEvaluation

from .run import Run

Results = dict[str, dict[str, float]]

logger = logging.getLogger('fcn')


class Validation:
    """Validates net `name` over `passes` forward passes of the val.prototxt in the folder of `run`,
    or, by `tiles` of the images of `source`, of the deploy.prototxt. It has the weights of `net`.

    `drop_absent` leaves classes that the truth lacks out of the mean IU. A validation ends early
    once `stopped()`.
    """

    def __init__(
        self,
        name: str,
        config: NetConfig,
        run: Run,
        passes: int,
        drop_absent: bool,
        stopped: Callable[[], bool],
        source: Source,
        tiles: Tiles | None,
        net: caffe.Net,
    ) -> None:
        self.name, self.run = name, run
        self._passes, self._drop_absent, self._stopped = passes, drop_absent, stopped
        phase = 'deploy' if tiles else 'val'
        self._net = caffe.Net(str(run.folder / f'{phase}.prototxt'), caffe.TEST)
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
        matrices, loss = self._evaluate(self._passes, progress=self._until_stopped)
        if self._stopped():
            return None
        results = {label: metrics(matrix, self._drop_absent) for label, matrix in matrices.items()}
        noted = {label: or_none(values) for label, values in results.items()}
        first, *others = noted
        self.run.log.append(
            iteration=solver.iter,
            validation=noted[first],
            validation_loss=loss,
            **{f'validation_{label}': noted[label] for label in others},
        )
        self.run.note_validation(solver.iter, noted)
        logger.info('%s at iteration %d: %s', self.name, solver.iter, format_results(results))
        predicted = matrices[first].sum(0)
        if (predicted > 0).sum() == 1:
            logger.warning(
                'every pixel is class %d. Early in training that is usual; if it stays, the '
                'weights were not transplanted (see surgery.txt in the run folder), the labels are '
                'wrong, or the learning rate is too low',
                int(np.argmax(predicted)),
            )
        return results

    def _until_stopped(self, passes: Iterable[int]) -> Iterator[int]:
        """Yield the passes until a signal stops them."""
        for index in passes:
            yield index
            if self._stopped():
                return
