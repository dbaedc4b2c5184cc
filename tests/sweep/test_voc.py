"""Every net of PASCAL VOC's classes, and the classifiers, as users take them.

Nothing is fetched: the classifiers are drawn, and every FCN starts from its own parents, trained
here a moment before. OpenCV reads each net too, and must agree with Caffe.
"""

import pytest

from fcn.nets import NETS
from tests.sweep.steps import check_net

ALL = [name for name, config in NETS.items() if config.data in ('ilsvrc', 'voc')]
# Nets of backbones that are small, with both recipes. Nets on VGG-16 write gigabytes; the miniature
# has their layers.
SHORT = (
    *('ilsvrc-googlenet', 'voc-fcn-googlenet', 'voc-fcn16s-googlenet', 'voc-fcn8s-googlenet'),
    *('voc-fcn-googlenet-cvpr', 'ilsvrc-alexnet', 'voc-fcn-alexnet'),
)


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=[] if name in SHORT else pytest.mark.slow) for name in ALL]
)
@pytest.mark.usefixtures('place')
def test_net(name: str) -> None:
    check_net(name, ALL)
