"""The nets against the facts published weights depend on, and against themselves on odd images."""

import json

import caffe
import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from fcn.data_layers import DATASETS
from fcn.engine import net_of
from fcn.nets import NETS, deploy_net, find
from fcn.prototxts import prototxts

FCNS = [name for name, config in NETS.items() if not config.is_classifier]


def layers_of(name: str) -> dict[str, caffe_pb2.LayerParameter]:
    phase = DATASETS[NETS[name].data].phases[0]
    spec = text_format.Parse(prototxts(name)[f'{phase}.prototxt'], caffe_pb2.NetParameter())
    return {layer.name: layer for layer in spec.layer}


@pytest.mark.parametrize(
    ('name', 'offsets'),
    [
        ('voc-fcn32s', {'score': 19}),
        ('voc-fcn16s', {'score_pool4c': 5, 'score': 27}),
        ('voc-fcn8s', {'score_pool4c': 5, 'score_pool3c': 9, 'score': 31}),
        ('voc-fcn8s-atonce', {'score_pool4c': 5, 'score_pool3c': 9, 'score': 31}),
        ('voc-fcn-alexnet', {'score': 18}),
        ('voc-fcn-googlenet', {'score': 98}),
        ('voc-fcn16s-googlenet', {'upscore2c': 0, 'score': 98}),
        ('voc-fcn8s-googlenet', {'upscore2c': 0, 'upscore_inception_4ec': 0, 'score': 98}),
        ('pascalcontext-fcn8s', {'score_pool4c': 5, 'score_pool3c': 9, 'score': 31}),
        (
            'siftflow-fcn16s',
            {'score_pool4_semc': 5, 'score_sem': 27, 'score_pool4_geoc': 5, 'score_geo': 27},
        ),
        ('nyud-fcn32s-color-d', {'score': 19}),
        ('nyud-fcn16s-color-hha', {'score_pool4_fusedc': 5, 'score': 27}),
    ],
)
def test_crop_offsets(name: str, offsets: dict[str, int]) -> None:
    crops = {
        layer.name: layer.crop_param for layer in layers_of(name).values() if layer.type == 'Crop'
    }
    assert {name: list(crop.offset) for name, crop in crops.items()} == {
        k: [v] for k, v in offsets.items()
    }
    assert all(crop.axis == 2 for crop in crops.values())


@pytest.mark.parametrize(
    ('name', 'kernels'),
    [
        ('voc-fcn32s', {'upscore': (64, 32)}),
        ('voc-fcn16s', {'upscore2': (4, 2), 'upscore16': (32, 16)}),
        ('voc-fcn8s', {'upscore2': (4, 2), 'upscore_pool4': (4, 2), 'upscore8': (16, 8)}),
        ('voc-fcn-alexnet', {'upscore': (63, 32)}),
        ('voc-fcn-googlenet', {'upscore': (63, 32)}),
    ],
)
def test_deconvolutions(name: str, kernels: dict[str, tuple[int, int]]) -> None:
    found = {
        layer.name: layer for layer in layers_of(name).values() if layer.type == 'Deconvolution'
    }
    assert {
        name: (layer.convolution_param.kernel_size[0], layer.convolution_param.stride[0])
        for name, layer in found.items()
    } == kernels
    for layer in found.values():
        param = layer.convolution_param
        assert (param.num_output, param.bias_term, param.group, list(param.pad)) == (
            21,
            False,
            1,
            [],
        )
        assert [p.lr_mult for p in layer.param] == [0]


@pytest.mark.parametrize(
    'name', ['voc-fcn32s', 'voc-fcn16s', 'voc-fcn8s', 'voc-fcn8s-atonce', 'pascalcontext-fcn8s']
)
def test_vgg_layers(name: str) -> None:
    layers = layers_of(name)
    convs = [layer for layer in layers.values() if layer.type == 'Convolution']
    backbone = [layer.name for layer in convs if not layer.name.startswith('score')]
    assert backbone == [
        f'conv{i}_{j}' for i, count in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, count + 1)
    ] + ['fc6', 'fc7']
    for layer in convs:
        assert [(p.lr_mult, p.decay_mult) for p in layer.param] == [(1, 1), (2, 0)], layer.name
        assert not layer.convolution_param.HasField('weight_filler')
    param = {layer.name: layer.convolution_param for layer in convs}
    assert list(param['conv1_1'].pad) == [100] and list(param['conv1_2'].pad) == [1]
    assert (list(param['fc6'].kernel_size), param['fc6'].num_output, list(param['fc6'].pad)) == (
        [7],
        4096,
        [0],
    )
    assert (list(param['fc7'].kernel_size), param['fc7'].num_output) == ([1], 4096)
    loss = layers['loss']
    assert (loss.loss_param.ignore_label, loss.loss_param.normalize) == (255, False)
    assert not any(layer.type == 'Accuracy' for layer in layers.values())


