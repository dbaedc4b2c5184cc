"""Files as torch.save writes them, made without PyTorch: both of its formats, and hostile ones."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

KINDS = {'<f4': 'FloatStorage', '<f2': 'HalfStorage', '<f8': 'DoubleStorage', '<i8': 'LongStorage'}


class Storage(NamedTuple):
    """The elements of tensors, and their key in the file."""

    key: str
    elements: np.ndarray


class Tensor:
    """A tensor to pickle: a part of a storage, by strides in elements."""

    def __init__(self, storage: Storage, offset: int, shape: tuple, strides: tuple) -> None:
        self.parts = storage, offset, shape, strides


def tensors_of(arrays: dict[str, np.ndarray]) -> tuple[OrderedDict[str, Tensor], list[Storage]]:
    """Return tensors of arrays, each with a storage of its own, and the storages."""
    tensors: OrderedDict[str, Tensor] = OrderedDict()
    storages = []
    for number, (name, array) in enumerate(arrays.items()):
        storage = Storage(str(number), array.ravel('K'))
        strides = tuple(step // array.itemsize for step in array.strides)
        tensors[name] = Tensor(storage, 0, array.shape, strides)
        storages.append(storage)
    return tensors, storages


def _torch() -> dict[str, Any]:
    """Return modules that have PyTorch's names in them, to be pickled by these."""
    torch, utils = types.ModuleType('torch'), types.ModuleType('torch._utils')
    for name in KINDS.values():
        setattr(torch, name, type(name, (), {'__module__': 'torch'}))

    def rebuild(*_: Any) -> None: ...

    rebuild.__module__, rebuild.__qualname__ = 'torch._utils', '_rebuild_tensor_v2'
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    torch._utils = utils  # type: ignore[attr-defined]
    return {'torch': torch, 'torch._utils': utils}


def pickled(value: Any) -> bytes:
    """Return what torch.save pickles."""
    modules = _torch()
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, Tensor):
                return modules['torch._utils']._rebuild_tensor_v2, (
                    *obj.parts,
                    False,
                    OrderedDict(),
                )
            return NotImplemented

        def persistent_id(self, obj: Any) -> Any:
            if isinstance(obj, Storage):
                kind = getattr(modules['torch'], KINDS[obj.elements.dtype.str])
                return 'storage', kind, obj.key, 'cpu', len(obj.elements)
            return None

    try:
        file = io.BytesIO()
        Pickler(file, 2).dump(value)
        return file.getvalue()
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def zipped(value: Any, storages: list[Storage]) -> bytes:
    """Return a file of torch.save's zip format."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('archive/data.pkl', pickled(value))
        archive.writestr('archive/byteorder', 'little')
        for storage in storages:
            archive.writestr(f'archive/data/{storage.key}', storage.elements.tobytes())
        archive.writestr('archive/version', '3\n')
    return file.getvalue()


def legacy(value: Any, storages: list[Storage]) -> bytes:
    """Return a file of torch.save's format before 1.6."""
    about = {'protocol_version': 1001, 'little_endian': True}
    heads = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, about)]
    keys = pickle.dumps([storage.key for storage in storages], 2)
    data = [struct.pack('<q', len(s.elements)) + s.elements.tobytes() for s in storages]
    return b''.join([*heads, pickled(value), keys, *data])
