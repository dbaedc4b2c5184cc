"""Each of Caffe's layers, as ONNX Runtime computes it of its export, against Caffe itself."""

from pathlib import Path

import numpy as np
import pytest
from onnx_models import assert_same, model_of, onnx_runtime, source_of

from fcn.errors import WeightsError
from fcn.onnx.net import LAYERS

SIZES = (1, 1), (5, 8), (13, 6), (31, 24)


def net(*layers, channels=6):
    """Return a prototxt: `layers` are the texts of layers, each with its type and parameters, and
    chained unless they name their bottoms and tops."""
    text = f"""
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: {channels} dim: 8 dim: 8 }} }} }}"""
    last = 'data'
    for index, layer in enumerate(layers):
        name = f'layer{index}'
        bottom = '' if 'bottom:' in layer or 'Parameter' in layer else f'bottom: "{last}"'
        top = '' if 'top:' in layer else f'top: "{name}"'
        text += f'\nlayer {{ name: "{name}" {bottom} {top} {layer} }}'
        last = name
    return text


def noise(height, width, batch=1, channels=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (batch, channels, height, width)).astype(np.float32)


def check(prototxt, sizes=SIZES, channels=6, positive=False, tolerance=1e-5):
    """Assert that a net and its export agree at sizes, for one image and for two."""
    source = source_of(prototxt)
    run = onnx_runtime(model_of(source))
    for height, width in sizes:
        for batch in (1, 2):
            image = noise(height, width, batch, channels)
            assert_same(source, run, {'data': np.abs(image) if positive else image}, tolerance)


LAYER_TEXTS = {
    'AbsVal': 'type: "AbsVal"',
    'BNLL': 'type: "BNLL"',
    'BatchNorm': 'type: "BatchNorm" batch_norm_param { eps: 0.01 }',
    'BatchNorm of the batch': 'type: "BatchNorm" batch_norm_param { use_global_stats: false }',
    'Bias': 'type: "Bias"',
    'Clip': 'type: "Clip" clip_param { min: -0.5 max: 0.7 }',
    'Dropout': 'type: "Dropout" dropout_param { dropout_ratio: 0.5 }',
    'ELU': 'type: "ELU" elu_param { alpha: 0.7 }',
    'Exp': 'type: "Exp"',
    'Exp, base 2': 'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 3 }',
    'Flatten': 'type: "Flatten"',
    'Flatten 2 to 3': 'type: "Flatten" flatten_param { axis: 2 }',
    'Flatten 0 to 1': 'type: "Flatten" flatten_param { axis: 0 end_axis: 1 }',
    'Flatten 1 to 2': 'type: "Flatten" flatten_param { axis: -3 end_axis: -2 }',
    'LRN': 'type: "LRN" lrn_param { local_size: 5 alpha: 0.3 beta: 0.75 k: 2 }',
    'LRN wide': 'type: "LRN" lrn_param { local_size: 9 alpha: 0.3 }',
    'LRN within': 'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.7 }',
    'MVN': 'type: "MVN" mvn_param { eps: 0.1 }',
    'MVN across': 'type: "MVN" mvn_param { across_channels: true eps: 0.1 }',
    'MVN mean': 'type: "MVN" mvn_param { normalize_variance: false }',
    'PReLU': 'type: "PReLU"',
    'PReLU shared': 'type: "PReLU" prelu_param { channel_shared: true }',
    'Power': 'type: "Power" power_param { power: 3 scale: 0.5 shift: -0.25 }',
    'Power linear': 'type: "Power" power_param { scale: 3 shift: 1 }',
    'Power 0': 'type: "Power" power_param { power: 0 }',
    'Power of the shift': 'type: "Power" power_param { power: 2 scale: 0 shift: 3 }',
    'ReLU': 'type: "ReLU"',
    'ReLU leaky': 'type: "ReLU" relu_param { negative_slope: 0.1 }',
    'Reduction': 'type: "Reduction" reduction_param { axis: 1 coeff: 0.5 }',
    'Reduction mean': 'type: "Reduction" reduction_param { operation: MEAN axis: -2 }',
    'Reduction of absolutes': 'type: "Reduction" reduction_param { operation: ASUM axis: 2 }',
    'Reduction of squares': 'type: "Reduction" reduction_param { operation: SUMSQ axis: 3 }',
    'Reshape': 'type: "Reshape" reshape_param { shape { dim: 0 dim: 2 dim: -1 } }',
    'Reshape inside': 'type: "Reshape" reshape_param { shape { dim: 2 dim: 3 } '
    'axis: 1 num_axes: 1 }',
    'Reshape at the end': 'type: "Reshape" reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }',
    'Scale': 'type: "Scale"',
    'Scale with bias': 'type: "Scale" scale_param { bias_term: true }',
    'Scale by one number': 'type: "Scale" scale_param { num_axes: 0 bias_term: true }',
    'Sigmoid': 'type: "Sigmoid"',
    'Softmax': 'type: "Softmax"',
    'Softmax along rows': 'type: "Softmax" softmax_param { axis: -1 }',
    'Swish': 'type: "Swish" swish_param { beta: 1.5 }',
    'TanH': 'type: "TanH"',
    'Threshold': 'type: "Threshold" threshold_param { threshold: 0.2 }',
    'Tile': 'type: "Tile" tile_param { axis: 1 tiles: 3 }',
    'Tile rows': 'type: "Tile" tile_param { axis: -2 tiles: 2 }',
    'ArgMax': 'type: "ArgMax" argmax_param { axis: 1 }',
    'ArgMax values': 'type: "ArgMax" argmax_param { axis: 1 out_max_val: true }',
    'ArgMax of all': 'type: "ArgMax"',
    'ArgMax of all with values': 'type: "ArgMax" argmax_param { out_max_val: true }',
    'GlobalPooling': 'type: "Pooling" pooling_param { pool: AVE global_pooling: true }',
    'GlobalMaxPooling': 'type: "Pooling" pooling_param { global_pooling: true }',
}


