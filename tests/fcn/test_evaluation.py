"""Scores against a calculation of their own, by name and by run folder."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcn
from fcn.data_layers import DATASETS, Mini, voc_palette
from fcn.data_layers.images import save_label
from fcn.data_layers.own.legends import Legend
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


TRUTH = np.arange(60, dtype=np.uint8).reshape(6, 10) % 3
GUESS = np.where(np.arange(60).reshape(6, 10) % 7, TRUTH, 1).astype(np.uint8)
NAMES = 'ground', 'road', 'house'
COLOURS = np.array([(0, 0, 0), (10, 200, 30), (250, 128, 1)], np.uint8)


def put(folder, **masks):
    """Save arrays below a folder under the names of their arguments, with / for __."""
    for name, mask in masks.items():
        path = folder / f'{name.replace("__", "/")}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)


def scored(tmp_path, classes=NAMES, **options):
    """The confusion matrix of the folders pred and truth."""
    return score_folders(tmp_path / 'pred', tmp_path / 'truth', classes, **options).confusion


def adaptive(labels):
    """A palette image whose values are in an order of their own."""
    image = Image.fromarray(np.array([2, 0, 1], np.uint8)[labels])
    image.putpalette(COLOURS[[1, 2, 0]].tobytes())
    return image


CODINGS = {
    'values': lambda labels: labels,
    '16 bits': lambda labels: labels.astype(np.uint16),
    'colours': lambda labels: COLOURS[labels],
    'palette': lambda labels: np.asarray(adaptive(labels).convert('RGB')),
    'grey as RGB': lambda labels: np.repeat(labels[..., None], 3, -1),
}


@pytest.mark.parametrize('true', CODINGS)
@pytest.mark.parametrize('predicted', CODINGS)
def test_each_side_is_read_by_its_own_coding(tmp_path, true, predicted):
    put(tmp_path / 'truth', a=CODINGS[true](TRUTH), b=CODINGS[true](GUESS * 0))
    put(tmp_path / 'pred', a=CODINGS[predicted](GUESS), b=CODINGS[predicted](GUESS))
    legend = Legend(NAMES, tuple(map(tuple, COLOURS.tolist())))
    expected = counted([TRUTH, GUESS * 0], [GUESS, GUESS], 3)
    assert np.array_equal(scored(tmp_path, legend), expected)


def test_palette_images_with_colours_of_a_legend(tmp_path):
    put(tmp_path / 'truth', a=TRUTH)
    (tmp_path / 'pred').mkdir()
    adaptive(GUESS).save(tmp_path / 'pred' / 'a.png')
    legend = Legend(NAMES, tuple(map(tuple, COLOURS.tolist())))
    assert np.array_equal(scored(tmp_path, legend), counted([TRUTH], [GUESS], 3))


def test_voc_colours_need_no_legend(tmp_path):
    colours = voc_palette()
    put(tmp_path / 'truth', a=TRUTH, b=TRUTH)
    put(tmp_path / 'pred', a=colours[GUESS], b=colours[GUESS * 0])
    assert np.array_equal(scored(tmp_path), counted([TRUTH] * 2, [GUESS, GUESS * 0], 3))


def test_as_many_classes_as_a_label_can_hold(tmp_path):
    truth = np.arange(255, dtype=np.uint8).reshape(15, 17)
    put(tmp_path / 'truth', a=truth)
    put(tmp_path / 'pred', a=truth[::-1].copy())
    names = tuple(f'class {number}' for number in range(255))
    assert np.array_equal(scored(tmp_path, names), counted([truth], [truth[::-1]], 255))


def test_numbers_of_a_legend(tmp_path):
    values = np.array([7, 26, 33], np.uint8)
    put(tmp_path / 'truth', a=values[TRUTH])
    put(tmp_path / 'pred', a=values[GUESS])
    legend = Legend(('road', 'car', 'void'), None, (7, 26, 33))
    void = TRUTH == 2
    expected = counted([np.where(void, 255, TRUTH)], [np.where(void, 0, GUESS)], 2)
    assert np.array_equal(scored(tmp_path, legend), expected)
    put(tmp_path / 'pred', a=values[(TRUTH + 1) % 3])
    with pytest.raises(fcn.DataError, match='predicts 255'):  # where the truth has a class
        scored(tmp_path, legend)


@pytest.mark.parametrize(
    ('truths', 'predictions'),
    [
        (('a', 'b'), ('a_pred', 'b_pred')),
        (('a_mask', 'b_mask'), ('a', 'b')),
        (('x_a_gtFine_labelTrainIds', 'x_b_gtFine_labelTrainIds'), ('x_a_img', 'x_b_img')),
        (('a', 'b'), ('pred_a', 'pred_b')),
        (('a', 'b'), ('sub__a', 'sub__b')),
        (('ulm__a_gt', 'bonn__b_gt'), ('a', 'b')),
        (('s__1', 't__1'), ('s__1_pred', 't__1_pred')),
        (('a', 'b'), ('a_pred', 'b_pred', 'c_pred', 'a_overlay')),
        (('A', 'b'), ('a', 'B')),
        (('a', 'b'), ('a', 'b', 'a_overlay', 'b_overlay')),
    ],
)
def test_names_may_differ_by_what_they_share(tmp_path, truths, predictions):
    put(tmp_path / 'truth', **{truths[0]: TRUTH, truths[1]: GUESS})
    put(tmp_path / 'pred', **dict.fromkeys(predictions, 1 - GUESS // 2))
    put(tmp_path / 'pred', **{predictions[0]: GUESS, predictions[1]: GUESS})
    assert np.array_equal(scored(tmp_path), counted([TRUTH, GUESS], [GUESS, GUESS], 3))


@pytest.mark.parametrize(
    ('truths', 'predictions', 'named'),
    [
        (('a', 'b'), ('a_pred', 'b_pred', 'a_soft', 'b_soft'), 'a_pred or a_soft'),
        (('f_1', 'f_2'), ('f_1_pred',), 'f_1.png'),
        (('f_1', 'g_1'), ('f_2', 'g_2'), 'f_1.png'),
        (('scene_a',), ('scene_b',), 'scene_a.png'),
        (('s__a', 't__a'), ('a_pred', 'b_pred'), 's/a.png'),
    ],
)
def test_names_that_do_not_tell_are_refused(tmp_path, truths, predictions, named):
    put(tmp_path / 'truth', **dict.fromkeys(truths, TRUTH))
    put(tmp_path / 'pred', **dict.fromkeys(predictions, GUESS))
    with pytest.raises(fcn.DataError, match=named):
        scored(tmp_path)


def test_suffixes_choose_the_files(tmp_path):
    put(tmp_path / 'truth', a_labelIds=TRUTH * 0, a_labelTrainIds=TRUTH)
    put(tmp_path / 'pred', a_pred=GUESS, a_soft=TRUTH)
    matrix = scored(tmp_path, suffixes=('_pred.png', '_labelTrainIds'))
    assert np.array_equal(matrix, counted([TRUTH], [GUESS], 3))


def test_masks_of_one_object(tmp_path):
    truth, guess = TRUTH.clip(max=1), GUESS.clip(max=1)
    put(tmp_path / 'truth', a=truth * 255)
    put(tmp_path / 'pred', a=guess * 255)
    with pytest.raises(fcn.DataError, match='--foreground 255'):
        scored(tmp_path)
    expected, names = counted([truth], [guess], 2), ('ground', 'object')
    assert np.array_equal(scored(tmp_path, names, foreground=255), expected)
    assert np.array_equal(scored(tmp_path, names), expected)
    put(tmp_path / 'pred', a=guess)
    assert np.array_equal(scored(tmp_path, names, foreground=255), expected)
    put(tmp_path / 'pred', a=np.full_like(guess, 255))
    assert np.array_equal(scored(tmp_path, names), counted([truth], [truth * 0 + 1], 2))
    with pytest.raises(fcn.DataError, match='no mask holds it'):
        scored(tmp_path, names, foreground=128)


def test_a_truth_is_not_its_own_prediction(tmp_path):
    put(tmp_path / 'truth', a=TRUTH)
    with pytest.raises(fcn.DataError, match='its own prediction'):
        score_folders(tmp_path / 'truth', tmp_path / 'truth', NAMES)


def test_colours_of_no_class_are_refused_or_snapped(tmp_path):
    legend = Legend(NAMES, tuple(map(tuple, COLOURS.tolist())))
    put(tmp_path / 'truth', a=COLOURS[TRUTH])
    near = COLOURS.copy()
    near[1, 0] += 3
    put(tmp_path / 'pred', a=near[GUESS])
    with pytest.raises(fcn.DataError, match=r'pred/a\.png.*\(13, 200, 30\)'):
        scored(tmp_path, legend)
    expected = counted([TRUTH], [GUESS], 3)
    assert np.array_equal(scored(tmp_path, legend, unknown='snap'), expected)
