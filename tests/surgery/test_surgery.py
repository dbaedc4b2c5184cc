"""Surgery against independent calculations: crops under a cast net, SciPy's interpolation,
protobuf's reader."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from scipy.ndimage import zoom

from fcn.data_layers import VOC
from fcn.engine import net_of
from fcn.errors import WeightsError
from fcn.nets import deploy_net, find
from fcn.surgery import (
    bilinear,
    cast,
    convolutionalize,
    interp,
    read_spec,
    read_weights,
    save,
    start,
    transplant,
    write_weights,
)


def make_net(
    path: Path, build: Callable[[NetSpec], None], shape: tuple[int, ...], phase: int = caffe.TEST
) -> caffe.Net:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=list(shape))))
    build(n)
    path.write_text(str(n.to_proto()))
    return caffe.Net(str(path), phase)


def classifier(n: NetSpec) -> None:
    """Convolution, pooling and two fully connected layers, nothing padded: stride 2, field 21."""
    filler = dict(
        weight_filler=dict(type='gaussian', std=0.2), bias_filler=dict(type='gaussian', std=0.2)
    )
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=4, **filler)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, kernel_size=2, stride=2)
    n.fc6 = L.InnerProduct(n.pool1, num_output=6, **filler)
    n.relu6 = L.ReLU(n.fc6, in_place=True)
    n.fc8 = L.InnerProduct(n.relu6, num_output=5, **filler)


@pytest.fixture
def small(tmp_path: Path) -> caffe.Net:
    caffe.set_random_seed(1)
    return make_net(tmp_path / 'small.prototxt', classifier, (1, 3, 21, 19))


def test_a_cast_classifier_gives_each_cell_what_the_classifier_gives_its_crop(
    small: caffe.Net, tmp_path: Path
) -> None:
    spec = convolutionalize(small, read_spec(tmp_path / 'small.prototxt'))
    (tmp_path / 'cast.prototxt').write_text(text_format.MessageToString(spec))
    save(small, tmp_path / 'small.caffemodel')
    net = caffe.Net(str(tmp_path / 'cast.prototxt'), caffe.TEST)
    report = transplant(net, read_weights(tmp_path / 'small.caffemodel'))
    assert (report.copied, report.cast, report.missing) == (['conv1'], ['fc6', 'fc8'], [])
    image = np.random.default_rng(0).normal(size=(3, 31, 35)).astype(np.float32)
    net.blobs['data'].reshape(1, *image.shape)
    net.blobs['data'].data[0] = image
    cells = net.forward()['fc8'][0]
    assert cells.shape[1:] == (6, 9)
    for y in range(6):
        for x in range(9):
            small.blobs['data'].data[0] = image[:, 2 * y : 2 * y + 21, 2 * x : 2 * x + 19]
            np.testing.assert_allclose(
                cells[:, y, x], small.forward()['fc8'][0], rtol=1e-4, atol=1e-5
            )


def test_cast_reshapes_and_refuses_what_does_not_fit() -> None:
    blob = np.arange(24, dtype=np.float32).reshape(2, 12)
    assert (cast(blob, (2, 3, 2, 2)) == blob.reshape(2, 3, 2, 2)).all()
    assert cast(blob.reshape(1, 1, 2, 12), (2, 3, 2, 2)).shape == (2, 3, 2, 2)
    assert cast(blob[:1], (1, 3, 2, 2)).shape == (1, 3, 2, 2)  # a single output
    assert cast(np.zeros((1, 1, 1, 5)), (5,)).shape == (5,)
    with pytest.raises(WeightsError, match='do not fit'):
        cast(blob, (2, 3, 2, 3))
    with pytest.raises(WeightsError, match='do not fit'):
        cast(blob, (4, 3, 2, 1))  # as many elements, other outputs


@pytest.mark.parametrize('factor', [2, 4, 8, 16, 32])
def test_bilinear_deconvolution_of_a_ramp_is_scipys_interpolation(
    factor: int, tmp_path: Path
) -> None:
    def build(n: NetSpec) -> None:
        n.up = L.Deconvolution(
            n.data,
            convolution_param=dict(
                num_output=3, kernel_size=2 * factor, stride=factor, bias_term=False
            ),
        )

    net = make_net(tmp_path / 'up.prototxt', build, (1, 3, 6, 7))
    interp(net, ['up'])
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:6, :7]
    ramps = np.stack([a * y + b * x + c for a, b, c in rng.normal(size=(3, 3))])
    net.blobs['data'].data[0] = ramps
    up = net.forward()['up'][0]
    # Centres of the fine cells; the kernel reaches half a coarse cell past each side.
    expected = zoom(ramps, (1, factor, factor), order=1, grid_mode=True, mode='nearest')
    crop = up[:, factor // 2 : factor // 2 + 6 * factor, factor // 2 : factor // 2 + 7 * factor]
    inside = (slice(None), slice(factor, -factor), slice(factor, -factor))
    np.testing.assert_allclose(crop[inside], expected[inside], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [3, 4, 63, 64])
def test_bilinear_is_symmetric_and_keeps_the_sum(size: int) -> None:
    kernel = bilinear(size)
    factor = (size + 1) // 2
    assert np.allclose(kernel, kernel[::-1, ::-1]) and np.allclose(kernel, kernel.T)
    assert kernel.sum() == pytest.approx(factor**2, rel=1e-4)


def test_interp_refuses_a_layer_that_mixes_channels(tmp_path: Path) -> None:
    def build(n: NetSpec) -> None:
        n.up = L.Deconvolution(
            n.data, convolution_param=dict(num_output=4, kernel_size=4, stride=2, bias_term=False)
        )

    with pytest.raises(WeightsError, match='cannot interpolate'):
        interp(make_net(tmp_path / 'up.prototxt', build, (1, 3, 4, 4)), ['up'])


def test_start_names_every_layer_once_and_fills_it(tmp_path: Path) -> None:
    net = net_of(deploy_net(find('mini-fcn8s')))
    weights = [
        ('conv1_1', [np.ones((16, 3, 3, 3), np.float32), np.ones(16, np.float32)]),
        ('fc6', [np.ones((128, 96 * 16), np.float32), np.ones(128, np.float32)]),
        ('fc8', [np.ones((7, 128), np.float32)]),
    ]
    report = start(net, [(weights, '')])
    assert (report.copied, report.cast, report.unused) == (['conv1_1'], ['fc6'], ['fc8'])
    assert report.interpolated == ['upscore2', 'upscore_pool4', 'upscore8']
    assert report.zero == ['score_fr', 'score_pool4', 'score_pool3']
    assert report.missing == [
        'conv2_1',
        'conv3_1',
        'conv3_2',
        'conv4_1',
        'conv4_2',
        'conv5_1',
        'conv5_2',
        'fc7',
    ]
    assert re.search('WARNING.* conv2_1, conv3_1, conv3_2, ', str(report))
    named = [name for names in vars(report).values() for name in names]
    assert sorted(named) == sorted([*net.params, 'fc8'])
    classes = net.blobs['score'].shape[1]
    up = net.params['upscore8'][0].data
    assert np.count_nonzero(up.sum((2, 3))) == classes
    assert not net.params['score_fr'][0].data.any()


def test_init_missing_is_seeded_gaussian() -> None:
    nets = [net_of(deploy_net(find('mini-fcn32s'))) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        report = start(net, [], init_missing=True, seed=seed)
        assert report.drawn[:2] == ['conv1_1', 'conv2_1'] and not report.missing
    first, same, other = (net.params['conv5_1'][0].data for net in nets)
    assert (first == same).all() and (first != other).any()
    assert first.std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)
    assert (
        not nets[0].params['conv5_1'][1].data.any() and not nets[0].params['score_fr'][0].data.any()
    )


def test_a_prototxt_that_cannot_be_cast_is_refused(small: caffe.Net, tmp_path: Path) -> None:
    path = tmp_path / 'old.prototxt'
    path.write_text('layers { name: "fc6" type: INNER_PRODUCT bottom: "data" top: "fc6" }')
    with pytest.raises(WeightsError, match=r'old\.prototxt: .*upgrade_net_proto_text'):
        read_spec(path)
    path.write_text('layer { name: "data" type: "Data" top: "data" }')
    with pytest.raises(WeightsError, match=r'old\.prototxt: .*type Data'):
        read_spec(path)
    path.write_text('layer { name: "data" type: "Input" top: "data" }')
    with pytest.raises(WeightsError, match='no InnerProduct'):
        convolutionalize(small, read_spec(path))


def test_a_name_that_comes_twice_is_refused(small: caffe.Net) -> None:
    fc8 = 'fc8', [np.zeros((5, 6), np.float32), np.zeros(5, np.float32)]
    with pytest.raises(WeightsError, match='fc8'):
        transplant(small, [fc8, fc8])


def test_suffix_names_the_stream(tmp_path: Path) -> None:
    def build(n: NetSpec) -> None:
        n.conv1color = L.Convolution(n.data, num_output=2, kernel_size=1)
        n.conv1hha = L.Convolution(n.data, num_output=2, kernel_size=1)

    net = make_net(tmp_path / 'two.prototxt', build, (1, 3, 4, 4))
    report = transplant(
        net, [('conv1', [np.full((2, 3, 1, 1), 7, np.float32), np.zeros(2, np.float32)])], 'hha'
    )
    assert (report.copied, report.missing) == (['conv1hha'], ['conv1color'])
    assert (net.params['conv1hha'][0].data == 7).all() and not net.params['conv1color'][
        0
    ].data.any()


def test_a_shared_name_with_other_shapes_is_refused(small: caffe.Net) -> None:
    with pytest.raises(WeightsError, match=r'fc6.*\(6, 7\).*\(6, \d+\)'):
        transplant(small, [('fc6', [np.zeros((6, 7), np.float32), np.zeros(6, np.float32)])])
    with pytest.raises(WeightsError, match=r'fc6.* 1 .* 2 '):
        transplant(small, [('fc6', [np.zeros((6, 7), np.float32)])])


def test_files_go_round_through_caffe_and_back(small: caffe.Net, tmp_path: Path) -> None:
    ours, caffes = tmp_path / 'ours.caffemodel', tmp_path / 'caffes.caffemodel'
    save(small, ours)
    small.save(str(caffes))
    again = caffe.Net(str(tmp_path / 'small.prototxt'), caffe.TEST)
    again.copy_from(str(ours))
    for name, blobs in small.params.items():
        for mine, blob in zip(again.params[name], blobs, strict=True):
            assert (mine.data == blob.data).all()
    for (name, blobs), (other, others) in zip(
        read_weights(ours), read_weights(caffes), strict=True
    ):
        assert name == other
        assert all(
            (a == b).all() and a.shape == b.shape for a, b in zip(blobs, others, strict=True)
        )


def test_old_caffemodels_are_read(tmp_path: Path) -> None:
    """V1 layers, whose blobs have four dimensions and no shape."""
    model = caffe_pb2.NetParameter()
    layer = model.layers.add(name='fc6', type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[7, 8])
    (tmp_path / 'old.caffemodel').write_bytes(model.SerializeToString())
    [(name, (weights, bias))] = read_weights(tmp_path / 'old.caffemodel')
    assert name == 'fc6' and weights.shape == (1, 1, 2, 3) and bias.ravel().tolist() == [7, 8]


@pytest.mark.parametrize('damage', ['missing', 'empty', 'text', 'hdf5', 'truncated', 'no weights'])
def test_a_bad_caffemodel_is_named(damage: str, small: caffe.Net, tmp_path: Path) -> None:
    path = tmp_path / 'bad.caffemodel'
    if damage == 'truncated':
        save(small, path)
        path.write_bytes(path.read_bytes()[:-100])
    elif damage != 'missing':
        path.write_bytes(
            {
                'empty': b'',
                'text': b'<!DOCTYPE html>' * 9,
                'hdf5': b'\x89HDF\r\n\x1a\n' * 9,
                'no weights': caffe_pb2.NetParameter(name='x').SerializeToString(),
            }[damage]
        )
    with pytest.raises(WeightsError, match=r'bad\.caffemodel: '):
        list(read_weights(path))


def test_a_truncated_file_is_noticed_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / 'w.caffemodel'
    write_weights(
        path,
        [
            ('a', 'Convolution', [np.ones((2, 2), np.float32)]),
            ('b', 'Scale', [np.ones(3, np.float32)]),
        ],
    )
    whole = path.read_bytes()
    count = len(list(read_weights(path)))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            assert len(list(read_weights(path))) < count
        except WeightsError as error:
            assert 'w.caffemodel' in str(error)


def test_a_file_cut_between_two_layers_is_noticed(tmp_path: Path) -> None:
    """Protobuf takes it for a shorter file; ours say how many layers they hold."""
    path = tmp_path / 'w.caffemodel'
    layers = [(name, 'Convolution', [np.ones((2, 2), np.float32)]) for name in 'abc']
    write_weights(path, layers[:2])
    size = path.stat().st_size
    write_weights(path, layers)
    cut = path.read_bytes()[:size]
    model = caffe_pb2.NetParameter.FromString(cut)
    assert [layer.name for layer in model.layer] == ['a', 'b'] and not model.name
    path.write_bytes(cut)
    with pytest.raises(WeightsError, match=r'w\.caffemodel: .*2 of its 3'):
        list(read_weights(path))
    # Version 1 wrote the number into the name of the net. Caffe's own files hold none.
    for name, complete in (('3 layers', False), ('2 layers', True), ('LeNet 5 layers', True)):
        old = caffe_pb2.NetParameter(name=name, layer=model.layer)
        path.write_bytes(old.SerializeToString())
        if complete:
            assert [layer for layer, _ in read_weights(path)] == ['a', 'b']
        else:
            with pytest.raises(WeightsError, match=r'2 of its 3'):
                list(read_weights(path))


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'w.caffemodel'
    path.write_bytes(b'old')

    def layers() -> Iterator[tuple[str, str, list[np.ndarray]]]:
        yield 'a', 'Convolution', [np.ones(4, np.float32)]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_weights(path, layers())
    assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]


def test_commands(
    tmp_path: Path, small: caffe.Net, command: Callable[..., CompletedProcess[str]]
) -> None:
    save(small, tmp_path / 'small.caffemodel')
    result = command(
        '-m',
        'surgery',
        'cast',
        tmp_path / 'small.prototxt',
        tmp_path / 'small.caffemodel',
        tmp_path / 'full',
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'full.prototxt').is_file() and list(
        read_weights(tmp_path / 'full.caffemodel')
    )
    missing = command('-m', 'surgery', 'init', 'mini-fcn32s', tmp_path / 'init.caffemodel')
    assert missing.returncode == 2 and 'init.caffemodel: ' in missing.stderr
    assert re.search('WARNING.* conv1_1', missing.stdout)
    assert not (tmp_path / 'init.caffemodel').exists()
    drawn = command(
        '-m', 'surgery', 'init', 'mini-fcn32s', tmp_path / 'init.caffemodel', '--init-missing'
    )
    assert drawn.returncode == 0 and len(list(read_weights(tmp_path / 'init.caffemodel'))) == 12
    assert drawn.stderr == ''


def test_real_googlenet_keeps_its_top_1_when_cast(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """On 224×224 crops of real photos the cast net gives what the classifier gives, and sees what
    the photos show."""
    weights = shared('weights/bvlc_googlenet.caffemodel')
    photos = VOC(shared('data/voc'), 'seg11valid')
    deploy = deploy_net(find('ilsvrc-googlenet')).to_proto()
    net = net_of(deploy)
    assert not transplant(net, read_weights(weights)).missing
    (tmp_path / 'cast.prototxt').write_text(
        text_format.MessageToString(convolutionalize(net, deploy))
    )
    full = caffe.Net(str(tmp_path / 'cast.prototxt'), caffe.TEST)
    report = transplant(full, read_weights(weights))
    assert report.cast == ['loss3/classifier']
    right = total = 0
    for name in photos.names[::12]:
        image, label = photos.pair(name)
        if min(image.shape[:2]) < 224:
            continue
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        blob = VOC.inputs['data'].blob(image[top : top + 224, left : left + 224])
        net.blobs['data'].data[0] = full.blobs['data'].data[0] = blob
        flat, spatial = net.forward()['prob'][0], full.forward()['prob'][0]
        assert spatial.shape == (1000, 1, 1)
        assert flat.argmax() == spatial[:, 0, 0].argmax()
        np.testing.assert_allclose(flat, spatial[:, 0, 0], atol=1e-5)
        # ILSVRC's synsets in order: birds, dogs and cats have runs of their own.
        runs = {
            3: [*range(7, 24), *range(80, 101), *range(127, 147)],
            8: range(281, 286),
            12: range(151, 269),
        }
        classes = set(np.unique(label[top : top + 224, left : left + 224])) & set(runs)
        if len(classes) == 1:
            total += 1
            right += int(flat.argmax()) in runs[classes.pop()]
    assert total >= 5 and right / total > 0.6
