"""The nets against the facts published weights depend on, and against themselves on odd images."""

import re

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from nets import FOLDER, NETS, prototxts
from surgery import start

FCNS = [name for name, row in NETS.items() if row.head]


def layers_of(name, phase='train'):
    spec = text_format.Parse(prototxts(name)[f'{phase}.prototxt'], caffe_pb2.NetParameter())
    return {layer.name: layer for layer in spec.layer}


@pytest.mark.parametrize('name', NETS)
def test_committed_files_are_what_the_script_writes(name):
    texts = prototxts(name)
    assert set(texts) == {path.name for path in (FOLDER / name).glob('*.prototxt')}
    for file, text in texts.items():
        assert (FOLDER / name / file).read_text() == text, f'run python nets/{name}/net.py'


@pytest.mark.parametrize('from_root', [True, False])
def test_script_runs_from_the_root_and_from_its_folder(from_root, command):
    file = FOLDER / 'voc-fcn8s' / 'deploy.prototxt'
    before = file.stat().st_mtime_ns
    result = command('nets/voc-fcn8s/net.py') if from_root else command('net.py', cwd=FOLDER / 'voc-fcn8s')
    assert result.returncode == 0, result.stderr
    assert str(file) in result.stdout
    assert file.stat().st_mtime_ns > before


@pytest.mark.parametrize(('name', 'offsets'), [
    ('voc-fcn32s', {'score': 19}),
    ('voc-fcn16s', {'score_pool4c': 5, 'score': 27}),
    ('voc-fcn8s', {'score_pool4c': 5, 'score_pool3c': 9, 'score': 31}),
    ('voc-fcn8s-atonce', {'score_pool4c': 5, 'score_pool3c': 9, 'score': 31}),
    ('voc-fcn-alexnet', {'score': 18}),
    ('voc-fcn-googlenet', {'score': 98}),
    ('voc-fcn16s-googlenet', {'upscore2c': 0, 'score': 98}),
    ('voc-fcn8s-googlenet', {'upscore2c': 0, 'upscore_inception_4ec': 0, 'score': 98}),
])
def test_crop_offsets(name, offsets):
    crops = {layer.name: layer.crop_param for layer in layers_of(name).values() if layer.type == 'Crop'}
    assert {name: list(crop.offset) for name, crop in crops.items()} == {k: [v] for k, v in offsets.items()}
    assert all(crop.axis == 2 for crop in crops.values())


@pytest.mark.parametrize(('name', 'kernels'), [
    ('voc-fcn32s', {'upscore': (64, 32)}),
    ('voc-fcn16s', {'upscore2': (4, 2), 'upscore16': (32, 16)}),
    ('voc-fcn8s', {'upscore2': (4, 2), 'upscore_pool4': (4, 2), 'upscore8': (16, 8)}),
    ('voc-fcn-alexnet', {'upscore': (63, 32)}),
    ('voc-fcn-googlenet', {'upscore': (63, 32)}),
])
def test_deconvolutions(name, kernels):
    found = {layer.name: layer for layer in layers_of(name).values() if layer.type == 'Deconvolution'}
    assert {name: (layer.convolution_param.kernel_size[0], layer.convolution_param.stride[0])
            for name, layer in found.items()} == kernels
    for layer in found.values():
        param = layer.convolution_param
        assert (param.num_output, param.bias_term, param.group, list(param.pad)) == (21, False, 1, [])
        assert [p.lr_mult for p in layer.param] == [0]


