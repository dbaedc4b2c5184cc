"""Caffe's own Python files work on today's libraries."""

import subprocess
import sys

import caffe
import numpy as np
import pytest
from caffe import _build
from caffe.proto import caffe_pb2
from PIL import Image
from support import ROOT

import patches

MEAN = np.array([104.0, 117.0, 123.0])
# The score of an image is the image: what a Classifier or a Detector feeds its net can be read.
NET = 'input: "data" input_shape {{ dim: {} dim: 3 dim: {side} dim: {side} }} '
FLATTEN = 'layer { name: "out" type: "Flatten" bottom: "data" top: "out" }'
PRODUCT = (
    'force_backward: true layer { name: "out" type: "InnerProduct" bottom: "data" top: "out" '
    'inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }'
)


@pytest.fixture
def photo():
    """A smooth 24×32 image, uint8 RGB."""
    y, x = np.mgrid[:24, :32]
    planes = 128 + 100 * np.sin(y / 5 + x / 9), 7 * x + y, 250 - 3 * x - 2 * y
    return np.stack(planes, 2).astype(np.uint8)


def write(folder, text, layers=FLATTEN, count=4, side=8):
    (folder / 'net.prototxt').write_text(text.format(count, side=side) + layers)
    return str(folder / 'net.prototxt')


def empty_weights(folder):
    (folder / 'none.caffemodel').write_bytes(b'')
    return str(folder / 'none.caffemodel')


def shrink(image, height, width):
    """Interpolate linearly, H×W×C float, pixels being squares. Nothing is blurred."""
    for axis, size in enumerate((height, width)):
        old = image.shape[axis]
        at = ((np.arange(size) + 0.5) * old / size - 0.5).clip(0, old - 1)
        low = np.minimum(at.astype(int), old - 2)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        image = image.take(low, axis) * (1 - share) + image.take(low + 1, axis) * share
    return image


def for_net(image):
    """Return what a net with raw scale 255, swapped channels and MEAN reads of H×W×3 in 0…1."""
    return image[:, :, ::-1].transpose(2, 0, 1) * 255 - MEAN[:, None, None]


def test_a_datum_holds_an_array():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    datum = caffe.io.array_to_datum(array, label=7)
    assert (datum.data, datum.label) == (bytes(range(24)), 7)
    back = caffe.io.datum_to_array(caffe_pb2.Datum.FromString(datum.SerializeToString()))
    np.testing.assert_array_equal(back, array)
    back += 1  # It is the caller's own.
    np.testing.assert_array_equal(caffe.io.datum_to_array(datum), array)
    floats = caffe.io.array_to_datum(array / 7)
    np.testing.assert_allclose(caffe.io.datum_to_array(floats), array / 7, rtol=1e-6)


@pytest.mark.parametrize('color', [True, False])
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK', 'I;16', 'GIF', 'TIF'])
def test_load_image(tmp_path, photo, mode, color):
    """An image is what Pillow says its colours are, whatever the mode of its file."""
    image, path = Image.fromarray(photo), tmp_path / 'image.png'
    if mode == 'I;16':
        image = Image.fromarray(photo[:, :, 0].astype(np.uint16) * 257)
    elif mode in ('GIF', 'TIF'):
        path = path.with_suffix(f'.{mode.lower()}')
    else:
        image = image.convert(mode)
        if mode.endswith('A'):
            image.putalpha(Image.fromarray(photo[:, :, 0]))
    if mode == 'CMYK':
        path = path.with_suffix('.jpg')
    image.save(path)
    if mode == 'I;16':
        expected = np.repeat(photo[:, :, :1] / 255, 3, 2)
    else:
        with Image.open(path) as saved:
            expected = np.asarray(saved.convert('RGB')) / 255
    if not color:
        expected = expected @ np.array([[0.2125], [0.7154], [0.0721]])
    loaded = caffe.io.load_image(str(path), color)
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, expected, atol=1e-6)


def test_an_open_file_is_an_image(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / 'image.png')
    with open(tmp_path / 'image.png', 'rb') as file:
        np.testing.assert_allclose(caffe.io.load_image(file), photo / 255, atol=1e-6)


def test_an_image_is_shrunk_without_blur(photo):
    image = photo / 255
    resized = caffe.io.resize_image(image, (9, 11))
    np.testing.assert_allclose(resized, shrink(image, 9, 11), atol=1e-6)


@pytest.mark.parametrize('number', [8, 10])
def test_forward_backward_all_without_diffs(tmp_path, number):
    """The gradient of the outputs is then what lies in their diff."""
    net = caffe.Net(write(tmp_path, NET, PRODUCT), caffe.TRAIN)
    weights, data = net.params['out'][0].data, np.random.default_rng(0).random((number, 3, 8, 8))
    net.blobs['out'].diff[...] = [1, 2, 3, 4, 5]
    outs, diffs = net.forward_backward_all(data=data)
    assert outs['out'].shape[0] == diffs['data'].shape[0] == number
    np.testing.assert_allclose(outs['out'], data.reshape(number, -1) @ weights.T, 1e-4, 1e-6)
    expected = (np.arange(1, 6) @ weights).reshape(1, 3, 8, 8)
    np.testing.assert_allclose(diffs['data'], expected.repeat(number, 0), 1e-4, 1e-6)


