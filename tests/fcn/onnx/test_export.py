"""Files of ONNX as the command and the library write them: they run by themselves, say what they
are, and are not written if anything is wrong."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from robustness.server import Fork
from small_runs import trainer

import fcn
from fcn import child
from fcn.commands import export as main
from fcn.inference import predict
from fcn.nets import find
from fcn.onnx import check
from fcn.onnx.check import open_session

NET = 'mini-fcn8s'


def noise(height=45, width=60, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, channels), np.uint8)
    return small.repeat(5, 0).repeat(5, 1)[:height, :width]


def export(capsys, *arguments):
    main.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def metadata(file):
    return {entry.key: entry.value for entry in onnx.load(file).metadata_props}


@pytest.fixture
def weights(drawn_weights):
    return drawn_weights(NET)


def test_a_file_scores_images_of_any_size_as_the_library_does(weights, tmp_path, capsys):
    file = tmp_path / 'net.onnx'
    printed = export(capsys, NET, '--weights', weights, '-o', file)
    assert 'largest relative difference' in printed and '100 % equal labels' in printed
    onnx.checker.check_model(file, full_check=True)
    seg, session = fcn.load(NET, weights=weights, gpu=-1), open_session(file)
    kind = find(NET).dataset.inputs['data']
    for size in ((45, 60), (7, 1), (64, 33)):
        images = noise(*size), noise(*size, seed=1)
        batch = np.stack([kind.blob(image) for image in images])
        (scores,) = session.run(['score'], {'data': batch})
        for image, found in zip(images, scores, strict=True):
            assert check.relative_difference(found, seg.scores(image)) < 1e-5
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_says_what_it_is(weights, tmp_path, capsys):
    export(capsys, NET, '--weights', weights, '-o', tmp_path / 'net.onnx')
    about = metadata(tmp_path / 'net.onnx')
    assert about['net'] == NET
    assert about['weights_sha256'] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert tuple(json.loads(about['classes'])) == find(NET).classes['label']
    assert json.loads(about['colours_rgb']) == find(NET).dataset.colours_of('label').tolist()
    kind = find(NET).dataset.inputs['data']
    assert tuple(json.loads(about['mean'])) == tuple(kind.mean)
    assert json.loads(about['scale']) == kind.scale and json.loads(about['channels']) == 'BGR'
    assert float(about['largest_relative_difference']) < 1e-5
    assert float(about['equal_labels']) == 1


def test_images_in_labels_out(weights, tmp_path, capsys):
    file = tmp_path / 'net.onnx'
    printed = export(
        capsys, NET, '--weights', weights, '-o', file, '--with-preprocessing', '--labels'
    )
    assert 'input image: batch×height×width×3 uint8 RGB' in printed
    session, seg = open_session(file), fcn.load(NET, weights=weights, gpu=-1)
    assert [output.name for output in session.get_outputs()] == ['labels']
    images = np.stack([noise(), noise(seed=3)])
    (labels,) = session.run(None, {'image': images})
    assert labels.dtype == np.uint8 and len(np.unique(labels)) > 1
    for image, found in zip(images, labels, strict=True):
        assert (found == seg(image).labels).mean() > 0.999


def test_the_first_of_equal_scores_wins(tmp_path, drawn_weights):
    """All scores are equal where the weights are zero; then all are class 0, as in predict."""
    net = fcn.engine.net_of(fcn.nets.deploy_net(find(NET)))
    fcn.surgery.start(net, [], init_missing=True)
    fcn.surgery.save(net, tmp_path / 'zero.caffemodel')
    fcn.export(NET, tmp_path / 'net.onnx', tmp_path / 'zero.caffemodel', labels=True)
    session = open_session(tmp_path / 'net.onnx')
    (labels,) = session.run(None, {'data': np.ones((1, 3, 20, 20), np.float32)})
    assert not labels.any() and not predict(np.zeros((1, 7, 20, 20), np.float32)).any()


@pytest.mark.parametrize(
    'net', ['mini-nyud-fcn32s-color-d', 'mini-nyud-fcn16s-color-hha', 'mini-siftflow-fcn32s']
)
def test_several_inputs_and_outputs(net, drawn_weights, tmp_path):
    """Depth is log of millimetres, also where there is none; HHA keeps its channels."""
    result = fcn.export(
        net, tmp_path / 'n.onnx', drawn_weights(net), preprocessing=True, labels=True
    )
    session, seg = open_session(result.path), fcn.load(net, weights=drawn_weights(net), gpu=-1)
    image = noise()
    first, *others = result.inputs
    more = {}
    if 'depth' in others:
        more['depth'] = np.arange(45 * 60, dtype=np.float32).reshape(45, 60) * 3
    if 'hha' in others:
        more['hha'] = noise(seed=8)
    given = {first: image[np.newaxis]} | {name: array[np.newaxis] for name, array in more.items()}
    found = dict(zip(result.outputs, session.run(list(result.outputs), given), strict=True))
    segmented = seg(image, **more)
    expected = {'labels': segmented.labels}
    if segmented.others:
        expected = {'labels_sem': segmented.labels, 'labels_geo': segmented.others['geo'].labels}
        assert set(json.loads(metadata(result.path)['classes'])) == {'score_sem', 'score_geo'}
    assert set(found) == set(expected)
    for name, labels in expected.items():
        assert (found[name][0] == labels).mean() > 0.999


def test_half_the_bytes(weights, tmp_path, capsys):
    full, half = tmp_path / 'full.onnx', tmp_path / 'half.onnx'
    export(capsys, NET, '--weights', weights, '-o', full)
    printed = export(capsys, NET, '--weights', weights, '-o', half, '--half')
    assert 'float16 weights leave' in printed
    assert half.stat().st_size < 0.52 * full.stat().st_size
    image = find(NET).dataset.inputs['data'].blob(noise())[np.newaxis]
    one, other = (open_session(file).run(None, {'data': image})[0] for file in (full, half))
    assert 0 < check.relative_difference(other, one) < 5e-3
    assert float(metadata(half)['equal_labels_float16']) > 0.95


def test_weights_that_float16_cannot_hold_are_refused(weights, tmp_path):
    layers = [
        (name, 'Convolution', list(map(np.array, blobs)))
        for name, blobs in fcn.surgery.read_weights(weights)
    ]
    layers[2][2][0][0, 0, 0, 0] = 1e5
    fcn.surgery.write_weights(tmp_path / 'large.caffemodel', layers)
    with pytest.raises(fcn.WeightsError, match=f"'{layers[2][0]}'.*100000"):
        fcn.export(NET, tmp_path / 'half.onnx', tmp_path / 'large.caffemodel', half=True)
    assert not (tmp_path / 'half.onnx').exists()


def test_one_size_simplified_has_no_computed_shapes(weights, tmp_path, capsys):
    file = tmp_path / 'net.onnx'
    export(
        capsys, NET, '--weights', weights, '-o', file, '--size', '40x56', '--simplify', '--labels'
    )
    model = onnx.load(file)
    assert 'Shape' not in {node.op_type for node in model.graph.node}
    (value,) = model.graph.input
    assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [1, 3, 40, 56]
    image = noise(40, 56)
    blob = find(NET).dataset.inputs['data'].blob(image)[np.newaxis]
    (labels,) = open_session(file).run(None, {'data': blob})
    assert (labels[0] == fcn.load(NET, weights=weights, gpu=-1)(image).labels).mean() > 0.999


def test_a_run_folder(tmp_path, mini):
    run = trainer(tmp_path, mini, max_iter=2, snapshot_every=1, val_every=2)
    run.train([])
    for options in (
        {'net': run.run.folder},
        {'net': None, 'weights': run.run.folder, 'snapshot': 1},
    ):
        result = fcn.export(out=tmp_path / 'run.onnx', **options)
        assert not result.pinned and metadata(result.path)['net'] == 'mini-fcn32s'
    assert 'iter_1' in metadata(result.path)['weights']


def test_a_classifier_takes_images_of_its_size(tmp_path, drawn_weights):
    result = fcn.export('mini-vgg', tmp_path / 'c.onnx', drawn_weights('mini-vgg'), labels=True)
    assert result.pinned and result.inputs['data'].startswith('batch×3×104×104')
    assert result.outputs == {'labels': 'batch uint8'}


PROTOTXT = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 24 input_dim: 32
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
"""
FC = """layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }"""


