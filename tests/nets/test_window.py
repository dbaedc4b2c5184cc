"""The reader of layer windows, on every way in which Caffe writes one."""

import pytest
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from fcn.errors import FCNError
from fcn.nets.window import Window, window_of


def window(text: str) -> Window:
    return window_of(text_format.Parse(f'name: "x" {text}', caffe_pb2.LayerParameter()))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('type: "ReLU"', Window()),
        ('type: "Convolution" convolution_param { kernel_size: 3 }', Window(kernel=(3, 3))),
        (
            'type: "Deconvolution" convolution_param { kernel_size: 4 stride: 2 pad: 1 }',
            Window((4, 4), (2, 2), (1, 1)),
        ),
        (
            'type: "Convolution" convolution_param { kernel_size: 3 kernel_size: 5 stride: 2 '
            'stride: 1 pad: 0 pad: 4 dilation: 6 dilation: 7 }',
            Window((3, 5), (2, 1), (0, 4), (6, 7)),
        ),
        (
            'type: "Convolution" convolution_param { kernel_h: 3 kernel_w: 5 stride_h: 2 '
            'stride_w: 1 pad_h: 0 pad_w: 4 dilation: 2 }',
            Window((3, 5), (2, 1), (0, 4), (2, 2)),
        ),
        ('type: "Pooling" pooling_param { kernel_size: 3 }', Window(kernel=(3, 3))),
        (
            'type: "Pooling" pooling_param { kernel_h: 3 kernel_w: 5 stride: 2 pad: 1 }',
            Window((3, 5), (2, 2), (1, 1)),
        ),
        ('type: "Pooling" pooling_param { global_pooling: true }', Window(kernel=(0, 0))),
    ],
)
def test_windows(text: str, expected: Window) -> None:
    assert window(text) == expected


@pytest.mark.parametrize('sizes', ['kernel_size: 4097', 'kernel_size: 3 stride: 0'])
def test_a_window_that_no_net_has_is_refused(sizes: str) -> None:
    with pytest.raises(FCNError, match='x: a window'):
        window(f'type: "Pooling" pooling_param {{ {sizes} }}')
