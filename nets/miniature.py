"""The nets of the miniature: a small VGG that learns to classify shapes, and the paper's stages,
comparisons and inputs on drawn scenes (the package `miniature` draws them)."""

from dataclasses import replace
from functools import partial

from .config import NetConfig
from .layers import FROZEN
from .vgg import VGG, cut_after

# The shape of VGG-16 at a hundredth of the cost, and cut or frozen as VGG-16 is for the ablations.
MINI = VGG(
    convs=(1, 1, 2, 2, 2),
    widths=(16, 32, 48, 64, 96),
    fc=128,
    fc6_kernel=4,
    pad=50,
    input_size=104,
    dropout=0.2,
)
MINI_FROZEN = replace(MINI, param=FROZEN)
MINI_TO_POOL4 = cut_after(MINI, 4)
MINI_TO_POOL3 = cut_after(MINI, 3)
MINI_BGRD = replace(MINI, first='conv1_1_bgrd')

mini = partial(NetConfig, backbone=MINI, recipe='miniature', base_lr=5e-7)
scenes = partial(mini, data='mini')  # the stages of Table 2
rooms = partial(mini, data='mini-nyud')  # the five inputs of Table 4
landscapes = partial(mini, data='mini-siftflow')  # both labellings, and each alone (Table 5)

# FCN-16s learns at the rate of 32s here, so the lower rate is only comparable with it in length.
MINIATURE = {
    'mini-vgg': mini(
        about='a small VGG, the classifier', data='mini-objects', base_lr=0.01, max_iter=600
    ),
    'mini-fcn32s': scenes(
        about='stride 32', head='voc-fcn32s', parents={'mini-vgg': ''}, max_iter=1600
    ),
    'mini-fcn16s': scenes(
        about='fused with pool4', head='voc-fcn16s', parents={'mini-fcn32s': ''}, max_iter=800
    ),
    'mini-fcn8s': scenes(
        about='fused with pool4, pool3', head='voc-fcn8s', parents={'mini-fcn16s': ''}, max_iter=800
    ),
    'mini-fcn32s-fixed': scenes(
        about='only the score is learned',
        backbone=MINI_FROZEN,
        head='voc-fcn32s',
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-fcn-pool4': scenes(
        about='scores pool4 alone',
        backbone=MINI_TO_POOL4,
        head='voc-fcn-pool4',
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-fcn-pool3': scenes(
        about='scores pool3 alone',
        backbone=MINI_TO_POOL3,
        head='voc-fcn-pool3',
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-fcn32s-lower-lr': scenes(
        about='a hundredth of the rate, no skip',
        head='voc-fcn32s',
        parents={'mini-fcn32s': ''},
        base_lr=5e-09,
        max_iter=800,
    ),
    'mini-nyud-fcn32s-color': rooms(
        about='rooms, colour',
        head='voc-fcn32s',
        inputs=('color',),
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-nyud-fcn32s-color-d': rooms(
        about='colour and depth, fused early',
        backbone=MINI_BGRD,
        head='voc-fcn32s',
        inputs=('color', 'depth'),
        fusion='early',
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-nyud-fcn32s-hha': rooms(
        about='HHA', head='voc-fcn32s', inputs=('hha',), parents={'mini-vgg': ''}, max_iter=1600
    ),
    'mini-nyud-fcn32s-color-hha': rooms(
        about='colour and HHA, fused late',
        head='nyud-fcn32s-color-hha',
        inputs=('color', 'hha'),
        fusion='late',
        parents={'mini-nyud-fcn32s-color': 'color', 'mini-nyud-fcn32s-hha': 'hha'},
        max_iter=800,
    ),
    'mini-nyud-fcn16s-color-hha': rooms(
        about='the same, fused with pool4 of both',
        head='nyud-fcn16s-color-hha',
        inputs=('color', 'hha'),
        fusion='late',
        parents={'mini-nyud-fcn32s-color-hha': ''},
        max_iter=800,
    ),
    'mini-siftflow-fcn32s': landscapes(
        about='landscapes, semantic and geometric classes, two heads',
        head='voc-fcn32s',
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-siftflow-fcn16s': landscapes(
        about='both fused with pool4',
        head='voc-fcn16s',
        parents={'mini-siftflow-fcn32s': ''},
        max_iter=800,
    ),
    'mini-siftflow-fcn32s-sem': landscapes(
        about='the semantic classes alone',
        head='voc-fcn32s',
        labels=('sem',),
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-siftflow-fcn16s-sem': landscapes(
        about='fused with pool4',
        head='voc-fcn16s',
        labels=('sem',),
        parents={'mini-siftflow-fcn32s-sem': ''},
        max_iter=800,
    ),
    'mini-siftflow-fcn32s-geo': landscapes(
        about='the geometric classes alone',
        head='voc-fcn32s',
        labels=('geo',),
        parents={'mini-vgg': ''},
        max_iter=1600,
    ),
    'mini-siftflow-fcn16s-geo': landscapes(
        about='fused with pool4',
        head='voc-fcn16s',
        labels=('geo',),
        parents={'mini-siftflow-fcn32s-geo': ''},
        max_iter=800,
    ),
}
