"""What a run logs, as event files that TensorBoard shows.

They are written by tensorboardX, which needs neither TensorFlow nor PyTorch, to the folder
`tensorboard` of the run: the loss, the learning rate, the speed, the metrics and each class's IU of
the validations, and some images of the validation with the predicted labels over them.
"""

import contextlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from fcn.errors import FCNError
from fcn.text import printable

from .log import Record

FOLDER = 'tensorboard'
IMAGES = 4  # of each validation
SIDE = 480  # pixels of the larger side of such an image

_TRAINING = {
    'loss': 'train/loss',
    'smoothed_loss': 'train/smoothed_loss',
    'lr': 'train/learning_rate',
    'images_per_second': 'train/images_per_second',
    'validation_loss': 'validation/loss',
}


class Picture(NamedTuple):
    """An image of the validation, by name: H×W×3 uint8."""

    name: str
    pixels: np.ndarray


def check_installed() -> None:
    """Raise FCNError if tensorboardX is not installed."""
    _writer_class()


def _writer_class() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about versions of what it is built on
            from tensorboardX import SummaryWriter
    except ImportError as error:
        raise FCNError(
            '--tensorboard: tensorboardX is not installed in this Python; `pip install '
            'tensorboardX`, or leave the option out'
        ) from error
    return SummaryWriter


class TensorBoard:
    """The event files of a run that is at `iteration`, for a `with` statement.

    A run that is resumed goes on in a new file, which tells TensorBoard to forget what was written
    after that iteration; if it had written none before, they begin with the log's `records`.
    """

    def __init__(self, folder: Path, iteration: int, records: Iterable[Record]) -> None:
        folder = folder / FOLDER
        begun = folder.is_dir() and any(folder.glob('events.out.tfevents.*'))
        # Files are named by the second: a run that goes on in the same one needs another name.
        self._writer = _writer_class()(
            str(folder),
            purge_step=iteration + 1 if begun and iteration else None,
            filename_suffix=f'.{iteration}',
        )
        if not begun:
            for record in records:
                self.record(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # A full disk ends the pictures, not the run.
            self._writer.close()

    def record(self, record: Record) -> None:
        """Write the numbers of one record of the log."""
        step, time = record['iteration'], record.get('time')
        for name, value in scalars(record).items():
            self._writer.add_scalar(name, value, step, walltime=time)
        if event := record.get('event'):
            self._writer.add_text('events', printable(event), step, walltime=time)

    def pictures(self, iteration: int, pictures: Iterable[Picture]) -> None:
        """Write images of a validation."""
        for picture in pictures:
            self._writer.add_image(
                f'validation/{printable(picture.name)}',
                picture.pixels,
                iteration,
                dataformats='HWC',
            )
        self._writer.flush()


def scalars(record: Record) -> dict[str, float]:
    """Return the numbers of a record of the log by the names that TensorBoard shows; NaN and what
    is missing is left out."""
    named = {tag: record.get(name) for name, tag in _TRAINING.items()}
    for name, values in record.items():
        if not isinstance(values, Mapping):
            continue
        if name.startswith('validation'):
            named |= {f'{name}/{metric}': value for metric, value in values.items()}
        if name.startswith('class_iu'):
            named |= {f'{name}/{label}': value for label, value in values.items()}
    return {name: float(value) for name, value in named.items() if isinstance(value, (int, float))}
