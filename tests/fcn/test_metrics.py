"""The metrics against scikit-learn, on labels with void pixels and absent classes."""

import numpy as np
import pytest
from sklearn import metrics as sk

from fcn.inference import predict
from fcn.metrics import class_iou, confusion, metrics


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, (2, 40, 50)).astype(np.uint8)
    truth[truth == 4] = 0  # class 4 is never true
    prediction = np.where(
        rng.random(truth.shape) < 0.6, truth, rng.integers(0, 5, truth.shape)
    ).astype(np.uint8)
    truth[:, :3] = 255
    return truth, prediction, 7  # class 6 is neither true nor predicted


def test_confusion_is_scikit_learns(labels):
    truth, prediction, classes = labels
    known = truth != 255
    expected = sk.confusion_matrix(truth[known], prediction[known], labels=range(classes))
    assert (confusion(truth, prediction, classes) == expected).all()
    assert (confusion(truth.astype(np.float32), prediction, classes) == expected).all()


def test_metrics_are_scikit_learns(labels):
    truth, prediction, classes = labels
    matrix = confusion(truth, prediction, classes)
    values, iou = metrics(matrix), class_iou(matrix)
    known = truth != 255
    t, p = truth[known], prediction[known]
    assert values['pixel_accuracy'] == pytest.approx(sk.accuracy_score(t, p))
    present = [0, 1, 2, 3, 5]
    assert values['mean_accuracy'] == pytest.approx(
        sk.recall_score(t, p, labels=present, average='macro')
    )
    expected = sk.jaccard_score(t, p, labels=range(6), average=None)
    np.testing.assert_allclose(iou[:6], expected)
    assert np.isnan(iou[6]) and iou[4] == 0
    assert values['mean_iu'] == pytest.approx(expected.mean())
    assert values['frequency_weighted_iu'] == pytest.approx(
        sk.jaccard_score(t, p, labels=range(6), average='weighted')
    )


def test_classes_absent_from_the_truth_may_be_dropped():
    """An absent class that is predicted costs others their hits; the mean IU may leave it out."""
    matrix = np.array([[6, 0, 2], [0, 8, 0], [0, 0, 0]])
    assert metrics(matrix)['mean_iu'] == pytest.approx((6 / 8 + 1 + 0) / 3)
    dropped = metrics(matrix, drop_absent=True)
    assert dropped['mean_iu'] == pytest.approx((6 / 8 + 1) / 2)
    assert {k: v for k, v in dropped.items() if k != 'mean_iu'} == {
        k: v for k, v in metrics(matrix).items() if k != 'mean_iu'
    }


def test_all_void_scores_nothing():
    assert np.isnan(
        list(metrics(confusion(np.full((3, 3), 255), np.zeros((3, 3), int), 4)).values())
    ).all()


def test_all_background_scores_as_published(shared):
    """A net without weights gives background everywhere: 3.5 mean IU on all of seg11valid."""
    from fcn.data_layers import VOC

    dataset = VOC(shared('data/voc'), 'seg11valid')
    matrix = sum(
        confusion(label, np.zeros_like(label), 21) for label in map(dataset.label, dataset.names)
    )
    assert metrics(matrix)['mean_iu'] == pytest.approx(0.035, abs=0.002)
    assert metrics(matrix)['mean_accuracy'] == pytest.approx(1 / 21)


def test_predict_is_argmax():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (2, 21, 17, 13)).astype(np.float32)  # with many ties
    assert (predict(scores) == scores.argmax(1)).all()
    assert (predict(scores[:, :, 0, 0]) == scores[:, :, 0, 0].argmax(1)).all()
