"""Data sets scored by tiles against whole images: the same metrics."""

import logging

import numpy as np
import pytest
from PIL import Image
from small_runs import trainer
from support import make_voc

import fcn
from fcn import inference
from fcn.data_layers import DATASETS, Source
from fcn.inference import load_net
from fcn.memory_estimate import check_memory
from fcn.nets import deploy_net, find, train_net
from fcn.tiled_evaluation import TiledEvaluation
from miniature.sets import generate_siftflow

NET = 'mini-fcn8s'
LARGE = (470, 640)  # as tiles of 448 have it


@pytest.fixture(scope='module')
def large(tmp_path_factory):
    """A folder of two large images to validate on and some small ones to learn from."""
    root, classes = tmp_path_factory.mktemp('large'), len(DATASETS['mini'].classes)
    make_voc(root, ['a', 'b', 'c'], classes, size=(56, 64))
    return make_voc(root, ['d', 'e'], classes, 'val', size=LARGE)


def evaluated(net, source, weights, side, count):
    """The matrices, the loss and the labels, by tiles of a side, or whole."""
    config, labels = find(net), []

    def keep(predicted):
        labels.extend(array.copy() for array in predicted.values())

    if side:
        tiled = TiledEvaluation(load_net(deploy_net(config), str(weights)), config, source, side)
        matrices, loss = tiled.evaluate(count, each=keep)
        tiled.close()
    else:
        whole = load_net(train_net(config, source), str(weights))
        matrices, loss = inference.evaluate(whole, count, each=keep)
        inference.close_layers(whole)
    return matrices, loss, labels


def assert_same(tiled, whole):
    """Scores differ in their last bits, so where two are all but equal, another class may win."""
    for label, matrix in whole[0].items():
        assert_few(abs(tiled[0][label] - matrix).sum(), matrix.sum())
        assert np.count_nonzero(matrix.sum(0)) > 1
    assert tiled[1] == pytest.approx(whole[1], rel=1e-4)  # Caffe adds up in float32.
    for one, other in zip(tiled[2], whole[2], strict=True):
        assert_few((one != other).sum(), one.size)


def assert_few(different, pixels):
    assert different <= 1e-4 * pixels


@pytest.mark.parametrize('net', [NET, 'mini-fcn32s'])
def test_tiles_give_the_metrics_and_the_loss_of_whole_images(net, large, drawn_weights):
    source = Source('Mini', str(large), 'val')
    case = net, source, drawn_weights(net)
    assert_same(evaluated(*case, 448, 2), evaluated(*case, None, 2))


def test_two_kinds_of_labels_and_batches(tmp_path, drawn_weights):
    net = 'mini-siftflow-fcn32s'
    generate_siftflow(tmp_path, 2, 2)
    source = Source('MiniSIFTFlow', str(tmp_path), 'test', (('batch', 2),))
    case = net, source, drawn_weights(net)
    tiled = evaluated(*case, 448, 1)
    assert list(tiled[0]) == ['sem', 'geo'] and tiled[2][0].shape[0] == 2
    assert_same(tiled, evaluated(*case, None, 1))


def little_memory(name, scored, learned=None):
    """The largest number of bytes with which scoring goes by tiles."""
    config = find(name)
    for free in np.geomspace(8e9, 1e8, 100):
        if check_memory(name, config, scored, learned, free=free):
            return free
    raise AssertionError('never by tiles')


def test_evaluate_goes_by_tiles_and_says_so(large, drawn_weights, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, 'fcn')
    options = dict(data=large, split='val', weights=drawn_weights(NET), gpu=-1)
    whole = fcn.evaluate(NET, out=tmp_path / 'whole', **options)
    assert 'tiles' not in caplog.text
    free = little_memory(NET, Source('Mini', str(large), 'val'))
    monkeypatch.setattr('fcn.memory_estimate.free_memory', lambda device: free)
    tiled = fcn.evaluate(NET, out=tmp_path / 'tiled', **options)
    (line,) = [message for message in caplog.messages if 'tiles' in message]
    assert '640×470' in line or '639×471' in line
    assert tiled.metrics == pytest.approx(whole.metrics, abs=1e-3)
    assert_few(abs(tiled.confusion - whole.confusion).sum(), whole.confusion.sum())
    for name in ('d.png', 'e.png'):
        one, other = (np.asarray(Image.open(tmp_path / side / name)) for side in ('tiled', 'whole'))
        assert_few((one != other).sum(), one.size)


def test_a_training_validates_by_tiles(large, tmp_path, monkeypatch):
    whole = trainer(tmp_path / 'whole', large, max_iter=2, val_every=1)
    expected = whole.train([])
    free = little_memory('mini-fcn32s', whole.val_source, whole.train_source)
    monkeypatch.setattr('fcn.memory_estimate.free_memory', lambda device: free)
    tiled = trainer(tmp_path / 'tiled', large, max_iter=2, val_every=1)
    assert tiled.check_data()[1]
    assert tiled.train([]) == expected
    losses = [
        [line['validation_loss'] for line in run.run.log.read() if 'validation_loss' in line]
        for run in (whole, tiled)
    ]
    # Caffe adds up some hundred thousand numbers of one size in float32.
    assert len(losses[0]) == 2 and losses[1] == pytest.approx(losses[0], rel=2e-3)