@pytest.mark.parametrize('name', LAYER_TEXTS)
def test_layer(name):
    check(net(LAYER_TEXTS[name]), tolerance=2e-6)


@pytest.mark.parametrize('text', ['', 'log_param { base: 10 scale: 2 shift: 1 }'])
def test_logarithm_of_positive_numbers(text):
    check(net(f'type: "Log" {text}'), positive=True, tolerance=2e-6)


def test_layers_in_place_are_named_and_computed_in_order():
    layer = 'bottom: "layer0" top: "layer0" type: "{}"'
    text = net(
        'type: "Convolution" convolution_param { num_output: 4 kernel_size: 1 }',
        layer.format('ReLU'),
        layer.format('Dropout'),
        layer.format('TanH'),
        'bottom: "layer0" top: "second" type: "AbsVal"',
    )
    check(text + '\nlayer { name: "third" bottom: "layer0" top: "third" type: "Power" }')
    model = model_of(source_of(text))
    assert [node.name for node in model.graph.node] == ['layer0', 'layer1', 'layer3', 'layer4']
    assert [node.output[0] for node in model.graph.node] == ['layer0', 'layer1', 'layer3', 'second']


def test_outputs_have_the_names_of_blobs():
    """Also one that is computed in place, one that is copied, and what Dropout leaves alone."""
    in_place = net('type: "TanH" top: "score"', 'type: "ReLU" bottom: "score" top: "score"')
    check(in_place)
    check(net('type: "TanH"', 'type: "Dropout"'))
    check(net('type: "Dropout"'))
    both = '\nlayer { name: "%s" type: "Dropout" bottom: "layer0" top: "%s" }'
    check(net('type: "TanH"') + both % ('one', 'one') + both % ('two', 'two'))


CONVOLUTIONS = [
    'kernel_size: 3 pad: 1',
    'kernel_size: 5 pad: 2 stride: 2 bias_term: false',
    'kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 stride_h: 2 stride_w: 1',
    'kernel_size: 3 pad: 2 dilation: 2 group: 2',
    'kernel_size: 1 group: 6',
    'kernel_size: 3 kernel_size: 5 pad: 1 pad: 2',
]


@pytest.mark.parametrize('text', CONVOLUTIONS)
def test_convolution(text):
    check(net(f'type: "Convolution" convolution_param {{ num_output: 12 {text} }}'))


@pytest.mark.parametrize('text', CONVOLUTIONS)
def test_deconvolution(text):
    text = text.replace('pad: 2 dilation', 'pad: 1 dilation').replace(
        'pad: 2 stride', 'pad: 0 stride'
    )
    check(net(f'type: "Deconvolution" convolution_param {{ num_output: 12 {text} }}'))


