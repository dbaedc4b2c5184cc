"""Our layers against Caffe's own, which the same process has as StockConvolution and so on, and
against finite differences; weights changed in every public way; limited instruction sets."""

import os
import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe import layers as L

pytestmark = pytest.mark.cpu

# Bottom N×C×H×W, and the layer's parameters: from VGG-16, AlexNet, GoogLeNet and from no net.
CONVOLUTIONS = {
    'first': ((1, 3, 20, 17), dict(num_output=16, kernel_size=3, pad=100)),
    'winograd': ((1, 32, 22, 27), dict(num_output=48, kernel_size=3, pad=1)),
    'winograd, odd channels': (
        (2, 35, 13, 9),
        dict(num_output=37, kernel_size=3, pad=1, bias_term=False),
    ),
    'winograd without padding': ((1, 32, 19, 19), dict(num_output=32, kernel_size=3)),
    'small image': ((1, 64, 3, 2), dict(num_output=32, kernel_size=3, pad=1)),
    'groups': ((2, 32, 14, 15), dict(num_output=48, kernel_size=5, pad=2, group=2)),
    'depthwise': ((1, 12, 9, 8), dict(num_output=12, kernel_size=3, pad=1, group=12)),
    'stride': ((1, 16, 23, 30), dict(num_output=20, kernel_size=5, stride=2, pad=1)),
    'first, stride': ((1, 3, 47, 52), dict(num_output=24, kernel_size=11, stride=4, pad=30)),
    'dilation': ((1, 16, 21, 24), dict(num_output=16, kernel_size=3, dilation=3, pad=3)),
    'dilation of many channels': (
        (1, 32, 26, 27),
        dict(num_output=32, kernel_size=3, dilation=2, pad=2),
    ),
    'not square': (
        (1, 16, 18, 25),
        dict(num_output=8, kernel_h=1, kernel_w=5, pad_h=0, pad_w=2, stride_h=2, stride_w=1),
    ),
    'pointwise': ((2, 40, 7, 9), dict(num_output=21, kernel_size=1)),
    'pointwise, stride': ((1, 16, 9, 9), dict(num_output=16, kernel_size=1, stride=2)),
    'whole image': ((1, 16, 7, 7), dict(num_output=64, kernel_size=7)),
    'one pixel': ((1, 1, 1, 1), dict(num_output=1, kernel_size=1)),
    'three dimensions': ((1, 4, 5, 6, 7), dict(num_output=3, kernel_size=3, pad=1)),
}
DECONVOLUTIONS = {
    'upscore2': ((1, 21, 6, 7), dict(num_output=21, kernel_size=4, stride=2, bias_term=False)),
    'upscore8, padded': ((2, 5, 4, 6), dict(num_output=5, kernel_size=16, stride=8, pad=3)),
    'other channels': ((1, 18, 8, 9), dict(num_output=7, kernel_size=3, stride=2, pad=1)),
    'stride 1': ((1, 32, 14, 16), dict(num_output=40, kernel_size=3, pad=1)),
    'groups': ((1, 6, 7, 5), dict(num_output=6, kernel_size=4, stride=2, group=6)),
    'odd kernel': ((1, 3, 5, 4), dict(num_output=3, kernel_size=63, stride=32, pad=2)),
    'dilation': ((1, 4, 6, 6), dict(num_output=4, kernel_size=3, stride=2, dilation=2)),
}
POOLING_BY_TWOS = dict(pooling_param=dict(pool=0, kernel_size=2, stride=2))
OTHERS = {
    'max pooling': (
        (2, 5, 15, 18),
        'Pooling',
        dict(pooling_param=dict(pool=0, kernel_size=2, stride=2)),
    ),
    'padded pooling': (
        (1, 4, 14, 13),
        'Pooling',
        dict(pooling_param=dict(pool=0, kernel_size=3, stride=2, pad=1)),
    ),
    'dense pooling': (
        (1, 6, 9, 9),
        'Pooling',
        dict(pooling_param=dict(pool=0, kernel_size=3, stride=1, pad=1)),
    ),
    'max pooling of one cell': ((2, 3, 1, 1), 'Pooling', POOLING_BY_TWOS),
    'max pooling of a column': ((2, 3, 5, 1), 'Pooling', POOLING_BY_TWOS),
    'average pooling': (
        (1, 5, 13, 10),
        'Pooling',
        dict(pooling_param=dict(pool=1, kernel_size=3, stride=2, pad=1)),
    ),
    'global pooling': (
        (2, 3, 7, 5),
        'Pooling',
        dict(pooling_param=dict(pool=1, global_pooling=True)),
    ),
    'relu': ((2, 3, 6, 5), 'ReLU', {}),
    'leaky relu': ((2, 3, 6, 5), 'ReLU', dict(relu_param=dict(negative_slope=0.25))),
    'lrn': ((2, 9, 18, 17), 'LRN', dict(lrn_param=dict(local_size=5, alpha=1e-2, beta=0.75))),
    'lrn of another power': (
        (1, 6, 5, 4),
        'LRN',
        dict(lrn_param=dict(local_size=3, alpha=2e-2, beta=0.6, k=2.0)),
    ),
    'lrn in a channel': ((1, 4, 8, 7), 'LRN', dict(lrn_param=dict(local_size=3, norm_region=1))),
}
CASES = [
    pytest.param(shape, 'Convolution', dict(convolution_param=param), id=f'convolution, {name}')
    for name, (shape, param) in CONVOLUTIONS.items()
]
CASES += [
    pytest.param(shape, 'Deconvolution', dict(convolution_param=param), id=f'deconvolution, {name}')
    for name, (shape, param) in DECONVOLUTIONS.items()
]
CASES += [
    pytest.param(shape, kind, param, id=name) for name, (shape, kind, param) in OTHERS.items()
]


