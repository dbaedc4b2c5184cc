"""Every layer type of our nets: the GPU agrees with the CPU, and backward with differences."""

import numpy as np
import pytest

from fcn.data_layers import DATASETS
from fcn.engine import _build, caffe, choose_device
from fcn.nets import NETS, deploy_net, train_net

GPUS = 0
if _build.CUDA:
    from caffe import _cuda

    GPUS = _cuda.device_count()
needs_gpu = pytest.mark.skipif(not GPUS, reason='needs a GPU and an engine built with CUDA')

# Name → type, the shapes of its bottoms, its parameters.
LAYERS = {
    'convolution': (
        'Convolution',
        [(2, 4, 13, 11)],
        'convolution_param { num_output: 6 kernel_size: 3 pad: 1 }',
    ),
    'convolution, wide pad': (
        'Convolution',
        [(1, 3, 9, 7)],
        'convolution_param { num_output: 8 kernel_size: 3 pad: 30 }',
    ),
    'convolution, stride': (
        'Convolution',
        [(1, 3, 23, 21)],
        'convolution_param { num_output: 5 kernel_size: 7 stride: 2 pad: 3 }',
    ),
    'convolution, groups': (
        'Convolution',
        [(1, 4, 13, 11)],
        'convolution_param { num_output: 6 kernel_size: 5 pad: 2 group: 2 }',
    ),
    'score': (
        'Convolution',
        [(1, 16, 9, 7)],
        'convolution_param { num_output: 21 kernel_size: 1 }',
    ),
    'deconvolution': (
        'Deconvolution',
        [(1, 5, 6, 7)],
        'convolution_param { num_output: 5 kernel_size: 4 stride: 2 bias_term: false }',
    ),
    'deconvolution, k63': (
        'Deconvolution',
        [(1, 3, 3, 4)],
        'convolution_param { num_output: 3 kernel_size: 63 stride: 32 bias_term: false }',
    ),
    'max pooling': ('Pooling', [(1, 3, 12, 11)], 'pooling_param { kernel_size: 3 stride: 2 }'),
    'max pooling, pad': (
        'Pooling',
        [(1, 3, 9, 8)],
        'pooling_param { kernel_size: 3 stride: 1 pad: 1 }',
    ),
    'average pooling': (
        'Pooling',
        [(1, 3, 7, 7)],
        'pooling_param { pool: AVE kernel_size: 7 stride: 1 }',
    ),
    'ReLU': ('ReLU', [(1, 3, 9, 7)], ''),
    'LRN': ('LRN', [(1, 9, 6, 7)], 'lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }'),
    'crop': ('Crop', [(1, 3, 12, 13), (1, 1, 5, 6)], 'crop_param { axis: 2 offset: 4 }'),
    'sum': (
        'Eltwise',
        [(1, 3, 6, 7)] * 2,
        'eltwise_param { operation: SUM coeff: 0.5 coeff: 0.5 }',
    ),
    'maximum': ('Eltwise', [(1, 3, 6, 7)] * 2, 'eltwise_param { operation: MAX }'),
    'scale': ('Scale', [(1, 3, 6, 7)], ''),
    'concatenation': ('Concat', [(1, 3, 6, 7), (1, 2, 6, 7)], ''),
    'fully connected': ('InnerProduct', [(1, 3, 4, 5)], 'inner_product_param { num_output: 7 }'),
    'softmax': ('Softmax', [(1, 5, 6, 7)], ''),
    'loss': (
        'SoftmaxWithLoss',
        [(1, 5, 6, 7), (1, 1, 6, 7)],
        'loss_param { ignore_label: 255 normalize: false }',
    ),
    'dropout, not learning': ('Dropout', [(1, 3, 6, 7)], 'dropout_param { dropout_ratio: 0.5 }'),
}
# The types that compute nothing.
OTHERS = {'Input', 'Python'}


