"""ReLU in the same pass as the convolution before it: never where someone could see it."""

import caffe
import numpy as np
import pytest
from caffe import layers as L

from fcn.engine import net_of

SHAPE = [1, 32, 20, 17]


def make(slope=0.0, in_place=True, **options):
    """A net of two convolutions, each with a ReLU, the same at each call."""
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={'dim': SHAPE})
    spec.conv1 = L.Convolution(spec.data, num_output=40, kernel_size=3, pad=1)
    spec.relu1 = L.ReLU(spec.conv1, in_place=in_place, negative_slope=slope)
    spec.conv2 = L.Convolution(spec.relu1, num_output=24, kernel_size=3)
    spec.relu2 = L.ReLU(spec.conv2, in_place=in_place, negative_slope=slope)
    proto = spec.to_proto()
    proto.force_backward = True
    for layer in proto.layer:
        if layer.type in options:
            layer.type = options[layer.type]
    net = net_of(proto)
    rng = np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.normal(0, 0.1, blob.data.shape)
    net.blobs['data'].data[...] = rng.normal(0, 1, SHAPE)
    return net


def test_a_whole_pass_equals_one_layer_by_layer():
    whole, single = make(), make()
    top = whole.forward()
    for name in single.layer_dict:
        single.forward(start=name, end=name)
        if name.startswith('conv'):
            assert single.blobs[name].data.min() < 0
    for name, blob in whole.blobs.items():
        assert np.array_equal(blob.data, single.blobs[name].data)
    assert whole.blobs['conv1'].data.min() == 0
    diff = np.random.default_rng(1).normal(0, 1, top['conv2'].shape)
    for net in (whole, single):
        net.backward(conv2=diff)
    for name, blobs in whole.params.items():
        for ours, same in zip(blobs, single.params[name], strict=True):
            assert np.array_equal(ours.diff, same.diff)
    assert np.array_equal(whole.blobs['data'].diff, single.blobs['data'].diff)


@pytest.mark.parametrize('options', [{'slope': 0.1}, {'in_place': False}])
def test_other_activations_equal_caffes_own(options):
    ours = make(**options).forward()
    stock = make(**options, Convolution='StockConvolution', ReLU='StockReLU').forward()
    for name, scores in ours.items():
        atol = 2e-5 * np.abs(stock[name]).max()
        np.testing.assert_allclose(scores, stock[name], rtol=0, atol=atol)
        assert (scores.min() < 0) == ('slope' in options)


def test_ranges_that_end_between_the_two():
    net, expected = make(), make().forward()['conv2']
    net.forward(end='conv1')
    assert net.blobs['conv1'].data.min() < 0
    net.forward(start='relu1', end='conv2')
    assert net.blobs['conv2'].data.min() < 0
    net.forward(start='relu2')
    assert np.array_equal(net.blobs['conv2'].data, expected)
    # A ReLU alone does its work again.
    net.blobs['conv2'].data[...] = -1
    net.forward(start='relu2')
    assert not net.blobs['conv2'].data.any()


@pytest.mark.parametrize('kind', ['before_forward', 'after_forward'])
def test_a_callback_sees_what_the_convolution_wrote(kind):
    net, expected, seen = make(), make().forward()['conv2'], {}

    def look(layer):
        seen[layer] = net.blobs['conv1'].data.copy(), net.blobs['conv2'].data.copy()

    net.forward()
    getattr(net, kind)(look)
    assert np.array_equal(net.forward()['conv2'], expected)
    between = 1 if kind == 'after_forward' else 2
    assert seen[between][0].min() < 0 and seen[between + 2][1].min() < 0


def test_an_error_between_the_two_leaves_nothing_done():
    net, expected = make(), make().forward()['conv2']
    failing = [True]

    def fail(layer):
        if failing and layer == 2:
            raise KeyError('of the callback')

    net.before_forward(fail)
    with pytest.raises(KeyError):
        net.forward()
    failing.clear()
    assert np.array_equal(net.forward()['conv2'], expected)
