"""What padding determines is computed once: the scores stay, whatever the net and the size."""

import itertools

import caffe
import numpy as np
import pytest

import fcn
from fcn import frame
from fcn.engine import net_of, release_activations
from fcn.frame import FrameCache, Rect
from fcn.nets import deploy_net, find
from fcn.nets.window import Window
from fcn.surgery import start

pytestmark = pytest.mark.cpu
L = caffe.layers
NET = 'mini-fcn8s'


def drawn(spec):
    """A net of random weights and biases that releases its activations, and its input blobs."""
    net = net_of(spec)
    start(net, [], init_missing=True)
    rng = np.random.default_rng(1)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type != 'Deconvolution':
            for blob in blobs:
                scale = np.sqrt(2 / np.prod(blob.shape[1:])) if len(blob.shape) > 1 else 0.1
                blob.data[...] = rng.normal(0, scale, blob.shape)
    release_activations(net)
    return net, [layer.top[0] for layer in spec.layer if layer.type == 'Input']


def scores(net, images):
    for name, image in images.items():
        net.blobs[name].reshape(*image.shape)
        net.blobs[name].data[...] = image
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}


def check(spec, height, width, saves=True):
    """The windowed net is made at the second image, and scores what the whole net scores."""
    net, inputs = drawn(spec)
    cache = FrameCache(net, spec, inputs)
    assert cache.net_for(height, width) is net
    windowed = cache.net_for(height, width)
    assert (windowed is not net) == saves
    rng = np.random.default_rng(2)
    for _ in range(2):
        images = {
            name: rng.normal(0, 60, (1, net.blobs[name].shape[1], height, width)) for name in inputs
        }
        expected, found = scores(net, images), scores(windowed, images)
        assert expected and expected.keys() == found.keys()
        for name, wanted in expected.items():
            assert wanted.std() > 0
            np.testing.assert_allclose(found[name], wanted, rtol=0, atol=1e-5 * abs(wanted).max())


@pytest.mark.parametrize(
    'name, height, width',
    [
        (NET, 64, 64),
        (NET, 33, 90),
        ('mini-fcn32s', 1, 1),
        ('mini-nyud-fcn16s-color-hha', 40, 57),
        ('mini-nyud-fcn32s-color-d', 40, 57),
        ('mini-siftflow-fcn16s', 50, 41),
        ('voc-fcn-googlenet', 65, 90),
        pytest.param('voc-fcn-alexnet', 65, 90, marks=pytest.mark.slow),
        pytest.param('voc-fcn8s', 111, 90, marks=pytest.mark.slow),
        pytest.param('nyud-fcn16s-color-hha', 65, 90, marks=pytest.mark.slow),
    ],
)
def test_scores_stay(name, height, width):
    check(deploy_net(find(name)).to_proto(), height, width)


def joined():
    """A net of what those of the table do not have: strides, dilation, groups, mixed branches."""
    n = caffe.NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 8, 8])))
    n.first = L.Convolution(n.data, num_output=8, kernel_size=5, stride=2, pad=60)
    n.relu = L.ReLU(n.first, in_place=True)
    n.wide = L.Convolution(n.first, num_output=8, kernel_size=3, dilation=2, pad=2, group=2)
    n.narrow = L.Convolution(n.first, num_output=8, kernel_size=1)
    n.sum = L.Eltwise(n.wide, n.narrow)
    n.mean = L.Pooling(n.sum, pool=caffe.params.Pooling.AVE, kernel_size=3, stride=1, pad=1)
    n.norm = L.LRN(n.sum, local_size=3, alpha=0.1)
    n.both = L.Concat(n.mean, n.norm)
    n.top = L.Pooling(n.both, kernel_size=3, stride=2)
    n.uneven = L.Convolution(n.top, num_output=6, kernel_h=1, kernel_w=5, pad_h=0, pad_w=2)
    n.within = L.LRN(n.uneven, norm_region=1, local_size=3)
    n.out = L.Convolution(n.within, num_output=4, kernel_size=3)
    return n.to_proto()


