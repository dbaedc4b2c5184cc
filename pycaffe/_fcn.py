"""Our part of the engine, which lies in the same library as Caffe's own.

Caffe's __init__.py imports this module as its last step, so `import caffe` is enough to get our
layers in the place of Caffe's (CAFFE_CPU=stock in the environment keeps Caffe's) and passes that
let other threads run.
"""

import os
from collections.abc import Callable, Iterator
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from math import ceil
from pathlib import Path, PurePosixPath
from types import ModuleType

import caffe
from caffe import _build, _caffe

_CGROUPS = Path('/sys/fs/cgroup')


def _load_native() -> ModuleType:
    """Return caffe._fcn_native, a second module in the library of caffe._caffe."""
    loader = ExtensionFileLoader('caffe._fcn_native', _caffe.__file__)
    module = module_from_spec(ModuleSpec(loader.name, loader, origin=_caffe.__file__))
    loader.exec_module(module)
    return module


def granted_threads() -> int:
    """Return how many threads can run at once: by the affinity of the process, and by the CPU time
    that its control groups (version 1 and 2) may take, rounded up."""
    quotas = [quota for folder in _own_cgroups() if (quota := _quota(folder))]
    return min([len(os.sched_getaffinity(0)), *(ceil(quota) for quota in quotas)])


def _own_cgroups() -> Iterator[Path]:
    """Yield the folders of this process's control groups for CPU time, and of all above them."""
    try:
        lines = Path('/proc/self/cgroup').read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers and 'cpu' not in controllers.split(','):
            continue
        top = _CGROUPS / 'cpu' if controllers else _CGROUPS
        # In a container the path can be the host's, and the container's own group lies at the top.
        for parent in (inside := PurePosixPath(path.lstrip('/')), *inside.parents):
            yield top / parent


def _quota(folder: Path) -> float | None:
    """Return the cores' worth of CPU time that a control group may take, or None for no limit."""
    try:
        if (folder / 'cpu.max').exists():
            quota, period = (folder / 'cpu.max').read_text().split()
        else:
            quota, period = (
                (folder / f'cpu.cfs_{name}_us').read_text() for name in ('quota', 'period')
            )
        cores = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # not there, or 'max'
        return None
    return cores if cores > 0 else None


def _after_backward(net: _caffe.Net, callback: Callable[[int], object]) -> None:
    """Call `callback` with the number of each layer that has computed backward."""
    add = _native.after_backward if callable(callback) else _add_nccl
    add(net, callback)


_native = _load_native()
_native.register_layers()
if 'OMP_NUM_THREADS' not in os.environ:  # else OpenMP and OpenBLAS have read it
    _native.set_threads(granted_threads())
os.register_at_fork(after_in_child=_native.after_fork)

_add_nccl = _caffe.Net.after_backward
# These let other Python threads run as they compute, and refuse a net that computes in another one.
_caffe.Net._forward = _native.forward
_caffe.Net._backward = _native.backward
_caffe.Net.reshape = _native.reshape
_caffe.Net.before_forward = _native.before_forward
_caffe.Net.after_forward = _native.after_forward
_caffe.Net.before_backward = _native.before_backward
_caffe.Net.after_backward = _after_backward
_caffe.Solver.step = _native.step
_caffe.Solver.solve = _native.solve

register_layers = _native.register_layers  # calls after the first do nothing
release_activations = _native.release_activations
set_threads = _native.set_threads
set_threads_here = _native.set_threads_here
threads = _native.threads


def _refuse_gpu(*_: object) -> None:
    """Raise RuntimeError. Caffe's own set_device would end the process, and so would the first
    pass after its set_mode_gpu."""
    raise RuntimeError(
        'this Caffe was built for the CPU only; call caffe.set_mode_cpu() instead of '
        'set_device(…) and set_mode_gpu(), or build the engine for CUDA (CUDA=1 make setup)'
    )


if not _build.CUDA:
    for _module in (caffe, _caffe):
        _module.set_device = _module.set_mode_gpu = _refuse_gpu
