"""Loss sampling in real Caffe: which cells are kept, and what the loss makes of the others."""

import json

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.data_layers import DATASETS
from fcn.errors import DataError
from fcn.nets import deploy_net, find, train_net
from fcn.nets.receptive_field import receptive_fields

SHAPE = (1, 1, 60, 70)


def make_net(path, labels=1, **param):
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, *SHAPE[2:]])))
    n.score = L.Scale(n.data, filler=dict(type='constant', value=1))
    names = [f'label{index}' for index in range(labels)]
    for name in names:
        n[name] = L.Input(input_param=dict(shape=dict(dim=list(SHAPE))))
    tops = L.Python(
        *(n[name] for name in names),
        module='fcn.data_layers.sampling',
        layer='SamplingLayer',
        ntop=labels,
        param_str=param.get('text') or json.dumps(param),
    )
    for name, top in zip(names, tops if labels > 1 else [tops], strict=True):
        n[f'{name}_sampled'] = top
    n.loss = L.SoftmaxWithLoss(
        n.score, n.label0_sampled, loss_param=dict(normalize=False, ignore_label=255)
    )
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), caffe.TRAIN)


def kept_by(net, count, label=0):
    """Whether each cell is kept, in each of so many passes."""
    net.blobs[f'label{label}'].data[...] = 1
    passes = []
    for _ in range(count):
        net.forward()
        sampled = net.blobs[f'label{label}_sampled'].data
        assert np.isin(sampled, (1, 255)).all()
        passes.append(sampled != 255)
    return np.array(passes)


@pytest.mark.parametrize('p', [0.25, 0.5, 1])
def test_each_cell_is_kept_with_its_probability(p, tmp_path):
    kept = kept_by(make_net(tmp_path / 'n.prototxt', p=p), 40)
    assert abs(kept.mean() - p) < 5 * np.sqrt(p * (1 - p) / kept.size) + 1e-9
    if p < 1:  # Each cell by itself, anew at each pass.
        assert abs((kept[1:] & kept[:-1]).mean() - p * p) < 0.01
        assert abs((kept[:, :, :, 1:] & kept[:, :, :, :-1]).mean() - p * p) < 0.01


def test_pixels_of_a_cell_are_kept_together(tmp_path):
    kept = kept_by(make_net(tmp_path / 'n.prototxt', p=0.5, stride=8, shift=3), 30)
    rows, columns = ((np.arange(side) + 3) // 8 for side in SHAPE[2:])
    first = kept[..., np.unique(rows, return_index=True)[1], :][
        ..., np.unique(columns, return_index=True)[1]
    ]
    assert first.shape[3:] == (8, 10) and (first[:, :, :, rows[:, None], columns] == kept).all()
    assert abs(first.mean() - 0.5) < 5 * np.sqrt(0.25 / first.size)


@pytest.mark.parametrize('name', ['voc-fcn32s', 'voc-fcn16s', 'voc-fcn-googlenet', 'mini-fcn8s'])
def test_a_cell_is_what_the_score_of_one_place_is_interpolated_to(name):
    """The pixels of a cell are those where, of all cells, it weighs most once it is upsampled."""
    config, side = find(name), 200
    param = next(
        layer.python_param.param_str
        for layer in train_net(config, DATASETS[config.data].train, dict(p=0.5)).to_proto().layer
        if layer.type == 'Python' and layer.python_param.layer == 'SamplingLayer'
    )
    spec, field = json.loads(param), receptive_fields(deploy_net(config))
    stride, score = spec['stride'], field['score']
    # In a score upsampled by a kernel of 2·stride, the pixel y reads the two cells nearest to it.
    coarse = (
        next(
            values
            for blob, values in field.items()
            if blob.startswith(('score_fr', 'fuse_')) and values.stride == stride
        )
        if any(blob.startswith('fuse_') for blob in field)
        else field['score_fr']
    )
    middle = (coarse.low + coarse.high) / 2
    nearest = np.round((np.arange(side) - middle) / stride - 1e-9)
    ours = (np.arange(side) + spec['shift']) // stride
    assert len(set(ours - nearest)) == 1 and score.stride == 1


def test_void_stays_void_and_labels_stay_as_they_are(tmp_path):
    net = make_net(tmp_path / 'n.prototxt', p=0.5)
    label = np.random.default_rng(0).choice([0, 1, 2, 255], SHAPE)
    net.blobs['label0'].data[...] = label
    net.forward()
    sampled = net.blobs['label0_sampled'].data
    assert np.isin(sampled, (0, 1, 2, 255)).all() and (sampled == label)[sampled != 255].all()
    assert (sampled[label == 255] == 255).all() and (net.blobs['label0'].data == label).all()


def test_what_a_pass_keeps_depends_on_the_seed_and_its_number_alone(tmp_path):
    whole = kept_by(make_net(tmp_path / 'n.prototxt', p=0.5, seed=3), 6)
    np.random.seed(1)
    assert (
        kept_by(make_net(tmp_path / 'n.prototxt', p=0.5, seed=3, position=4), 2) == whole[4:]
    ).all()
    assert (kept_by(make_net(tmp_path / 'n.prototxt', p=0.5, seed=4), 6) != whole).any()


def test_all_labels_keep_the_same_cells(tmp_path):
    net = make_net(tmp_path / 'n.prototxt', labels=2, p=0.5)
    net.blobs['label0'].data[...], net.blobs['label1'].data[...] = 1, 2
    net.forward()
    first, second = (net.blobs[f'label{index}_sampled'].data for index in (0, 1))
    assert ((first == 255) == (second == 255)).all() and 0.4 < (first == 255).mean() < 0.6


def test_an_ignored_cell_has_no_gradient(tmp_path):
    net = make_net(tmp_path / 'n.prototxt', p=0.5)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(size=net.blobs['data'].data.shape)
    kept = kept_by(net, 1)[0][0, 0]
    net.backward()
    moved = net.blobs['score'].diff[0].any(0)
    assert (moved == kept).all()


@pytest.mark.parametrize(
    ('param', 'named'),
    [
        (dict(text='p'), 'not JSON'),
        (dict(text='1' * 5000), 'not JSON'),
        (dict(text='[' * 100_000), 'not JSON'),
        (dict(text='[0.5]'), r'\[0\.5\]'),
        (dict(seed=1), "'p'"),
        (dict(p=0.5, q=1), "'q'"),
        (dict(p=0), 'p is 0'),
        (dict(p=1.5), r'p is 1\.5'),
        (dict(p=float('nan')), 'p is nan'),
        (dict(p='0.5'), "p is '0.5'"),
        (dict(p=0.5, seed=-1), 'seed is -1'),
        (dict(p=0.5, stride=0), 'stride is 0'),
        (dict(p=0.5, position=1.0), r'position is 1\.0'),
    ],
)
def test_bad_options_are_named(param, named, tmp_path):
    with pytest.raises(DataError, match=named):
        make_net(tmp_path / 'n.prototxt', **param)
