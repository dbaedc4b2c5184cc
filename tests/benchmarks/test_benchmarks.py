"""The contenders compute the same net, and a section says who met which goal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import contenders, floor, pages
from benchmarks.contenders import CONTENDERS, Failed
from benchmarks.material import SIDE, prepare
from benchmarks.pages import Measured
from fcn.errors import FCNError

TITLE = 'FCN-8s VGG-16, forward'
FLOOR = floor.Floor((2e9, 4e9), (1e9, 2e9))


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


@pytest.mark.parametrize('what', ['forward', 'train'])
def test_we_contend(folder: Path, what: str) -> None:
    result = contenders.contend('ours', folder, what, 1)
    assert 0 < result['seconds'] <= result['median'] < 60 and 1e7 < result['peak'] < 1e10
    assert 0 < result['cpu'] < 60 and result['shape'] == [1, 7, SIDE, SIDE]
    contenders.check_shape('ours', result)


def test_others_compute_the_same(folder: Path) -> None:
    """Caffe's own layers, and OpenCV, which are both here."""
    for name in ('ours', 'stock Caffe', 'OpenCV dnn'):
        contenders.check_shape(name, contenders.contend(name, folder, 'forward', 1))
        assert contenders.difference(name, folder) < 1e-4, name


PEERS = [name for name, each in CONTENDERS.items() if each.peer]


@pytest.mark.slow
@pytest.mark.skipif(not contenders.PEERS.is_file(), reason='needs the peers that `make bench` has')
@pytest.mark.parametrize('name', PEERS)
def test_peers_compute_the_same(folder: Path, name: str) -> None:
    contenders.contend('ours', folder, 'forward', 1)
    assert name not in contenders.convert(folder, 'mini-fcn8s')
    contenders.check_shape(name, contenders.contend(name, folder, 'forward', 1))
    assert contenders.difference(name, folder) < 1e-4
    if 'train' in CONTENDERS[name].tasks:
        contenders.check_shape(name, contenders.contend(name, folder, 'train', 1))


@pytest.mark.parametrize('shape', [[1, 7, 224, 224], [1, 7, 1, 1], [2, 7, 500, 500]])
def test_figures_of_another_shape_are_refused(shape: list[int]) -> None:
    with pytest.raises(FCNError, match=r'ncnn.*500×500'):
        contenders.check_shape('ncnn', {'shape': shape})


def test_scores_of_another_net_are_refused(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(1, 7, 9, 9)).astype(np.float32)
    np.save(tmp_path / 'ours.npy', scores)
    for name, theirs in {
        'near': scores * (1 + 1e-6),
        'far': -scores,
        'none': scores * np.nan,
    }.items():
        np.save(tmp_path / f'{name}.npy', theirs)
    np.save(tmp_path / 'small.npy', scores[..., :8])
    assert contenders.difference('near', tmp_path) < 1e-5
    for name in ('far', 'none', 'small'):
        with pytest.raises(FCNError, match=name):
            contenders.difference(name, tmp_path)


def test_a_contender_that_fails_says_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed, match='nowhere'):
        contenders.contend('ours', folder / 'nowhere', 'forward', 1)
    with pytest.raises(Failed, match='make bench'):
        contenders.contend('PyTorch', folder, 'forward', 1, tmp_path / 'python')
    with pytest.raises(Failed, match=r'net\.mnn'):
        contenders.contend('MNN', tmp_path, 'forward', 1)


def test_rivals_take_turns_with_us_and_are_named_if_they_fail_or_err(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []

    def contend(name: str, *_: Any) -> dict[str, Any]:
        turns.append(name)
        if name == 'MNN':
            raise Failed('it does not start')
        return result(len(turns)) | ({'shape': [1, 21, 1, 1]} if name == 'ncnn' else {})

    monkeypatch.setattr(contenders, 'contend', contend)
    monkeypatch.setattr(contenders, 'difference', lambda *_: 1e-6)
    args = bench.parse(['--rounds', '2', '--only', 'mnn', 'OpenVINO', 'ncnn'])
    with bench.tqdm(disable=True) as progress:
        measured = bench.compare(TITLE, tmp_path, args, {}, progress)
    assert turns[1::2] == ['MNN', 'OpenVINO', 'ncnn', 'OpenVINO'] and {*turns[::2]} == {'ours'}
    assert [*measured.failed] == ['MNN', 'ncnn'] and '[1, 21, 1, 1]' in measured.failed['ncnn']
    assert {name: len(each) for name, each in measured.results.items()} == {
        'ours': 4,
        'OpenVINO': 2,
    }
    assert '- MNN was not measured: it does not start' in pages.section(TITLE, measured, FLOOR)


def result(seconds: float, peak: float = 1e9, **more: Any) -> dict[str, Any]:
    """What a contender hands in."""
    return {
        'seconds': seconds,
        'median': 2 * seconds,
        'cpu': 1.9 * seconds,
        'peak': peak,
        'version': '1.0',
        'shape': [1, 21, SIDE, SIDE],
        **more,
    }


def test_a_section_says_which_goals_were_met() -> None:
    results = {
        'ours': [result(0.6, 1.2e9), result(0.5, 1.3e9)],
        'PyTorch': [result(2.0, difference=2e-6)],
        'PyTorch, channels_last': [result(1.6, difference=1e-6)],
        'MNN': [result(0.4, difference=2e-4), result(0.45, difference=3e-4)],
    }
    text = pages.section(TITLE, Measured(results, {}, int(8e9)), FLOOR)
    assert '| ours | 0.500 | 1.100 | 0.95 | 0.31 | 1.20 | – |' in text
    assert '| MNN | 0.400 | 0.850 | 0.76 | 0.25 | 1.00 | 3e-04 |' in text
    assert 'against PyTorch, channels_last: 0.31, goal 0.35, met' in text
    assert 'against the fastest, MNN: 1.25, goal 0.80, missed' in text
    assert 'peak GB: 1.20, goal 1.10, missed' in text
    assert '8 G multiply-adds alone would take 2.000 s' in text
    head = pages.heading(2, 9.0, FLOOR, [1.0, 2.0], {TITLE: Measured(results, {})})
    assert 'MNN 1.0' in head and '4 and 8 GFLOP/s' in head and '1 and 2 GB/s' in head


def test_words_choose_tasks_and_contenders() -> None:
    assert bench.rivals(TITLE, ['alexnet', 'mnn']) == ['MNN']
    assert bench.selected([*pages.TASKS], ['alexnet', 'mnn']) == ['FCN-AlexNet, forward']
    assert len(bench.rivals(TITLE, None)) == len(CONTENDERS) - 1
    with pytest.raises(SystemExit):
        bench.parse(['--only', 'nonsense'])


def test_without_pytorch_there_is_no_ratio() -> None:
    text = pages.section(TITLE, Measured({'ours': [result(1.0)]}, {'PyTorch': 'gone'}), FLOOR)
    assert '| ours | 1.000 | 2.000 | 1.90 | – |' in text and '- PyTorch was not measured' in text
