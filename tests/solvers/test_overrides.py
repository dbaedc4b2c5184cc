"""Training that differs from the recipe: class weights, sampled losses, augmentation, momentum, and
resuming with them."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import caffe
import numpy as np
import pytest
import small_runs
from caffe import NetSpec
from caffe import layers as L
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from small_runs import assert_equal_weights, weights_of_run
from support import make_voc

from fcn import nets
from fcn.commands import solve
from fcn.data_layers import DATASETS, VOID, Source
from fcn.data_layers.images import save_label
from fcn.errors import DataError, FCNError, RunError
from fcn.inference import loss_names
from fcn.nets.layers import softmax_loss, weighted_loss
from fcn.solvers import Trainer
from fcn.solvers.balance import class_weights, median_frequency_weights, write_infogain
from fcn.solvers.overrides import scaled_batch_size
from fcn.surgery import write_weights

Command = Callable[..., CompletedProcess[str]]

ALL: dict[str, Any] = dict(mirror=True, jitter=8, sampling=0.5, balance=True, momentum=0.8)


@pytest.fixture(scope='module')
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images of the miniature's size and classes to learn from, and two to validate on."""
    root = tmp_path_factory.mktemp('mini')
    make_voc(root, [f'{i:04}' for i in range(5)], classes=7, size=(56, 64))
    make_voc(root, [f'v{i:03}' for i in range(2)], classes=7, split='val', size=(56, 64))
    (root / 'miniature.json').write_text('{}')  # else it is a set of the user's own
    return root


def trainer(folder: Path, root: Path, name: str = 'mini-fcn32s', **options: Any) -> Trainer:
    return small_runs.trainer(folder, root, name, **dict(max_iter=4, val_every=4) | options)


def weights_after(run: Trainer) -> dict[str, list[np.ndarray]]:
    run.train([])
    return weights_of_run(run.run)


def test_a_resumed_run_equals_an_uninterrupted_one_with_all_overrides(
    mini: Path, tmp_path: Path
) -> None:
    whole = weights_after(trainer(tmp_path / 'whole', mini, **ALL))
    weights_after(trainer(tmp_path / 'parts', mini, max_iter=2, **ALL))
    run = trainer(tmp_path / 'parts', mini, **ALL)
    parts = weights_after(run)
    assert any(record.get('event') == 'resumed' for record in run.run.log.read())
    layers = text_format.Parse(
        (run.run.folder / 'train.prototxt').read_text(), caffe_pb2.NetParameter()
    ).layer
    spec = {
        layer.name: json.loads(layer.python_param.param_str)
        for layer in layers
        if layer.type == 'Python'
    }
    assert spec['data'] | dict(position=4, mirror=True, jitter=8) == spec['data']
    assert (
        spec['label_sampled'] | dict(p=0.5, seed=1337, position=4) == spec['label_sampled']
    )  # twice two images
    assert_equal_weights(whole, parts)


def test_a_resumed_run_equals_an_uninterrupted_one_with_batches_of_crops(
    mini: Path, tmp_path: Path
) -> None:
    crops: dict[str, Any] = dict(crop=40, batch=2, mirror=True, sampling=0.5)
    whole = weights_after(trainer(tmp_path / 'whole', mini, **crops))
    weights_after(trainer(tmp_path / 'parts', mini, max_iter=2, **crops))
    run = trainer(tmp_path / 'parts', mini, **crops)
    assert_equal_weights(whole, weights_after(run))
    assert run.iter_size == 1 and run.images == 4  # twice two, as a sampled batch grows


def test_crops_are_learned_from_and_whole_images_validated(mini: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path, mini, max_iter=1, crop=40, batch=3)
    run.train([])
    shapes = {}
    for phase in ('train', 'val'):
        net = caffe.Net(str(run.run.folder / f'{phase}.prototxt'), caffe.TRAIN)
        shapes[phase] = tuple(net.blobs['data'].shape)
        if phase == 'train':
            net.forward()
            known = (net.blobs['label'].data != 255).sum()
    assert shapes == {'train': (3, 3, 40, 40), 'val': (1, 3, 56, 64)}
    # Nothing is known of any class at first, and a batch's loss is the mean of its examples'.
    (loss,) = (record['loss'] for record in run.run.log.read() if 'loss' in record)
    assert loss == pytest.approx(known / 3 * np.log(7), rel=1e-4)