@pytest.fixture
def forks(monkeypatch):
    """Nets of prototxts are built in forks first, not in new interpreters, to save time."""
    monkeypatch.setattr(child, 'starter', Fork)


def written(folder, text):
    """Write a prototxt and a caffemodel of it, and return their paths."""
    (folder / 'deploy.prototxt').write_text(text)
    net = fcn.engine.caffe.Net(str(folder / 'deploy.prototxt'), fcn.engine.caffe.TEST)
    for index, blob in enumerate(net.params['bn']):
        blob.data[...] = (0.3, 1.5, 2)[index]
    fcn.surgery.save(net, folder / 'net.caffemodel')
    return folder / 'deploy.prototxt', folder / 'net.caffemodel'


def test_a_foreign_prototxt_takes_any_size_unless_its_weights_do_not(tmp_path, capsys, forks):
    prototxt, caffemodel = written(tmp_path, PROTOTXT)
    file = tmp_path / 'net.onnx'
    printed = export(capsys, prototxt, '--weights', caffemodel, '-o', file, '--simplify')
    assert 'input data: batch×3×height×width float32' in printed and 'one size' not in printed
    assert 'output pool: batch×5×?×? float32' in printed
    assert 'ONNX Runtime' in printed and '61×47 and 24×32' in printed
    prototxt, caffemodel = written(tmp_path, PROTOTXT + FC)
    printed = export(capsys, prototxt, '--weights', caffemodel, '-o', file)
    assert 'input data: batch×3×24×32 float32' in printed and "layer 'fc'" in printed


