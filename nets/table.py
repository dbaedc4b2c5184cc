"""Every net in one table: its trunk, head, data set, starting weights and recipe.

To add a net, add a row and a folder `nets/NAME/` whose net.py is the four lines of
the others.
"""

from typing import NamedTuple

from errors import UserError

from . import heads
from .alexnet import ALEXNET
from .googlenet import GOOGLENET, GOOGLENET_FROZEN
from .vgg import (
    MINI,
    MINI_BGRD,
    MINI_FROZEN,
    MINI_TO_POOL3,
    MINI_TO_POOL4,
    VGG16,
    VGG16_BGRD,
    VGG16_FROZEN,
    VGG16_TO_POOL3,
    VGG16_TO_POOL4,
    VGG19,
)


class Net(NamedTuple):
    """A row. `head` is None for a classifier; `data` names a row of data_layers.DATASETS.

    `parent` is the net whose weights this one starts from, or several, each with the
    stream that it becomes. `recipe` names one of solvers.RECIPES, and `base_lr` and
    `max_iter` are its numbers for this net. `url` is where its weights are published;
    a net without `max_iter` is fetched from there, not trained. `inputs` are those of the
    data set that it sees, if not all, and `fusion` says where they join: early, as channels
    of one image, or late, as scores. `learns` are the labels of the data set that it is to score, if
    not all. `published` is its mean IU in percent as the authors, or others with
    their weights, report it.
    """

    trunk: object
    head: object
    data: str
    parent: str | dict | None = None
    recipe: str = 'heavy'
    base_lr: float | None = None
    max_iter: int | None = None
    published: float | None = None
    url: str | None = None
    inputs: tuple | None = None
    fusion: str | None = None
    learns: tuple | None = None

    @property
    def parents(self):
        """{name of a parent: the stream its weights become, '' if there is but one}."""
        if self.parent is None:
            return {}
        return self.parent if isinstance(self.parent, dict) else {self.parent: ''}

    @property
    def streams(self):
        """The names of the streams whose scores are fused late; one that is alone has the name ''."""
        return self.inputs if self.fusion == 'late' else ('',)

    @property
    def normalize(self):
        """Whether the loss is the mean over pixels, as the CVPR recipe's learning rates want it, or their sum."""
        return self.recipe == 'cvpr' or self.trunk.normalize


_BERKELEY = 'https://dl.caffe.berkeleyvision.org/{}.caffemodel'.format
_OXFORD = 'https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/{}.caffemodel'.format

