"""Tensors of PyTorch's files, read without PyTorch and without running what is in them.

A .safetensors file is a header in JSON and bytes. A .pth file is a pickle, which can call any
function; here only those few names are known that a dictionary of tensors needs, and anything else
is refused. Both of torch.save's formats are read: the zip archive, and the one before 1.6, in which
torchvision's oldest weights are.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from fcn.errors import WeightsError

MAX_HEADER = 64 << 20  # bytes of names and shapes; those of real nets are some thousand
MAX_BYTES = 4 << 30  # of all tensors
LEGACY_MAGIC, LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001

# bfloat16 is the upper half of a float32, and NumPy has none: it is read as integers.
BFLOAT16 = 'bfloat16'
SAFETENSORS = {
    'F64': '<f8',
    'F32': '<f4',
    'F16': '<f2',
    'BF16': BFLOAT16,
    'I64': '<i8',
    'I32': '<i4',
    'I16': '<i2',
    'I8': 'i1',
    'U8': 'u1',
    'BOOL': '?',
}
STORAGES = {
    'DoubleStorage': '<f8',
    'FloatStorage': '<f4',
    'HalfStorage': '<f2',
    'BFloat16Storage': BFLOAT16,
    'LongStorage': '<i8',
    'IntStorage': '<i4',
    'ShortStorage': '<i2',
    'CharStorage': 'i1',
    'ByteStorage': 'u1',
    'BoolStorage': '?',
}


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Return the tensors of a .safetensors, .pth or .pt file, by name; floating ones as float32.

    The file holds a state dictionary, or has one as its entry `state_dict` or `model`. Raises
    WeightsError for a file that is damaged or holds anything else, such as a pickled module.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'{path}: no such file')
    try:
        with path.open('rb') as file:
            tensors = _read(file, path)
    except WeightsError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # A pickle can raise anything.
        message = ' '.join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f'{path}: damaged, or no weights of PyTorch ({message}); fetch it again'
        ) from error
    if not tensors:
        raise WeightsError(f'{path}: holds no tensor; give the weights of a net')
    return tensors


def _read(file: IO[bytes], path: Path) -> dict[str, np.ndarray]:
    start = file.read(16)
    file.seek(0)
    if start[:4] == b'PK\x03\x04':
        return _read_zip(file, path)
    if path.suffix == '.safetensors' or start[8:9] == b'{':
        return _read_safetensors(file, path.stat().st_size)
    if start[:1] == b'\x80':
        return _read_legacy(file, path)
    raise WeightsError(f'{path}: neither safetensors nor what torch.save writes; give one of them')


def _read_safetensors(file: IO[bytes], size: int) -> dict[str, np.ndarray]:
    (length,) = struct.unpack('<Q', file.read(8))
    if length > min(MAX_HEADER, size - 8):
        raise ValueError(f'a header of {length} bytes')
    header = json.loads(file.read(length))
    tensors = {}
    for name, about in header.items():
        if name == '__metadata__':
            continue
        kind, (begin, end) = SAFETENSORS[about['dtype']], about['data_offsets']
        shape = tuple(map(int, about['shape']))
        count = _count(shape)
        if not 0 <= begin <= end <= size - 8 - length or end - begin != count * _bytes(kind):
            raise ValueError(f'{name} lies from {begin} to {end}')
        file.seek(8 + length + begin)
        tensors[name] = _floats(file.read(end - begin), kind).reshape(shape)
    return tensors


def _count(shape: tuple[int, ...]) -> int:
    """Return how many elements a shape has."""
    if min(shape, default=0) < 0 or len(shape) > 32:
        raise ValueError(f'a shape of {shape}')
    return prod(shape)


def _bytes(kind: str) -> int:
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def _floats(data: bytes, kind: str) -> np.ndarray:
    """Return elements as an array, floating ones as float32."""
    if kind == BFLOAT16:
        return (np.frombuffer(data, '<u2').astype(np.uint32) << 16).view(np.float32)
    array = np.frombuffer(data, kind)
    return array.astype(np.float32, copy=False) if array.dtype.kind == 'f' else array


@dataclass(frozen=True)
class _Storage:
    """The elements of one or more tensors: their kind, key in the file, and number."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A part of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def check(self) -> None:
        """Raise ValueError if it is not a part, or repeats elements."""
        count = _count(self.shape)
        if len(self.strides) != len(self.shape) or min(self.strides, default=0) < 0:
            raise ValueError(f'strides of {self.strides} for a shape of {self.shape}')
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if count > self.storage.count or not 0 <= self.offset <= self.storage.count - count:
            raise ValueError(f'a tensor of {self.shape} in {self.storage.count} elements')
        if count and self.offset + last >= self.storage.count:
            raise ValueError(f'strides of {self.strides} past {self.storage.count} elements')

    def of(self, elements: np.ndarray) -> np.ndarray:
        """Return the array, given the elements of the storage."""
        if not _count(self.shape):
            return np.empty(self.shape, elements.dtype)
        size = elements.itemsize
        steps = tuple(size * step for step in self.strides)
        part = elements[self.offset :]
        return np.lib.stride_tricks.as_strided(part, self.shape, steps, writeable=False)