def make_net(folder, shape, kind, phase=caffe.TRAIN, **param):
    """A net of one layer, `top`, on an input, with gradients all the way down."""
    spec = caffe.NetSpec()
    spec.data = L.Input(input_param=dict(shape=dict(dim=list(shape))))
    spec.top = getattr(L, kind.removeprefix('Stock'))(spec.data, **param)
    proto = spec.to_proto()
    proto.layer[1].type = kind
    proto.force_backward = True
    path = folder / f'{kind}.prototxt'
    path.write_text(str(proto))
    return caffe.Net(str(path), phase)


def fill(net, seed=0):
    """Random data and weights, the same for nets of the same shapes."""
    rng = np.random.default_rng(seed)
    # Values apart from each other and from 0, so that no maximum is near another.
    data = net.blobs['data'].data
    data[...] = (rng.permutation(data.size).reshape(data.shape) + 0.5 - data.size // 2) * (
        8 / data.size
    )
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.data.shape) / np.sqrt(
                max(1, np.prod(blob.data.shape[1:]))
            )
    return rng


def run(net, diff):
    """The top, and the gradients by the data and the parameters for this gradient of the top."""
    top = net.forward()['top'].copy()
    for blob in net.params.get('top', ()):
        blob.diff[...] = 0
    net.backward(top=diff)
    return [
        top,
        net.blobs['data'].diff.copy(),
        *(blob.diff.copy() for blob in net.params.get('top', ())),
    ]


def close(ours, stock, share=2e-5):
    """Assert equality up to rounding: sums are in another order, Winograd's among them.

    `share` of the largest value is allowed as a difference.
    """
    np.testing.assert_allclose(ours, stock, rtol=0, atol=share * max(1e-3, np.abs(stock).max()))


@pytest.mark.parametrize('shape, kind, param', CASES)
def test_equals_caffes_own(tmp_path, shape, kind, param):
    ours, stock = (make_net(tmp_path, shape, name, **param) for name in (kind, f'Stock{kind}'))
    for net in (ours, stock):
        rng = fill(net)
    diff = rng.standard_normal(ours.blobs['top'].data.shape).astype(np.float32)
    for one, other in zip(run(ours, diff), run(stock, diff), strict=True):
        close(one, other)


