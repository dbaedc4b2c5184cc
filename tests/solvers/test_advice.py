"""What goes wrong while a net learns is told, with its cause, and only then."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import history, trainer

from fcn.metrics import metrics
from fcn.solvers.advice import Circumstances, advise, constant_matrix, has_fallen, never_predicted

CLASSES = 'ground', 'road', 'pole'
GOOD = np.array([[800, 20, 5], [30, 140, 0], [2, 1, 2]])
ALL_ONE = np.array([[825, 0, 0], [170, 0, 0], [5, 0, 0]])
NO_POLE = np.array([[800, 25, 0], [30, 140, 0], [4, 1, 0]])
WORSE = np.array([[400, 125, 300], [160, 5, 5], [5, 0, 0]])
FALLING, FLAT = np.geomspace(900, 90, 40), np.full(40, 900.0) + np.arange(40) % 3
LATE = Circumstances(done=0.9)


def kinds(matrix, losses=FALLING, about=LATE, **options):
    return [advice.kind for advice in advise(matrix, CLASSES, losses, about, **options)]


@pytest.mark.parametrize(
    ('matrix', 'losses', 'expected'),
    [
        (GOOD, FALLING, []),
        (GOOD, FLAT, []),  # as a net that starts from a trained one
        (ALL_ONE, FALLING, ['one class']),
        (ALL_ONE, FLAT, ['one class', 'loss']),
        (NO_POLE, FALLING, ['never predicted']),
        (WORSE, FALLING, ['below one class']),
        (WORSE, FLAT[:5], ['below one class']),
        (np.zeros((3, 3), int), FLAT, []),
        (np.diag([5, 0, 0]), FLAT, []),  # a truth of one class
    ],
)
def test_each_failure_has_its_kind(matrix, losses, expected):
    assert kinds(matrix, list(losses)) == expected


def test_it_is_too_early_to_tell():
    for matrix in (ALL_ONE, NO_POLE, WORSE):
        assert kinds(matrix, FLAT, Circumstances(done=0.25)) == []
    assert kinds(NO_POLE, FLAT, Circumstances(done=0.5)) == []
    assert kinds(ALL_ONE, FLAT, Circumstances(done=0.5)) == ['one class']


def test_below_one_class_is_below_what_it_scores():
    one_class = metrics(ALL_ONE)['mean_iu']
    assert (constant_matrix(WORSE).sum(1) == WORSE.sum(1)).all()
    assert metrics(constant_matrix(WORSE))['mean_iu'] == pytest.approx(one_class)
    assert metrics(WORSE)['mean_iu'] < one_class == pytest.approx(825 / 1000 / 3)


def test_classes_never_predicted_are_named_with_what_is_known_of_them():
    assert never_predicted(ALL_ONE) == [1, 2] and never_predicted(NO_POLE) == [2]
    (advice,) = advise(
        NO_POLE, CLASSES, [], LATE._replace(holders=(9, 7, 2), images=9), drop_absent=True
    )
    for fact in ('pole', '0.5 %', '2 of 9 images', 'taken for ground', '--balance'):
        assert fact in advice.text
    (advice,) = advise(NO_POLE, CLASSES, [], LATE._replace(holders=(9,), images=9))
    assert 'of 9 images' not in advice.text  # which a damaged description does not tell


@pytest.mark.parametrize(
    ('about', 'named'),
    [
        (LATE._replace(drawn=True), 'drawn weights'),
        (LATE._replace(rate=1e-12, recipes_rate=1e-10), 'far below'),
        (LATE._replace(rate=1e-8, recipes_rate=1e-10), 'far above'),
        (LATE._replace(iterations=160), '160'),
        (LATE._replace(rate=2e-10, recipes_rate=1e-10), 'labels'),
    ],
)
def test_the_cause_is_what_is_known(about, named):
    (advice,) = advise(ALL_ONE, CLASSES, [], about)
    assert named in advice.text and '82.5 %' in advice.text


def test_a_loss_falls_in_spite_of_noise():
    noise = np.random.default_rng(0).normal(0, 30, 40)
    assert has_fallen(list(FALLING + noise)) and not has_fallen(list(FLAT + noise / 10))
    assert not has_fallen(list(FALLING[::-1]))


def test_a_run_tells_each_kind_once(
    mini: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.levelname == 'WARNING']

    few = dict(limit=4, val_images=2, val_every=1, base_lr=1e-46)
    run = trainer(tmp_path, mini, max_iter=4, **few)
    run.train([])
    (line,) = told()
    assert 'every pixel is' in line and 'drawn weights' in line
    caplog.clear()
    trainer(tmp_path, mini, max_iter=6, **few).train([])
    assert told() == []
    assert len([record for record in run.run.log.read() if 'advice' in record]) == 1
    assert len(history(run.run)) == 4 + 2 + 2 + 1  # losses at 1, 4, 6, and validations
