"""Starting weights that are more than a copy: a channel more, two parents, and what a report says of them."""

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.errors import WeightsError
from fcn.nets.layers import Stream, mean
from fcn.surgery import (
    expand_input_channels,
    read_weights,
    start,
    weights_and_stream,
    write_weights,
)


def make_net(path, build, **inputs):
    n = NetSpec()
    for name, channels in inputs.items():
        n[name] = L.Input(input_param=dict(shape=dict(dim=[1, channels, 12, 10])))
    build(n)
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), caffe.TEST)


def arrays(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, 1, shape).astype(np.float32),
        rng.normal(0, 1, shape[:1]).astype(np.float32),
    ]


def test_depth_gets_the_mean_of_the_filters_over_colours(tmp_path):
    """On an image whose depth is grey's value, the widened layer gives what the colour layer gives and a third more."""

    def build(n):
        n['conv1_1_bgrd'] = L.Convolution(n.data, num_output=5, kernel_size=3)
        n['score_fr'] = L.Convolution(n['conv1_1_bgrd'], num_output=2, kernel_size=1)

    net = make_net(tmp_path / 'n.prototxt', build, data=4)
    weights, bias = arrays(5, 3, 3, 3)
    write_weights(tmp_path / 'w.caffemodel', [('conv1_1', 'Convolution', [weights, bias])])
    report = start(net, [(read_weights(tmp_path / 'w.caffemodel'), '')])
    assert (report.widened, report.zero, report.missing) == (['conv1_1_bgrd'], ['score_fr'], [])
    assert 'widened  conv1_1_bgrd' in str(report)
    wide = net.params['conv1_1_bgrd'][0].data
    assert (wide[:, :3] == weights).all()
    np.testing.assert_allclose(
        wide[:, 3], (weights[:, 0] + weights[:, 1] + weights[:, 2]) / 3, atol=1e-6
    )
    grey = np.random.default_rng(1).normal(0, 1, (12, 10)).astype(np.float32)
    net.blobs['data'].data[...] = grey
    three = expand_input_channels(weights)[:, :3].sum(1)
    net.forward(end='conv1_1_bgrd')
    window = grey[4:7, 2:5]
    np.testing.assert_allclose(
        net.blobs['conv1_1_bgrd'].data[0, :, 4, 2],
        4 / 3 * np.tensordot(three, window, 2) + bias,
        rtol=1e-4,
        atol=1e-5,
    )


def test_its_own_weights_are_copied_not_widened(tmp_path):
    def build(n):
        n['conv1_1_bgrd'] = L.Convolution(n.data, num_output=5, kernel_size=3)

    net = make_net(tmp_path / 'n.prototxt', build, data=4)
    blobs = arrays(5, 4, 3, 3)
    report = start(net, [([('conv1_1_bgrd', blobs)], '')])
    assert (
        report.copied == ['conv1_1_bgrd'] and (net.params['conv1_1_bgrd'][0].data == blobs[0]).all()
    )
    with pytest.raises(WeightsError, match="conv1_1_bgrd's weights of shape"):
        start(net, [([('conv1_1', arrays(5, 4, 3, 3))], '')])


def test_two_parents_become_two_streams(tmp_path):
    def build(n):
        for stream in ('color', 'hha'):
            s = Stream(n, stream)
            s['conv1_1'] = L.Convolution(n[stream], num_output=4, kernel_size=3)
            s['score_fr'] = L.Convolution(s['conv1_1'], num_output=2, kernel_size=1)
        n.score_fused = mean([n.score_frcolor, n.score_frhha])
        n.upscore = L.Deconvolution(
            n.score_fused,
            convolution_param=dict(num_output=2, kernel_size=4, stride=2, bias_term=False),
        )

    net = make_net(tmp_path / 'n.prototxt', build, color=3, hha=3)
    parents = {}
    for seed, stream in enumerate(('color', 'hha')):
        parents[stream] = [
            ('conv1_1', arrays(4, 3, 3, 3, seed=seed)),
            ('score_fr', arrays(2, 4, 1, 1, seed=seed + 9)),
            ('upscore', [np.ones((2, 2, 4, 4), np.float32)]),
        ]
    report = start(net, [(layers, stream) for stream, layers in parents.items()])
    assert report.copied == ['conv1_1color', 'score_frcolor', 'conv1_1hha', 'score_frhha']
    assert (
        report.left == ['upscore', 'upscore']
        and report.interpolated == ['upscore']
        and not report.missing
    )
    rng = np.random.default_rng(3)
    for stream in parents:
        net.blobs[stream].data[...] = rng.normal(0, 1, net.blobs[stream].data.shape)
    net.forward()
    mean_of_both = (net.blobs['score_frcolor'].data + net.blobs['score_frhha'].data) / 2
    np.testing.assert_allclose(net.blobs['score_fused'].data, mean_of_both, atol=1e-6)
    assert net.blobs['score_frcolor'].data.std() > 0.1


def test_a_file_and_the_stream_it_becomes(tmp_path):
    assert weights_and_stream('a.caffemodel:hha') == ('a.caffemodel', 'hha')
    assert weights_and_stream('a.caffemodel') == ('a.caffemodel', '')
    odd = tmp_path / 'odd:name'
    odd.touch()
    assert weights_and_stream(str(odd)) == (str(odd), '')