@pytest.mark.parametrize('name', ['voc-fcn32s', 'voc-fcn16s', 'voc-fcn8s', 'voc-fcn8s-atonce'])
def test_vgg_layers(name):
    layers = layers_of(name)
    convs = [layer for layer in layers.values() if layer.type == 'Convolution']
    trunk = [layer.name for layer in convs if not layer.name.startswith('score')]
    assert trunk == [f'conv{i}_{j}' for i, count in enumerate((2, 2, 3, 3, 3), 1)
                     for j in range(1, count + 1)] + ['fc6', 'fc7']
    for layer in convs:
        assert [(p.lr_mult, p.decay_mult) for p in layer.param] == [(1, 1), (2, 0)], layer.name
        assert not layer.convolution_param.HasField('weight_filler')
    param = {layer.name: layer.convolution_param for layer in convs}
    assert list(param['conv1_1'].pad) == [100] and list(param['conv1_2'].pad) == [1]
    assert (list(param['fc6'].kernel_size), param['fc6'].num_output, list(param['fc6'].pad)) == ([7], 4096, [0])
    assert (list(param['fc7'].kernel_size), param['fc7'].num_output) == ([1], 4096)
    loss = layers['loss']
    assert (loss.loss_param.ignore_label, loss.loss_param.normalize) == (255, False)
    assert not any(layer.type == 'Accuracy' for layer in layers.values())


def test_fusion_is_a_sum_of_what_the_names_say():
    layers = layers_of('voc-fcn8s')
    assert list(layers['fuse_pool4'].bottom) == ['upscore2', 'score_pool4c']
    assert list(layers['fuse_pool3'].bottom) == ['upscore_pool4', 'score_pool3c']
    assert layers['fuse_pool4'].eltwise_param.operation == caffe_pb2.EltwiseParameter.SUM
    assert list(layers['score_pool4c'].bottom) == ['score_pool4', 'upscore2']


def test_at_once_scales():
    layers = layers_of('voc-fcn8s-atonce')
    for name, value, skip in (('scale_pool4', 0.01, 'score_pool4'), ('scale_pool3', 0.0001, 'score_pool3')):
        assert layers[name].scale_param.filler.value == pytest.approx(value)
        assert [p.lr_mult for p in layers[name].param] == [0]
        assert list(layers[skip].bottom) == [name]


def test_alexnet_has_no_param_blocks_in_its_base_and_normalises_its_loss():
    layers = layers_of('voc-fcn-alexnet')
    for name in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7'):
        assert not layers[name].param
    assert layers['loss'].loss_param.normalize
    assert [layers[name].convolution_param.group for name in ('conv1', 'conv2', 'conv4', 'conv5')] == [1, 2, 2, 2]


@pytest.mark.parametrize('name', FCNS)
def test_score_has_the_size_of_the_input(name):
    """In steps of one pixel every phase of every stride occurs; Caffe aborts where a crop does not fit."""
    net = caffe.Net(str(FOLDER / name / 'deploy.prototxt'), caffe.TEST)
    classes = net.blobs['score'].shape[1]
    for height in (*range(1, 66), 333, 500):
        width = {500: 333, 333: 500}.get(height, 66 - height if height < 66 else 1)
        net.blobs['data'].reshape(1, 3, height, width)
        net.reshape()
        assert tuple(net.blobs['score'].shape) == (1, classes, height, width)
    for size in ((1, 1), (7, 150)):
        net.blobs['data'].reshape(1, 3, *size)
        net.blobs['data'].data[...] = 1
        assert net.forward()['score'].shape == (1, classes, *size)


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in FCNS if not name.startswith('mini')])
def test_deploy_net_runs_on_a_whole_photo(name):
    net = caffe.Net(str(FOLDER / name / 'deploy.prototxt'), caffe.TEST)
    start(net, [], init_missing=True)
    rng = np.random.default_rng(0)
    for layer, blobs in net.params.items():
        if layer.startswith('score'):
            blobs[0].data[...] = rng.normal(0, 0.01, blobs[0].data.shape)
    net.blobs['data'].reshape(1, 3, 500, 333)
    net.blobs['data'].data[...] = rng.normal(0, 50, (1, 3, 500, 333))
    score = net.forward()['score']
    assert score.shape == (1, 21, 500, 333) and np.isfinite(score).all()
    assert score[0].std((1, 2)).min() > 0


def test_an_unknown_net_is_named_with_those_there_are(command):
    result = command('solve.py', 'voc-fcn64s')
    assert result.returncode == 2
    assert re.fullmatch(r"solve\.py: no net is named 'voc-fcn64s'; the nets are: .*voc-fcn8s.*\n", result.stderr)
