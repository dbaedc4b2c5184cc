"""The table of a net's layers."""

import pytest
from caffe import layers as L

from benchmarks.layers import Pass, main, multiply_adds, passes
from fcn.engine import net_of

LOG = """
fcn: conv Convolution forward winograd (F(6x6,3x3) avx2) 3.000 ms, CPU 5.000 ms
I1127 some other line
fcn: conv Convolution forward winograd (F(6x6,3x3) avx2) 4.000 ms, CPU 4.500 ms
fcn: relu ReLU forward fused 0.001 ms, CPU 0.002 ms
"""


def test_a_pass_has_the_minima_of_its_times():
    kernel = 'winograd (F(6x6,3x3) avx2)'
    conv, relu = passes(LOG)
    assert conv == Pass('conv', 'Convolution', 'forward', kernel, 3e-3, 4.5e-3)
    assert (relu.kernel, relu.seconds) == ('fused', 1e-6)


def test_multiply_adds():
    data = L.Input(shape={'dim': [2, 5, 14, 20]})
    net = net_of(L.Convolution(data, num_output=7, kernel_size=3, name='conv').to_proto())
    direct = 2 * 12 * 18 * 7 * 5 * 9
    for kernel, name, carried_out in (
        ('gemm', 'forward', direct),
        ('winograd (F(6x6,3x3) avx2)', 'forward', 2 * (2 * 3) * 64 * 7 * 5),
        ('winograd (F(4x4,3x3) avx2)', 'backward-data', 2 * (4 * 5) * 36 * 7 * 5),
    ):
        one = Pass('conv', 'Convolution', name, kernel, 1, 1)
        assert multiply_adds(net, one) == (direct, carried_out)


@pytest.mark.slow
def test_a_net(capsys):
    main(['mini-fcn8s', '--train', '--times', '1', '--threads', '1'])
    out = capsys.readouterr().out
    assert 'a training iteration' in out and '| conv2_1, backward-data |' in out