@pytest.mark.parametrize('shape, kind, param', CASES)
def test_gradients_are_finite_differences(tmp_path, shape, kind, param):
    """As Caffe's gradient checker does it: each of some inputs and weights moved both ways."""
    net = make_net(tmp_path, shape, kind, **param)
    rng = fill(net, seed=1)
    diff = rng.standard_normal(net.blobs['top'].data.shape).astype(np.float32)
    run(net, diff)
    # All but pooling's and ReLU's kinks and LRN's curve is linear: there the step may be large.
    linear = 'onvolution' in kind
    step = 0.5 if linear else 3.5 / net.blobs['data'].count
    step = 0.02 if kind == 'LRN' else step
    for blob in (net.blobs['data'], *net.params.get('top', ())):
        gradient = blob.diff.ravel().copy()
        for index in rng.choice(gradient.size, min(8, gradient.size), replace=False):
            kept, values = blob.data.flat[index], []
            for move in (step, -step):
                blob.data.flat[index] = kept + move
                values.append(np.sum(net.forward()['top'].astype(float) * diff))
            blob.data.flat[index] = kept
            numeric = (values[0] - values[1]) / (2 * step)
            assert numeric == pytest.approx(
                gradient[index], rel=1e-2, abs=1e-2 * max(1, float(np.abs(gradient).max()))
            )


def test_bands_of_a_large_batch(tmp_path):
    """What would take too much workspace is computed in bands: their seams do not show."""
    param = dict(convolution_param=dict(num_output=32, kernel_h=3, kernel_w=5, pad_h=1, pad_w=2))
    ours, stock = (
        make_net(tmp_path, (24, 32, 203, 150), kind, **param)
        for kind in ('Convolution', 'StockConvolution')
    )
    for net in (ours, stock):
        rng = fill(net)
    diff = rng.standard_normal(ours.blobs['top'].data.shape, dtype=np.float32)
    results = zip(run(ours, diff), run(stock, diff), strict=True)
    for (one, other), share in zip(results, (2e-5, 2e-5, 1e-4, 2e-5), strict=True):
        close(one, other, share)  # A weight's gradient is the sum of 700,000 products.


@pytest.mark.slow
@pytest.mark.parametrize('count, kernel, pad', [(24, 3, 0), (45, 3, 1), (24, 5, 2)])
def test_bands_of_other_kernels(tmp_path, count, kernel, pad):
    """Two or three bands, without padding or with padding on one side, against image by image."""
    param = dict(convolution_param=dict(num_output=32, kernel_h=kernel, kernel_w=4, pad=pad))
    batch = make_net(tmp_path, (count, 32, 203, 150), 'Convolution', **param)
    single = make_net(tmp_path, (1, 32, 203, 150), 'Convolution', **param)
    diff = fill(batch).standard_normal(batch.blobs['top'].data.shape, dtype=np.float32)
    top, data_diff, weight_diff, bias_diff = run(batch, diff)
    fill(single)
    sums = [np.zeros_like(gradient) for gradient in (weight_diff, bias_diff)]
    for index in range(count):
        for blob, same in zip(single.params['top'], batch.params['top'], strict=True):
            blob.data[...] = same.data
        single.blobs['data'].data[...] = batch.blobs['data'].data[index]
        one_top, one_data_diff, *gradients = run(single, diff[index : index + 1])
        close(top[index], one_top[0])
        close(data_diff[index], one_data_diff[0])
        for total, gradient in zip(sums, gradients, strict=True):
            total += gradient
    close(weight_diff, sums[0], share=2e-4)  # The sum of a million products.
    close(bias_diff, sums[1])


def test_weight_gradients_add_up(tmp_path):
    for kind, (shape, param) in {
        'Convolution': CONVOLUTIONS['winograd'],
        'Deconvolution': DECONVOLUTIONS['stride 1'],
    }.items():
        net = make_net(tmp_path, shape, kind, convolution_param=param)
        diff = fill(net).standard_normal(net.blobs['top'].data.shape).astype(np.float32)
        once = run(net, diff)[2:]
        net.backward(top=diff)
        for blob, gradient in zip(net.params['top'], once, strict=True):
            close(blob.diff, 2 * gradient)


