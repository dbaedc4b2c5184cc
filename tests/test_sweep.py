"""Every net of the table as a user takes it: starting weights, two iterations on one image, score, infer.

Nothing is fetched: the classifiers are drawn, and every FCN starts from its own parents,
trained here a moment before. OpenCV reads each net too, and must agree with Caffe.
"""

import gc
import json
import shutil
from pathlib import Path

import caffe
import cv2
import numpy as np
import pytest
from archives import build
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from PIL import Image

from fcn.commands import infer, prepare, score, solve
from fcn.data_layers import DATASETS
from fcn.engine import net_of
from fcn.nets import NETS, deploy_net, find
from fcn.prototxts import prototxts
from fcn.solvers import Run, weights_for
from fcn.surgery import save, start
from miniature.generate import generate
from miniature.sets import generate_nyud, generate_siftflow

pytestmark = pytest.mark.slow

# Drawn nets have larger features than trained ones, and want a thousandth of the paper's rates. The finer
# strides get those of the coarsest: at their own, two iterations would show nothing.
RATES = {'heavy': 1e-13, 'cvpr': 1e-7, 'miniature': 5e-10}
# The nets that no later one starts from, by the one after which that is so.
LAST_NEEDED = {name: [] for name in NETS}
for _name in NETS:
    LAST_NEEDED[
        max(
            [_name, *(child for child, config in NETS.items() if _name in config.parents)],
            key=list(NETS).index,
        )
    ].append(_name)


def computation(name):
    """What a net computes, without its name and what only learning asks for."""
    spec = text_format.Parse(prototxts(name)['deploy.prototxt'], caffe_pb2.NetParameter())
    spec.ClearField('name')
    for layer in spec.layer:
        layer.ClearField('param')
    return text_format.MessageToString(spec)


