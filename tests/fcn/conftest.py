"""A small net with drawn weights, as its user has it: a name and a caffemodel."""

import numpy as np
import pytest

from fcn.engine import net_of
from fcn.nets import deploy_net, find
from fcn.surgery import save, start


@pytest.fixture(scope='session')
def drawn_weights(tmp_path_factory):
    """Returns the caffemodel of a net whose scores differ from pixel to pixel."""
    folder, files = tmp_path_factory.mktemp('drawn'), {}

    def draw(name):
        if name not in files:
            net = net_of(deploy_net(find(name)))
            start(net, [], init_missing=True)
            rng = np.random.default_rng(0)
            for layer in net.params:
                if layer.startswith('score'):
                    weights = net.params[layer][0].data
                    weights[...] = rng.normal(0, 0.01, weights.shape)
            files[name] = folder / f'{name}.caffemodel'
            save(net, files[name])
        return files[name]

    return draw