def build(case, tmp_path):
    """Return a net of one layer, its bottoms and weights filled with distinct random values."""
    kind, shapes, params = LAYERS[case]
    names = [f'bottom{index}' for index in range(len(shapes))]
    inputs = ''.join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        f'{" ".join(f"dim: {size}" for size in shape)} }} }} }}\n'
        for name, shape in zip(names, shapes, strict=True)
    )
    bottoms = ' '.join(f'bottom: "{name}"' for name in names)
    path = tmp_path / 'net.prototxt'
    path.write_text(
        f'force_backward: true\n{inputs}'
        f'layer {{ name: "layer" type: "{kind}" {bottoms} top: "top" {params} }}\n'
    )
    net = caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(5)
    for index, blob in enumerate(variables(net, case)):
        # Far enough apart that the steps below change no maximum and no sign.
        values = (rng.permutation(blob.count) - blob.count / 2 + 0.5) * (
            0.05 if blob.count < 100 else 0.01
        )
        blob.data[...] = values.reshape(blob.shape) + 0.005 * index
    if kind == 'SoftmaxWithLoss':
        net.blobs['bottom1'].data[...] = rng.choice([0, 1, 2, 3, 4, 255], shapes[1])
    return net


def variables(net, case):
    """Return the blobs with respect to which the layer's output is differentiable."""
    count = 1 if LAYERS[case][0] in ('SoftmaxWithLoss', 'Crop') else len(LAYERS[case][1])
    return [*(net.blobs[f'bottom{index}'] for index in range(count)), *net.params.get('layer', ())]


def gradient_of_top(net):
    shape = net.blobs['top'].data.shape
    return (
        np.ones(shape, np.float32)
        if not shape
        else np.random.default_rng(6).normal(size=shape).astype(np.float32)
    )


def compute(net, case):
    """Return the layer's output, and its variables' gradients for one gradient of the output."""
    net.forward()
    net.clear_param_diffs()
    net.blobs['top'].diff[...] = gradient_of_top(net)
    net.backward()
    return [net.blobs['top'].data.copy(), *(blob.diff.copy() for blob in variables(net, case))]


@needs_gpu
@pytest.mark.parametrize('case', LAYERS)
def test_gpu_agrees_with_cpu(case, tmp_path):
    choose_device(-1)
    expected = compute(build(case, tmp_path), case)
    choose_device(0)
    for found, wanted in zip(compute(build(case, tmp_path), case), expected, strict=True):
        np.testing.assert_allclose(
            found, wanted, rtol=1e-4, atol=1e-4 * max(abs(wanted).max(), 1e-6)
        )


@pytest.mark.parametrize('where', ['cpu', pytest.param('gpu', marks=needs_gpu)])
@pytest.mark.parametrize('case', LAYERS)
def test_backward_is_the_derivative_of_forward(case, where, tmp_path):
    """Along a random direction, by central differences."""
    choose_device(0 if where == 'gpu' else -1)
    net = build(case, tmp_path)
    gradients = compute(net, case)[1:]
    top = gradient_of_top(net).astype(np.float64)
    rng = np.random.default_rng(7)
    for blob, gradient in zip(variables(net, case), gradients, strict=True):
        step = 0.002 * rng.choice([-1, 1], blob.data.shape)
        value, ends = blob.data.copy(), []
        for sign in (1, -1):
            blob.data[...] = value + sign * step
            net.forward()
            ends.append((net.blobs['top'].data * top).sum())
        blob.data[...] = value
        expected = (ends[0] - ends[1]) / 2
        found = (gradient.astype(np.float64) * step).sum()
        assert found == pytest.approx(
            expected, rel=0.02, abs=0.002 * np.linalg.norm(gradient * step)
        )


def nets_of(config):
    """Return a configuration's nets: a classifier has no data set to learn from."""
    source = DATASETS[config.data].train
    return [deploy_net(config), *([train_net(config, source)] if source else [])]


def test_every_layer_type_of_our_nets_is_here():
    used = {
        layer.type
        for config in NETS.values()
        for net in nets_of(config)
        for layer in net.to_proto().layer
    }
    assert used - OTHERS <= {kind for kind, _, _ in LAYERS.values()}


def test_images_of_many_sizes(tmp_path):
    """The output for a size is the same, bit for bit, whatever sizes came between."""
    choose_device(0 if GPUS else -1)
    net = build('convolution, groups', tmp_path)
    small, large = (
        np.random.default_rng(8).normal(size=(1, 4, side, side + 3)).astype(np.float32)
        for side in (17, 40)
    )
    outputs = []
    for image in (small, large, small):
        net.blobs['bottom0'].reshape(*image.shape)
        net.blobs['bottom0'].data[...] = image
        outputs.append(net.forward()['top'].copy())
    assert np.array_equal(outputs[0], outputs[2])