def test_mistakes_are_one_line_and_write_nothing(weights, tmp_path, command, forks):
    prototxt, caffemodel = written(tmp_path, PROTOTXT + FC)
    spp = tmp_path / 'spp.prototxt'
    layer = (
        'layer { name: "x" type: "SPP" bottom: "conv" top: "x" spp_param { pyramid_height: 2 } }'
    )
    spp.write_text(PROTOTXT + layer)
    out = tmp_path / 'out.onnx'
    before = sorted(tmp_path.iterdir())
    for arguments, hint in (
        ([NET, '--weights', tmp_path / 'no', '-o', out], 'no such file'),
        ([NET, '--weights', weights, '-o', tmp_path / 'no' / 'x.onnx'], 'there is no folder'),
        ([NET, '--weights', weights, '-o', weights], 'would overwrite'),
        (['mini-fcn16s', '--weights', caffemodel, '-o', out], 'is of another net'),
        (['nonet', '-o', out], 'no net is named'),
        ([NET, '--weights', weights, '-o', out, '--half', '--simplify'], 'drop one'),
        ([NET, '--weights', weights, '-o', out, '--size', '16000x16000'], 'memory'),
        ([prototxt, '-o', out], '--weights'),
        ([prototxt, '--weights', weights, '-o', out], 'it is of another net'),
        ([prototxt, '--weights', caffemodel, '-o', out, '--size', '5x5'], "layer 'fc'"),
        ([prototxt, '--weights', caffemodel, '-o', out, '--with-preprocessing'], 'preprocessing'),
        ([spp, '--weights', caffemodel, '-o', out], r"layer 'x' \(SPP\) cannot be exported"),
    ):
        with pytest.raises(fcn.FCNError, match=hint):
            main.main([str(argument) for argument in arguments])
    result = command('export.py', NET, '--weights', weights, '-o', out, '--size', '0x9')
    assert result.returncode == 2 and 'no height and width' in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_differs_from_caffe_is_not_written(weights, tmp_path, monkeypatch):
    from fcn.onnx import layers

    monkeypatch.setattr(layers, '_end', lambda kernel, stride, pad, up, clip: pad)
    with pytest.raises(fcn.WeightsError, match='differs from Caffe'):
        fcn.export(NET, tmp_path / 'net.onnx', weights)
    assert not list(tmp_path.iterdir())


def test_a_file_replaces_another_and_keeps_its_metadata_when_simplified(weights, tmp_path):
    file = tmp_path / 'net.onnx'
    file.write_text('old')
    fcn.export(NET, file, weights, simplify=True)
    assert metadata(file)['net'] == NET
