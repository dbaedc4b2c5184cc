"""A Segmenter takes images as users have them and gives what the net computes, from any thread."""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcn
from fcn.engine import net_of
from fcn.inference import segment
from fcn.memory import SHARE
from fcn.memory_estimate import Use, segmenting
from fcn.nets import deploy_net, find

NET = 'mini-fcn8s'


@pytest.fixture(scope='module')
def seg(drawn_weights):
    return fcn.load(NET, weights=drawn_weights(NET), gpu=-1)


def noise(height=70, width=90, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, channels), np.uint8)
    return small.repeat(5, 0).repeat(5, 1)[:height, :width]


def test_labels_are_those_of_the_net_run_by_hand(seg, drawn_weights):
    image = noise()
    net = net_of(deploy_net(find(NET)))
    net.copy_from(str(drawn_weights(NET)))
    expected = segment(net, find(NET), {'data': image})['label']
    result = seg(image)
    assert result.labels.dtype == np.uint8 and len(np.unique(expected)) > 1
    assert np.array_equal(result.labels, expected)
    assert result.classes == seg.classes == find(NET).classes['label']
    scores = net.blobs['score'].data[0]
    assert np.allclose(seg.scores(image), scores, rtol=0, atol=1e-5 * abs(scores).max())


def test_all_ways_to_give_one_image_give_the_same_labels(seg, tmp_path):
    image = noise()
    expected = seg(image).labels
    Image.fromarray(image).save(tmp_path / 'a.png')
    alpha = np.dstack([image, noise(seed=5, channels=1)])
    for given in (
        tmp_path / 'a.png',
        str(tmp_path / 'a.png'),
        Image.fromarray(image),
        Image.fromarray(alpha),
        alpha,
        image[:, ::-1][:, ::-1],
    ):
        assert np.array_equal(seg(given).labels, expected)
    grey = noise(channels=1)
    expected = seg(grey.repeat(3, 2)).labels
    for given in (grey, grey[..., 0], Image.fromarray(grey[..., 0])):
        assert np.array_equal(seg(given).labels, expected)


def test_a_photo_is_turned_upright_from_a_file_and_from_pillow(seg, tmp_path):
    image = Image.fromarray(noise(60, 90))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / 'turned.png', exif=exif)
    with Image.open(tmp_path / 'turned.png') as opened:
        labels = seg(opened).labels
    assert labels.shape == (90, 60)
    assert np.array_equal(labels, seg(tmp_path / 'turned.png').labels)


IMAGE = np.full((20, 30, 3), 100, np.uint8)


@pytest.mark.parametrize(
    ('image', 'named'),
    [
        (IMAGE / 255, 'float64'),
        ((IMAGE / 255).astype(np.float32), '255'),
        (IMAGE.astype(float), 'uint8'),
        (np.full((20, 30, 3), np.nan), 'NaN'),
        (IMAGE.transpose(2, 0, 1), 'transpose'),
        (IMAGE[np.newaxis], 'one image'),
        (IMAGE[:0], r'\(0, 30, 3\)'),
        (IMAGE[..., :2], r'\(20, 30, 2\)'),
        (IMAGE[0, 0], r'\(3,\)'),
        (IMAGE.astype(np.uint16), 'uint16'),
        (IMAGE > 3, 'bool'),
        (np.zeros((2, 20_000), np.uint8), '20000'),
        (np.array('photo.jpg'), r'\(\)'),
        (Image.fromarray(np.full((9, 9), 300.5, np.float32)), '300.5'),
        (Image.new('RGB', (0, 5)), '0×5'),
        (None, 'NoneType'),
        ([[1, 2], [3, 4]], 'list'),
        ('nowhere.jpg', 'nowhere.jpg'),
    ],
)
def test_anything_else_is_refused_in_one_line(seg, image, named):
    with pytest.raises(fcn.DataError, match=named) as refused:
        seg(image)
    assert isinstance(refused.value, fcn.FCNError) and '\n' not in str(refused.value)


def test_probabilities_are_the_softmax_of_the_scores(seg):
    image = noise()
    result, scores = seg(image), seg.scores(image).astype(np.float64)
    expected = np.exp(scores) / np.exp(scores).sum(0)
    assert result.probabilities.dtype == np.float32
    assert np.allclose(result.probabilities, expected, atol=1e-6)
    assert np.array_equal(result.probabilities.argmax(0), result.labels)


