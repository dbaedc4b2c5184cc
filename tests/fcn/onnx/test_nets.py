"""Every deploy net of the table, as ONNX Runtime computes its export, against Caffe, at sizes where
rounding shows. The quick tests take thin nets of the same layers."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from onnx_models import assert_same, model_of, onnx_runtime, openvino

from fcn.engine import net_of
from fcn.nets import NETS, deploy_net
from fcn.nets.vgg import VGG
from fcn.onnx.source import Source
from fcn.surgery import start

SIZES = (1, 1), (33, 20)
MORE_SIZES = (1, 1), (1, 40), (32, 32), (97, 61), (333, 500), (500, 333)


def thin(config):
    """Return a VGG net of the same layers with few channels."""
    backbone = config.backbone
    if not isinstance(backbone, VGG):
        return config
    widths = tuple(range(4, 4 + len(backbone.widths)))
    return replace(config, backbone=replace(backbone, widths=widths, fc=backbone.fc and 12))


def source_of(name, config):
    """Return a net with random weights whose scores differ from pixel to pixel."""
    spec = deploy_net(config)
    net = net_of(spec)
    start(net, [], init_missing=True)
    rng = np.random.default_rng(1)
    for layer, blobs in net.params.items():
        if not layer.startswith('up'):
            for blob in blobs:
                fan_in = max(1, blob.count // blob.shape[0])
                blob.data[...] = rng.normal(0, np.sqrt(2 / fan_in), blob.data.shape)
    return Source(name, None, net, spec.to_proto(), config, SIZES)


def blobs(source, height, width, batch, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, 50, (batch, shape[1], height, width)).astype(np.float32)
        for name, shape in source.shapes.items()
    }


def check(name, config, sizes, runtime=onnx_runtime, batches=(1, 2), tolerance=5e-5):
    source = source_of(name, config)
    if config.is_classifier:
        source.pinned, tolerance = 'a classifier', 1e-4  # of a probability
        side = config.backbone.input_size
        sizes = ((side, side),)
    run = runtime(model_of(source))
    for height, width in sizes:
        for batch in batches:
            assert_same(source, run, blobs(source, height, width, batch), tolerance)


def distinct(nets):
    """Return the first net of each that have the same layers."""
    texts = {
        str(deploy_net(thin(config)).to_proto()): name for name, config in reversed(nets.items())
    }
    return [name for name in nets if name in texts.values()]


VGGS = {name: config for name, config in NETS.items() if isinstance(config.backbone, VGG)}


@pytest.mark.parametrize('name', distinct(VGGS))
def test_thin_net(name):
    check(name, thin(NETS[name]), SIZES)


@pytest.mark.slow
@pytest.mark.parametrize('name', distinct(VGGS))
def test_thin_net_at_many_sizes(name):
    check(name, thin(NETS[name]), MORE_SIZES)


REAL = [name for name in distinct(NETS) if name not in VGGS or name.startswith('mini')]
REAL += ['voc-fcn8s', 'nyud-fcn16s-color-hha', 'siftflow-fcn8s', 'ilsvrc-vgg16']


@pytest.mark.slow
@pytest.mark.parametrize('name', REAL)
def test_net_of_full_width(name):
    check(name, NETS[name], [(1, 1), (97, 61)])
    if name == 'voc-fcn8s':
        check(name, NETS[name], [(500, 333)], batches=(1,))


OPENVINO = [
    'mini-fcn8s',
    'mini-siftflow-fcn16s',
    'mini-nyud-fcn16s-color-hha',
    'voc-fcn-alexnet',
    'voc-fcn8s-googlenet',
]


@pytest.mark.slow
@pytest.mark.parametrize('name', OPENVINO)
def test_net_in_openvino(name):
    """A second runtime, which shares no code with the first, computes the same."""
    pytest.importorskip('openvino')
    check(name, NETS[name], [(1, 1), (97, 61)], openvino)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mini-fcn8s', 'voc-fcn8s', 'mini-siftflow-fcn16s'])
def test_net_as_a_module_of_pytorch(name):
    """By onnx2torch, as docs/deploy.md says."""
    torch, onnx2torch = pytest.importorskip('torch'), pytest.importorskip('onnx2torch')
    torch.set_num_threads(1)

    def in_pytorch(model):
        module = onnx2torch.convert(model).eval()
        names = [output.name for output in model.graph.output]

        def run(inputs):
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter('ignore')  # of PyTorch about onnx2torch
                found = module(*map(torch.from_numpy, inputs.values()))
            found = [found] if len(names) == 1 else found
            return {key: value.numpy() for key, value in zip(names, found, strict=True)}

        return run

    check(name, NETS[name], [(33, 20), (97, 61)], in_pytorch, batches=(1,))
