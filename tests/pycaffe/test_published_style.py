"""A script in the authors' style learns: a Python layer, surgery, a solver, scores.

docs/authors-scripts.md tells of their own scripts.
"""

import numpy as np
import pytest

LAYER = '''
import caffe
import numpy as np

class StripesLayer(caffe.Layer):
    """Images of other sizes in turn, whose upper half is of class 1."""

    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.sizes, self.index = params['sizes'], 0

    def reshape(self, bottom, top):
        height, width = self.sizes[self.index]
        self.label = np.zeros((1, height, width), dtype=np.uint8)
        self.label[:, : height // 2] = 1
        self.label[:, 0] = 255
        top[0].reshape(1, 2, height, width)
        top[1].reshape(1, *self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = np.concatenate([self.label == 1, self.label == 0]).astype(np.float32)
        top[1].data[...] = self.label
        self.index = (self.index + 1) % len(self.sizes)

    def backward(self, top, propagate_down, bottom):
        pass
'''
NET = """
import caffe
from caffe import layers as L, params as P
from caffe.coord_map import crop

def fcn(sizes):
    n = caffe.NetSpec()
    n.data, n.label = L.Python(module='stripes', layer='StripesLayer', ntop=2,
                               param_str=str(dict(sizes=sizes)))
    n.pool = L.Pooling(n.data, pool=P.Pooling.AVE, kernel_size=2, stride=2)
    n.score_fr = L.Convolution(n.pool, num_output=2, kernel_size=1, pad=2)
    n.upscore = L.Deconvolution(n.score_fr, param=[dict(lr_mult=0)],
        convolution_param=dict(num_output=2, kernel_size=4, stride=2, bias_term=False))
    n.score = crop(n.upscore, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label,
                               loss_param=dict(normalize=False, ignore_label=255))
    return n.to_proto()

with open('train.prototxt', 'w') as f:
    f.write(str(fcn([(16, 20), (20, 16), (18, 24)])))
with open('val.prototxt', 'w') as f:
    f.write(str(fcn([(22, 18), (14, 30)])))
"""
SOLVER = """train_net: "train.prototxt" test_net: "val.prototxt" test_iter: 2
test_interval: 999999999 test_initialization: false
base_lr: 1e-3 lr_policy: "fixed" momentum: 0.9 max_iter: 40
snapshot_prefix: "snapshot/train" snapshot: 20
"""
SOLVE = """
import caffe
import numpy as np

caffe.set_mode_cpu()
solver = caffe.get_solver('solver.prototxt')
for name in [k for k in solver.net.params.keys() if 'up' in k]:
    m, k, h, w = solver.net.params[name][0].data.shape
    og = np.ogrid[:h, :w]
    filt = (1 - abs(og[0] - 1.5) / 2) * (1 - abs(og[1] - 1.5) / 2)
    solver.net.params[name][0].data[range(m), range(k), :, :] = filt

solver.step(40)
net = solver.test_nets[0]
net.share_with(solver.net)
hist = np.zeros((2, 2))
for _ in range(2):
    net.forward()
    gt, out = net.blobs['label'].data[0, 0], net.blobs['score'].data[0].argmax(0)
    k = gt < 2
    hist += np.bincount(2 * gt[k].astype(int) + out[k], minlength=4).reshape(2, 2)
np.save('hist.npy', hist)
np.save('up.npy', net.params['upscore'][0].data)
"""


@pytest.fixture
def scripts(tmp_path):
    texts = {'stripes.py': LAYER, 'net.py': NET, 'solver.prototxt': SOLVER, 'solve.py': SOLVE}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / 'snapshot').mkdir()
    return tmp_path


def test_a_published_script_learns(scripts, command):
    for name in ('net.py', 'solve.py'):
        result = command(name, cwd=scripts)
        assert result.returncode == 0, result.stderr
    # All pixels that count, of 22 × 18 and 14 × 30: nearly all are told apart.
    hist = np.load(scripts / 'hist.npy')
    assert hist.sum() == 21 * 18 + 13 * 30
    assert np.diag(hist).sum() / hist.sum() > 0.9
    # Bilinear weights from channel to channel, which lr_mult keeps.
    one = np.array([0.25, 0.75, 0.75, 0.25])
    expected = np.eye(2)[:, :, None, None] * np.outer(one, one)
    np.testing.assert_array_equal(np.load(scripts / 'up.npy'), expected)
    assert {path.name for path in (scripts / 'snapshot').iterdir()} == {
        f'train_iter_{i}.{end}' for i in (20, 40) for end in ('caffemodel', 'solverstate')
    }