@pytest.mark.parametrize(
    ('option', 'named'),
    [
        (dict(mirror=True), 'train'),
        (dict(crop=40), 'train'),
        (dict(jitter=3), 'train'),
        (dict(sampling=0.5), 'iter_size 1, not 2'),
        (dict(balance=True), 'balance None, not True'),
        (dict(momentum=0.5), r'momentum None, not 0\.5'),
    ],
)
def test_a_run_is_not_resumed_with_other_overrides(
    option: dict[str, Any], named: str, mini: Path, tmp_path: Path
) -> None:
    plain, varied = tmp_path / 'plain', tmp_path / 'varied'
    trainer(plain, mini, max_iter=1).train([])
    with pytest.raises(RunError, match=rf'run\.json: .* {named}'):
        trainer(plain, mini, **option).train([])
    trainer(varied, mini, max_iter=1, **option).train([])
    with pytest.raises(RunError, match=r'run\.json: '):
        trainer(varied, mini).train([])


def test_a_run_from_before_there_were_overrides_is_resumed(mini: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path, mini, max_iter=1)
    run.train([])
    about = json.loads((run.run.folder / 'run.json').read_text())
    for key in ('momentum', 'sampling', 'balance'):
        assert about['settings'].pop(key) is None
    (run.run.folder / 'run.json').write_text(json.dumps(about))
    again = trainer(tmp_path, mini, max_iter=2)
    again.train([])
    assert again.run.iteration == 2


