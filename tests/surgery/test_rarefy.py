"""Rarefaction against SciPy, against shifted and stitched runs, and what it refuses."""

import tempfile
from collections.abc import Callable
from math import prod
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Top
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from scipy.ndimage import maximum_filter
from scipy.signal import correlate

from fcn.errors import FCNError
from fcn.nets import deploy_net, find
from fcn.surgery import inside, interlace, rarefy, read_spec, shift_and_stitch, subsampling, until

TOLERANCE = 1e-5  # of the largest


def parsed(spec: NetSpec) -> caffe_pb2.NetParameter:
    return text_format.Parse(str(spec.to_proto()), caffe_pb2.NetParameter())


def loaded(spec: caffe_pb2.NetParameter, like: caffe.Net | None = None, seed: int = 3) -> caffe.Net:
    """A caffe.Net of a NetParameter with the weights of net `like`, or drawn ones, biases too."""
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(text_format.MessageToString(spec))
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            fan_in = blobs[0].data[0].size
            blob.data[...] = (
                like.params[name][index].data
                if like
                else rng.normal(0, fan_in**-0.5, blob.data.shape)
            )
    return net


def run(net: caffe.Net, image: np.ndarray) -> np.ndarray:
    blob = net.blobs[net.inputs[0]]
    blob.reshape(1, *image.shape)
    blob.data[0] = image
    return next(iter(net.forward().values())).copy()


def image_of(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def conv(bottom: Top, outputs: int, size: int, **options: Any) -> Top:
    return L.Convolution(bottom, num_output=outputs, kernel_size=size, **options)


def tiny(padded: bool = False, pool: int = P.Pooling.MAX) -> caffe_pb2.NetParameter:
    """Strides of 2, 3 and 2, by a pooling, a convolution and a pooling of overlapping windows."""
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 40, 40])))
    n.conv1 = conv(n.data, 4, 3, pad=4 if padded else 0)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, kernel_size=2, stride=2, pool=pool)
    n.norm1 = L.LRN(n.pool1, local_size=3)
    n.conv2 = conv(n.norm1, 6, 3, stride=3, pad=int(padded))
    n.relu2 = L.ReLU(n.conv2, in_place=True)
    n.branch = conv(n.relu2, 2, 1)
    n.joined = L.Concat(n.relu2, n.branch)
    n.pool2 = L.Pooling(n.joined, kernel_size=3, stride=2, pad=int(padded), pool=pool)
    n.conv3 = conv(n.pool2, 5, 2)
    n.score = L.Convolution(n.conv3, num_output=4, kernel_h=1, kernel_w=1)
    return parsed(n)


CHOICES = [['pool2'], ['conv2', 'pool2'], ['pool1', 'conv2', 'pool2']]