def test_every_size_after_another(tmp_path):
    shape, param = CONVOLUTIONS['winograd']
    ours, stock = (
        make_net(tmp_path, shape, kind, convolution_param=param)
        for kind in ('Convolution', 'StockConvolution')
    )
    for height, width in ((22, 27), (40, 9), (5, 5), (22, 27)):
        for net in (ours, stock):
            net.blobs['data'].reshape(2, 32, height, width)
            net.reshape()
            fill(net, seed=height)
        close(ours.forward()['top'], stock.forward()['top'])


def bilinear(shape):
    """Upsampling weights: the same kernel on the diagonal, zeros elsewhere."""
    ramp = 1 - np.abs(np.linspace(-1, 1, shape[2] + 2)[1:-1])
    weights = np.zeros(shape, np.float32)
    for channel in range(shape[0]):
        weights[channel, channel] = (channel + 1) * np.outer(ramp, ramp)
    return weights


@pytest.mark.parametrize('changed', [None, (0, 1, 3, 3), (20, 19, 0, 0), (7, 3, 2, 1)])
def test_diagonal_deconvolution(tmp_path, changed):
    """Also where a single weight off the diagonal is not zero."""
    shape, param = DECONVOLUTIONS['upscore2']
    nets = [
        make_net(tmp_path, shape, kind, convolution_param=param)
        for kind in ('Deconvolution', 'StockDeconvolution')
    ]
    results = []
    for net in nets:
        diff = fill(net).standard_normal(net.blobs['top'].data.shape).astype(np.float32)
        weights = net.params['top'][0]
        weights.data[...] = bilinear(weights.data.shape)
        if changed:
            weights.data[changed] = -3
        results.append(run(net, diff))
    for one, other in zip(*results, strict=True):
        close(one, other)


SHAPE, WINOGRAD = CONVOLUTIONS['winograd']


@pytest.fixture
def trio(tmp_path):
    """A net that has run, one of Caffe's own layers, and new weights (weight, bias)."""
    nets = [
        make_net(tmp_path, SHAPE, kind, phase=caffe.TEST, convolution_param=WINOGRAD)
        for kind in ('Convolution', 'StockConvolution')
    ]
    for net in nets:
        rng = fill(net)
    nets[0].forward()
    new = [
        rng.standard_normal(blob.data.shape).astype(np.float32) for blob in nets[0].params['top']
    ]
    for blob, values in zip(nets[1].params['top'], new, strict=True):
        blob.data[...] = values
    return (*nets, new)


def test_weights_assigned(trio):
    net, stock, new = trio
    for blob, values in zip(net.params['top'], new, strict=True):
        blob.data[...] = values
    close(net.forward()['top'], stock.forward()['top'])


def test_weights_written_through_an_array_held(trio):
    """Through a view taken before the net ran: the engine gets no notice."""
    net, stock, new = trio
    views = [blob.data for blob in net.params['top']]
    net.forward()
    for view, values in zip(views, new, strict=True):
        view[...] = values
    close(net.forward()['top'], stock.forward()['top'])
    views[0][0, 0, 0, 0] += 5  # A single weight.
    stock.params['top'][0].data[0, 0, 0, 0] += 5
    close(net.forward()['top'], stock.forward()['top'])


def test_weights_copied_from_files(trio, tmp_path):
    net, stock, _ = trio
    stock.save(str(tmp_path / 'new.caffemodel'))
    stock.save_hdf5(str(tmp_path / 'new.h5'))
    rng_weights = [blob.data.copy() for blob in net.params['top']]
    for load, path in ((net.copy_from, 'new.caffemodel'), (net.load_hdf5, 'new.h5')):
        for blob, values in zip(net.params['top'], rng_weights, strict=True):
            blob.data[...] = values
        net.forward()
        load(str(tmp_path / path))
        close(net.forward()['top'], stock.forward()['top'])