def test_fusion_is_a_sum_of_what_the_names_say() -> None:
    layers = layers_of('voc-fcn8s')
    assert list(layers['fuse_pool4'].bottom) == ['upscore2', 'score_pool4c']
    assert list(layers['fuse_pool3'].bottom) == ['upscore_pool4', 'score_pool3c']
    assert layers['fuse_pool4'].eltwise_param.operation == caffe_pb2.EltwiseParameter.SUM
    assert list(layers['score_pool4c'].bottom) == ['score_pool4', 'upscore2']


def test_at_once_scales() -> None:
    layers = layers_of('voc-fcn8s-atonce')
    for name, value, skip in (
        ('scale_pool4', 0.01, 'score_pool4'),
        ('scale_pool3', 0.0001, 'score_pool3'),
    ):
        assert layers[name].scale_param.filler.value == pytest.approx(value)
        assert [p.lr_mult for p in layers[name].param] == [0]
        assert list(layers[skip].bottom) == [name]


def test_sift_flow_has_two_heads_on_one_backbone() -> None:
    layers = layers_of('siftflow-fcn8s')
    for suffix, classes, loss in (('sem', 33, 'loss'), ('geo', 3, 'loss_geo')):
        for name in (
            'score_fr',
            'score_pool4',
            'score_pool3',
            'upscore2',
            'upscore_pool4',
            'upscore8',
        ):
            assert layers[f'{name}_{suffix}'].convolution_param.num_output == classes
        assert list(layers[loss].bottom) == [f'score_{suffix}', suffix]
        assert not layers[loss].loss_weight and not layers[loss].loss_param.normalize
        assert list(layers[f'fuse_pool3_{suffix}'].bottom) == [
            f'upscore_pool4_{suffix}',
            f'score_pool3_{suffix}c',
        ]
    assert list(layers['data'].top) == ['data', 'sem', 'geo']
    assert sum(layer.type == 'Convolution' for layer in layers.values()) == 15 + 6


@pytest.mark.parametrize('label', ['sem', 'geo'])
def test_one_label_alone_has_the_layers_of_its_head_in_the_net_of_both(label: str) -> None:
    (other,) = {'sem', 'geo'} - {label}
    both = {
        name: layer
        for name, layer in layers_of('siftflow-fcn16s').items()
        if f'_{other}' not in name
    }
    alone = layers_of(f'siftflow-fcn16s-{label}')
    assert list(alone['data'].top) == ['data', label]
    assert json.loads(alone['data'].python_param.param_str)['tops'] == ['data', label]
    assert list(alone['loss'].bottom) == [f'score_{label}', label]
    assert set(alone) == {*both, 'loss'} - {'loss_geo'}
    assert all(layer == both[name] for name, layer in alone.items() if name not in ('data', 'loss'))


def test_late_fusion_averages_two_whole_streams() -> None:
    layers = layers_of('nyud-fcn32s-color-hha')
    one = [
        name
        for name, layer in layers_of('nyud-fcn32s-color').items()
        if layer.type in ('Convolution', 'Pooling')
    ]
    assert len(one) == 16 + 5
    for stream in ('color', 'hha'):
        assert all(name + stream in layers for name in one)
        assert list(layers[f'conv1_1{stream}'].bottom) == [stream]
    fused = layers['score_fused']
    assert list(fused.bottom) == ['score_frcolor', 'score_frhha']
    assert list(fused.eltwise_param.coeff) == [0.5, 0.5]
    assert list(layers['upscore'].bottom) == ['score_fused'] and list(layers['score'].bottom) == [
        'upscore',
        'color',
    ]
    assert json.loads(layers['color'].python_param.param_str)['tops'] == ['color', 'hha', 'label']
    finer = layers_of('nyud-fcn16s-color-hha')
    assert list(finer['score_pool4_fused'].bottom) == ['score_pool4color', 'score_pool4hha']