def test_shares_and_pictures_are_of_the_labels(seg):
    result = seg(noise())
    assert sum(result.shares.values()) == pytest.approx(1)
    for name, share in result.shares.items():
        assert (result.labels == result.classes.index(name)).mean() == pytest.approx(share)
    assert list(result.shares.values()) == sorted(result.shares.values(), reverse=True)
    assert np.array_equal(np.asarray(result.label_image()), result.labels)
    overlay = np.asarray(result.overlay(opacity=1))
    assert overlay.shape[0] > 70 and overlay.shape[1] == 90
    painted = result.labels > 0  # 0 is the background, which is not painted
    assert np.array_equal(overlay[:70][painted], result.colours[result.labels[painted]])


def test_tiles_do_not_change_the_scores(seg):
    image = noise(420, 333)
    tile = seg.smallest_tile + 64
    whole, tiled = seg.scores(image), seg.scores(image, tile=tile)
    assert np.abs(tiled - whole).max() < 1e-5 * np.abs(whole).max()
    assert (seg(image, tile=tile).labels != seg(image).labels).mean() < 1e-4
    with pytest.raises(fcn.FCNError, match=str(seg.smallest_tile)):
        seg(image, tile=seg.smallest_tile - 1)


def test_an_image_that_does_not_fit_goes_by_tiles(seg, drawn_weights, monkeypatch, caplog):
    caplog.set_level(logging.INFO, 'fcn')
    image = noise(720, 633)
    expected = seg.scores(image)
    tile = seg.smallest_tile + 64
    floats = Use(2 * 4 * len(seg.classes) * 720 * 633)
    besides = segmenting(720, 633) + floats
    free = (seg._estimate.testing(tile, tile) + besides).bytes / SHARE
    assert free < (seg._estimate.testing(720, 633) + besides).bytes / SHARE
    monkeypatch.setattr(fcn.segmenter, 'free_memory', lambda: free)
    seg.scores(image)  # The memory that it took before is its own.
    assert 'tiles' not in caplog.text
    new = fcn.load(NET, weights=drawn_weights(NET), gpu=-1)
    assert np.abs(new.scores(image) - expected).max() < 1e-5 * np.abs(expected).max()
    assert '633×720 by tiles of' in caplog.text