def test_weights_shared(trio, tmp_path):
    net, stock, new = trio
    other = make_net(tmp_path, SHAPE, 'Convolution', convolution_param=WINOGRAD)
    fill(other, seed=3)
    net.share_with(other)
    for blob, values in zip(other.params['top'], new, strict=True):
        blob.data[...] = values
    close(net.forward()['top'], stock.forward()['top'])


def test_weights_stepped_by_a_solver(tmp_path):
    """In its training net, and in a test net that shares them."""
    spec = caffe.NetSpec()
    spec.data = L.DummyData(shape=dict(dim=[1, 32, 12, 12]), data_filler=dict(type='gaussian'))
    spec.goal = L.DummyData(
        shape=dict(dim=[1, 32, 12, 12]), data_filler=dict(type='constant', value=1)
    )
    spec.top = L.Convolution(
        spec.data, num_output=32, kernel_size=3, pad=1, weight_filler=dict(type='msra')
    )
    spec.loss = L.EuclideanLoss(spec.top, spec.goal)
    (tmp_path / 'net.prototxt').write_text(str(spec.to_proto()))
    (tmp_path / 'solver.prototxt').write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1e-3 lr_policy: "fixed" momentum: 0.9 '
        'test_iter: 1 test_interval: 1000 random_seed: 1 snapshot: 0 test_initialization: false'
    )
    solver = caffe.SGDSolver(str(tmp_path / 'solver.prototxt'))
    stock = make_net(
        tmp_path,
        (1, 32, 12, 12),
        'StockConvolution',
        phase=caffe.TEST,
        convolution_param=dict(num_output=32, kernel_size=3, pad=1),
    )
    for _ in range(3):
        before = solver.net.params['top'][0].data.copy()
        solver.step(1)
        assert not np.array_equal(before, solver.net.params['top'][0].data)
        solver.test_nets[0].share_with(solver.net)
        for net in (solver.net, solver.test_nets[0]):
            net.forward()
            stock.blobs['data'].data[...] = net.blobs['data'].data
            for ours, theirs in zip(net.params['top'], stock.params['top'], strict=True):
                theirs.data[...] = ours.data
            close(net.blobs['top'].data, stock.forward()['top'])


def test_the_same_bits_twice(tmp_path):
    shape, param = CONVOLUTIONS['winograd, odd channels']
    results = []
    for _ in range(2):
        net = make_net(tmp_path, shape, 'Convolution', convolution_param=param)
        diff = fill(net).standard_normal(net.blobs['top'].data.shape).astype(np.float32)
        results.append(run(net, diff))
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize('isa', ['AVX2', 'SSE41'])
def test_lesser_instruction_sets(isa):
    """The comparison with Caffe's own layers, on what oneDNN takes for an older processor."""
    chosen = 'test_equals_caffes_own or test_gradients or test_diagonal'
    result = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-k', chosen, __file__],
        env={**os.environ, 'ONEDNN_MAX_CPU_ISA': isa},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout


def test_stock_layers_can_be_had(tmp_path):
    """CAFFE_CPU=stock gives the same bits as Caffe's own layers; ours give others."""
    script = f"""
import pathlib, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from fcn import engine
import numpy as np, test_onednn as t
folder = pathlib.Path({str(tmp_path)!r})
results = []
for kind in ('Convolution', 'StockConvolution'):
    net = t.make_net(folder, t.SHAPE, kind, convolution_param=t.WINOGRAD)
    t.fill(net)
    results.append(net.forward()['top'].copy())
print(np.array_equal(*results))
"""
    for setting, same in (('stock', 'True'), (None, 'False')):
        environment = {name: value for name, value in os.environ.items() if name != 'CAFFE_CPU'}
        if setting:
            environment['CAFFE_CPU'] = setting
        result = subprocess.run(
            [sys.executable, '-c', script], env=environment, capture_output=True, text=True
        )
        assert result.stdout.strip() == same, result.stderr
