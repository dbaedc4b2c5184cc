"""Which layers score classes: found by structure, and compared with the names of our nets."""

import caffe
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.engine import net_of
from fcn.nets import NETS, deploy_net
from fcn.nets.layers import softmax_loss
from fcn.surgery import start
from fcn.surgery.scores import scoring_layers


def named_scores(net: caffe.Net) -> set[str]:
    """The layers that our nets call scores: a second way to tell them."""
    return {
        name
        for name in net.params
        if name.startswith(('score', 'fc8')) and net.layer_dict[name].type != 'Deconvolution'
    }


@pytest.mark.parametrize('name', NETS)
def test_structure_and_names_agree_on_every_net_of_the_table(name: str) -> None:
    config = NETS[name]
    spec = deploy_net(config)
    net = net_of(spec)
    assert scoring_layers(net) == named_scores(net)
    assert name.startswith('ilsvrc-googlenet') or scoring_layers(net)
    if config.is_classifier:
        return
    for label, blob in config.score_blobs.items():  # and when it is trained
        truth = f'{label}_truth'
        spec[truth] = L.Input(input_param=dict(shape=dict(dim=[1, 1, 500, 500])))
        spec[f'{label}_loss'] = softmax_loss(spec[blob], spec[truth])
    learning = net_of(spec)
    assert scoring_layers(learning) == scoring_layers(net)


def test_a_net_with_names_of_its_own() -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 32, 32])))
    n.features = L.Convolution(n.data, num_output=4, kernel_size=1)
    n.relu = L.ReLU(n.features, in_place=True)
    n.squeeze = L.Convolution(n.relu, num_output=4, kernel_size=1)
    n.wide = L.Convolution(n.squeeze, num_output=4, kernel_size=3, pad=1)
    n.one = L.Convolution(n.wide, num_output=2, kernel_size=1)
    n.other = L.Convolution(n.squeeze, num_output=2, kernel_size=1)
    n.both = L.Eltwise(n.one, n.other)
    n.probability = L.Softmax(n.both)
    net = net_of(n)
    assert scoring_layers(net) == {'one', 'other'}
    report = start(net, [])
    assert report.zero == ['one', 'other'] and report.missing == ['features', 'squeeze', 'wide']


def test_a_score_that_is_also_read_as_features_is_none() -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 32, 32])))
    n.first = L.Convolution(n.data, num_output=2, kernel_size=1)
    n.second = L.Convolution(n.first, num_output=2, kernel_size=1)
    n.both = L.Eltwise(n.first, n.second)
    assert scoring_layers(net_of(n)) == {'second'}