def test_early_fusion_gives_the_first_layer_one_more_channel() -> None:
    layers = layers_of('nyud-fcn32s-color-d')
    assert list(layers['data'].bottom) == ['color', 'depth'] and layers['data'].type == 'Concat'
    assert list(layers['conv1_1_bgrd'].bottom) == ['data'] and 'conv1_1' not in layers
    assert list(layers['score'].bottom) == ['upscore', 'data']


def test_the_papers_comparisons() -> None:
    """Sections 4.1 to 4.3: what is learned, what is fused and how the loss is taken."""
    for name, layer in layers_of('voc-fcn32s-fixed').items():
        if layer.type == 'Convolution':
            assert [p.lr_mult for p in layer.param] == ([1, 2] if name == 'score_fr' else [0, 0])
            assert [p.decay_mult for p in layer.param] == ([1, 0] if name == 'score_fr' else [0, 0])
    cvpr = layers_of('voc-fcn8s-cvpr')
    assert {
        name: layer.param[0].lr_mult
        for name, layer in cvpr.items()
        if layer.type == 'Deconvolution'
    } == {'upscore2': 1, 'upscore_pool4': 1, 'upscore8': 0}
    assert cvpr['loss'].loss_param.normalize
    assert (
        layers_of('voc-fcn16s-max')['fuse_pool4'].eltwise_param.operation
        == caffe_pb2.EltwiseParameter.MAX
    )
    pool3 = layers_of('voc-fcn-pool3')
    assert list(pool3['score_pool3'].bottom) == ['pool3'] and 'conv4_1' not in pool3
    assert list(pool3['upscore8'].bottom) == ['score_pool3']
    vgg19 = [name for name in layers_of('voc-fcn32s-vgg19') if name.startswith('conv')]
    assert len(vgg19) == 16 and 'conv5_4' in vgg19
    assert layers_of('voc-fcn32s-lower-lr') == layers_of('voc-fcn32s')


def test_alexnet_has_no_param_blocks_in_its_base_and_normalises_its_loss() -> None:
    layers = layers_of('voc-fcn-alexnet')
    for name in ('conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7'):
        assert not layers[name].param
    assert layers['loss'].loss_param.normalize
    assert [
        layers[name].convolution_param.group for name in ('conv1', 'conv2', 'conv4', 'conv5')
    ] == [1, 2, 2, 2]


def reshape(net: caffe.Net, height: int, width: int) -> None:
    for name in net.inputs:
        net.blobs[name].reshape(1, net.blobs[name].shape[1], height, width)
    net.reshape()


@pytest.mark.parametrize('name', FCNS)
def test_scores_have_the_size_of_the_input(name: str) -> None:
    """In steps of one pixel every phase of every stride occurs; Caffe aborts on a crop that does
    not fit."""
    net = net_of(deploy_net(find(name)))
    labels = DATASETS[NETS[name].data].labels
    assert set(net.outputs) == set(NETS[name].score_blobs.values())
    for height in (*range(1, 66), 333, 500):
        width = {500: 333, 333: 500}.get(height, 66 - height if height < 66 else 1)
        reshape(net, height, width)
        for label, scores in NETS[name].score_blobs.items():
            assert tuple(net.blobs[scores].shape) == (1, len(labels[label]), height, width)


# One on VGG-16, which takes long, and all on other backbones; the miniature has the same heads.
COMPUTED = {'voc-fcn8s'} | {
    name for name in FCNS if any(kind in name for kind in ('mini', 'alexnet', 'googlenet'))
}


@pytest.mark.parametrize(
    'name',
    [pytest.param(name, marks=[] if name in COMPUTED else pytest.mark.slow) for name in FCNS],
)
def test_a_small_image_is_scored(name: str) -> None:
    net = net_of(deploy_net(find(name)))
    reshape(net, 7, 50)
    for top in net.inputs:
        net.blobs[top].data[...] = 1
    for scores in net.forward().values():
        assert scores.shape[2:] == (7, 50)