class _Unpickler(pickle.Unpickler):
    """Reads a dictionary of tensors, and refuses whatever else a pickle may ask for."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        super().__init__(file, encoding='utf-8')
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        # New functions for each file: a pickle may set attributes of what it is given.
        if (module, name) == ('collections', 'OrderedDict'):
            return OrderedDict
        if module == 'torch._utils' and name in ('_rebuild_tensor', '_rebuild_tensor_v2'):
            return lambda storage, offset, shape, strides, *_: _tensor(
                storage, offset, shape, strides
            )
        if (module, name) == ('torch._utils', '_rebuild_parameter'):
            return lambda tensor, *_: tensor
        if module in ('torch', 'torch.storage') and name in STORAGES:
            return _Kind(STORAGES[name])
        raise WeightsError(
            f'{self._path}: holds {module}.{name}, and only tensors are read here; save the '
            "model's state_dict() and give that"
        )

    def persistent_load(self, about: Any) -> _Storage:
        what, kind, key, _, count, *_ = about
        if what != 'storage' or not isinstance(kind, _Kind):
            raise ValueError(f'a persistent {what}')
        return _Storage(kind.name, str(key), int(count))


@dataclass(frozen=True)
class _Kind:
    """What a storage's elements are."""

    name: str


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError('a tensor without a storage')
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _read_zip(file: IO[bytes], path: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        (name,) = [name for name in infos if name.endswith('/data.pkl')]
        if infos[name].file_size > MAX_HEADER:
            raise ValueError(f'names and shapes of {infos[name].file_size} bytes')
        with archive.open(name) as pickled:
            tensors = _state(_Unpickler(pickled, path).load())
        folder = name.removesuffix('data.pkl')
        if f'{folder}byteorder' in infos and archive.read(f'{folder}byteorder') != b'little':
            raise ValueError('big-endian')

        def read(storage: _Storage) -> bytes:
            info, size = infos[f'{folder}data/{storage.key}'], storage.count * _bytes(storage.kind)
            if info.file_size != size:
                raise ValueError(f'{info.file_size} bytes where {size} should be')
            with archive.open(info) as stored:
                return stored.read(size)

        return _arrays(tensors, {storage: read(storage) for storage in _storages(tensors)})


def _read_legacy(file: IO[bytes], path: Path) -> dict[str, np.ndarray]:
    def load() -> Any:
        return _Unpickler(file, path).load()

    if load() != LEGACY_MAGIC or load() != LEGACY_VERSION:
        raise WeightsError(
            f'{path}: a pickle that torch.save has not written; give one that it has'
        )
    about = load()
    if isinstance(about, dict) and not about.get('little_endian', True):
        raise ValueError('big-endian')
    tensors, keys = _state(load()), load()
    storages = {storage.key: storage for storage in _storages(tensors)}
    data = {}
    for key in keys:
        (count,) = struct.unpack('<q', file.read(8))
        if (storage := storages.get(str(key))) is None:
            raise ValueError(f'a storage {key} of no tensor')
        if count != storage.count:
            raise ValueError(f'{count} elements where {storage.count} should be')
        data[storage] = file.read(count * _bytes(storage.kind))
    return _arrays(tensors, data)


def _state(loaded: Any) -> dict[str, _Tensor]:
    """Return the tensors of what was pickled, by name."""
    for entry in ('state_dict', 'model'):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(entry), Mapping):
            loaded = loaded[entry]
    if not isinstance(loaded, Mapping):
        raise ValueError(f'a {type(loaded).__name__}, not a dictionary')
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, _Tensor)}
    for tensor in tensors.values():
        tensor.check()
    return tensors


def _storages(tensors: Mapping[str, _Tensor]) -> list[_Storage]:
    """Return the storages of tensors, each once. Raises ValueError if they are too large."""
    storages = list(dict.fromkeys(tensor.storage for tensor in tensors.values()))
    if sum(storage.count * _bytes(storage.kind) for storage in storages) > MAX_BYTES:
        raise ValueError(f'more than {MAX_BYTES >> 30} GiB')
    if len({storage.key for storage in storages}) < len(storages):
        raise ValueError('two storages of one key')
    return storages


def _arrays(
    tensors: Mapping[str, _Tensor], data: Mapping[_Storage, bytes]
) -> dict[str, np.ndarray]:
    elements = {}
    for storage, content in data.items():
        if len(content) != storage.count * _bytes(storage.kind):
            raise ValueError(f'{len(content)} bytes of {storage.count} elements: truncated')
        elements[storage] = _floats(content, storage.kind)
    return {name: tensor.of(elements[tensor.storage]) for name, tensor in tensors.items()}