def test_diagonal_deconvolution_is_grouped():
    text = net('type: "Deconvolution" convolution_param { num_output: 6 kernel_size: 4 stride: 2 }')
    source = source_of(text)
    weights = source.net.params['layer0'][0].data
    weights *= np.eye(6)[..., None, None]
    model = model_of(source)
    (node,) = model.graph.node
    assert [a.i for a in node.attribute if a.name == 'group'] == [6]
    assert tuple(model.graph.initializer[0].dims) == (6, 1, 4, 4)
    for height, width in SIZES:
        assert_same(source, onnx_runtime(model), {'data': noise(height, width)})
    weights[0, 1, 3, 3] = 1e-30
    (node,) = model_of(source).graph.node
    assert [a.i for a in node.attribute if a.name == 'group'] == [1]


def test_convolution_of_several_bottoms_shares_its_weights():
    text = (
        net('type: "TanH"')
        + """
layer { name: "conv" type: "Convolution" bottom: "data" bottom: "layer0" top: "a" top: "b"
  convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }
layer { name: "c" type: "Convolution" bottom: "a" top: "c" param { name: "shared" }
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "d" type: "Convolution" bottom: "b" top: "d" param { name: "shared" }
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }"""
    )
    check(text)
    model = model_of(source_of(text))
    assert len(model.graph.initializer) == 3  # weights and biases of conv, and what is shared


@pytest.mark.parametrize('kernel', [1, 2, 3, 4, 5])
def test_poolings_have_caffes_windows_and_divisors(kernel):
    """Every stride and padding, rounded up and down, at every size from the kernel's: with the last
    window inside, across the border, and left out."""
    layers = []
    for pool in ('MAX', 'AVE'):
        for mode in ('CEIL', 'FLOOR'):
            for stride in (1, 2, 3, 4):
                for pad in range(kernel):
                    if pool == 'AVE' and stride > kernel and not pad and mode == 'CEIL':
                        continue
                    layers.append(
                        f'bottom: "data" type: "Pooling" pooling_param {{ pool: {pool} '
                        f'round_mode: {mode} kernel_size: {kernel} stride: {stride} pad: {pad} }}'
                    )
    check(net(*layers), [(kernel + i, kernel + 12 - i) for i in range(13)])


def test_pooling_of_images_smaller_than_its_kernel():
    """As far as a window is left when rounding up: 1×1 by 2×2, and 2×2 by 3×3."""
    for kernel, size in ((2, (1, 1)), (2, (1, 4)), (3, (2, 3)), (3, (5, 2))):
        text = f'kernel_size: {kernel} stride: 2'
        layers = [
            f'bottom: "data" type: "Pooling" pooling_param {{ pool: {pool} {text} }}'
            for pool in ('MAX', 'AVE')
        ]
        check(net(*layers), [size])


def test_pooling_of_other_heights_than_widths():
    text = 'kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 2 pad_h: {} pad_w: {} pool: {}'
    layers = [
        f'bottom: "data" type: "Pooling" pooling_param {{ {text.format(*choice)} }}'
        for choice in ((0, 0, 'MAX'), (1, 0, 'MAX'), (0, 3, 'MAX'), (0, 3, 'AVE'), (1, 4, 'AVE'))
    ]
    check(net(*layers), [(5 + i, 9 - i) for i in range(5)])


ELTWISE = {
    'sum': '',
    'weighted sum': 'coeff: 0.5 coeff: 1 coeff: -2',
    'product': 'operation: PROD',
    'maximum': 'operation: MAX',
}


@pytest.mark.parametrize('name', ELTWISE)
def test_eltwise_of_three(name):
    check(
        net(
            'type: "TanH"',
            'bottom: "data" type: "AbsVal"',
            'type: "Eltwise" bottom: "data" bottom: "layer0" bottom: "layer1" '
            f'eltwise_param {{ {ELTWISE[name]} }}',
        )
    )


def test_concat_and_slice():
    cut = 'type: "Slice" bottom: "data" top: "a{0}" top: "b{0}" top: "c{0}" slice_param {{ {1} }}'
    check(net(cut.format(0, ''), cut.format(1, 'axis: -3 slice_point: 1 slice_point: 4')))
    join = 'type: "Concat" bottom: "c0" bottom: "a0" concat_param {{ {} }}'
    quiet = '\nlayer { name: "quiet" type: "Silence" bottom: "b0" }'
    check(
        net(cut.format(0, 'axis: 3 slice_point: 2 slice_point: 5'), join.format('axis: -1'))
        + quiet,
        [(3, 7)],
    )
    check(net(cut.format(0, 'slice_dim: 1'), join.format('concat_dim: 0')) + quiet)