def both_ways(
    spec: caffe_pb2.NetParameter, layers: list[str], batch: bool, *sides: int
) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """Scores of an image by the rarefied net and by shifted runs, and where they must be equal."""
    steps = [subsampling(spec)[name] for name in layers]
    factor = prod(height for height, _ in steps)
    net, image = loaded(spec), image_of(3, *sides)
    stitched = shift_and_stitch(net, image, factor, 12 // factor)
    result = run(loaded(rarefy(spec, layers, batch), net), image)
    result = interlace(result, steps)[0] if batch else result[0]
    return result, stitched, inside(spec, 'score', sides, factor, batch)


@pytest.mark.parametrize('batch', [False, True])
@pytest.mark.parametrize('pool', [P.Pooling.MAX, P.Pooling.AVE])
@pytest.mark.parametrize('layers', CHOICES)
def test_an_unpadded_net_is_its_shifted_runs_from_the_first_cell_on(
    layers: list[str], pool: int, batch: bool
) -> None:
    spec = tiny(pool=pool)
    result, stitched, (rows, columns) = both_ways(spec, layers, batch, 71, 84)
    factor = prod(height for name, (height, _) in subsampling(spec).items() if name in layers)
    assert rows.start == columns.start == 0 and min(rows.stop, columns.stop) > factor
    # A pooling that keeps its stride may reach past the end of the image and have a cell more.
    more = 12 if batch else 0 if 'pool1' in layers else 1
    for part, side in zip((rows, columns), result.shape[1:], strict=True):
        assert part.stop <= side <= part.stop + more
    np.testing.assert_allclose(
        result[:, rows, columns], stitched[:, rows, columns], atol=TOLERANCE * abs(stitched).max()
    )


@pytest.mark.parametrize('batch', [False, True])
@pytest.mark.parametrize('layers', CHOICES)
def test_a_padded_net_is_its_shifted_runs_inside_and_not_at_the_border(
    layers: list[str], batch: bool
) -> None:
    result, stitched, box = both_ways(tiny(padded=True), layers, batch, 95, 90)
    assert all(part.stop - part.start >= 3 for part in box)
    difference = (
        abs(result - stitched[:, : result.shape[1], : result.shape[2]]) / abs(stitched).max()
    )
    assert difference[:, *box].max() < TOLERANCE
    assert difference.max() > 100 * TOLERANCE


def test_a_dilated_pooling_and_convolution_are_scipys() -> None:
    spec = until(tiny(), 'conv3')
    net = loaded(rarefy(spec))
    assert net.blobs['pool2_windows'].data.shape[1] == 8 * 9
    run(net, image_of(3, 60, 64))
    joined = net.blobs['joined'].data[0]
    # pool1 and conv2 had strides of 2 and 3, so pool2's neighbours lie 6 apart.
    footprint = np.zeros((13, 13), bool)
    footprint[::6, ::6] = True
    expected = np.stack(
        [maximum_filter(plane, footprint=footprint)[6:-6, 6:-6] for plane in joined]
    )
    np.testing.assert_array_equal(net.blobs['pool2'].data[0], expected)
    # And pool2's of 2 makes 12 of it.
    weights, bias = (blob.data for blob in net.params['conv3'])
    rarefied = np.zeros((*weights.shape[:2], 13, 13))
    rarefied[:, :, ::12, ::12] = weights
    expected = np.stack(
        [
            correlate(expected, kernel, 'valid')[0] + b
            for kernel, b in zip(rarefied, bias, strict=True)
        ]
    )
    np.testing.assert_allclose(net.blobs['conv3'].data[0], expected, rtol=1e-4, atol=1e-5)


def test_interlacing_undoes_the_removal_layer_by_layer() -> None:
    dense = np.arange(2 * 1 * 12 * 6).reshape(2, 1, 12, 6)

    def versions(batch: np.ndarray, height: int, width: int) -> np.ndarray:
        return np.concatenate(
            [batch[:, :, y::height, x::width] for y in range(height) for x in range(width)]
        )

    batch = versions(versions(dense, 2, 3), 3, 1)
    assert batch.shape == (36, 1, 2, 2)
    assert (interlace(batch, [(2, 3), (3, 1)]) == dense).all()


@pytest.mark.parametrize(
    ('name', 'layers', 'side'),
    [
        ('mini-fcn32s', ['pool4', 'pool5'], 190),
        ('voc-fcn-alexnet', ['pool5'], 240),
        pytest.param('voc-fcn32s', ['pool4', 'pool5'], 240, marks=pytest.mark.slow),
    ],
)
def test_the_nets_of_the_paper(name: str, layers: list[str], side: int) -> None:
    spec = until(parsed(deploy_net(find(name))), 'score_fr')
    factor = 2 ** len(layers)
    net = loaded(spec)
    image = image_of(3, side, side + 5)
    stitched = shift_and_stitch(net, image, factor, 32 // factor)
    for batch in (False, True):
        result = run(loaded(rarefy(spec, layers, batch), net), image)
        result = interlace(result, [(2, 2)] * len(layers))[0] if batch else result[0]
        box = (slice(None), *inside(spec, 'score_fr', image.shape[1:], factor, batch))
        np.testing.assert_allclose(
            result[box], stitched[box], atol=TOLERANCE * abs(stitched[box]).max()
        )


@pytest.mark.parametrize(
    ('layers', 'message'),
    [
        (['pool1'], 'conv2 .* pool1; name conv2 too'),
        (['norm1'], 'norm1: .* pool1, conv2, pool2'),
        (['pool9', 'pool2'], 'pool9: '),
    ],
)
def test_a_choice_of_layers_that_cannot_be_is_refused(layers: list[str], message: str) -> None:
    with pytest.raises(FCNError, match=message):
        rarefy(tiny(), layers)


@pytest.mark.parametrize(
    ('top', 'message'),
    [
        (
            lambda n: L.InnerProduct(n.score, num_output=2),
            'last is fully connected .*cast',
        ),
        (
            lambda n: L.Deconvolution(
                n.score, convolution_param=dict(num_output=2, kernel_size=4, stride=2)
            ),
            r'last \(Deconvolution\)',
        ),
        (
            lambda n: L.Pooling(n.score, pool=P.Pooling.AVE, global_pooling=True),
            'last: only plain',
        ),
        (lambda n: L.LRN(n.score, norm_region=P.LRN.WITHIN_CHANNEL), r'last \(LRN\)'),
        (
            lambda n: L.Eltwise(n.score, n.data),
            r'last \(Eltwise\) joins',
        ),
    ],
)
def test_what_cannot_be_dilated_is_refused_by_name(
    top: Callable[[NetSpec], Top], message: str
) -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 40, 40])))
    n.pool1 = L.Pooling(n.data, kernel_size=2, stride=2)
    n.score = conv(n.pool1, 3, 1)
    n.last = top(n)
    spec = parsed(n)
    with pytest.raises(FCNError, match=message):
        rarefy(spec)
    assert [layer.name for layer in until(spec, 'score').layer] == ['data', 'pool1', 'score']
    assert not subsampling(rarefy(until(spec, 'score')))


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (dict(kernel_size=2**32 - 1, stride=2), 'pool1: a window'),
        (dict(kernel_size=2, stride=2**31), 'pool1: a window'),
        (dict(kernel_size=2, stride=0), 'pool1: a window'),
        (dict(kernel_size=2, stride=4096), 'pool2: .* lie 8192 apart'),
        (dict(kernel_size=2000, stride=2), 'pool2: a window of 4000000 cells'),
    ],
)
def test_numbers_that_no_net_has_are_refused(sizes: dict[str, int], message: str) -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 40, 40])))
    n.pool1 = L.Pooling(n.data, **sizes)
    n.pool2 = L.Pooling(n.pool1, kernel_size=sizes['kernel_size'], stride=2)
    with pytest.raises(FCNError, match=message):
        rarefy(parsed(n))