def model(tmp_path, **sizes):
    return write(tmp_path, NET, **sizes), empty_weights(tmp_path)


SETTINGS = {'mean': MEAN, 'raw_scale': 255, 'channel_swap': (2, 1, 0)}


def test_a_classifier_averages_ten_crops(tmp_path, photo):
    classifier = caffe.Classifier(*model(tmp_path), image_dims=(12, 14), **SETTINGS)
    image = shrink(photo / 255, 12, 14)
    corners = [(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)]
    crops = [image[y : y + 8, x : x + 8] for y, x in corners]
    crops += [crop[:, ::-1] for crop in crops]
    expected = np.mean([for_net(crop) for crop in crops], 0)
    predicted = classifier.predict([photo / 255])
    np.testing.assert_allclose(predicted, expected.reshape(1, -1), atol=1e-3)
    center = classifier.predict([photo / 255], oversample=False)
    np.testing.assert_allclose(center[0].ravel(), for_net(crops[4]).ravel(), atol=1e-3)


@pytest.mark.parametrize('kind', [int, float])
def test_a_detector_pads_by_context(tmp_path, photo, kind):
    """Of 8 pixels, 2 on each side are context: a window of 4 is fed as it is, its surroundings too.

    What lies outside the image is the mean, which is zero in the net.
    """
    Image.fromarray(photo).save(tmp_path / 'photo.png')
    detector = caffe.Detector(*model(tmp_path), context_pad=2, **SETTINGS)
    windows = np.array([[6, 9, 9, 12], [0, 9, 3, 12], [0, 0, 3, 3]], kind)
    detections = detector.detect_windows([(str(tmp_path / 'photo.png'), windows)])
    around = np.pad(for_net(photo / 255), ((0, 0), (2, 0), (2, 0)))
    assert len(detections) == 3
    for detection, (y, x) in zip(detections, ((6, 9), (0, 9), (0, 0)), strict=True):
        expected = around[:, y : y + 8, x : x + 8]
        np.testing.assert_allclose(
            detection['prediction'].reshape(3, 8, 8), expected, atol=1e-3, err_msg=f'{y}, {x}'
        )


def test_a_detector_takes_windows_of_selective_search(tmp_path, photo, monkeypatch):
    """The search is another project; here, a module of its name proposes one window an image."""
    Image.fromarray(photo).save(tmp_path / 'photo.png')
    (tmp_path / 'selective_search_ijcv_with_python.py').write_text(
        'def get_windows(names, cmd):\n    return [[[2, 3, 10, 11]] for _ in names]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    detector = caffe.Detector(*model(tmp_path), **SETTINGS)
    detections = detector.detect_selective_search([str(tmp_path / 'photo.png')] * 2)
    expected = for_net(photo[2:10, 3:11] / 255)
    assert len(detections) == 2
    for detection in detections:
        np.testing.assert_allclose(detection['prediction'], expected.ravel(), atol=1e-3)


def test_a_real_photograph_is_classified(shared, tmp_path):
    net = (ROOT / 'nets/ilsvrc-googlenet/deploy.prototxt').read_text()
    (tmp_path / 'net.prototxt').write_text(net.replace('dim: 1\n', 'dim: 10\n', 1))
    classifier = caffe.Classifier(
        str(tmp_path / 'net.prototxt'),
        str(shared('weights/bvlc_googlenet.caffemodel')),
        image_dims=(256, 256),
        **SETTINGS,
    )
    image = caffe.io.load_image(str(shared('data/voc/JPEGImages/2007_000033.jpg')))
    assert classifier.predict([image]).argmax() == 404  # airliner


@pytest.mark.skipif(_build.CUDA, reason='this engine has CUDA')
@pytest.mark.parametrize('call', ['set_device(0)', 'set_mode_gpu()', '_caffe.set_device(0)'])
def test_without_cuda_a_gpu_is_refused(call):
    script = f'import caffe\ntry: caffe.{call}\nexcept RuntimeError as e: print(e)'
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert 'caffe.set_mode_cpu()' in result.stdout and result.stdout.count('\n') == 1


def test_a_patch_that_no_longer_applies_stops_the_build(tmp_path):
    (tmp_path / 'source').mkdir()
    (tmp_path / 'source/io.py').write_text('a = 1\nb = 1\n')
    for old, times in (('c = 1', 0), (' = 1', 2)):
        patch = patches.Patch('io.py', old, 'd', 'a test')
        with pytest.raises(SystemExit, match=f'io.py: .*{times} times'):
            patches.apply(tmp_path / 'source', tmp_path / 'target', [patch])
    patches.apply(
        tmp_path / 'source', tmp_path / 'target', [patches.Patch('io.py', 'a = 1', 'a = 2', '')]
    )
    assert (tmp_path / 'target/io.py').read_text() == 'a = 2\nb = 1\n'
    assert (tmp_path / 'source/io.py').read_text() == 'a = 1\nb = 1\n'