def test_a_sampled_loss_moves_the_weights_as_far(
    mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image, whole, or several times with cells ignored: the step and the loss are the same but
    for chance, which is little with cells of one pixel. The score is drawn near zero, so its bias
    hardly sees dropout or features, and the loss is about log 7 per pixel."""
    monkeypatch.setattr('fcn.nets.prototxt._grid', lambda *arguments: {})

    def step(folder: Path, **options: Any) -> tuple[np.ndarray, float, Trainer]:
        run = trainer(folder, mini, max_iter=1, limit=1, **options)
        return weights_after(run)['score_fr'][1].ravel(), run.run.log.read()[0]['loss'], run

    whole, loss, _ = step(tmp_path / 'whole')
    label = DATASETS['mini'].kind(mini, 'train').label('0000')
    assert loss == pytest.approx(np.log(7) * (label != VOID).sum(), rel=1e-3)
    for p, images in ((0.5, 2), (0.25, 4)):
        sampled, sampled_loss, run = step(tmp_path / str(p), sampling=p)
        assert run.iter_size == images
        assert abs(sampled - whole).max() < 0.1 * abs(whole).max()
        assert sampled_loss == pytest.approx(loss, rel=0.05)
        assert sampled_loss != pytest.approx(loss, rel=1e-6)


def test_the_batch_grows_by_whole_images() -> None:
    assert [
        scaled_batch_size(1, None),
        scaled_batch_size(1, 1.0),
        scaled_batch_size(1, 0.5),
        scaled_batch_size(20, 0.25),
        scaled_batch_size(1, 0.3333),
    ] == [
        1,
        1,
        2,
        80,
        3,
    ]
    with pytest.raises(FCNError, match=r'--sample 0\.3: .* 3\.33 images; .*0\.3333'):
        scaled_batch_size(1, 0.3)
    with pytest.raises(FCNError, match='more than 2147483647 images'):
        scaled_batch_size(2**31 - 1, 0.5)


def test_momentum_reaches_the_solver(mini: Path, tmp_path: Path) -> None:
    run = trainer(tmp_path, mini, max_iter=1, momentum=0.5)
    run.train([])
    solver = text_format.Parse(
        (run.run.folder / 'solver.prototxt').read_text(), caffe_pb2.SolverParameter()
    )
    assert solver.momentum == 0.5


def test_a_classifier_is_neither_balanced_nor_sampled(mini: Path, tmp_path: Path) -> None:
    for option in (dict(balance=True), dict(sampling=0.5)):
        with pytest.raises(FCNError, match=r'mini-vgg .* classifier'):
            trainer(tmp_path, mini, 'mini-vgg', **option)


def test_solve_takes_all_overrides(
    mini: Path, tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / 'w.caffemodel'
    write_weights(weights, [('conv1_1', 'Convolution', [np.ones((16, 3, 3, 3)), np.ones(16)])])
    arguments = ['solve.py', 'mini-fcn32s', '--data', mini, '--runs', tmp_path, '--gpu', '-1']
    arguments += ['--weights', weights, '--init-missing', '--iterations', '1', '--base-lr', '1e-9']
    overrides = '--mirror --jitter 8 --sample 0.5 --balance --momentum 0.8'
    result = command(*arguments, *overrides.split())
    assert result.returncode == 0, result.stderr
    settings = json.loads((tmp_path / 'mini-fcn32s' / 'run.json').read_text())['settings']
    assert (settings['iter_size'], settings['balance'], settings['momentum']) == (2, True, 0.8)
    assert json.loads(settings['train']) | dict(mirror=True, jitter=8) == json.loads(
        settings['train']
    )
    result = command(*arguments, '--sample', '0.3')
    assert (
        result.returncode == 2 and result.stderr.count('\n') == 1 and '3.33 images' in result.stderr
    )
    for option in (
        ['--sample', '0'],
        ['--sample', 'nan'],
        ['--jitter', '-1'],
        ['--jitter', '1e30'],
        ['--momentum', '1'],
        ['--momentum', 'nan'],
    ):
        with pytest.raises(SystemExit) as caught:
            solve.parse(['mini-fcn32s', *option])
        assert caught.value.code == 2 and f'argument {option[0]}' in capsys.readouterr().err


def test_both_heads_are_sampled_alike_and_weighted_by_their_own_classes() -> None:
    config = nets.find('siftflow-fcn32s')
    source = DATASETS[config.data].train
    assert source
    matrices = {label: Path(f'/somewhere/{label}.binaryproto') for label in ('sem', 'geo')}
    sampling = dict(p=0.25, seed=1, position=0)
    spec = nets.train_net(config, source, sampling, matrices).to_proto()
    (sampler,) = (layer for layer in spec.layer if layer.python_param.layer == 'SamplingLayer')
    assert (list(sampler.bottom), list(sampler.top)) == (
        ['sem', 'geo'],
        ['sem_sampled', 'geo_sampled'],
    )
    found = {
        layer.bottom[1]: (
            layer.infogain_loss_param.source,
            list(layer.loss_weight),
            layer.loss_param.ignore_label,
        )
        for layer in spec.layer
        if layer.type == 'InfogainLoss'
    }
    assert found == {
        f'{label}_sampled': (f'/somewhere/{label}.binaryproto', [4.0], 255)
        for label in ('sem', 'geo')
    }


# Class weights.


def test_weights_are_median_frequencies_with_a_mean_of_one() -> None:
    pixels, totals = np.array([70, 20, 0, 10]), np.array([100, 40, 0, 80])
    weights = median_frequency_weights(pixels, totals)
    assert weights[2] == 0 and (weights @ pixels) / pixels.sum() == pytest.approx(1)
    # Frequencies 0.7, 0.5, 0.125: the median is 0.5.
    np.testing.assert_allclose(weights[[0, 1, 3]] / weights[1], [0.5 / 0.7, 1, 0.5 / 0.125])


def test_weights_are_counted_over_the_labels_that_are_learned_from(
    mini: Path, tmp_path: Path
) -> None:
    source = Source('Mini', str(mini), 'train')
    dataset = DATASETS['mini'].kind(mini, 'train')
    labels = [dataset.label(name) for name in dataset.names]
    pixels = [sum(int((label == value).sum()) for label in labels) for value in range(7)]
    totals = [
        sum(int((label != VOID).sum()) for label in labels if (label == value).any())
        for value in range(7)
    ]
    found = class_weights(source)['label']
    np.testing.assert_allclose(found, median_frequency_weights(np.array(pixels), np.array(totals)))
    one = class_weights(source._replace(options=(('limit', 1),)))['label']
    assert (one != found).any()
    empty = make_voc(tmp_path / 'void', ['a'], classes=7)
    save_label(np.full((40, 52), VOID, np.uint8), empty / 'SegmentationClass' / 'a.png')
    with pytest.raises(DataError, match='label of split train is void'):
        class_weights(source._replace(root=str(empty)))
    save_label(np.full((40, 52), 7, np.uint8), empty / 'SegmentationClass' / 'a.png')
    with pytest.raises(DataError, match=r'a\.png: .*\[7\].* 0–6'):
        class_weights(source._replace(root=str(empty)))


WEIGHTS = np.array([0.3, 2.0, 0.0, 5.0])


def loss_net(
    folder: Path, weights: np.ndarray | None, normalize: bool = False, weight: float = 1
) -> caffe.Net:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 4, 5, 6])))
    n.label = L.Input(input_param=dict(shape=dict(dim=[1, 1, 5, 6])))
    n.score = L.Scale(n.data, filler=dict(type='constant', value=1))
    if weights is None:
        n.loss = softmax_loss(n.score, n.label, normalize, weight)
    else:
        write_infogain(folder / 'label.binaryproto', weights)
        n.loss = weighted_loss(n.score, n.label, folder / 'label.binaryproto', normalize, weight)
    (folder / 'n.prototxt').write_text(str(n.to_proto()))
    net = caffe.Net(str(folder / 'n.prototxt'), caffe.TRAIN)
    rng = np.random.default_rng(0)
    net.blobs['data'].data[...] = rng.normal(size=(1, 4, 5, 6))
    net.blobs['label'].data[...] = rng.choice([0, 1, 2, 3, VOID], (1, 1, 5, 6))
    return net


def computed(net: caffe.Net, weights: np.ndarray, normalize: bool) -> tuple[float, np.ndarray]:
    """Return the loss and its gradient by the scores, in NumPy's float64."""
    scores, label = (
        net.blobs['data'].data[0].astype(float),
        net.blobs['label'].data[0, 0].astype(int),
    )
    log_p = scores - np.log(np.exp(scores).sum(0))
    known = label != VOID
    target = np.eye(5)[np.where(known, label, 4)].transpose(2, 0, 1)[:4]
    each = np.append(weights, 0)[np.where(known, label, 4)]
    count = known.sum() if normalize else 1
    return -(each * (target * log_p).sum(0)).sum() / count, each * (np.exp(log_p) - target) / count


@pytest.mark.parametrize('normalize', [False, True])
@pytest.mark.parametrize('weight', [1, 4])
def test_the_weighted_loss_and_its_gradient(normalize: bool, weight: float, tmp_path: Path) -> None:
    net = loss_net(tmp_path, WEIGHTS, normalize, weight)
    loss = float(net.forward()['loss'])
    net.backward()
    expected, gradient = computed(net, WEIGHTS, normalize)
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(net.blobs['score'].diff[0], weight * gradient, atol=1e-5)
    assert loss_names(net) == ['loss'] and net.blob_loss_weights['loss'] == weight
    assert (gradient[:, net.blobs['label'].data[0, 0] == VOID] == 0).all()


def test_the_gradient_is_the_finite_difference_of_the_loss(tmp_path: Path) -> None:
    net = loss_net(tmp_path, WEIGHTS)
    net.forward()
    net.backward()
    gradient, step = net.blobs['score'].diff[0].copy(), 0.05
    for index in np.ndindex(4, 5, 6):
        losses = []
        for sign in (1, -1):
            net.blobs['data'].data[0][index] += sign * step
            losses.append(float(net.forward()['loss']))
            net.blobs['data'].data[0][index] -= sign * step
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradient[index], abs=5e-3)


@pytest.mark.parametrize('normalize', [False, True])
def test_equal_weights_are_like_no_weights(normalize: bool, tmp_path: Path) -> None:
    found = []
    for weights in (None, np.ones(4)):
        net = loss_net(tmp_path, weights, normalize)
        found.append(float(net.forward()['loss']))
        net.backward()
        found.append(net.blobs['score'].diff.copy())
    assert found[0] == pytest.approx(found[2], rel=1e-6)
    np.testing.assert_allclose(found[1], found[3], atol=1e-6)