def test_many_threads_get_what_one_gets(seg):
    """Sizes differ, so that a mixed-up blob would not even have the right shape."""
    images = [noise(40 + 7 * i, 110 - 6 * i, seed=i) for i in range(8)]
    expected = [seg(image).labels for image in images]
    barrier = threading.Barrier(8)

    def work(index):
        barrier.wait()
        return [
            np.array_equal(seg(images[(index + k) % 8]).labels, expected[(index + k) % 8])
            for k in range(4)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert all(all(results) for results in pool.map(work, range(8)))


def test_a_fork_segments_while_another_thread_does(seg):
    image = noise(300, 300)
    expected = seg(image).labels
    thread = threading.Thread(target=lambda: [seg(image) for _ in range(10)])
    thread.start()
    while not seg._lock.locked():
        time.sleep(0.001)
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if np.array_equal(seg(image).labels, expected) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()


@pytest.mark.parametrize('threads', [1, 3])
def test_a_segmenter_has_a_number_of_threads(drawn_weights, threads):
    own = fcn.load(NET, weights=drawn_weights(NET), gpu=-1, threads=threads)
    before = fcn.threads()

    def woken() -> int:
        """Return how many threads the first image wakes, in a thread that computed nothing yet."""
        idle = len(os.listdir('/proc/self/task'))
        own(noise(400, 400))
        return len(os.listdir('/proc/self/task')) - idle

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(woken).result() == threads - 1
    assert fcn.threads() == before


def test_several_inputs_and_two_kinds_of_labels(drawn_weights):
    late = 'mini-nyud-fcn32s-color-hha'
    seg = fcn.load(late, weights=drawn_weights(late), gpu=-1)
    color, hha = noise(), noise(seed=1)
    assert seg.inputs == ('color', 'hha')
    assert not np.array_equal(seg(color, hha=hha).labels, seg(color, hha=hha[::-1].copy()).labels)
    with pytest.raises(fcn.FCNError, match='hha='):
        seg(color)
    with pytest.raises(fcn.FCNError, match='90×69'):
        seg(color, hha=hha[:-1])
    with pytest.raises(fcn.FCNError, match='depth'):
        seg(color, hha=hha, depth=hha)

    early = 'mini-nyud-fcn32s-color-d'
    seg = fcn.load(early, weights=drawn_weights(early), gpu=-1)
    depth = np.full((70, 90), 2500, np.uint16)
    assert seg(color, depth=depth).labels.shape == (70, 90)
    for bad in (depth / np.nan, -depth.astype(float), hha, depth.astype(np.uint8)):
        with pytest.raises(fcn.DataError, match='depth'):
            seg(color, depth=bad)

    both = 'mini-siftflow-fcn16s'
    seg = fcn.load(both, weights=drawn_weights(both), gpu=-1)
    result = seg(color)
    assert result.classes == find(both).classes['sem']
    assert result.others['geo'].classes == find(both).classes['geo']
    assert len(seg.scores(color, label='geo')) == 3
    assert np.array_equal(result.others['geo'].probabilities.argmax(0), result.others['geo'].labels)
    with pytest.raises(fcn.FCNError, match='sem, geo'):
        seg.scores(color, label='depth')


def test_what_cannot_be_loaded_is_named(tmp_path, monkeypatch, drawn_weights):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    for arguments, named in (
        (('mini-fcn9s',), 'mini-fcn8s'),
        (('mini-vgg',), 'classifier'),
        (('voc-fcn8s',), 'fcn-weights voc-fcn8s'),
        (('empty',), 'empty'),
        ((NET, 'missing.caffemodel'), 'missing.caffemodel'),
        ((NET, drawn_weights('mini-siftflow-fcn16s')), 'siftflow-fcn16s.caffemodel'),
    ):
        with pytest.raises(fcn.FCNError, match=named):
            fcn.load(*arguments, gpu=-1)


def test_segment_keeps_the_net_it_loaded(seg, drawn_weights, monkeypatch):
    weights = drawn_weights(NET)
    labels = fcn.segment(noise(), NET, weights, gpu=-1)
    assert np.array_equal(labels, seg(noise()).labels)
    monkeypatch.setattr(fcn.segmenter, 'load', None)  # A second net would need it.
    assert np.array_equal(fcn.segment(noise(), NET, weights, gpu=-1), labels)


def test_an_untrained_net_is_reported(tmp_path, caplog):
    from fcn.surgery import save, start

    net = net_of(deploy_net(find(NET)))
    start(net, [], init_missing=True)
    save(net, tmp_path / 'start.caffemodel')
    assert not fcn.load(NET, tmp_path / 'start.caffemodel', gpu=-1)(noise()).labels.any()
    assert 'score_fr' in caplog.text


def test_the_package_names_what_it_exports():
    assert set(fcn.__all__) <= set(dir(fcn))
    with pytest.raises(AttributeError, match='nonsense'):
        fcn.nonsense  # noqa: B018


def test_progress_goes_from_nothing_to_all_whole_and_by_tiles(
    drawn_weights: Callable[[str], Path],
) -> None:
    segmenter = fcn.load('mini-fcn16s', drawn_weights('mini-fcn16s'), gpu=-1)
    image = np.random.default_rng(0).integers(0, 256, (300, 500, 3), np.uint8)
    expected = segmenter(image).labels
    # The second time, the size is known, and another net computes it (fcn.frame).
    for tile, passes in ((None, 1), (None, 1), (segmenter.smallest_tile + 64, 4)):
        told: list[tuple[float, str]] = []
        arrays = segmenter.compute(
            segment, image, tile=tile, progress=lambda *news, told=told: told.append(news)
        )
        assert (
            np.array_equal(arrays['label'], expected) or (arrays['label'] != expected).mean() < 1e-4
        )
        shares = [share for share, _ in told]
        assert shares == sorted(shares) and 0 < shares[0] < 0.5 / passes and shares[-1] == 1
        layers = [layer for _, layer in told]
        assert (
            layers.count('conv3_1') == layers.count('score_fr') == layers.count('score') >= passes
        )
    told.clear()
    segmenter(image)
    assert not told
