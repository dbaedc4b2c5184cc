"""Every net in one table: its trunk, head, data set, starting weights and recipe.

To add a net, add a row and a folder `nets/NAME/` whose net.py is the four lines of
the others.
"""

from typing import NamedTuple

from errors import UserError

from . import heads
from .alexnet import ALEXNET
from .googlenet import GOOGLENET
from .vgg import MINI, VGG16


class Net(NamedTuple):
    """A row. `head` is None for a classifier; `data` names a row of data_layers.DATASETS.

    `parent` is the net whose weights this one starts from. `recipe` names one of
    solvers.RECIPES, and `base_lr` and `max_iter` are its numbers for this net. A net
    with a `url` is fetched from there, not trained.
    """

    trunk: object
    head: object
    data: str
    parent: str | None = None
    recipe: str = 'heavy'
    base_lr: float | None = None
    max_iter: int | None = None
    url: str | None = None


NETS = {
    # The ILSVRC classifiers that the trunks come from. They are fetched, not trained.
    'ilsvrc-vgg16': Net(VGG16, None, 'ilsvrc', url=(
        'https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel')),
    'ilsvrc-alexnet': Net(ALEXNET, None, 'ilsvrc', url=(
        'https://dl.caffe.berkeleyvision.org/bvlc_reference_caffenet.caffemodel')),
    'ilsvrc-googlenet': Net(GOOGLENET, None, 'ilsvrc', url=(
        'https://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel')),
    # PASCAL VOC (section 5, Tables 1 to 3).
    'voc-fcn32s': Net(VGG16, heads.fcn32s, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 100_000),
    'voc-fcn16s': Net(VGG16, heads.fcn16s, 'voc', 'voc-fcn32s', 'heavy', 1e-12, 100_000),
    'voc-fcn8s': Net(VGG16, heads.fcn8s, 'voc', 'voc-fcn16s', 'heavy', 1e-14, 100_000),
    'voc-fcn8s-atonce': Net(VGG16, heads.fcn8s_atonce, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000),
    'voc-fcn-alexnet': Net(ALEXNET, heads.fcn32s, 'voc', 'ilsvrc-alexnet', 'cvpr', 1e-4, 100_000),
    'voc-fcn-googlenet': Net(GOOGLENET, heads.fcn32s, 'voc', 'ilsvrc-googlenet', 'heavy', 5e-5, 100_000),
    'voc-fcn16s-googlenet': Net(GOOGLENET, heads.fcn16s, 'voc', 'voc-fcn-googlenet', 'heavy', 1e-5, 100_000),
    'voc-fcn8s-googlenet': Net(GOOGLENET, heads.fcn8s, 'voc', 'voc-fcn16s-googlenet', 'heavy', 1e-7, 100_000),
    # The miniature: a small VGG that learns to classify shapes, then the stages of Table 2.
    'mini-vgg': Net(MINI, None, 'mini-objects', None, 'miniature', 1e-2, 600),
    'mini-fcn32s': Net(MINI, heads.fcn32s, 'mini', 'mini-vgg', 'miniature', 5e-7, 1600),
    'mini-fcn16s': Net(MINI, heads.fcn16s, 'mini', 'mini-fcn32s', 'miniature', 5e-7, 800),
    'mini-fcn8s': Net(MINI, heads.fcn8s, 'mini', 'mini-fcn16s', 'miniature', 5e-7, 800),
}


def find(name):
    """The row of net `name`; UserError names the nets there are."""
    if name not in NETS:
        raise UserError(f"no net is named '{name}'; the nets are: {', '.join(NETS)}")
    return NETS[name]
