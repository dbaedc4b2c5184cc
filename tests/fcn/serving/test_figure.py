"""A net as Figure 3 draws it, and the cells that a score is made of."""

import numpy as np
import pytest

from fcn.engine import net_of
from fcn.nets import NETS, deploy_net
from fcn.serving.figure import cells, figure
from fcn.surgery import start


def test_fcn8s_is_drawn_as_in_the_paper() -> None:
    drawn = figure(NETS['voc-fcn8s'])
    strides = {node['name']: (node['kind'], node['stride']) for node in drawn['nodes']}
    assert {name: strides[name] for name in ('data', 'pool3', 'pool4', 'pool5', 'fc7')} == {
        'data': ('image', 1),
        'pool3': ('pool', 8),
        'pool4': ('pool', 16),
        'pool5': ('pool', 32),
        'fc7': ('features', 32),
    }
    assert [name for name, (kind, _) in strides.items() if kind == 'fuse'] == [
        'fuse_pool4',
        'fuse_pool3',
    ]
    into = [edge['from'] for edge in drawn['edges'] if edge['to'] == 'fuse_pool3']
    assert sorted(into) == ['score_pool3', 'upscore_pool4']
    layers = {(edge['from'], edge['to']): edge['layers'] for edge in drawn['edges']}
    assert layers['pool2', 'pool3'] == ['conv3_1', 'conv3_2', 'conv3_3']
    assert 'pool4 and pool3' in drawn['about']


FCNS = [name for name, net in NETS.items() if not net.is_classifier]
KINDS = [  # of each kind one
    *('voc-fcn8s-googlenet', 'voc-fcn-alexnet', 'voc-fcn-pool3', 'voc-fcn8s-atonce'),
    *('nyud-fcn16s-color-hha', 'siftflow-fcn8s', 'mini-fcn32s'),
]


@pytest.mark.parametrize(
    'name',
    [*KINDS, *(pytest.param(name, marks=pytest.mark.slow) for name in FCNS if name not in KINDS)],
)
def test_every_net_can_be_drawn(name: str) -> None:
    drawn = figure(NETS[name])
    known = {node['name'] for node in drawn['nodes']}
    assert all({edge['from'], edge['to']} <= known for edge in drawn['edges'])
    assert {node['kind'] for node in drawn['nodes']} >= {'image', 'pool', 'score', 'upscore'}
    assert all(grid['stride'] >= 8 for grid in cells(NETS[name]).values())


@pytest.mark.parametrize('name', ['mini-fcn32s', 'mini-fcn8s'])
def test_a_cell_sees_its_field_and_nothing_else(name: str) -> None:
    """The gradient of the score that is nearest to a pixel, with respect to the image."""
    config = NETS[name]
    spec = deploy_net(config).to_proto()
    spec.force_backward = True
    net = net_of(spec)
    start(net, [], init_missing=True)
    rng = np.random.default_rng(0)
    for layer, blobs in net.params.items():
        if layer.startswith('score'):
            blobs[0].data[...] = rng.normal(0, 1, blobs[0].data.shape)
    side, at = 420, 203
    net.blobs['data'].reshape(1, 3, side, side)
    net.blobs['data'].data[...] = rng.normal(0, 50, (1, 3, side, side))
    net.forward()
    grid = cells(config)['label']
    cell = round((at + grid['shift']) / grid['stride'])
    (last,) = [layer.bottom[0] for layer in spec.layer if layer.top[0] in ('upscore', 'upscore8')]
    net.blobs[last].diff[...] = 0
    net.blobs[last].diff[0, :, cell, cell] = rng.normal(0, 1, net.blobs[last].shape[1])
    names = list(net._layer_names)
    maker = [layer.name for layer in spec.layer if last in layer.top][-1]
    net._backward(names.index(maker), 0)
    sizes = np.abs(net.blobs['data'].diff[0]).max((0, 2))
    rows = np.flatnonzero(sizes > 1e-5 * sizes.max())  # Below lies what Winograd's sums round.
    low, high = (grid['stride'] * cell + grid[end] for end in ('low', 'high'))
    # Poolings pass a gradient to the largest of their cells: the margin may miss some pixels.
    assert low <= rows.min() <= low + 24 and high - 24 <= rows.max() <= high
    assert low <= at <= high and abs((low + high) / 2 - at) <= grid['stride']
