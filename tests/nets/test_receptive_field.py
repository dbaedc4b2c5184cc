"""Receptive fields against the paper's, and against what gradients reach in Caffe."""

from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.nets import NETS, deploy_net
from fcn.nets.receptive_field import receptive_fields


@pytest.mark.parametrize(
    ('name', 'blob', 'size'),
    [
        ('voc-fcn-alexnet', 'score_fr', 355),
        ('voc-fcn32s', 'score_fr', 404),
        ('voc-fcn32s-vgg19', 'score_fr', 460),
        ('ilsvrc-googlenet', 'pool5/7x7_s1', 907),
        ('ilsvrc-vgg16', 'pool5', 212),
    ],
)
def test_table_1_of_the_paper(name: str, blob: str, size: int) -> None:
    """AlexNet 355, VGG-16 404, GoogLeNet 907 with its last pooling, all of stride 32."""
    field = receptive_fields(deploy_net(NETS[name]))[blob]
    assert (field.size, field.stride) == (size, 32)


@pytest.mark.parametrize(
    'name', [name for name, config in NETS.items() if not config.is_classifier]
)
def test_scores_lie_in_the_middle_of_what_they_see(name: str) -> None:
    """Crops centre them, to a pixel."""
    for top, field in receptive_fields(deploy_net(NETS[name])).items():
        if top.startswith('score') and field.stride == 1:
            assert abs(field.low + field.high) <= 1


def test_gradients_reach_the_field_and_no_further(tmp_path: Path) -> None:
    """Convolution, dilation, pooling, deconvolution and crop, with positive weights and inputs."""
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 1, 64, 64])))
    filler = dict(weight_filler=dict(type='constant', value=1))
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=5, stride=2, pad=3, **filler)
    n.dilated = L.Convolution(n.conv, num_output=1, kernel_size=3, dilation=2, **filler)
    n.pool = L.Pooling(n.dilated, kernel_size=3, stride=2, pool=1)
    n.up = L.Deconvolution(
        n.pool, convolution_param=dict(num_output=1, kernel_size=6, stride=4, **filler)
    )
    n.size = L.Input(input_param=dict(shape=dict(dim=[1, 1, 40, 40])))
    n.score = L.Crop(n.up, n.size, axis=2, offset=[3])
    (tmp_path / 'n.prototxt').write_text(f'force_backward: true\n{n.to_proto()}')
    field = receptive_fields(n)['score']
    net = caffe.Net(str(tmp_path / 'n.prototxt'), caffe.TEST)
    net.blobs['data'].data[...] = 1
    net.forward()
    lows, highs = [], []
    for row in range(16, 24):
        net.blobs['score'].diff[...] = 0
        net.blobs['score'].diff[0, 0, row, 20] = 1
        net.backward(start='score')
        reached = np.flatnonzero(net.blobs['data'].diff[0, 0].any(1)) - row
        lows.append(reached.min())
        highs.append(reached.max())
    assert (min(lows), max(highs)) == (field.low, field.high)
