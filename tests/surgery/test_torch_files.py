"""Files of PyTorch are read as they are, and hostile ones are refused before anything runs."""

import json
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
from torch_pickles import Storage, Tensor, legacy, tensors_of, zipped

from fcn.errors import WeightsError
from fcn.surgery.torch_files import read_torch

ARRAYS = {
    'conv.weight': np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    'conv.bias': np.array([0.5, -2], np.float16),
    'transposed': np.arange(6, dtype=np.float64).reshape(2, 3).T,
    'number': np.array(7, np.int64),
    'empty': np.empty((0, 3), np.float32),
}


def safetensors(arrays, **changes):
    """Return a .safetensors file of arrays; `changes` replace entries of the first one's header."""
    header, data = {'__metadata__': {'format': 'pt'}}, b''
    kinds = {'f4': 'F32', 'f2': 'F16', 'f8': 'F64', 'i8': 'I64'}
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        kind = kinds[array.dtype.str[1:]]
        header[name] = {'dtype': kind, 'shape': list(array.shape), 'data_offsets': offsets}
        data += np.ascontiguousarray(array).tobytes()
    header[next(iter(arrays))] |= changes
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + data


def assert_reads(path, arrays=ARRAYS):
    found = read_torch(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape and np.array_equal(found[name], array)
        assert found[name].dtype == (np.int64 if array.dtype.kind == 'i' else np.float32)


@pytest.mark.parametrize('form', [zipped, legacy])
def test_state_dictionaries(tmp_path, form):
    file = tmp_path / 'a.pth'
    tensors, storages = tensors_of(ARRAYS)
    for value in (tensors, {'state_dict': tensors, 'epoch': 3}, {'model': dict(tensors)}):
        file.write_bytes(form(value, storages))
        assert_reads(file)


def test_safetensors(tmp_path):
    for name in ('model.safetensors', 'model.bin'):  # known by their content too
        (tmp_path / name).write_bytes(safetensors(ARRAYS))
        assert_reads(tmp_path / name)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    values = np.array([1, -2.5, 3.0e38, 0], np.float32)
    upper = {'a': (values.view(np.uint32) >> 16).astype(np.uint16).view(np.float16)}
    (tmp_path / 'a.safetensors').write_bytes(safetensors(upper, dtype='BF16'))
    found = read_torch(tmp_path / 'a.safetensors')['a']
    assert np.allclose(found, values, rtol=1 / 128) and found[1] == -2.5


def test_tensors_may_share_a_storage(tmp_path):
    storage = Storage('0', np.arange(12, dtype=np.float32))
    parts = {'a': Tensor(storage, 0, (2, 3), (3, 1)), 'b': Tensor(storage, 6, (3, 2), (1, 3))}
    (tmp_path / 'a.pth').write_bytes(zipped(parts, [storage]))
    found = read_torch(tmp_path / 'a.pth')
    assert found['a'].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found['b'].tolist() == [[6, 9], [7, 10], [8, 11]]


class Evil:
    """Runs a command when it is unpickled by anything that lets it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


class Attributes:
    """Sets attributes of what it is given when it is unpickled."""

    def __reduce__(self):
        return OrderedDict, (), (None, {'__init__': 1})


@pytest.mark.parametrize('form', [zipped, legacy])
def test_nothing_in_a_pickle_runs(tmp_path, form):
    file, touched = tmp_path / 'a.pth', tmp_path / 'touched'
    file.write_bytes(form({'a': Evil(touched)}, []))
    with pytest.raises(WeightsError, match=r'system.*state_dict'):
        read_torch(file)
    assert not touched.exists()
    file.write_bytes(form({'a': Attributes()}, []))
    with pytest.raises(WeightsError):
        read_torch(file)
    assert OrderedDict.__init__ != 1


def storage_of(count=6):
    return Storage('0', np.arange(count, dtype=np.float32))


BAD_TENSORS = {
    'past the end': Tensor(storage_of(), 1, (2, 3), (3, 1)),
    'strides past the end': Tensor(storage_of(), 0, (2, 3), (5, 1)),
    'repeats': Tensor(storage_of(), 0, (1 << 40,), (0,)),
    'negative shape': Tensor(storage_of(), 0, (-1, 3), (3, 1)),
    'negative strides': Tensor(storage_of(), 5, (6,), (-1,)),
    'negative offset': Tensor(storage_of(), -1, (6,), (1,)),
    'too few strides': Tensor(storage_of(), 0, (2, 3), (1,)),
    'no storage': Tensor(None, 0, (2, 3), (3, 1)),
}


@pytest.mark.parametrize('name', BAD_TENSORS)
@pytest.mark.parametrize('form', [zipped, legacy])
def test_tensors_stay_in_their_storages(tmp_path, name, form):
    (tmp_path / 'a.pth').write_bytes(form({'a': BAD_TENSORS[name]}, [storage_of()]))
    with pytest.raises(WeightsError, match=r'a\.pth: damaged'):
        read_torch(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    'changes',
    [
        {'data_offsets': [0, 1 << 50]},
        {'data_offsets': [-96, 0]},
        {'data_offsets': [96, 0]},
        {'shape': [2, 3, 2, 3]},
        {'shape': [-2, -12]},
        {'shape': [1 << 70]},
        {'dtype': 'F8'},
        {'shape': 'x'},
    ],
)
def test_damaged_safetensors(tmp_path, changes):
    (tmp_path / 'a.safetensors').write_bytes(safetensors(ARRAYS, **changes))
    with pytest.raises(WeightsError, match=r'a\.safetensors: damaged'):
        read_torch(tmp_path / 'a.safetensors')


def test_every_cut_and_other_files_are_refused_in_one_line(tmp_path):
    file = tmp_path / 'a.pth'
    tensors, storages = tensors_of(ARRAYS)
    for content in (zipped(tensors, storages), legacy(tensors, storages), safetensors(ARRAYS)):
        for end in range(0, len(content) - 1, 7):
            file.write_bytes(content[:end])
            with pytest.raises(WeightsError) as caught:
                read_torch(file)
            assert '\n' not in str(caught.value) and str(file) in str(caught.value)
    others = b'GIF89a', pickle.dumps([1, 2]), struct.pack('<Q', 1 << 60) + b'{}', b''
    for content in others:
        file.write_bytes(content)
        with pytest.raises(WeightsError):
            read_torch(file)
    file.write_bytes(zipped({'epoch': 3}, []))
    with pytest.raises(WeightsError, match='no tensor'):
        read_torch(file)
    with pytest.raises(WeightsError, match='no such file'):
        read_torch(tmp_path / 'none.pth')
