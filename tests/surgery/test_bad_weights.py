"""Caffemodels of others: what they claim is compared with what they hold."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from caffe import NetSpec
from caffe import layers as L

from fcn.errors import WeightsError
from fcn.surgery import cast, load, read_weights, transplant, write_weights
from fcn.surgery.caffemodel import _bytes_field, _tag, varint

DATA = _bytes_field(5, bytes(16))


def layer(blob: bytes, name: bytes = b'a') -> bytes:
    return _bytes_field(100, _bytes_field(1, name) + _bytes_field(7, blob))


def shape(*dims: int) -> bytes:
    return _bytes_field(7, _bytes_field(1, b''.join(map(varint, dims))))


@pytest.mark.parametrize(
    'content',
    [
        layer(shape(2**63) + DATA),
        layer(shape(2**64 - 1) + DATA),
        layer(shape(2, 3) + DATA),
        layer(shape(1 << 40, 1 << 40) + DATA),
        layer(_tag(7, 0) + varint(5) + DATA),
        layer(_tag(5, 0) + varint(1 << 50)),
        layer(_bytes_field(1, b'x') + DATA),
        layer(_bytes_field(5, bytes(15))),
        layer(DATA, b'\xff\xfe'),
        _bytes_field(100, _tag(1, 0) + varint(1 << 45)),
        _bytes_field(100, _tag(7, 0) + varint(1 << 45)),
        layer(shape(*[1] * 33) + _bytes_field(5, bytes(4))),
        _tag(100, 2) + varint(1 << 62),
        bytes(100),
        b'\xff' * 20,
    ],
)
def test_what_does_not_fit_is_damage(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'w.caffemodel').write_bytes(content)
    with pytest.raises(WeightsError, match=r'w\.caffemodel: damaged') as caught:
        list(read_weights(tmp_path / 'w.caffemodel'))
    assert '\n' not in str(caught.value)


def test_a_file_that_no_caffe_reads_is_not_read(tmp_path: Path) -> None:
    (tmp_path / 'w.caffemodel').touch()
    os.truncate(tmp_path / 'w.caffemodel', 10 << 30)  # sparse
    with pytest.raises(WeightsError, match=r'w\.caffemodel: .*2 GiB'):
        list(read_weights(tmp_path / 'w.caffemodel'))


def test_a_shape_of_many_bytes_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / 'w.caffemodel').write_bytes(
        layer(_bytes_field(7, _bytes_field(1, b'\1' * (100 << 20))))
    )
    tracemalloc.start()
    with pytest.raises(WeightsError, match='a blob of more than 32 axes'):
        list(read_weights(tmp_path / 'w.caffemodel'))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_more_fields_than_any_net_has(tmp_path: Path) -> None:
    (tmp_path / 'w.caffemodel').write_bytes(b'\x08\x01' * ((1 << 20) + 1))
    with pytest.raises(WeightsError, match='damaged'):
        list(read_weights(tmp_path / 'w.caffemodel'))


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    n = NetSpec()
    n.data = L.Input(input_param=dict(shape=dict(dim=[1, 3, 4, 4])))
    n.a = L.Convolution(n.data, num_output=2, kernel_size=1)
    net = load(n.to_proto(), 'net.prototxt')
    weights = np.ones((2, 3, 1, 1), np.float32)
    write_weights(tmp_path / 'w.caffemodel', [('a', 'Convolution', [weights * 3e38, np.ones(2)])])
    assert not transplant(net, tmp_path / 'w.caffemodel').missing  # large, and finite
    weights[1, 2] = value
    write_weights(tmp_path / 'w.caffemodel', [('a', 'Convolution', [weights, np.ones(2)])])
    with pytest.raises(WeightsError, match=r'w\.caffemodel: a.*finite'):
        transplant(net, tmp_path / 'w.caffemodel')


def test_a_single_number_has_no_outputs() -> None:
    assert cast(np.ones(()), ()).shape == ()
    with pytest.raises(WeightsError, match='do not fit'):
        cast(np.ones(()), (1, 1))