@pytest.mark.parametrize('height, width', [(1, 1), (20, 31), (47, 16)])
def test_scores_of_other_layers_stay(height, width):
    check(joined(), height, width)


def test_a_net_without_wide_padding_stays_whole():
    n = caffe.NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 8, 8])))
    n.out = L.Convolution(n.data, num_output=4, kernel_size=3, pad=1)
    check(n.to_proto(), 20, 30, saves=False)


@pytest.mark.parametrize('kernel, stride, pad, dilation', [
    *itertools.product([1, 2, 3, 5], [1, 2, 3], [0, 1, 4], [1, 2]),
])  # fmt: skip
def test_what_sees_and_what_is_read(kernel, stride, pad, dilation):
    size, first, last = 9, 2, 6
    window = Window(*((value, value) for value in (kernel, stride, pad, dilation)))
    count = (size + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1
    reads = [{o * stride - pad + k * dilation for k in range(kernel)} for o in range(max(count, 0))]
    seeing = [o for o, inputs in enumerate(reads) if inputs & set(range(first, last))]
    begin, end = frame._seen(window, 0, first, last, max(count, 0))
    # With dilation, an output between two that see can see nothing itself: it is computed too.
    assert set(seeing) <= set(range(begin, end))
    if dilation == 1:
        assert [*range(begin, end)] == seeing
    if begin < end:
        low, high = frame._read(window, 0, begin, end)
        assert (low, high - 1) == (min(reads[begin]), max(reads[end - 1]))


def test_a_frame_lies_around_and_can_cut_off():
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(1, 3, 9, 8)).astype(np.float32)
    held, wanted = Rect(2, 3, 7, 6), Rect(-1, 1, 5, 5)
    part = frame.Frame('frame', 'data', 'data', held, wanted)
    n = caffe.NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 5, 3])))
    shape = dict(dim=[6, 4, held.top - wanted.top, held.left - wanted.left])
    n.frame = L.Frame(n.data, reshape_param=dict(shape=shape))
    net = net_of(n)
    net.params['frame'][0].data[...] = part.around(whole)
    net.blobs['data'].data[...] = whole[..., 2:7, 3:6]
    expected = np.zeros((1, 3, 6, 4), np.float32)
    expected[:, :, 1:] = whole[:, :, 0:5, 1:5]
    assert np.array_equal(net.forward()['frame'], expected)


def test_few_sizes_are_kept(monkeypatch):
    spec = deploy_net(find(NET)).to_proto()
    net, inputs = drawn(spec)
    cache = FrameCache(net, spec, inputs)
    sizes = [(40 + index, 50) for index in range(frame.MAX_SIZES + 2)]
    for size in [*sizes, *sizes]:
        cache.net_for(*size)
    assert [*cache._nets] == sizes[2:]
    held = cache._held(cache.net_for(*sizes[-1]))
    monkeypatch.setattr(frame, 'MAX_BYTES', 2.5 * held)
    cache.net_for(*sizes[0])
    assert len(cache._nets) == 2
    monkeypatch.setattr(frame, 'MAX_BYTES', 0.5 * held)
    assert cache.net_for(*sizes[1]) is net


def test_a_segmenters_labels_stay(drawn_weights):
    weights = drawn_weights(NET)
    cached, plain = (
        fcn.load(NET, weights=weights, gpu=-1, frame_cache=value) for value in (True, False)
    )
    rng = np.random.default_rng(4)
    for shape in [(60, 50, 3), (60, 50, 3), (30, 64, 3), (60, 50, 3), (30, 64, 3)]:
        image = rng.integers(0, 256, shape).astype(np.uint8)
        ours, theirs = cached.scores(image), plain.scores(image)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * abs(theirs).max())
        assert (cached(image).labels == plain(image).labels).mean() > 0.9995
    assert len(cached._frames._nets) == 2 and plain._frames is None
