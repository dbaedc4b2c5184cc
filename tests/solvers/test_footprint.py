"""What a net is said to need, against what Caffe gives it."""

import caffe
import pytest

from engine import STOCK
from errors import UserError
from nets import FOLDER, find
from solvers import Footprint, Tiling
from solvers.footprint import WORKSPACE


@pytest.mark.parametrize('name', ['mini-fcn8s', 'voc-fcn-googlenet', 'voc-fcn-alexnet'])
def test_blobs_have_the_sizes_foretold(name):
    net = caffe.Net(str(FOLDER / name / 'deploy.prototxt'), caffe.TEST)
    footprint = Footprint(net)
    height, width = 333, 500
    net.blobs['data'].reshape(1, 3, height, width)
    net.reshape()
    foretold = footprint.elements(height, width)
    for blob in net.blobs:
        assert foretold[blob] == pytest.approx(net.blobs[blob].count, rel=0.1), blob


def test_what_is_held_at_once():
    """FCN-32s' widest step is conv1_2's: 64 channels of the padded image, read and written, beside the image."""
    net = caffe.Net(str(FOLDER / 'voc-fcn32s' / 'deploy.prototxt'), caffe.TEST)
    footprint = Footprint(net)
    held = footprint.bytes(500, 500) - (0 if STOCK else WORKSPACE)
    if STOCK:
        assert max(footprint.elements(500, 500).values()) == pytest.approx(576 * 698 ** 2, rel=0.01)
    else:
        assert held == pytest.approx(4 * (2 * 64 * 698 ** 2 + 3 * 500 ** 2), rel=0.02)
    assert footprint.fits(500, 500, free=16e9) and not footprint.fits(500, 500, free=0.5e9)
    assert not footprint.fits(9000, 9000, free=1e15)  # 2³¹ elements are Caffe's limit whatever the memory
    tiling = Tiling.of(find('voc-fcn32s'))
    free = 16e9 if STOCK else 2e9
    side = footprint.tile(tiling, free)
    assert side % 32 == 0 and footprint.fits(side, side, free) and not footprint.fits(side + 32, side + 32, free)
    with pytest.raises(UserError, match=r'needs \d\.\d GB for the smallest tiles'):
        footprint.tile(tiling, free=0.5e9)
