"""Published weights are fetched, read, and only then named."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from fcn.commands import prepare
from fcn.errors import FCNError, WeightsError
from fcn.nets import NETS
from fcn.preparation import FetchError, weights
from fcn.surgery.caffemodel import read_weights, write_weights

NET, FILE = 'ilsvrc-googlenet', 'bvlc_googlenet.caffemodel'


@pytest.fixture
def server(server, monkeypatch):
    """A server for a small caffemodel at GoogLeNet's address, which no digest is known of."""
    monkeypatch.setitem(NETS, NET, replace(NETS[NET], url=f'{server.url}/{FILE}'))
    monkeypatch.delitem(weights.DIGESTS, FILE)
    return server


@pytest.fixture
def caffemodel(tmp_path):
    """A small file in the format of the real ones, named as one of them."""
    (tmp_path / 'owner').mkdir()
    write_weights(
        tmp_path / 'owner' / FILE, [('conv1', 'Convolution', [np.ones((2, 3, 1, 1)), np.zeros(2)])]
    )
    return tmp_path / 'owner' / FILE


def bring(*arguments, **options):
    return list(weights.bring(*arguments, **options))


def test_every_published_net_is_of_one_kind():
    """By what the net is, not by how its name begins."""
    ilsvrc, fcn = weights.published('ilsvrc'), weights.published('fcn-weights')
    assert set(ilsvrc) | set(fcn) == {name for name, config in NETS.items() if config.url}
    assert (
        {'ilsvrc-vgg16', NET} <= set(ilsvrc) and 'voc-fcn8s' in fcn and not set(ilsvrc) & set(fcn)
    )
    assert all(url.startswith('https://') for url in [*ilsvrc.values(), *fcn.values()])
    files = {url.rpartition('/')[2] for url in [*ilsvrc.values(), *fcn.values()]}
    assert set(weights.DIGESTS) <= files and len(files) == len(ilsvrc) + len(fcn)


def test_weights_are_fetched_once_in_spite_of_a_drop(server, caffemodel, tmp_path):
    server.files, server.drops = {f'/{FILE}': caffemodel.read_bytes()}, [20]
    assert bring('ilsvrc', [NET], tmp_path / 'weights', protocols='http') == [
        (NET, tmp_path / 'weights' / FILE, 1)
    ]
    ((name, blobs),) = read_weights(tmp_path / 'weights' / FILE)
    assert name == 'conv1' and blobs[0].shape == (2, 3, 1, 1) and server.requested == [None, 19]
    bring('ilsvrc', [NET], tmp_path / 'weights', protocols='http')
    assert server.requested == [None, 19]


def test_what_is_no_caffemodel_gets_no_name(server, tmp_path):
    server.files = {f'/{FILE}': b'<html>moved</html>'}
    with pytest.raises(WeightsError, match='fetch it again'):
        bring('ilsvrc', [NET], tmp_path / 'weights', protocols='http')
    assert not list((tmp_path / 'weights').iterdir())


@pytest.mark.parametrize(
    ('program', 'named'),
    [('prepare.py', 'python prepare.py'), ('fcn prepare', ' fcn prepare')],
)
def test_without_a_network_every_file_is_named(program, named, monkeypatch, tmp_path):
    for name in ('ilsvrc-vgg16', NET):
        monkeypatch.setitem(
            NETS, name, replace(NETS[name], url=f'https://127.0.0.1:1/{name}.caffemodel')
        )
    monkeypatch.setattr(sys, 'argv', [program, 'ilsvrc'])
    with pytest.raises(FetchError) as error:
        bring('ilsvrc', ['ilsvrc-vgg16', NET], tmp_path)
    assert (
        'https://127.0.0.1:1/ilsvrc-vgg16.caffemodel and https://127.0.0.1:1/ilsvrc-googlenet'
        in str(error.value)
    )
    assert (
        f'{named} ilsvrc --from ilsvrc-vgg16.caffemodel --from ilsvrc-googlenet.caffemodel'
        in str(error.value)
    )


def test_weights_at_hand_are_copied_with_a_warning_if_they_are_others(caffemodel, tmp_path, capsys):
    words = ['ilsvrc', NET, '--from', str(caffemodel), '--weights', str(tmp_path / 'weights')]
    assert prepare.main(words) == prepare.main(words) == 0
    printed = capsys.readouterr()
    assert printed.out.count(f'1 layers, 0.0 MB in {tmp_path}/weights/{FILE}') == 2
    assert printed.err.count(f'{caffemodel}: ') == 1 and weights.DIGESTS[FILE] in printed.err
    assert {path.name for path in (tmp_path / 'weights').iterdir()} == {FILE}


def test_damaged_weights_at_hand_are_not_copied(caffemodel, tmp_path):
    caffemodel.write_bytes(caffemodel.read_bytes()[:-5])
    (tmp_path / 'weights').mkdir()
    with pytest.raises(WeightsError, match='truncated'):
        bring('ilsvrc', [NET], tmp_path / 'weights', [caffemodel])
    assert not list((tmp_path / 'weights').iterdir())


def test_unknown_nets_and_files_are_named(caffemodel, tmp_path):
    with pytest.raises(FCNError, match=r"'voc-fcn8s'.*ilsvrc-vgg16"):
        bring('ilsvrc', ['voc-fcn8s'], tmp_path)
    with pytest.raises(FCNError, match=f'{FILE}: .*ilsvrc-vgg16.*VGG_ILSVRC_16_layers'):
        bring('ilsvrc', ['ilsvrc-vgg16'], tmp_path, [caffemodel])
