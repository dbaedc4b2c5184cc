"""Scores against a calculation of their own, by name and by run folder."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcn
from fcn.data_layers import DATASETS, Mini
from fcn.data_layers.images import save_label
from fcn.evaluation import Evaluation, score_folders

NET = 'mini-fcn8s'


def counted(truths, predictions, classes):
    """The confusion matrix, pixel by pixel."""
    matrix = np.zeros((classes, classes), int)
    for truth, prediction in zip(truths, predictions, strict=True):
        for t, p in zip(truth.ravel(), prediction.ravel(), strict=True):
            if t != 255:
                matrix[t, p] += 1
    return matrix


def test_an_evaluation_is_what_the_segmenter_sees(mini, drawn_weights, tmp_path):
    weights = drawn_weights(NET)
    evaluation = fcn.evaluate(NET, mini, 'val', weights=weights, gpu=-1, out=tmp_path / 'labels')
    data = Mini(mini, 'val')
    seg = fcn.load(NET, weights, gpu=-1)
    predictions = [seg(data.image(name)).labels for name in data.names]
    expected = counted([data.label(name) for name in data.names], predictions, len(seg.classes))
    assert np.array_equal(evaluation.confusion, expected)
    assert evaluation.images == len(data.names) and evaluation.classes == seg.classes
    hits, union = np.diag(expected), expected.sum(0) + expected.sum(1) - np.diag(expected)
    assert evaluation.pixel_accuracy == pytest.approx(hits.sum() / expected.sum())
    assert evaluation.mean_iu == pytest.approx(np.mean(hits[union > 0] / union[union > 0]))
    assert evaluation.per_class[seg.classes[0]] == pytest.approx(hits[0] / union[0])
    assert json.loads(json.dumps(evaluation.record()))['confusion'] == expected.tolist()
    for name, labels in zip(data.names, predictions, strict=True):
        with Image.open(tmp_path / 'labels' / f'{name}.png') as written:
            assert np.array_equal(np.asarray(written), labels)
    again = score_folders(
        tmp_path / 'labels',
        mini / 'SegmentationClass',
        seg.classes,
        [mini / 'SegmentationClass' / f'{name}.png' for name in data.names],
    )
    assert np.array_equal(again.confusion, expected)


def test_some_of_the_images(mini, drawn_weights):
    children = Path(f'/proc/self/task/{os.getpid()}/children')
    before = set(children.read_text().split())
    evaluation = fcn.evaluate(NET, mini, 'train', weights=drawn_weights(NET), images=3, gpu=-1)
    assert evaluation.images == 3
    assert set(children.read_text().split()) <= before  # The reading process has ended.


def test_two_kinds_of_labels_are_two_evaluations():
    matrices = {'sem': np.eye(7, dtype=int), 'geo': np.ones((3, 3), int)}
    classes = DATASETS['mini-siftflow'].labels
    evaluation = fcn.evaluation.evaluation_of(matrices, classes, 5, True)
    assert evaluation.label == 'sem' and evaluation.mean_iu == 1
    assert evaluation.others['geo'].mean_iu == pytest.approx(1 / 5)
    assert evaluation.record()['geo']['pixel_accuracy'] == pytest.approx(1 / 3)


def test_a_truth_of_void_alone_has_no_score():
    evaluation = Evaluation(('a', 'b'), np.zeros((2, 2), int), 1)
    assert np.isnan(evaluation.mean_iu) and 'no pixel' in str(evaluation)
    assert evaluation.record()['mean_iu'] is None


def test_what_cannot_be_scored_is_named(mini, drawn_weights, tmp_path):
    weights = drawn_weights(NET)
    for options, named in (
        ({'split': 'nothing'}, 'nothing.txt'),
        ({'data': tmp_path}, str(tmp_path)),
        ({'out': mini / 'SegmentationClass'}, 'SegmentationClass'),
        ({'net': 'mini-vgg'}, 'classifier'),
        ({'weights': tmp_path / 'none.caffemodel'}, 'none.caffemodel'),
    ):
        options = {'net': NET, 'data': mini, 'split': 'val', 'weights': weights} | options
        with pytest.raises(fcn.FCNError, match=named):
            fcn.evaluate(**options, gpu=-1)
    (tmp_path / 'pred').mkdir()
    (tmp_path / 'truth').mkdir()
    save_label(np.zeros((4, 5), np.uint8), tmp_path / 'truth' / 'a.png')
    classes = DATASETS['mini'].classes
    for prediction in (None, np.zeros((4, 4)), np.full((4, 5), 99), np.full((4, 5), 255)):
        if prediction is not None:
            save_label(prediction.astype(np.uint8), tmp_path / 'pred' / 'a.png')
        with pytest.raises(fcn.DataError, match=r'pred/a\.png'):
            score_folders(tmp_path / 'pred', tmp_path / 'truth', classes)