WIDER = 'type: "Convolution" convolution_param {{ num_output: {} kernel_size: 1 pad: 3 }}'
HIGHER = (
    'bottom: "data" type: "Convolution" '
    'convolution_param { num_output: 5 kernel_size: 1 pad_h: 3 pad_w: 0 }'
)
CROP = 'type: "Crop" bottom: "layer0" bottom: "{}" crop_param {{ {} }}'


@pytest.mark.parametrize('text', ['', 'offset: 2', 'offset: 1 offset: 3', 'axis: -2 offset: 5'])
def test_crop_at_any_size(text):
    check(net(WIDER.format(5), CROP.format('data', text)))


def test_crop_along_one_axis_or_three():
    check(net(WIDER.format(5), HIGHER, CROP.format('layer1', 'axis: 3 offset: 4')))
    offsets = 'axis: 1 offset: 1 offset: 0 offset: 2'
    check(net(WIDER.format(7), CROP.format('data', offsets)))


@pytest.mark.parametrize('text', ['', 'transpose: true bias_term: false', 'axis: -1'])
def test_inner_product_of_one_size(text):
    check(net(f'type: "InnerProduct" inner_product_param {{ num_output: 7 {text} }}'), [(8, 8)])


def test_inner_product_without_bias_and_then_another():
    layer = 'type: "InnerProduct" inner_product_param { num_output: 7 bias_term: false axis: %d }'
    check(net(layer % 2, layer % 1), [(8, 8)])


def test_scale_and_bias_by_another_blob():
    factor = 'type: "Reduction" reduction_param { axis: 2 operation: MEAN }'
    check(net(factor, 'type: "Scale" bottom: "data" bottom: "layer0" scale_param { axis: 0 }'))
    check(net(factor, 'type: "Bias" bottom: "data" bottom: "layer0" bias_param { axis: 0 }'))
    check(
        net('type: "TanH"', 'type: "Scale" bottom: "data" bottom: "layer0" scale_param { axis: 0 }')
    )


def test_parameter():
    check(
        net(
            'type: "Parameter" parameter_param { shape { dim: 6 } }',
            'type: "Scale" bottom: "data" bottom: "layer0"',
        )
    )


def test_ties_go_to_the_last_as_in_caffes_argmax():
    source = source_of(net('type: "ArgMax" argmax_param { axis: 1 }'))
    assert_same(source, onnx_runtime(model_of(source)), {'data': np.ones((1, 6, 3, 4), np.float32)})


def test_rules_of_phases_choose_layers():
    text = (
        net('type: "TanH"')
        + """
layer { name: "drop" type: "Power" bottom: "layer0" top: "out" power_param { scale: 9 }
  include { phase: TRAIN } }
layer { name: "drop" type: "Power" bottom: "layer0" top: "out" power_param { scale: 2 }
  exclude { phase: TRAIN } exclude { stage: "deploy" } }
layer { name: "never" type: "AbsVal" bottom: "out" top: "never" include { stage: "x" } }
layer { name: "far" type: "AbsVal" bottom: "out" top: "far" include { min_level: 2 } }"""
    )
    check(text)


def test_every_layer_of_the_table_is_tested():
    text = Path(__file__).read_text()
    assert not [kind for kind in LAYERS if f'type: "{kind}"' not in text and kind != 'Split']


REFUSED = {
    'SPP': 'type: "SPP" spp_param { pyramid_height: 2 }',
    'Im2col': 'type: "Im2col" convolution_param { kernel_size: 3 }',
    'Embed': 'type: "Embed" embed_param { num_output: 2 input_dim: 3 }',
    'EuclideanLoss': 'type: "EuclideanLoss" bottom: "data" bottom: "data"',
    'stochastic': 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }',
    'mask': 'type: "Pooling" top: "layer0" top: "mask" pooling_param { kernel_size: 2 }',
    'divided by zero': 'type: "Pooling" pooling_param { pool: AVE kernel_size: 1 stride: 2 }',
    'several': 'type: "ArgMax" argmax_param { top_k: 2 }',
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_exported_is_named(name):
    source = source_of(net(REFUSED[name]))
    with pytest.raises(WeightsError, match="layer 'layer0'"):
        model_of(source)