def test_an_image_without_a_cell_that_can_be_compared_is_refused() -> None:
    spec = tiny(padded=True)
    with pytest.raises(FCNError, match='at least') as refused:
        inside(spec, 'score', (20, 20), 2)
    side = int(str(refused.value).split('at least ')[1].split()[0])
    assert all(part.start < part.stop for part in inside(spec, 'score', (side, side), 2))
    spec.layer[1].convolution_param.ClearField('kernel_size')
    spec.layer[1].convolution_param.kernel_h, spec.layer[1].convolution_param.kernel_w = 3, 5
    with pytest.raises(FCNError, match='conv1: windows of unequal height and width'):
        inside(spec, 'score', (200, 200), 2)


def test_windows_of_unequal_height_and_width_are_removed() -> None:
    """Strides of 2 down and 1 across: each row of the dense net is a row of one of two runs."""
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 2, 21, 15])))
    n.conv1 = L.Convolution(n.data, num_output=3, kernel_h=3, kernel_w=2, stride_h=2, stride_w=1)
    n.pool1 = L.Pooling(n.conv1, kernel_h=2, kernel_w=3, stride=1)
    n.score = L.Convolution(n.pool1, num_output=2, kernel_h=2, kernel_w=1)
    spec = parsed(n)
    net = loaded(spec)
    image = image_of(2, 21, 15)
    dense = run(loaded(rarefy(spec), net), image)[0]
    for shift in (0, 1):
        rows = run(net, image[:, shift:])[0]
        np.testing.assert_allclose(
            dense[:, shift::2], rows[:, : len(dense[0, shift::2])], rtol=1e-4, atol=1e-5
        )
    batch = interlace(run(loaded(rarefy(spec, batch=True), net), image), [(2, 1)])[0]
    np.testing.assert_allclose(batch, dense[:, : batch.shape[1]], rtol=1e-4, atol=1e-5)


def test_command(tmp_path: Path, command: Callable[..., CompletedProcess[str]]) -> None:
    out = tmp_path / 'rare.prototxt'
    done = command(
        '-m',
        'surgery',
        'rarefy',
        'mini-fcn32s',
        out,
        '--top',
        'score_fr',
        '--layers',
        'pool4,pool5',
    )
    assert done.returncode == 0 and done.stderr == ''
    assert done.stdout.splitlines() == ['stride set to 1: pool4, pool5', str(out)]
    assert list(subsampling(read_spec(out))) == ['pool1', 'pool2', 'pool3']
    for arguments, message in (
        (
            ['mini-fcn32s', out],
            'upscore (Deconvolution) cannot be dilated',
        ),
        (['mini-fcn32s', out, '--layers', 'pool4'], 'name pool5 too'),
        (['mini-fcn32s', out, '--top', 'scores'], 'mini-fcn32s: scores: '),
        ([out, out], 'would overwrite'),
        ([tmp_path / 'none.prototxt', out], 'none.prototxt: '),
    ):
        before = out.read_text()
        refused = command('-m', 'surgery', 'rarefy', *arguments)
        assert (
            refused.returncode == 2
            and message in refused.stderr
            and refused.stderr.count('\n') == 1
        )
        assert out.read_text() == before
