"""The contenders compute the same net, and the table says who met what."""

import importlib.util
import json

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks.material import SIDE, prepare
from fcn.errors import FCNError

TITLE = 'FCN-8s VGG-16, forward'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The miniature's files."""
    folder = tmp_path_factory.mktemp('bench')
    (folder / 'multiply-adds').write_text(str(prepare('mini-fcn8s', folder)))
    return folder


def test_material(folder):
    plan = json.loads((folder / 'plan.json').read_text())
    convolutions = [layer['name'] for layer in plan if layer['type'] == 'Convolution']
    with np.load(folder / 'weights.npz') as weights:
        assert {f'{name}:{part}' for name in convolutions for part in (0, 1)} <= set(weights)
        least = sum(weights[f'{name}:0'].size for name in convolutions)
    assert least < int((folder / 'multiply-adds').read_text()) < least * SIDE**2


@pytest.mark.parametrize('name', ['ours', 'stock Caffe'])
@pytest.mark.parametrize('what', ['forward', 'train'])
def test_caffe_contends(folder, name, what):
    result = bench.contend(name, folder, what, 1)
    assert 0 < result['seconds'] < 60 and 1e7 < result['peak'] < 1e10


@pytest.mark.skipif(not importlib.util.find_spec('torch'), reason='needs PyTorch')
def test_pytorch_computes_the_same(folder):
    assert bench.check_same(folder) < 1e-4
    assert bench.contend('PyTorch, channels_last', folder, 'train', 1)['seconds'] > 0


def test_a_contender_that_fails_is_named(folder):
    with pytest.raises(FCNError, match=r'ours failed \(forward\): .*nowhere'):
        bench.contend('ours', folder / 'nowhere', 'forward', 1)


def test_table_says_what_was_met():
    found = {
        'ours': {'seconds': 0.5, 'peak': 1.3e9},
        'PyTorch': {'seconds': 2.0, 'peak': 1e9},
        'PyTorch, channels_last': {'seconds': 1.0, 'peak': 1.1e9},
    }
    text = bench.table(TITLE, found, 0.25)
    assert '| ours | 0.500 | 0.50 | 1.30 |' in text
    assert 'time: 0.50, goal 0.60, met; GB: 1.30, goal 1.20, missed.' in text
