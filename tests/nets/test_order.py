"""The order of layers in the authors' files, on which a solver state depends: it goes by index.

The names and their order are written out here from the published nets, not taken from our code.
"""

import re
from pathlib import Path

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

import fcn.nets
from fcn.data_layers import DATASETS
from fcn.nets import NETS
from fcn.prototxts import prototxts

FOLDER = Path(fcn.nets.__file__).resolve().parent


def names(text: str) -> list[str]:
    return [layer.name for layer in text_format.Parse(text, caffe_pb2.NetParameter()).layer]


def vgg16(stream: str = '', dropout: bool = True) -> list[str]:
    layers = []
    for group, count in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(1, count + 1):
            layers += [f'conv{group}_{index}', f'relu{group}_{index}']
        layers.append(f'pool{group}')
    for index in (6, 7):
        layers += [f'fc{index}', f'relu{index}', *([f'drop{index}'] if dropout else [])]
    return [name + stream for name in layers]


def tail(stride: int, head: str = '') -> list[str]:
    """The layers after fc7, of a net or of one of its two heads."""
    layers = {
        32: 'score_fr upscore score',
        16: 'score_fr upscore2 score_pool4 score_pool4* fuse_pool4 upscore16 score',
        8: 'score_fr upscore2 score_pool4 score_pool4* fuse_pool4 upscore_pool4 '
        'score_pool3 score_pool3* fuse_pool3 upscore8 score',
    }[stride]
    return [
        f'{name.rstrip("*")}{head}{"c" if name.endswith("*") else ""}' for name in layers.split()
    ]


def siftflow(stride: int) -> list[str]:
    """The semantic head and its loss come before the geometric head and its loss."""
    heads = [*tail(stride, '_sem'), 'loss', *tail(stride, '_geo'), 'loss_geo']
    return ['data', *vgg16(), *heads]


# The colour stream ends in its score before the HHA stream begins.
STREAMS = [
    'color',
    *[*vgg16('color'), 'score_frcolor'],
    *[*vgg16('hha'), 'score_frhha'],
]
SCALED = [
    *['score_fr', 'upscore2', 'scale_pool4', 'score_pool4', 'score_pool4c', 'fuse_pool4'],
    *['upscore_pool4', 'scale_pool3', 'score_pool3', 'score_pool3c', 'fuse_pool3'],
    *['upscore8', 'score'],
]
ORDERS = {
    'voc-fcn32s': ['data', *vgg16(), *tail(32), 'loss'],
    'voc-fcn16s': ['data', *vgg16(), *tail(16), 'loss'],
    'voc-fcn8s': ['data', *vgg16(), *tail(8), 'loss'],
    'voc-fcn8s-atonce': ['data', *vgg16(), *SCALED, 'loss'],
    'pascalcontext-fcn8s': ['data', *vgg16(), *tail(8), 'loss'],
    'siftflow-fcn32s': siftflow(32),
    'siftflow-fcn16s': siftflow(16),
    'siftflow-fcn8s': siftflow(8),
    'nyud-fcn32s-color-hha': [*STREAMS, 'score_fused', 'upscore', 'score', 'loss'],
}


@pytest.mark.parametrize('name', ORDERS)
def test_layers_are_listed_in_the_authors_order(name: str) -> None:
    for phase in DATASETS[NETS[name].data].phases:
        assert names((FOLDER / name / f'{phase}.prototxt').read_text()) == ORDERS[name]


@pytest.mark.parametrize('name', [name for name, config in NETS.items() if config.is_published])
def test_committed_files_list_the_layers_of_the_net(name: str) -> None:
    for file, text in prototxts(name).items():
        if file != 'solver.prototxt':
            assert names((FOLDER / name / file).read_text()) == names(text)


def test_the_script_of_fcn8s_reads_from_coarse_to_fine() -> None:
    """Every layer after fc7 has its line in nets/voc-fcn8s/net.py, in the order of the net."""
    text = (FOLDER / 'voc-fcn8s' / 'net.py').read_text()
    lines = re.findall(r'^    n\.(\w+) = net\.(\w+)\((.*?)[,)]', text, re.MULTILINE)
    assert [name for name, _, _ in lines] == tail(8)
    assert names((FOLDER / 'voc-fcn8s' / 'deploy.prototxt').read_text()) == [
        'data',
        *vgg16(dropout=False),
        *(name for name, _, _ in lines),
    ]
    made_by = [(function, bottom) for _, function, bottom in lines]
    story = [
        ('score', 'n.pool4'),
        ('crop', 'n.score_pool4'),
        ('fuse', 'n.upscore2'),
        ('upscore', 'n.fuse_pool4'),
        ('score', 'n.pool3'),
        ('crop', 'n.score_pool3'),
        ('fuse', 'n.upscore_pool4'),
        ('upscore', 'n.fuse_pool3'),
        ('crop', 'n.upscore8'),
    ]
    assert made_by[2:] == story
