"""The contenders compute the same net, and a section says who met which goal."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks.material import SIDE, prepare
from fcn.errors import FCNError

TITLE = 'FCN-8s VGG-16, forward'


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the miniature's net."""
    folder = tmp_path_factory.mktemp('bench')
    (folder / 'multiply-adds').write_text(str(prepare('mini-fcn8s', folder)))
    return folder


def test_the_material_is_complete(folder: Path) -> None:
    layers = json.loads((folder / 'deploy.json').read_text())
    convolutions = [layer['name'] for layer in layers if layer['type'] == 'Convolution']
    with np.load(folder / 'weights.npz') as weights:
        assert {f'{name}:{part}' for name in convolutions for part in (0, 1)} <= set(weights)
        minimum = sum(weights[f'{name}:0'].size for name in convolutions)
    assert minimum < int((folder / 'multiply-adds').read_text()) < minimum * SIDE**2


def test_the_net_to_train_has_the_same_weights_and_a_loss(folder: Path) -> None:
    deploy, train = (
        json.loads((folder / f'{phase}.json').read_text()) for phase in ('deploy', 'train')
    )
    named = [
        {layer['name']: layer.get('convolution_param') for layer in layers}
        for layers in (deploy, train)
    ]
    assert {name: param for name, param in named[0].items() if param}.items() <= named[1].items()
    assert [layer['name'] for layer in train if layer['type'] == 'SoftmaxWithLoss'] == ['loss']


@pytest.mark.parametrize('name', ['ours', 'stock Caffe'])
@pytest.mark.parametrize('what', ['forward', 'train'])
def test_caffe_contends(folder: Path, name: str, what: str) -> None:
    result = bench.contend(name, folder, what, 1)
    assert 0 < result['seconds'] < 60 and 1e7 < result['peak'] < 1e10


@pytest.mark.skipif(not importlib.util.find_spec('torch'), reason='needs PyTorch')
def test_pytorch_computes_the_same(folder: Path) -> None:
    assert bench.check_same(folder) < 1e-4
    assert bench.contend('PyTorch, channels_last', folder, 'train', 1)['seconds'] > 0


def test_scores_of_another_size_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, 'contend', lambda *arguments: None)
    for name in ('caffe', 'torch-nchw'):
        np.save(tmp_path / f'{name}.npy', np.ones((1, 7, 224, 224), np.float32))
    with pytest.raises(FCNError, match=r'224.*500×500'):
        bench.check_same(tmp_path)
    assert bench.check_same(tmp_path, 224) == 0


def test_a_contender_that_fails_is_named(folder: Path) -> None:
    with pytest.raises(FCNError, match=r'ours.*forward.*nowhere'):
        bench.contend('ours', folder / 'nowhere', 'forward', 1)


def test_a_section_says_which_goals_were_met() -> None:
    results = {
        'ours': {'seconds': 0.5, 'peak': 1.3e9},
        'PyTorch': {'seconds': 2.0, 'peak': 1e9},
        'PyTorch, channels_last': {'seconds': 1.0, 'peak': 1.1e9},
    }
    text = bench.section(TITLE, results, 0.25)
    assert '| ours | 0.500 | 0.50 | 1.30 |' in text
    assert 'time: 0.50, goal 0.60, met; GB: 1.30, goal 1.20, missed' in text
