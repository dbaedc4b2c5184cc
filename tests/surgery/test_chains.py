"""Starting weights that are more than a copy: one more channel, two parents, names of the first
release, and what a report says about them."""

from collections.abc import Callable
from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.errors import WeightsError
from fcn.nets.builder import Named
from fcn.nets.layers import mean
from fcn.surgery import (
    expand_input_channels,
    read_weights,
    start,
    transplant,
    weights_and_stream,
    write_weights,
)


def make_net(path: Path, build: Callable[[NetSpec], None], **inputs: int) -> caffe.Net:
    n = NetSpec()
    for name, channels in inputs.items():
        n[name] = L.Input(input_param=dict(shape=dict(dim=[1, channels, 12, 10])))
    build(n)
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), caffe.TEST)


def arrays(*shape: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, 1, shape).astype(np.float32),
        rng.normal(0, 1, shape[:1]).astype(np.float32),
    ]


def test_depth_gets_the_mean_of_the_filters_over_colours(tmp_path: Path) -> None:
    """On an image whose depth is the grey value, the expanded layer gives what the colour layer
    gives, and a third more."""

    def build(n: NetSpec) -> None:
        n['conv1_1_bgrd'] = L.Convolution(n.data, num_output=5, kernel_size=3)
        n['score_fr'] = L.Convolution(n['conv1_1_bgrd'], num_output=2, kernel_size=1)

    net = make_net(tmp_path / 'n.prototxt', build, data=4)
    weights, bias = arrays(5, 3, 3, 3)
    write_weights(tmp_path / 'w.caffemodel', [('conv1_1', 'Convolution', [weights, bias])])
    report = start(net, [(read_weights(tmp_path / 'w.caffemodel'), '')])
    assert (report.expanded, report.zero, report.missing) == (['conv1_1_bgrd'], ['score_fr'], [])
    assert 'channel: conv1_1_bgrd' in str(report)
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


def test_weights_of_the_same_name_are_copied_not_expanded(tmp_path: Path) -> None:
    def build(n: NetSpec) -> None:
        n['conv1_1_bgrd'] = L.Convolution(n.data, num_output=5, kernel_size=3)

    net = make_net(tmp_path / 'n.prototxt', build, data=4)
    blobs = arrays(5, 4, 3, 3)
    report = start(net, [([('conv1_1_bgrd', blobs)], '')])
    assert (
        report.copied == ['conv1_1_bgrd'] and (net.params['conv1_1_bgrd'][0].data == blobs[0]).all()
    )
    with pytest.raises(WeightsError, match="conv1_1_bgrd's weights of shape"):
        start(net, [([('conv1_1', arrays(5, 4, 3, 3))], '')])


def test_two_parents_become_two_streams(tmp_path: Path) -> None:
    def build(n: NetSpec) -> None:
        for stream in ('color', 'hha'):
            s = Named(n, stream)
            s['conv1_1'] = L.Convolution(n[stream], num_output=4, kernel_size=3)
            s['score_fr'] = L.Convolution(s['conv1_1'], num_output=2, kernel_size=1)
        n.score_fused = mean(n.score_frcolor, n.score_frhha)
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
        report.unused == ['upscore', 'upscore']
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


def test_a_file_and_the_stream_it_becomes(tmp_path: Path) -> None:
    assert weights_and_stream('a.caffemodel:hha') == ('a.caffemodel', 'hha')
    assert weights_and_stream('a.caffemodel') == ('a.caffemodel', '')
    odd = tmp_path / 'odd:name'
    odd.touch()
    assert weights_and_stream(str(odd)) == (str(odd), '')


def fcn8s(n: NetSpec) -> None:
    """The layers of FCN-8s with weights, small, and named as today."""
    for name in ('conv1_1', 'score_fr', 'score_pool4', 'score_pool3'):
        n[name] = L.Convolution(n.data, num_output=2, kernel_size=1)
    for name, size in (('upscore2', 4), ('upscore_pool4', 4), ('upscore8', 16)):
        n[name] = L.Deconvolution(
            n.score_fr,
            convolution_param=dict(
                num_output=2, kernel_size=size, stride=size // 2, bias_term=False
            ),
        )


FIRST_RELEASE = {
    'conv1_1': 'conv1_1',
    'score-fr': 'score_fr',
    'score2': 'upscore2',
    'score-pool4': 'score_pool4',
    'score4': 'upscore_pool4',
    'score-pool3': 'score_pool3',
    'upsample': 'upscore8',
}


def test_names_of_the_first_release_go_to_those_of_today(tmp_path: Path) -> None:
    net = make_net(tmp_path / 'n.prototxt', fcn8s, data=3)
    weights = {}
    for seed, (old, new) in enumerate(FIRST_RELEASE.items()):
        rng = np.random.default_rng(seed)
        weights[old] = [
            rng.normal(size=blob.data.shape).astype(np.float32) for blob in net.params[new]
        ]
    file = tmp_path / 'fcn-8s-pascal.caffemodel'
    write_weights(file, [(name, 'Convolution', blobs) for name, blobs in weights.items()])
    report = transplant(net, file)
    assert not report.missing and not report.unused
    assert report.copied == list(FIRST_RELEASE.values())
    assert report.renamed == {old: new for old, new in FIRST_RELEASE.items() if old != new}
    for old, new in FIRST_RELEASE.items():
        for blob, array in zip(net.params[new], weights[old], strict=True):
            assert (blob.data == array).all()
    assert 'score-fr as score_fr' in str(report) and 'upsample as upscore8' in str(report)


def test_upsampling_of_another_stride_is_not_taken_for_that_of_the_net(tmp_path: Path) -> None:
    """FCN-8s starts from FCN-16s, whose last upsampling had the same name and another kernel."""
    net = make_net(tmp_path / 'n.prototxt', fcn8s, data=3)
    report = start(net, [([('upsample', [np.ones((2, 2, 32, 32), np.float32)])], '')])
    assert report.unused == ['upsample'] and not report.renamed
    assert 'upscore8' in report.interpolated


def test_a_file_with_both_names_of_a_layer_is_refused(tmp_path: Path) -> None:
    net = make_net(tmp_path / 'n.prototxt', fcn8s, data=3)
    blobs = arrays(2, 3, 1, 1)
    with pytest.raises(WeightsError, match='score_fr'):
        transplant(net, [('score_fr', blobs), ('score-fr', blobs)])
