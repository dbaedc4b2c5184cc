"""What a net is said to need, against what Caffe gives it."""

import caffe
import pytest

from errors import UserError
from nets import FOLDER, find
from solvers import Footprint, Tiling


@pytest.mark.parametrize('name', ['mini-fcn8s', 'voc-fcn-googlenet', 'voc-fcn-alexnet'])
def test_blobs_have_the_sizes_foretold(name):
    net = caffe.Net(str(FOLDER / name / 'deploy.prototxt'), caffe.TEST)
    footprint = Footprint(net)
    height, width = 333, 500
    net.blobs['data'].reshape(1, 3, height, width)
    net.reshape()
    actual = [blob.count for blob in net.blobs.values()]
    foretold = footprint.elements(height, width)[:len(actual)]
    assert sum(foretold) == pytest.approx(sum(actual), rel=0.1)
    assert max(foretold) == pytest.approx(max(actual), rel=0.1)


def test_im2col_buffers_count():
    """conv1_2 of VGG: 64·3·3 values for each pixel of the padded image."""
    net = caffe.Net(str(FOLDER / 'voc-fcn32s' / 'deploy.prototxt'), caffe.TEST)
    footprint = Footprint(net)
    assert max(footprint.elements(500, 500)) == pytest.approx(576 * 698 ** 2, rel=0.01)
    assert footprint.fits(500, 500, free=16e9) and not footprint.fits(500, 500, free=1e9)
    assert not footprint.fits(3000, 4000, free=1e15)  # 2³¹ elements are Caffe's limit whatever the memory
    tiling = Tiling.of(find('voc-fcn32s'))
    side = footprint.tile(tiling, free=16e9)
    assert side % 32 == 0 and footprint.fits(side, side, 16e9) and not footprint.fits(side + 32, side + 32, 16e9)
    with pytest.raises(UserError, match=r'needs \d\.\d GB for the smallest tiles'):
        footprint.tile(tiling, free=1e9)
