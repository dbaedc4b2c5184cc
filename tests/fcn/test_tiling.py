"""Tiles against the whole image."""

import numpy as np
import pytest

from fcn.engine import net_of
from fcn.errors import FCNError
from fcn.inference import segment
from fcn.nets import deploy_net, find
from fcn.surgery import start
from fcn.tiling import Tiling, by_tiles


def make_net(name):
    """A deploy net with drawn weights whose scores differ from pixel to pixel."""
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    rng = np.random.default_rng(0)
    for layer in net.params:
        if layer.startswith('score'):
            weights = net.params[layer][0].data
            weights[...] = rng.normal(0, 0.01, weights.shape)
    return net


@pytest.mark.parametrize(('height', 'width'), [(1, 1), (31, 700), (500, 500), (777, 420)])
def test_boxes_cover_the_image_once_and_overlap_as_they_must(height, width):
    tiling = Tiling.of(find('mini-fcn8s'))
    count = np.zeros((height, width), int)
    for kept, tile in tiling.boxes(height, width, tiling.smallest() + 100):
        count[kept] += 1
        for inner, outer, full in zip(kept, tile, (height, width), strict=True):
            assert outer.start % tiling.stride == 0
            assert outer.stop - outer.start <= tiling.smallest() + 100
            assert outer.start == 0 or inner.start - outer.start == tiling.margin
            assert outer.stop == full or outer.stop - inner.stop == tiling.margin
    assert (count == 1).all()


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('mini-fcn8s', (500, 613)),
        ('mini-fcn32s', (655, 430)),
        pytest.param('voc-fcn-alexnet', (700, 530), marks=pytest.mark.slow),
    ],
)
def test_seams_do_not_show(name, size):
    """Every score of the tiles is that of the whole image, but for the order of sums."""
    net, config = make_net(name), find(name)
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    whole = segment(net, config, {'data': image})['label']
    scores = net.blobs['score'].data[0].copy()
    tiling = Tiling.of(config)
    side = tiling.smallest() + 2 * tiling.stride
    for kept, tile in tiling.boxes(*size, side):
        segment(net, config, {'data': image[tile]})
        inside = tuple(
            slice(part.start - outer.start, part.stop - outer.start)
            for part, outer in zip(kept, tile, strict=True)
        )
        found, expected = (
            net.blobs['score'].data[(0, slice(None), *inside)],
            scores[(slice(None), *kept)],
        )
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(scores).max())

    def compute(part):
        return segment(net, config, part)

    labels = by_tiles(compute, tiling, {'data': image}, side)['label']
    assert len(np.unique(whole)) > 1 and (labels != whole).mean() < 1e-4


def test_a_smaller_overlap_would_show():
    """The margin is not idle: with half of it seams differ."""
    name = 'mini-fcn8s'
    net, config = make_net(name), find(name)
    image = np.random.default_rng(1).integers(0, 256, (500, 613, 3), np.uint8)
    segment(net, config, {'data': image})
    scores = net.blobs['score'].data[0].copy()
    tiling = Tiling.of(config)
    worst = 0
    for kept, tile in tiling._replace(margin=tiling.margin // 64 * 32).boxes(500, 613, 300):
        segment(net, config, {'data': image[tile]})
        inside = tuple(
            slice(part.start - outer.start, part.stop - outer.start)
            for part, outer in zip(kept, tile, strict=True)
        )
        found = net.blobs['score'].data[(0, slice(None), *inside)]
        worst = max(worst, np.abs(found - scores[(slice(None), *kept)]).max())
    assert worst > 1e-3 * np.abs(scores).max()


def test_a_tile_of_overlap_alone_is_refused():
    tiling = Tiling.of(find('mini-fcn8s'))
    with pytest.raises(FCNError, match=f'give {tiling.smallest()} or more'):
        list(tiling.boxes(10, 10, tiling.smallest() - 1))
