"""Weights found in no file: each channel interpolated by itself, whatever the groups, and
Gaussians."""

import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.engine import net_of
from fcn.errors import WeightsError
from fcn.surgery import gaussian, interp, load


def upsampled(
    channels: int, outputs: int, group: int, shape: tuple[int, ...] = (4, 5)
) -> np.ndarray:
    """What a deconvolution makes of noise when `interp` has filled it."""
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, channels, *shape])))
    n.up = L.Deconvolution(
        n.data,
        convolution_param=dict(
            num_output=outputs, group=group, kernel_size=4, stride=2, bias_term=False
        ),
    )
    net = net_of(n)
    interp(net, ['up'])
    net.blobs['data'].data[0] = np.random.default_rng(0).normal(size=(channels, *shape))
    return net.forward()['up'][0].copy()


@pytest.mark.parametrize('group', [2, 4])
def test_groups_change_nothing(group: int) -> None:
    np.testing.assert_allclose(upsampled(4, 4, group), upsampled(4, 4, 1), atol=1e-6)


def test_one_input_goes_to_all_outputs() -> None:
    up = upsampled(1, 3, 1)
    assert up.shape[0] == 3
    np.testing.assert_allclose(up, np.repeat(upsampled(1, 1, 1), 3, 0), atol=1e-6)


@pytest.mark.parametrize(
    ('channels', 'outputs', 'group', 'shape'),
    [
        (4, 1, 1, (4, 5)),
        (4, 2, 2, (4, 5)),
        (2, 4, 2, (4, 5)),
        (3, 4, 1, (4, 5)),
        (3, 3, 1, (4,)),
        (3, 3, 1, (4, 4, 4)),
    ],
)
def test_what_would_mix_channels_or_is_no_picture_is_refused(
    channels: int, outputs: int, group: int, shape: tuple[int, ...]
) -> None:
    with pytest.raises(WeightsError, match=r'up: a deconvolution of shape .* cannot interpolate'):
        upsampled(channels, outputs, group, shape)


def test_a_single_number_can_be_drawn() -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 4, 5])))
    n.relu = L.PReLU(n.data, prelu_param=dict(channel_shared=True))
    net = load(n.to_proto(), 'net.prototxt')
    gaussian(net, ['relu'], 3)
    assert net.params['relu'][0].data.shape == () and net.params['relu'][0].data not in (0, 0.25)