# One net of each computation: the others differ in how they are trained.
DISTINCT = set({computation(name): name for name in reversed(NETS)}.values())


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with every data set, prepared from an archive in its own layout, and in each a list of one image."""
    root = tmp_path_factory.mktemp('sweep')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ('sbd', 'voc', 'pascal-context', 'nyud', 'siftflow'):
            archives = build(name, root / 'archives' / name, count=3)
            prepare.main([name, *(word for path in archives for word in ('--from', str(path)))])
        generate(root / 'data' / 'mini', train=2, val=2, objects=40)
        generate_nyud(root / 'data' / 'mini-nyud', trainval=2, test=2)
        generate_siftflow(root / 'data' / 'mini-siftflow', trainval=2, test=2)
        for dataset in DATASETS.values():
            if dataset.train and 'batch' not in dict(dataset.train.options):
                lists = dataset.kind(dataset.val.root, dataset.val.split)
                file = lists.root / lists.split_file.format(split='one')
                file.write_text(f'{lists.names[0]}\n')
        yield root
    shutil.rmtree(root)


def draw_classifier(name, weights, rng):
    """A caffemodel where prepare.py would put the published one."""
    weights.parent.mkdir(exist_ok=True)
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    last = net.params[list(net.params)[-1]][0].data
    last[...] = rng.normal(0, 1e-3, last.shape)
    save(net, weights)


def train(name):
    """Two iterations on one image; the losses after each, measured without dropout."""
    config = NETS[name]
    dataset = DATASETS[config.data]
    splits = [] if name == 'mini-vgg' else ['--train-split', 'one', '--val-split', 'one']
    rate = (
        1e-8 if config.recipe == 'heavy' and config.normalize_loss else RATES[config.recipe]
    ) / config.backbone.score_lr
    status = solve.main(
        [
            name,
            '--data',
            dataset.val.root,
            *splits,
            '--iterations',
            '2',
            '--gpu',
            '-1',
            '--batch',
            '1',
            '--base-lr',
            str(rate),
            '--val-every',
            '1',
            '--snapshot-every',
            '2',
        ]
    )
    assert status == 0
    return [
        record['validation_loss']
        for record in Run(f'runs/{name}').log.read()
        if 'validation' in record
    ]


def read(path):
    return json.loads(Path(path).read_text())


def photo(config):
    """The one image, and the options that give what else the net sees of it."""
    dataset = DATASETS[config.data]
    source = dataset.kind(dataset.val.root, 'one')
    first, *others = config.input_blobs
    more = [
        word for top in others for word in (f'--{top}', source.path(top, source.names[0]).parent)
    ]
    return source.path(first, source.names[0]), more


def compare_with_opencv(name, weights, rng):
    """Both programs, from one prototxt and one caffemodel, score one image.

    The layers that score are drawn anew, so that all of a net's have a part in the sum.
    """
    deploy = 'deploy.prototxt'
    Path(deploy).write_text(prototxts(name)[deploy])
    ours, theirs = (
        caffe.Net(deploy, str(weights), caffe.TEST),
        cv2.dnn.readNetFromCaffe(deploy, str(weights)),
    )
    for top in ours.inputs:
        blob = ours.blobs[top]
        if not NETS[name].is_classifier:
            blob.reshape(1, blob.shape[1], 37, 50)
        blob.data[...] = rng.normal(0, 30, blob.data.shape)
        theirs.setInput(np.array(blob.data), top)
    ours.forward()
    for layer in ours.params:
        if layer.startswith('score'):
            weights, features = (
                ours.params[layer][0].data,
                ours.blobs[ours.bottom_names[layer][0]].data,
            )
            weights[...] = rng.normal(
                0, 1 / (features.std() * np.sqrt(weights[0].size)), weights.shape
            )
            theirs.setParam(layer, 0, weights)
    expected = ours.forward()
    for top, found in zip(ours.outputs, theirs.forward(list(ours.outputs)), strict=True):
        assert expected[top].std() > 1e-3 * np.abs(expected[top]).max() > 0
        np.testing.assert_allclose(
            found, expected[top], atol=1e-3 * np.abs(expected[top]).max(), err_msg=top
        )


@pytest.mark.parametrize('name', NETS)
def test_net(name, place):
    config, rng = NETS[name], np.random.default_rng(0)
    gc.collect()
    if not config.max_iter:
        weights = place / 'weights' / config.url.rpartition('/')[2]
        draw_classifier(name, weights, rng)
    else:
        first, second = train(name)
        assert np.isfinite(first) and second < first
        about = read(f'runs/{name}/run.json')
        assert len(about['starts_from']) == len(config.parents)
        weights = weights_for(name, 'runs')
    if not config.is_classifier:
        dataset = DATASETS[config.data]
        score.main(
            [
                name,
                '--data',
                dataset.val.root,
                '--split',
                'one',
                '--gpu',
                '-1',
                '--out',
                f'scores/{name}',
            ]
        )
        assert 0 <= read(f'scores/{name}/metrics.json')['pixel_accuracy'] <= 1
        image, more = photo(config)
        infer.main(
            [str(image), '--net', name, '--gpu', '-1', '--out', f'out/{name}', *map(str, more)]
        )
        for index, (label, classes) in enumerate(config.classes.items()):
            with (
                Image.open(f'out/{name}/{image.stem}{f"_{label}" if index else ""}.png') as picture,
                Image.open(image) as original,
            ):
                assert picture.size == original.size
                assert np.asarray(picture).max() < len(classes)
    elif (
        config.max_iter
    ):  # Hardly trained, a classifier gives all classes the same: its last layer is drawn, too.
        weights = place / 'weights' / f'{name}.caffemodel'
        draw_classifier(name, weights, rng)
    if name in DISTINCT:
        compare_with_opencv(name, weights, rng)
    for other in LAST_NEEDED[name]:  # A gigabyte each: none is kept for longer than it is needed.
        shutil.rmtree(f'runs/{other}', ignore_errors=True)
