"""MATLAB files that SciPy should not be given: each made here, byte by byte."""

import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from fcn.data_layers import matlab
from fcn.data_layers.matlab import load_mat, read_mat
from fcn.errors import DataError

CELL, STRUCT, OBJECT, BYTES, FUNCTION, OPAQUE = 1, 2, 3, 9, 16, 17


def element(kind, data):
    return struct.pack('<II', kind, len(data)) + data + bytes(-len(data) % 8)


def array(kind, sides, name, content=b''):
    return element(
        14,
        element(6, struct.pack('<II', kind, 0))
        + element(5, struct.pack(f'<{len(sides)}i', *sides))
        + element(1, name)
        + content,
    )


def nested(depth):
    inner = array(BYTES, (1, 1), b'', element(2, b'\1'))
    for level in range(depth):
        inner = array(CELL, (1, 1), b'label' if level == depth - 1 else b'', inner)
    return inner


def bomb(size):
    packed = zlib.compress(array(BYTES, (size, 1), b'label', element(2, bytes(size))))
    return struct.pack('<II', 15, len(packed)) + packed


@pytest.fixture
def write(tmp_path):
    savemat(tmp_path / 'a.mat', {'label': np.zeros((2, 3), np.uint8)})
    header = (tmp_path / 'a.mat').read_bytes()[:128]

    def written(content, whole=False):
        (tmp_path / 'a.mat').write_bytes(content if whole else header + content)
        return tmp_path / 'a.mat'

    return written


@pytest.mark.parametrize('packed', [False, True])
def test_what_scipy_writes_is_read(packed, tmp_path):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    savemat(
        tmp_path / 'a.mat',
        {'a': 1, 'label': label, 'of': {'cells': np.array([label, 'b'], object)}},
        do_compression=packed,
    )
    assert (load_mat(tmp_path / 'a.mat')['label'] == label).all()
    assert (read_mat(tmp_path / 'a.mat', lambda mat: mat['label'], 'label', 20) == label).all()


@pytest.mark.parametrize(
    ('content', 'named'),
    [
        (nested(20_000), '8 arrays'),
        (array(CELL, (2**31 - 1, 1), b'label'), '2147483647 arrays'),
        (array(STRUCT, (2**31 - 1, 1), b'label'), '2147483647 arrays'),
        (array(OBJECT, (1, 1), b'label'), 'object'),
        (array(BYTES, (1, 1), b'label') + nested(1), 'without its numbers'),
        (array(BYTES, (1, 1), b'label', nested(1)), 'where numbers should be'),
        (array(FUNCTION, (1, 1), b'label'), 'function'),
        (array(OPAQUE, (1, 1), b'label'), 'object'),
        (struct.pack('<II', 14, 0xFFFFFFFF), '4294967295 bytes'),
        (array(BYTES, (1, 1), b'label', element(780, bytes(8))), 'type 780'),
        (b'', 'empty'),
        (array(CELL, (1, 1), b'label') * 70_000, '65536 elements'),
    ],
)
def test_what_is_not_given_to_scipy(content, named, write):
    with pytest.raises(DataError, match=named) as caught:
        read_mat(write(content), lambda mat: mat['label'], 'label', 20)
    assert 'a.mat: ' in str(caught.value) and '\n' not in str(caught.value)


def test_a_bomb_is_not_unpacked_whole(write, monkeypatch):
    monkeypatch.setattr(matlab, 'MAX_BYTES', 1 << 20)
    assert load_mat(write(bomb(1 << 19)))['label'].size == 1 << 19
    with pytest.raises(DataError, match=r'unpacks.* 1 MiB'):
        read_mat(write(bomb(1 << 22)), lambda mat: mat['label'], 'label', 20)
    with pytest.raises(DataError, match='1 MiB'):
        read_mat(write(bytes(1 << 21)), lambda mat: mat['label'], 'label', 20)


def test_hdf5_is_told(write):
    with pytest.raises(DataError, match=r'7\.3.* -v7'):
        load_mat(write(b'MATLAB 7.3 MAT-file' + bytes(600), whole=True))


@pytest.mark.parametrize(
    'whole', [b'', bytes(400), struct.pack('<5i', 0, 2**31 - 1, 8, 0, 6) + bytes(400)]
)
def test_other_files_are_none(whole, write):
    with pytest.raises(DataError, match='MATLAB 5'):
        read_mat(write(whole, whole=True), lambda mat: mat['label'], 'label', 20)
