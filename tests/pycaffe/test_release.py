"""engine.release_activations: the same bits from less memory; released blobs read as zeros."""

import subprocess
import sys

import caffe
import numpy as np
import pytest

from benchmarks.material import SOLVER
from fcn import engine
from fcn.engine import net_of
from fcn.nets import deploy_net, find, train_net_with_inputs

pytestmark = pytest.mark.cpu

NET = 'mini-fcn8s'


def new_net(keep=None):
    """Return the net with Gaussian weights; unless `keep` is None, it releases all others."""
    net = net_of(deploy_net(find(NET)))
    fill(net)
    if keep is not None:
        engine.release_activations(net, keep)
    return net


def fill(net):
    rng = np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.standard_normal(blob.data.shape) * 0.1


def forward(net, height, width):
    net.blobs['data'].reshape(1, 3, height, width)
    net.blobs['data'].data[...] = (
        np.random.default_rng(height).standard_normal((1, 3, height, width)) * 50
    )
    return net.forward()['score'].copy()


def test_scores_are_the_same_at_every_size():
    plain, released = new_net(), new_net(keep=())
    for size in ((64, 48), (120, 90), (33, 100), (120, 90), (121, 91)):
        assert np.array_equal(forward(plain, *size), forward(released, *size))
    # Without a forward pass in between a blob must not reach beyond its memory.
    for size in ((30, 30), (200, 150), (64, 48)):
        released.blobs['data'].reshape(1, 3, *size)
        released.reshape()
        assert all(
            np.isfinite(blob.data.sum())
            for name, blob in released.blobs.items()
            if name not in ('data', 'score')
        )
    assert np.array_equal(forward(plain, 64, 48), forward(released, 64, 48))


def test_what_is_kept_and_what_is_given_back():
    plain, released = new_net(), new_net(keep=['pool2'])
    for net in (plain, released):
        forward(net, 64, 48)
    for name in ('data', 'pool2', 'score'):
        assert np.array_equal(plain.blobs[name].data, released.blobs[name].data)
    given_back = [name for name in plain.blobs if not released.blobs[name].data.any()]
    assert 'pool1' in given_back and all(plain.blobs[name].data.any() for name in given_back)
    with pytest.raises(ValueError, match='pool77'):
        engine.release_activations(plain, ['pool77'])


@pytest.mark.parametrize(
    'act', ["net.forward(start='pool1')", "net.backward(score=net.blobs['score'].data)"]
)
def test_a_pass_that_would_read_released_activations_ends_the_process(act):
    script = f"""
from fcn import engine, nets
net = engine.net_of(nets.deploy_net(nets.find("{NET}")))
engine.release_activations(net)
net.forward()
print("ran", flush=True)
{act}
print("went on")
"""
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.stdout == 'ran\n' and result.returncode != 0
    assert 'releases its activations' in result.stderr


def test_training_is_the_same(tmp_path):
    proto = train_net_with_inputs(find(NET), 80)
    for shape in proto.layer[0].input_param.shape:
        shape.dim[2:] = [80, 70]
    (tmp_path / 'train.prototxt').write_text(str(proto))
    (tmp_path / 'solver.prototxt').write_text(
        SOLVER.format(net=tmp_path / 'train.prototxt').replace('1e-14', '1e-8')
    )
    learned = []
    forward(new_net(keep=()), 200, 150)  # leaves its numbers in the memory that is lent next
    for released in (False, True):
        solver = caffe.SGDSolver(str(tmp_path / 'solver.prototxt'))
        fill(solver.net)
        start = [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]
        if released:
            engine.release_activations(solver.net)
        rng = np.random.default_rng(4)
        for _ in range(3):
            solver.net.blobs['data'].data[...] = (
                rng.standard_normal(solver.net.blobs['data'].data.shape) * 50
            )
            solver.net.blobs['label'].data[...] = rng.integers(
                0, 3, solver.net.blobs['label'].data.shape
            )
            solver.step(1)
        learned.append([blob.data.copy() for blobs in solver.net.params.values() for blob in blobs])
        assert any(not np.array_equal(*pair) for pair in zip(start, learned[-1], strict=True))
    for plain, released in zip(*learned, strict=True):
        assert np.array_equal(plain, released)
