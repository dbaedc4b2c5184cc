"""Every net in one table. To add a net, add a row; if its layers are new, spell them in
nets/NAME/net.py and name it as the row's head."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial

from fcn.errors import FCNError

from .alexnet import ALEXNET, ALEXNET_TORCH
from .config import NetConfig
from .googlenet import GOOGLENET, GOOGLENET_FROZEN, GOOGLENET_TORCH
from .miniature import MINIATURE
from .vgg import (
    VGG16,
    VGG16_BGRD,
    VGG16_FROZEN,
    VGG16_TO_POOL3,
    VGG16_TO_POOL4,
    VGG19,
)

_BERKELEY = 'https://dl.caffe.berkeleyvision.org/{}.caffemodel'.format
_OXFORD = 'https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/{}.caffemodel'.format

# The ILSVRC classifiers that the backbones come from. They are fetched, not trained; torchvision's
# AlexNet and GoogLeNet are other nets than Caffe's, and `surgery import` brings their weights.
classifier = partial(NetConfig, data='ilsvrc')
_CLASSIFIERS = {
    'ilsvrc-vgg16': classifier(
        about='VGG-16, the classifier', backbone=VGG16, url=_OXFORD('VGG_ILSVRC_16_layers')
    ),
    'ilsvrc-vgg19': classifier(
        about='VGG-19, the classifier', backbone=VGG19, url=_OXFORD('VGG_ILSVRC_19_layers')
    ),
    'ilsvrc-alexnet': classifier(
        about="AlexNet as Caffe's CaffeNet, the classifier",
        backbone=ALEXNET,
        url=_BERKELEY('bvlc_reference_caffenet'),
    ),
    'ilsvrc-googlenet': classifier(
        about='GoogLeNet, the classifier', backbone=GOOGLENET, url=_BERKELEY('bvlc_googlenet')
    ),
    'ilsvrc-alexnet-torch': classifier(
        about="AlexNet as torchvision's, the classifier", backbone=ALEXNET_TORCH
    ),
    'ilsvrc-googlenet-torch': classifier(
        about="GoogLeNet as torchvision's, the classifier", backbone=GOOGLENET_TORCH
    ),
}

# PASCAL VOC (section 5, Tables 1 to 3).
voc = partial(NetConfig, data='voc', max_iter=100_000)
_VOC = {
    'voc-fcn32s': voc(
        about='VGG-16, stride 32',
        backbone=VGG16,
        head='voc-fcn32s',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        published=63.6,
        url=_BERKELEY('fcn32s-heavy-pascal'),
    ),
    'voc-fcn16s': voc(
        about='fused with pool4',
        backbone=VGG16,
        head='voc-fcn16s',
        parents={'voc-fcn32s': ''},
        base_lr=1e-12,
        published=65.0,
        url=_BERKELEY('fcn16s-heavy-pascal'),
    ),
    'voc-fcn8s': voc(
        about='fused with pool4, pool3',
        backbone=VGG16,
        head='voc-fcn8s',
        parents={'voc-fcn16s': ''},
        base_lr=1e-14,
        published=65.5,
        url=_BERKELEY('fcn8s-heavy-pascal'),
    ),
    'voc-fcn8s-atonce': voc(
        about='the same in one stage, skip layers scaled',
        backbone=VGG16,
        head='voc-fcn8s-atonce',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        max_iter=300_000,
        published=65.4,
        url=_BERKELEY('fcn8s-atonce-pascal'),
    ),
    'voc-fcn-alexnet': voc(
        about='AlexNet, stride 32, batches of 20',
        backbone=ALEXNET,
        head='voc-fcn32s',
        parents={'ilsvrc-alexnet': ''},
        recipe='cvpr',
        base_lr=0.0001,
        published=48.0,
        url=_BERKELEY('fcn-alexnet-pascal'),
    ),
    'voc-fcn-googlenet': voc(
        about='GoogLeNet, stride 32',
        backbone=GOOGLENET,
        head='voc-fcn32s',
        parents={'ilsvrc-googlenet': ''},
        base_lr=5e-05,
    ),
    'voc-fcn16s-googlenet': voc(
        about='fused with inception_4e',
        backbone=GOOGLENET,
        head='voc-fcn16s-googlenet',
        parents={'voc-fcn-googlenet': ''},
        base_lr=1e-05,
    ),
    'voc-fcn8s-googlenet': voc(
        about='fused with inception_4e, inception_3b',
        backbone=GOOGLENET,
        head='voc-fcn8s-googlenet',
        parents={'voc-fcn16s-googlenet': ''},
        base_lr=1e-07,
    ),
    'voc-fcn-alexnet-torch': voc(
        about="AlexNet from torchvision's weights, batches of 20",
        backbone=ALEXNET_TORCH,
        head='voc-fcn32s',
        parents={'ilsvrc-alexnet-torch': ''},
        recipe='cvpr',
        base_lr=0.0001,
    ),
    'voc-fcn-googlenet-torch': voc(
        about="GoogLeNet from torchvision's weights",
        backbone=GOOGLENET_TORCH,
        head='voc-fcn32s',
        parents={'ilsvrc-googlenet-torch': ''},
        base_lr=5e-05,
    ),
    'voc-fcn32s-lower-lr': voc(
        about='a hundredth of the rate, no skip',
        backbone=VGG16,
        head='voc-fcn32s',
        parents={'voc-fcn32s': ''},
        base_lr=1e-12,
    ),
    'voc-fcn16s-max': voc(
        about='fused by the maximum (a footnote of section 4.2)',
        backbone=VGG16,
        head='voc-fcn16s',
        fuse_by='MAX',
        parents={'voc-fcn32s': ''},
        base_lr=1e-12,
    ),
}

# What the paper compares them with (sections 4.1 to 4.3).
_COMPARISONS = {
    'voc-fcn32s-fixed': voc(
        about='only the score is learned',
        backbone=VGG16_FROZEN,
        head='voc-fcn32s',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        published=45.4,
    ),
    'voc-fcn32s-fixed-googlenet': voc(
        about='only the score is learned, GoogLeNet',
        backbone=GOOGLENET_FROZEN,
        head='voc-fcn32s',
        parents={'ilsvrc-googlenet': ''},
        base_lr=5e-05,
    ),
    'voc-fcn-pool4': voc(
        about='scores pool4 alone',
        backbone=VGG16_TO_POOL4,
        head='voc-fcn-pool4',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
    ),
    'voc-fcn-pool3': voc(
        about='scores pool3 alone',
        backbone=VGG16_TO_POOL3,
        head='voc-fcn-pool3',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
    ),
    'voc-fcn32s-vgg19': voc(
        about='VGG-19, stride 32',
        backbone=VGG19,
        head='voc-fcn32s',
        parents={'ilsvrc-vgg19': ''},
        base_lr=1e-10,
    ),
}

# The CVPR recipe. Each skip lowers the learning rate a hundredfold there; for the second the paper
# names no further step.
cvpr = partial(voc, recipe='cvpr')
_CVPR = {
    'voc-fcn32s-cvpr': cvpr(
        about='CVPR recipe: batches of 20, momentum 0.9',
        backbone=VGG16,
        head='voc-fcn32s',
        parents={'ilsvrc-vgg16': ''},
        base_lr=0.0001,
        published=59.4,
    ),
    'voc-fcn16s-cvpr': cvpr(
        about='CVPR recipe, intermediate upsampling learned',
        backbone=VGG16,
        head='voc-fcn16s',
        learn_upsampling=True,
        parents={'voc-fcn32s-cvpr': ''},
        base_lr=1e-06,
        published=62.4,
    ),
    'voc-fcn8s-cvpr': cvpr(
        about='the same at stride 8',
        backbone=VGG16,
        head='voc-fcn8s',
        learn_upsampling=True,
        parents={'voc-fcn16s-cvpr': ''},
        base_lr=1e-06,
        published=62.7,
    ),
    'voc-fcn-alexnet-cvpr': cvpr(
        about="AlexNet at the CVPR paper's learning rate, ten times as high",
        backbone=ALEXNET,
        head='voc-fcn32s',
        parents={'ilsvrc-alexnet': ''},
        base_lr=0.001,
        published=39.8,
    ),
    'voc-fcn-googlenet-cvpr': cvpr(
        about='CVPR recipe, GoogLeNet',
        backbone=GOOGLENET,
        head='voc-fcn32s',
        parents={'ilsvrc-googlenet': ''},
        base_lr=5e-05,
        published=42.5,
    ),
}

# PASCAL-Context (section 5).
context = partial(NetConfig, data='pascal-context', backbone=VGG16, max_iter=300_000)
_CONTEXT = {
    'pascalcontext-fcn32s': context(
        about='60 classes, stride 32',
        head='voc-fcn32s',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        url=_BERKELEY('pascalcontext-fcn32s-heavy'),
    ),
    'pascalcontext-fcn16s': context(
        about='fused with pool4',
        head='voc-fcn16s',
        parents={'pascalcontext-fcn32s': ''},
        base_lr=1e-12,
        url=_BERKELEY('pascalcontext-fcn16s-heavy'),
    ),
    'pascalcontext-fcn8s': context(
        about='fused with pool4, pool3',
        head='voc-fcn8s',
        parents={'pascalcontext-fcn16s': ''},
        base_lr=1e-14,
        url=_BERKELEY('pascalcontext-fcn8s-heavy'),
    ),
}

# NYUDv2 (section 5, Table 4). The learning rate of the last, the paper's best, is not published: it
# is that of VOC's first skip.
nyud = partial(NetConfig, data='nyud', max_iter=300_000)
_NYUD = {
    'nyud-fcn32s-color': nyud(
        about='40 classes, colour',
        backbone=VGG16,
        head='voc-fcn32s',
        inputs=('color',),
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        published=29.2,
        url=_BERKELEY('nyud-fcn32s-color-heavy'),
    ),
    'nyud-fcn32s-color-d': nyud(
        about='colour and depth, fused early',
        backbone=VGG16_BGRD,
        head='voc-fcn32s',
        inputs=('color', 'depth'),
        fusion='early',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        published=30.5,
    ),
    'nyud-fcn32s-hha': nyud(
        about='HHA',
        backbone=VGG16,
        head='voc-fcn32s',
        inputs=('hha',),
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        published=24.2,
        url=_BERKELEY('nyud-fcn32s-hha-heavy'),
    ),
    'nyud-fcn32s-color-hha': nyud(
        about='colour and HHA, fused late',
        backbone=VGG16,
        head='nyud-fcn32s-color-hha',
        inputs=('color', 'hha'),
        fusion='late',
        parents={'nyud-fcn32s-color': 'color', 'nyud-fcn32s-hha': 'hha'},
        base_lr=1e-12,
        published=32.8,
        url=_BERKELEY('nyud-fcn32s-color-hha-heavy'),
    ),
    'nyud-fcn16s-color-hha': nyud(
        about='the same, fused with pool4 of both',
        backbone=VGG16,
        head='nyud-fcn16s-color-hha',
        inputs=('color', 'hha'),
        fusion='late',
        parents={'nyud-fcn32s-color-hha': ''},
        base_lr=1e-12,
        published=34.0,
    ),
}

# SIFT Flow: semantic and geometric classes at once (section 5, Table 5), and each alone.
siftflow = partial(NetConfig, data='siftflow', backbone=VGG16, max_iter=300_000)
_SIFTFLOW = {
    'siftflow-fcn32s': siftflow(
        about='33 semantic and 3 geometric classes, two heads',
        head='voc-fcn32s',
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
        url=_BERKELEY('siftflow-fcn32s-heavy'),
    ),
    'siftflow-fcn16s': siftflow(
        about='both fused with pool4',
        head='voc-fcn16s',
        parents={'siftflow-fcn32s': ''},
        base_lr=1e-12,
        published=39.5,
        url=_BERKELEY('siftflow-fcn16s-heavy'),
    ),
    'siftflow-fcn8s': siftflow(
        about='both fused with pool4, pool3',
        head='voc-fcn8s',
        parents={'siftflow-fcn16s': ''},
        base_lr=1e-12,
        url=_BERKELEY('siftflow-fcn8s-heavy'),
    ),
    'siftflow-fcn32s-sem': siftflow(
        about='the semantic classes alone',
        head='voc-fcn32s',
        labels=('sem',),
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
    ),
    'siftflow-fcn16s-sem': siftflow(
        about='fused with pool4',
        head='voc-fcn16s',
        labels=('sem',),
        parents={'siftflow-fcn32s-sem': ''},
        base_lr=1e-12,
    ),
    'siftflow-fcn32s-geo': siftflow(
        about='the geometric classes alone',
        head='voc-fcn32s',
        labels=('geo',),
        parents={'ilsvrc-vgg16': ''},
        base_lr=1e-10,
    ),
    'siftflow-fcn16s-geo': siftflow(
        about='fused with pool4',
        head='voc-fcn16s',
        labels=('geo',),
        parents={'siftflow-fcn32s-geo': ''},
        base_lr=1e-12,
    ),
}

NETS: Mapping[str, NetConfig] = {
    **_CLASSIFIERS,
    **_VOC,
    **_COMPARISONS,
    **_CVPR,
    **_CONTEXT,
    **_NYUD,
    **_SIFTFLOW,
    **MINIATURE,
}


def find(name: str) -> NetConfig:
    """Return the config of net `name`. Raises FCNError, which suggests the nearest names."""
    if name in NETS:
        return NETS[name]
    nearest = get_close_matches(name, NETS, n=3, cutoff=0.5)
    hint = f'did you mean {" or ".join(nearest)}? ' if nearest else ''
    raise FCNError(f"no net is named '{name}'; {hint}`fcn net --list` lists them all")
