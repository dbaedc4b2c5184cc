"""What the sweep does to a net: two iterations on one image, score, infer, compare with OpenCV.

The current folder holds data, weights and runs, as the fixture `place` makes it.
"""

import gc
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import caffe
import cv2
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from PIL import Image

from fcn.commands import infer, score, solve
from fcn.data_layers import DATASETS
from fcn.engine import net_of
from fcn.nets import NETS, NetConfig, deploy_net, find
from fcn.prototxts import prototxts
from fcn.solvers import Run, weights_for
from fcn.surgery import save, start

# Drawn nets have larger features than trained ones, and want a thousandth of the paper's rates. The
# finer strides get those of the coarsest: at their own, two iterations would show nothing.
RATES = {'heavy': 1e-13, 'cvpr': 1e-7, 'miniature': 5e-10}
NORMALIZED_RATE = 1e-8  # of the heavy recipe, where the loss is a mean over pixels


def last_uses(names: Iterable[str]) -> dict[str, list[str]]:
    """Return {net: the nets that none of `names` after it starts from}."""
    names = list(names)
    result: dict[str, list[str]] = {name: [] for name in names}
    for name in names:
        children = [child for child in names if name in NETS[child].parents]
        result[max([name, *children], key=names.index)].append(name)
    return result


def computation(name: str) -> str:
    """Return what a net computes, without its name and what only learning asks for."""
    spec = text_format.Parse(prototxts(name)['deploy.prototxt'], caffe_pb2.NetParameter())
    spec.ClearField('name')
    for layer in spec.layer:
        layer.ClearField('param')
    return text_format.MessageToString(spec)


# One net of each computation: the others differ in how they are trained.
DISTINCT = set({computation(name): name for name in reversed(NETS)}.values())


def draw_classifier(name: str, weights: Path) -> None:
    """Write random weights of a classifier."""
    weights.parent.mkdir(exist_ok=True)
    net = net_of(deploy_net(find(name)))
    start(net, [], init_missing=True)
    last = net.params[list(net.params)[-1]][0].data
    last[...] = np.random.default_rng(0).normal(0, 1e-3, last.shape)
    save(net, weights)


def published_file(name: str) -> Path:
    """Return where prepare.py puts the published weights of a classifier."""
    return Path('weights', NETS[name].url.rpartition('/')[2])


def train(name: str) -> list[float]:
    """Train for two iterations on one image; return the loss after each, without dropout."""
    config = NETS[name]
    for parent in config.parents:
        if not NETS[parent].max_iter and not published_file(parent).exists():
            draw_classifier(parent, published_file(parent))
    normalized = config.recipe == 'heavy' and config.normalize_loss
    rate = (NORMALIZED_RATE if normalized else RATES[config.recipe]) / config.backbone.score_lr
    options = {
        '--data': DATASETS[config.data].val.root,
        '--iterations': 2,
        '--gpu': -1,
        '--batch': 1,
        '--base-lr': rate,
        '--val-every': 1,
        '--snapshot-every': 2,
    }
    if not config.is_classifier:
        options |= {'--train-split': 'one', '--val-split': 'one'}
    assert solve.main([name, *(str(word) for option in options.items() for word in option)]) == 0
    records = Run(f'runs/{name}').log.read()
    return [record['validation_loss'] for record in records if 'validation' in record]


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def check_scoring(name: str) -> None:
    """Score a net on the one image."""
    root = DATASETS[NETS[name].data].val.root
    where = ['--data', root, '--split', 'one', '--gpu', '-1', '--out', f'scores/{name}']
    score.main([name, *where])
    assert 0 <= read(f'scores/{name}/metrics.json')['pixel_accuracy'] <= 1


def check_inference(name: str, config: NetConfig) -> None:
    """Segment the one image, and check the pictures."""
    dataset = DATASETS[config.data]
    source = dataset.kind(dataset.val.root, 'one')
    first, *others = config.input_blobs
    image = source.path(first, source.names[0])
    folders = {f'--{top}': source.path(top, source.names[0]).parent for top in others}
    options = {'--net': name, '--gpu': -1, '--out': f'out/{name}', **folders}
    infer.main([str(image), *(str(word) for option in options.items() for word in option)])
    for index, (label, classes) in enumerate(config.classes.items()):
        suffix = f'_{label}' if index else ''
        picture = Image.open(f'out/{name}/{image.stem}{suffix}.png')
        with picture, Image.open(image) as original:
            assert picture.size == original.size
            assert np.asarray(picture).max() < len(classes)


def compare_with_opencv(name: str, weights: str | Path) -> None:
    """Check that OpenCV and Caffe score alike, from one prototxt and one caffemodel.

    The layers that score are drawn anew, so that all of a net's have a part in the sum.
    """
    rng = np.random.default_rng(0)
    deploy = 'deploy.prototxt'
    Path(deploy).write_text(prototxts(name)[deploy])
    ours = caffe.Net(deploy, str(weights), caffe.TEST)
    theirs = cv2.dnn.readNetFromCaffe(deploy, str(weights))
    for top in ours.inputs:
        blob = ours.blobs[top]
        if not NETS[name].is_classifier:
            blob.reshape(1, blob.shape[1], 37, 50)
        blob.data[...] = rng.normal(0, 30, blob.data.shape)
        theirs.setInput(np.array(blob.data), top)
    ours.forward()
    for layer in ours.params:
        if layer.startswith('score'):
            filters = ours.params[layer][0].data
            features = ours.blobs[ours.bottom_names[layer][0]].data
            scale = 1 / (features.std() * np.sqrt(filters[0].size))
            filters[...] = rng.normal(0, scale, filters.shape)
            theirs.setParam(layer, 0, filters)
    expected = ours.forward()
    for top, scores in zip(ours.outputs, theirs.forward(list(ours.outputs)), strict=True):
        largest = np.abs(expected[top]).max()
        assert expected[top].std() > 1e-3 * largest > 0
        np.testing.assert_allclose(scores, expected[top], atol=1e-3 * largest, err_msg=top)


def check_net(name: str, names: Iterable[str]) -> None:
    """Take a net from starting weights to pictures.

    Its parents among `names` went before it. The runs that no later one of `names` starts from are
    removed: each takes a gigabyte.
    """
    config = NETS[name]
    gc.collect()
    if not config.max_iter:
        weights = published_file(name)
        draw_classifier(name, weights)
    else:
        first, second = train(name)
        assert np.isfinite(first) and second < first
        assert len(read(f'runs/{name}/run.json')['starts_from']) == len(config.parents)
        weights = weights_for(name, 'runs')
    if not config.is_classifier:
        check_scoring(name)
        check_inference(name, config)
    elif config.max_iter:
        # Hardly trained, it gives all classes the same score: its last layer is drawn, too.
        weights = Path('weights', f'{name}.caffemodel')
        draw_classifier(name, weights)
    if name in DISTINCT:
        compare_with_opencv(name, weights)
    for other in last_uses(names)[name]:
        shutil.rmtree(f'runs/{other}', ignore_errors=True)
