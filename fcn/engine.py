"""The engine, as the library wants it: quiet, on its fastest kernels, on a chosen device.

glog, OpenMP and OpenBLAS read their settings once, when caffe loads them. So every module of the
library imports caffe from here:

    from fcn.engine import caffe

FCN_VERBOSE=1 in the environment writes a line on stderr for each pass of each layer that the engine
has a choice of kernels for: the layer, the kernel, the time.
"""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fcn.errors import FCNError

# Caffe's own log tells every layer of every net; ours tells the run.
os.environ.setdefault('GLOG_minloglevel', '2')
# OpenMP's threads spin for some ten microseconds while they wait, then sleep. libgomp's own choice,
# thirty times as long, makes small layers many times slower next to other work; not to spin at all
# makes them slower on quiet cores (measured on two cores, FCN-GoogLeNet forward at 500×500: 0.14 s
# quiet and 0.32 s next to two busy loops, against 0.14 and 1.9 s, and 0.16 s without spinning).
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '10000')


def _openblas_core() -> str | None:
    """Return the kernels that OpenBLAS should take, or None to let it choose.

    On an AMD processor that is newer than itself, OpenBLAS falls back to AVX2 kernels even if the
    processor has AVX-512, at half the speed (measured: Debian 12's 0.3.21 on Zen 5, 240 against
    450 GFLOP/s on two cores).
    """
    try:
        info = Path('/proc/cpuinfo').read_text()
    except OSError:
        return None
    flags = set(next((line for line in info.splitlines() if line.startswith('flags')), '').split())
    if 'AuthenticAMD' in info and {'avx512f', 'avx512bw', 'avx512dq', 'avx512vl'} <= flags:
        return 'SkylakeX'
    return None


if 'OPENBLAS_CORETYPE' not in os.environ and (_core := _openblas_core()):
    os.environ['OPENBLAS_CORETYPE'] = _core

try:
    import caffe
    from caffe import _build, _fcn

    if _build.CUDA:
        from caffe import _cuda
except ImportError as error:
    raise FCNError(
        f'Caffe is not installed in this Python, or is another build than ours ({error}); install '
        'it with `pip install ./pycaffe` in a clone of the repository, or run `make setup` there '
        '(see README)'
    ) from error

import numpy as np  # noqa: E402  (its OpenBLAS reads the settings too)

# Whether Caffe's own layers compute on the CPU, instead of ours over oneDNN.
STOCK = os.environ.get('CAFFE_CPU') == 'stock'

__all__ = [
    'STOCK',
    'caffe',
    'choose_device',
    'net_of',
    'release_activations',
    'set_threads',
    'threads',
    'versions',
]


def choose_device(gpu: int | None = None) -> str:
    """Set Caffe's mode and return 'cpu' or 'gpu N'.

    `gpu` is the number of a device; −1 asks for the CPU. None asks for the first GPU if the engine
    has CUDA and there is a GPU, else for the CPU. Raises FCNError if the engine has no CUDA, if
    there is no such GPU, and for a CAFFE_CPU in the environment that is not 'stock'.
    """
    if os.environ.get('CAFFE_CPU', 'stock') != 'stock':
        raise FCNError(
            f'CAFFE_CPU={os.environ["CAFFE_CPU"]}: the only choice is stock, for '
            "Caffe's own layers; unset it for the faster ones"
        )
    count = _cuda.device_count() if _build.CUDA else 0
    if gpu is None:
        gpu = 0 if count else -1
    if gpu < 0:
        caffe.set_mode_cpu()
        return 'cpu'
    if not _build.CUDA:
        raise FCNError(
            f'--gpu {gpu}: this Caffe was built for the CPU only; leave the option out, or '
            'build the engine for CUDA (CUDA=1 make setup)'
        )
    if not count:
        raise FCNError(
            f'--gpu {gpu}: there is no GPU here ({_no_gpu()}); leave the option out for the CPU'
        )
    if gpu >= count:
        raise FCNError(
            f'--gpu {gpu}: the GPUs here are 0 to {count - 1}; leave the option out for the first'
        )
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return f'gpu {gpu}'


def _no_gpu() -> str:
    """Return why CUDA finds no GPU."""
    driver, runtime, _ = _cuda.versions()
    if driver is None:
        return "NVIDIA's driver is not installed"
    return f"NVIDIA's driver is for CUDA {driver}, this engine for {runtime}"


def threads() -> int:
    """Return how many threads the calling thread computes a net with, on the CPU."""
    return _fcn.threads()


def set_threads(count: int) -> None:
    """Let the calling thread compute nets with `count` threads on the CPU.

    The layers on oneDNN keep this number for each thread that calls it. OpenBLAS keeps one for the
    process, which is set as well. Raises ValueError unless `count` is positive.
    """
    _fcn.set_threads(count)


def net_of(spec: Any, phase: int = caffe.TEST) -> caffe.Net:
    """Return the net of `spec`, a NetSpec or a NetParameter, which Caffe wants as a file."""
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt', encoding='utf-8') as file:
        file.write(str(spec.to_proto() if isinstance(spec, caffe.NetSpec) else spec))
        file.flush()
        return caffe.Net(file.name, phase)


def release_activations(net: caffe.Net, keep: Iterable[str] = ()) -> None:
    """Let `net` give back the memory of blobs that nothing reads any more.

    In a net for testing these are the activations: after a forward pass, which must start at the
    first layer, only inputs, outputs and the blobs named in `keep` hold what was computed; a
    backward pass ends the process. In a net for training they are the gradients with respect to the
    activations (`net.blobs[...].diff`). A blob that was given back reads as zeros. On a GPU nothing
    is given back. Raises ValueError for a blob that the net does not have.
    """
    _fcn.release_activations(net, list(keep))


def _our_commit() -> str | None:
    """Return the commit of the clone that this file is part of, or None if there is no clone.

    It ends in -dirty if files other than results differ from the commit.
    """

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ['git', *arguments], cwd=Path(__file__).parent, text=True, capture_output=True
        )

    try:
        # An installed copy can lie in a clone of something else.
        if git('ls-files', '--error-unmatch', Path(__file__).name).returncode:
            return None
    except OSError:  # git is not installed
        return None
    commit = git('describe', '--always').stdout.strip()
    # 0: no difference, 1: a difference, more: an error.
    changed = git('diff', '--quiet', 'HEAD', '--', ':/', ':(top,exclude)results').returncode == 1
    return f'{commit}-dirty' if changed else commit


def versions() -> dict[str, Any]:
    """Return what a run's results depend on, as a dictionary for its log."""
    return {
        'fcn': _our_commit(),
        'caffe': f'{caffe.__version__} {_build.COMMIT}',
        'compiler': _build.COMPILER,
        'cpu_layers': 'stock' if STOCK else 'oneDNN',
        'python': platform.python_version(),
        'numpy': np.__version__,
        'openblas_core': os.environ.get('OPENBLAS_CORETYPE', 'its own choice'),
        **(_cuda_versions() if _build.CUDA else {}),
    }


def _cuda_versions() -> dict[str, Any]:
    """Return the same for GPUs: names, TF32 or not, the maximum workspace of a convolution."""
    driver, runtime, cudnn = _cuda.versions()
    return {
        'cuda': runtime,
        'cuda_driver': driver,
        'cudnn': cudnn,
        'tf32': _cuda.tf32(),
        'workspace_mib': _cuda.workspace_limit() >> 20,
        'gpus': [' '.join(_cuda.device(number)) for number in range(_cuda.device_count())],
    }
