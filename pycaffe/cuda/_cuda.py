"""The GPUs, and how this Caffe computes on them, asked without an abort where there is none.

Caffe ends the process at the first error of CUDA's. These are answered by the
engine's own library, beside its Python interface.
"""

import ctypes

from caffe import _caffe

_library = ctypes.CDLL(_caffe.__file__)
_library.pycaffe_workspace_limit.restype = ctypes.c_size_t


def device_count():
    """How many GPUs there are; 0 without a driver."""
    return _library.pycaffe_device_count()


def device(number):
    """The name and compute capability ("9.0") of a GPU. Raises RuntimeError if it does not answer."""
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    _check(
        _library.pycaffe_device(number, name, len(name), ctypes.byref(major), ctypes.byref(minor))
    )
    return name.value.decode(), f'{major.value}.{minor.value}'


def memory():
    """Bytes used on the current GPU, by any process, and bytes in all, after its work is done."""
    used, total = ctypes.c_size_t(), ctypes.c_size_t()
    _check(_library.pycaffe_memory(ctypes.byref(used), ctypes.byref(total)))
    return used.value, total.value


def versions():
    """CUDA's version, as the driver (None without one) and the runtime have it, and cuDNN's."""
    driver, runtime, cudnn = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    _library.pycaffe_versions(ctypes.byref(driver), ctypes.byref(runtime), ctypes.byref(cudnn))
    driver, runtime = (
        f'{v // 1000}.{v % 1000 // 10}' if v else None for v in (driver.value, runtime.value)
    )
    cudnn = cudnn.value
    return driver, runtime, f'{cudnn // 10000}.{cudnn % 10000 // 100}.{cudnn % 100}'


def tf32():
    """Whether CAFFE_TF32=1 let convolutions and matrix products use TF32."""
    return bool(_library.pycaffe_tf32())


def workspace_limit():
    """Bytes that one convolution may use beside its blobs, by CAFFE_WORKSPACE_MIB."""
    return _library.pycaffe_workspace_limit()


def _check(status):
    if status:
        raise RuntimeError(f'CUDA error {status}')