NETS = {
    # The ILSVRC classifiers that the trunks come from. They are fetched, not trained.
    'ilsvrc-vgg16': Net(VGG16, None, 'ilsvrc', url=_OXFORD('VGG_ILSVRC_16_layers')),
    'ilsvrc-vgg19': Net(VGG19, None, 'ilsvrc', url=_OXFORD('VGG_ILSVRC_19_layers')),
    'ilsvrc-alexnet': Net(ALEXNET, None, 'ilsvrc', url=_BERKELEY('bvlc_reference_caffenet')),
    'ilsvrc-googlenet': Net(GOOGLENET, None, 'ilsvrc', url=_BERKELEY('bvlc_googlenet')),

    # PASCAL VOC (section 5, Tables 1 to 3).
    'voc-fcn32s': Net(VGG16, heads.fcn32s, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 100_000, published=63.6,
                      url=_BERKELEY('fcn32s-heavy-pascal')),
    'voc-fcn16s': Net(VGG16, heads.fcn16s, 'voc', 'voc-fcn32s', 'heavy', 1e-12, 100_000, published=65.0,
                      url=_BERKELEY('fcn16s-heavy-pascal')),
    'voc-fcn8s': Net(VGG16, heads.fcn8s, 'voc', 'voc-fcn16s', 'heavy', 1e-14, 100_000, published=65.5,
                     url=_BERKELEY('fcn8s-heavy-pascal')),
    'voc-fcn8s-atonce': Net(VGG16, heads.fcn8s_atonce, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000, published=65.4,
                            url=_BERKELEY('fcn8s-atonce-pascal')),
    'voc-fcn-alexnet': Net(ALEXNET, heads.fcn32s, 'voc', 'ilsvrc-alexnet', 'cvpr', 1e-4, 100_000, published=48.0,
                           url=_BERKELEY('fcn-alexnet-pascal')),
    'voc-fcn-googlenet': Net(GOOGLENET, heads.fcn32s, 'voc', 'ilsvrc-googlenet', 'heavy', 5e-5, 100_000),
    'voc-fcn16s-googlenet': Net(GOOGLENET, heads.fcn16s, 'voc', 'voc-fcn-googlenet', 'heavy', 1e-5, 100_000),
    'voc-fcn8s-googlenet': Net(GOOGLENET, heads.fcn8s, 'voc', 'voc-fcn16s-googlenet', 'heavy', 1e-7, 100_000),

    # What the paper compares them with (sections 4.1 to 4.3).
    'voc-fcn32s-fixed': Net(VGG16_FROZEN, heads.fcn32s, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 100_000, published=45.4),
    'voc-fcn32s-fixed-googlenet': Net(GOOGLENET_FROZEN, heads.fcn32s, 'voc', 'ilsvrc-googlenet', 'heavy', 5e-5,
                                      100_000),
    'voc-fcn-pool4': Net(VGG16_TO_POOL4, heads.pool4_alone, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 100_000),
    'voc-fcn-pool3': Net(VGG16_TO_POOL3, heads.pool3_alone, 'voc', 'ilsvrc-vgg16', 'heavy', 1e-10, 100_000),
    'voc-fcn32s-lower-lr': Net(VGG16, heads.fcn32s, 'voc', 'voc-fcn32s', 'heavy', 1e-12, 100_000),
    'voc-fcn16s-max': Net(VGG16, heads.fcn16s_max, 'voc', 'voc-fcn32s', 'heavy', 1e-12, 100_000),
    'voc-fcn32s-vgg19': Net(VGG19, heads.fcn32s, 'voc', 'ilsvrc-vgg19', 'heavy', 1e-10, 100_000),
    # The CVPR recipe. Each skip lowers the learning rate a hundredfold there; for the
    # second the paper names no further step.
    'voc-fcn32s-cvpr': Net(VGG16, heads.fcn32s, 'voc', 'ilsvrc-vgg16', 'cvpr', 1e-4, 100_000, published=59.4),
    'voc-fcn16s-cvpr': Net(VGG16, heads.fcn16s_learned, 'voc', 'voc-fcn32s-cvpr', 'cvpr', 1e-6, 100_000,
                           published=62.4),
    'voc-fcn8s-cvpr': Net(VGG16, heads.fcn8s_learned, 'voc', 'voc-fcn16s-cvpr', 'cvpr', 1e-6, 100_000, published=62.7),
    'voc-fcn-alexnet-cvpr': Net(ALEXNET, heads.fcn32s, 'voc', 'ilsvrc-alexnet', 'cvpr', 1e-3, 100_000, published=39.8),
    'voc-fcn-googlenet-cvpr': Net(GOOGLENET, heads.fcn32s, 'voc', 'ilsvrc-googlenet', 'cvpr', 5e-5, 100_000,
                                  published=42.5),

    # PASCAL-Context (section 5).
    'pascalcontext-fcn32s': Net(VGG16, heads.fcn32s, 'pascal-context', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000,
                                url=_BERKELEY('pascalcontext-fcn32s-heavy')),
    'pascalcontext-fcn16s': Net(VGG16, heads.fcn16s, 'pascal-context', 'pascalcontext-fcn32s', 'heavy', 1e-12,
                                300_000, url=_BERKELEY('pascalcontext-fcn16s-heavy')),
    'pascalcontext-fcn8s': Net(VGG16, heads.fcn8s, 'pascal-context', 'pascalcontext-fcn16s', 'heavy', 1e-14,
                               300_000, url=_BERKELEY('pascalcontext-fcn8s-heavy')),

    # NYUDv2 (section 5, Table 4).
    'nyud-fcn32s-color': Net(VGG16, heads.fcn32s, 'nyud', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000, published=29.2,
                             url=_BERKELEY('nyud-fcn32s-color-heavy'), inputs=('color',)),
    'nyud-fcn32s-color-d': Net(VGG16_BGRD, heads.fcn32s, 'nyud', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000,
                               published=30.5, inputs=('color', 'depth'), fusion='early'),
    'nyud-fcn32s-hha': Net(VGG16, heads.fcn32s, 'nyud', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000, published=24.2,
                           url=_BERKELEY('nyud-fcn32s-hha-heavy'), inputs=('hha',)),
    'nyud-fcn32s-color-hha': Net(VGG16, heads.fcn32s, 'nyud',
                                 {'nyud-fcn32s-color': 'color', 'nyud-fcn32s-hha': 'hha'}, 'heavy', 1e-12,
                                 300_000, published=32.8, url=_BERKELEY('nyud-fcn32s-color-hha-heavy'),
                                 inputs=('color', 'hha'), fusion='late'),
    # The paper's best. Its learning rate is not published: it is that of VOC's first skip.
    'nyud-fcn16s-color-hha': Net(VGG16, heads.fcn16s, 'nyud', 'nyud-fcn32s-color-hha', 'heavy', 1e-12, 300_000,
                                 published=34.0, inputs=('color', 'hha'), fusion='late'),

    # SIFT Flow, semantic and geometric classes at once (section 5, Table 5).
    'siftflow-fcn32s': Net(VGG16, heads.fcn32s, 'siftflow', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000,
                           url=_BERKELEY('siftflow-fcn32s-heavy')),
    'siftflow-fcn16s': Net(VGG16, heads.fcn16s, 'siftflow', 'siftflow-fcn32s', 'heavy', 1e-12, 300_000, published=39.5,
                           url=_BERKELEY('siftflow-fcn16s-heavy')),
    'siftflow-fcn8s': Net(VGG16, heads.fcn8s, 'siftflow', 'siftflow-fcn16s', 'heavy', 1e-12, 300_000,
                          url=_BERKELEY('siftflow-fcn8s-heavy')),
    # One labelling alone, to compare with both at once.
    'siftflow-fcn32s-sem': Net(VGG16, heads.fcn32s, 'siftflow', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000,
                               learns=('sem',)),
    'siftflow-fcn16s-sem': Net(VGG16, heads.fcn16s, 'siftflow', 'siftflow-fcn32s-sem', 'heavy', 1e-12, 300_000,
                               learns=('sem',)),
    'siftflow-fcn32s-geo': Net(VGG16, heads.fcn32s, 'siftflow', 'ilsvrc-vgg16', 'heavy', 1e-10, 300_000,
                               learns=('geo',)),
    'siftflow-fcn16s-geo': Net(VGG16, heads.fcn16s, 'siftflow', 'siftflow-fcn32s-geo', 'heavy', 1e-12, 300_000,
                               learns=('geo',)),

    # The miniature: a small VGG that learns to classify shapes, then the stages of Table 2.
    'mini-vgg': Net(MINI, None, 'mini-objects', None, 'miniature', 1e-2, 600),
    'mini-fcn32s': Net(MINI, heads.fcn32s, 'mini', 'mini-vgg', 'miniature', 5e-7, 1600),
    'mini-fcn16s': Net(MINI, heads.fcn16s, 'mini', 'mini-fcn32s', 'miniature', 5e-7, 800),
    'mini-fcn8s': Net(MINI, heads.fcn8s, 'mini', 'mini-fcn16s', 'miniature', 5e-7, 800),
    'mini-fcn32s-fixed': Net(MINI_FROZEN, heads.fcn32s, 'mini', 'mini-vgg', 'miniature', 5e-7, 1600),
    'mini-fcn-pool4': Net(MINI_TO_POOL4, heads.pool4_alone, 'mini', 'mini-vgg', 'miniature', 5e-7, 1600),
    'mini-fcn-pool3': Net(MINI_TO_POOL3, heads.pool3_alone, 'mini', 'mini-vgg', 'miniature', 5e-7, 1600),
    # FCN-16s learns at the rate of 32s here, so the lower rate is only to be compared with it in length.
    'mini-fcn32s-lower-lr': Net(MINI, heads.fcn32s, 'mini', 'mini-fcn32s', 'miniature', 5e-9, 800),
    # Its rooms: the five inputs of Table 4.
    'mini-nyud-fcn32s-color': Net(MINI, heads.fcn32s, 'mini-nyud', 'mini-vgg', 'miniature', 5e-7, 1600,
                                  inputs=('color',)),
    'mini-nyud-fcn32s-color-d': Net(MINI_BGRD, heads.fcn32s, 'mini-nyud', 'mini-vgg', 'miniature', 5e-7, 1600,
                                    inputs=('color', 'depth'), fusion='early'),
    'mini-nyud-fcn32s-hha': Net(MINI, heads.fcn32s, 'mini-nyud', 'mini-vgg', 'miniature', 5e-7, 1600,
                                inputs=('hha',)),
    'mini-nyud-fcn32s-color-hha': Net(MINI, heads.fcn32s, 'mini-nyud',
                                      {'mini-nyud-fcn32s-color': 'color', 'mini-nyud-fcn32s-hha': 'hha'},
                                      'miniature', 5e-7, 800, inputs=('color', 'hha'), fusion='late'),
    'mini-nyud-fcn16s-color-hha': Net(MINI, heads.fcn16s, 'mini-nyud', 'mini-nyud-fcn32s-color-hha', 'miniature',
                                      5e-7, 800, inputs=('color', 'hha'), fusion='late'),
    # Its landscapes: both labellings at once, and each alone (Table 5).
    'mini-siftflow-fcn32s': Net(MINI, heads.fcn32s, 'mini-siftflow', 'mini-vgg', 'miniature', 5e-7, 1600),
    'mini-siftflow-fcn16s': Net(MINI, heads.fcn16s, 'mini-siftflow', 'mini-siftflow-fcn32s', 'miniature', 5e-7, 800),
    'mini-siftflow-fcn32s-sem': Net(MINI, heads.fcn32s, 'mini-siftflow', 'mini-vgg', 'miniature', 5e-7, 1600,
                                    learns=('sem',)),
    'mini-siftflow-fcn16s-sem': Net(MINI, heads.fcn16s, 'mini-siftflow', 'mini-siftflow-fcn32s-sem', 'miniature',
                                    5e-7, 800, learns=('sem',)),
    'mini-siftflow-fcn32s-geo': Net(MINI, heads.fcn32s, 'mini-siftflow', 'mini-vgg', 'miniature', 5e-7, 1600,
                                    learns=('geo',)),
    'mini-siftflow-fcn16s-geo': Net(MINI, heads.fcn16s, 'mini-siftflow', 'mini-siftflow-fcn32s-geo', 'miniature',
                                    5e-7, 800, learns=('geo',)),
}


def find(name):
    """The row of net `name`; UserError names the nets there are."""
    if name not in NETS:
        raise UserError(f"no net is named '{name}'; the nets are: {', '.join(NETS)}")
    return NETS[name]
