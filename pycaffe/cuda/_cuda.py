"""The GPUs, and how this Caffe computes on them. Nothing here aborts where there is no GPU.

Caffe ends the process at CUDA's first error. So these functions are answered by the engine's own
library, next to its Python interface.
"""

import ctypes

from caffe import _caffe

_library = ctypes.CDLL(_caffe.__file__)
_library.pycaffe_workspace_limit.restype = ctypes.c_size_t


def device_count() -> int:
    """Return the number of GPUs; 0 without a driver."""
    return _library.pycaffe_device_count()


def device(number: int) -> tuple[str, str]:
    """Return the name and the compute capability ("9.0") of a GPU.

    Raises RuntimeError if the GPU does not answer.
    """
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    _check(
        _library.pycaffe_device(number, name, len(name), ctypes.byref(major), ctypes.byref(minor))
    )
    return name.value.decode(), f'{major.value}.{minor.value}'


def memory() -> tuple[int, int]:
    """Return the bytes used on the current GPU, by any process, and its total bytes.

    Waits until the GPU's work is done. Raises RuntimeError if the GPU does not answer.
    """
    used, total = ctypes.c_size_t(), ctypes.c_size_t()
    _check(_library.pycaffe_memory(ctypes.byref(used), ctypes.byref(total)))
    return used.value, total.value


def versions() -> tuple[str | None, str | None, str]:
    """Return CUDA's version for the driver (None without one) and for the runtime, and cuDNN's."""
    driver, runtime, cudnn = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    _library.pycaffe_versions(ctypes.byref(driver), ctypes.byref(runtime), ctypes.byref(cudnn))
    number = cudnn.value
    return (
        _cuda_version(driver.value),
        _cuda_version(runtime.value),
        f'{number // 10000}.{number % 10000 // 100}.{number % 100}',
    )


def _cuda_version(number: int) -> str | None:
    return f'{number // 1000}.{number % 1000 // 10}' if number else None


def tf32() -> bool:
    """Return whether CAFFE_TF32=1 lets convolutions and matrix products use TF32."""
    return bool(_library.pycaffe_tf32())


def workspace_limit() -> int:
    """Return the maximum workspace of a convolution in bytes, as CAFFE_WORKSPACE_MIB sets it."""
    return _library.pycaffe_workspace_limit()


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f'CUDA error {status}')
