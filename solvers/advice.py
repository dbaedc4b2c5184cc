"""What goes wrong while a net learns, told with its likely cause: by confusion matrices, K×K pixel
counts with rows true and columns predicted, and by the curve of the loss."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fcn.metrics import metrics
from fcn.text import few

# Shares of a run's iterations, before which it is too early to tell: a net says one class
# everywhere at first, and rare classes come last.
WARM_UP, LONG = 0.25, 0.5
RARE = 0.01  # share of the pixels of a class that is rare
FALLEN = 0.95  # of the first loss, which a loss that falls is below
USELESS = 1.5  # times the mean IU of one class everywhere, which a net that learned has
SHORT = 500  # iterations, in which few nets learn anything
FAR = 20  # times another rate is far from the recipe's
MIN_LOSSES = 10
SHOWN = 4  # classes that a line names


class Circumstances(NamedTuple):
    """What is known of a run: the share of its iterations that is done, how many there are, whether
    it began with drawn weights, its learning rate and the recipe's, and of a set of one's own, in
    how many of `images` each class is."""

    done: float
    iterations: int = 100_000
    drawn: bool = False
    rate: float = 1.0
    recipes_rate: float = 1.0
    holders: Sequence[int] = ()
    images: int = 0


class Advice(NamedTuple):
    """A failure, by its kind, and a line about it and its likely cause."""

    kind: str
    text: str


def advise(
    matrix: np.ndarray,
    classes: Sequence[str],
    losses: Sequence[float],
    about: Circumstances,
    drop_absent: bool = False,
) -> list[Advice]:
    """Return what is wrong with a net by a validation, and by its losses from the first on.

    `drop_absent` is that of fcn.metrics.metrics.
    """
    truth, predicted = matrix.sum(1), matrix.sum(0)
    if about.done <= WARM_UP or (truth > 0).sum() < 2:
        return []
    found = []
    most, total = int(truth.argmax()), truth.sum()
    mean_iu = metrics(matrix, drop_absent)['mean_iu']
    constant = metrics(constant_matrix(matrix), drop_absent)['mean_iu']
    if (predicted > 0).sum() == 1:
        only = int(predicted.argmax())
        share = 100 * truth[only] / total
        text = f'every pixel is {classes[only]}, as {share:.1f} % of them are; {cause(about)}'
        found.append(Advice('one class', text))
    elif mean_iu < constant:
        text = (
            f'the mean IU, {100 * mean_iu:.1f}, is below the {100 * constant:.1f} of '
            f'{classes[most]} everywhere; {cause(about)}'
        )
        found.append(Advice('below one class', text))
    elif about.done > LONG and (never := never_predicted(matrix)):
        shown = [_missed(matrix, classes, number, about) for number in never]
        text = f'never predicted: {few(shown, SHOWN)}; {_never_cause(truth[never] / total)}'
        found.append(Advice('never predicted', text))
    if about.done > LONG and not has_fallen(losses) and mean_iu < USELESS * constant:
        text = f'the loss has not fallen: {losses[0]:.4g} at first, {losses[-1]:.4g} now'
        found.append(Advice('loss', f'{text}; {cause(about)}'))
    return found


def constant_matrix(matrix: np.ndarray) -> np.ndarray:
    """Return the confusion matrix of always predicting the class that is most frequent."""
    truth = matrix.sum(1)
    constant = np.zeros_like(matrix)
    constant[:, truth.argmax()] = truth
    return constant


def never_predicted(matrix: np.ndarray) -> list[int]:
    """Return the classes that the truth has and no pixel was predicted as, the frequent first."""
    truth, predicted = matrix.sum(1), matrix.sum(0)
    missed = np.flatnonzero((truth > 0) & (predicted == 0))
    return sorted(missed.tolist(), key=lambda number: -truth[number])


def has_fallen(losses: Sequence[float]) -> bool:
    """Return whether the loss is lower now than at first; of too few losses, True."""
    if len(losses) < MIN_LOSSES:
        return True
    now = float(np.median(losses[-(len(losses) // 4) :]))
    return now < FALLEN * float(np.mean(losses[:3]))


def cause(about: Circumstances) -> str:
    """Return why a net learns nothing, most likely."""
    if about.drawn:
        return (
            'it began with drawn weights, from which a net learns little in the iterations of a '
            'recipe: give --weights of its backbone'
        )
    if not about.recipes_rate / FAR <= about.rate <= about.recipes_rate * FAR:
        far = 'below' if about.rate < about.recipes_rate else 'above'
        return (
            f"its learning rate, {about.rate:g}, is far {far} the recipe's {about.recipes_rate:g}"
        )
    if about.iterations < SHORT:
        return f'{about.iterations} iterations are few: give more --iterations'
    return (
        'are the labels right (`fcn check` draws them)? were weights transplanted (surgery.txt in '
        'the run folder)? is the learning rate too low or too high (--base-lr)?'
    )


def _missed(matrix: np.ndarray, classes: Sequence[str], number: int, about: Circumstances) -> str:
    share = 100 * matrix[number].sum() / matrix.sum()
    held = ''
    if len(about.holders) == len(classes):
        held = f', in {about.holders[number]} of {about.images} images'
    taken = classes[int(matrix[number].argmax())]
    return f'{classes[number]} ({share:.2g} % of the pixels{held}, taken for {taken})'


def _never_cause(shares: np.ndarray) -> str:
    if (shares < RARE).all():
        return 'rare classes come last: learn longer, add images of them, or give --balance'
    return 'learn longer, and look whether the labels tell them from what they are taken for'
