"""The engine, as the commands want it: quiet, on its fastest kernels, on a chosen device.

glog and OpenBLAS read their settings once, as caffe loads them. So every package of
ours that imports caffe imports this first.
"""

import importlib.util
import os
import platform
import subprocess
import tempfile
from pathlib import Path

# Caffe's own log tells every layer of every net; ours tells the run.
os.environ.setdefault('GLOG_minloglevel', '2')


def _openblas_core():
    """The kernels OpenBLAS should take, or None to let it choose.

    Releases older than an AMD processor fall back to AVX2 kernels on it though it
    has AVX-512, at half the speed (measured: Debian 12's 0.3.21 on Zen 5, 240
    against 450 GFLOP/s on two cores).
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

import numpy as np  # noqa: E402

from fcn.errors import FCNError  # noqa: E402

try:
    import caffe
except ModuleNotFoundError as error:
    if error.name != 'caffe':
        raise
    raise FCNError(
        'Caffe is not installed in this Python; install it with `pip install ./pycaffe` in a clone '
        'of this repository, or run `make setup` there'
    ) from None
from caffe import _build  # noqa: E402

if _build.CUDA:
    from caffe import _cuda

# Whether Caffe's own layers compute on the CPU, not ours over oneDNN.
STOCK = os.environ.get('CAFFE_CPU') == 'stock'

__all__ = ['STOCK', 'caffe', 'choose_device', 'net_of', 'release_activations', 'versions']


def choose_device(gpu=None):
    """Set Caffe's mode and return 'cpu' or 'gpu N'.

    `gpu` is a device's number, or None for the first if the engine has CUDA and there
    is one, else the CPU; −1 asks for the CPU. Raises FCNError where the engine has
    no CUDA, or there is no such GPU, and for a CAFFE_CPU in the environment that is not
    'stock'.
    """
    if os.environ.get('CAFFE_CPU', 'stock') != 'stock':
        raise FCNError(
            f"CAFFE_CPU={os.environ['CAFFE_CPU']}: the only choice is stock, for Caffe's own layers; "
            'unset it for the faster ones'
        )
    count = _cuda.device_count() if _build.CUDA else 0
    if gpu is None:
        gpu = 0 if count else -1
    if gpu < 0:
        caffe.set_mode_cpu()
        return 'cpu'
    if not _build.CUDA:
        raise FCNError(
            f'--gpu {gpu}: this Caffe was built for the CPU alone; leave the option out, or '
            'build the engine for CUDA (CUDA=1 make setup)'
        )
    if gpu >= count:
        there = (
            f'the GPUs here are 0 to {count - 1}'
            if count
            else f'there is no GPU here ({_no_gpu()})'
        )
        raise FCNError(
            f'--gpu {gpu}: {there}; leave the option out for {"the first" if count else "the CPU"}'
        )
    caffe.set_device(gpu)
    caffe.set_mode_gpu()
    return f'gpu {gpu}'


def _no_gpu():
    """Why CUDA finds no GPU."""
    driver, runtime, _ = _cuda.versions()
    if driver is None:
        return "NVIDIA's driver is not installed"
    return f"NVIDIA's driver is for CUDA {driver}, this engine for {runtime}"


def net_of(spec, phase=caffe.TEST):
    """The caffe.Net of a NetSpec or a NetParameter, which Caffe wants as a file."""
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt', encoding='utf-8') as file:
        file.write(str(spec.to_proto() if isinstance(spec, caffe.NetSpec) else spec))
        file.flush()
        return caffe.Net(file.name, phase)


def release_activations(net, keep=()):
    """Let `net`, a caffe.Net, give back the memory of blobs that nothing reads any more.

    In a net for testing these are the activations: after a forward pass, which must start
    at the first layer, only inputs, outputs and the blobs named in `keep` hold what was
    computed; a backward pass ends the process. In a net for training they are the
    gradients by the activations (`net.blobs[...].diff`). What was given back reads as zeros.
    On a GPU nothing is given back.
    Raises ValueError for a blob that the net does not have.
    """
    _extension('_lean').lean(net, list(keep))


def _extension(name):
    """A module of ours that lies in the same library as Caffe's own."""
    spec = importlib.util.spec_from_file_location(f'caffe.{name}', caffe._caffe.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _our_commit():
    """This repository's commit, with -dirty if files other than results differ from it; None outside a clone."""

    def git(*arguments):
        return subprocess.run(
            ['git', *arguments], cwd=Path(__file__).parent, text=True, capture_output=True
        )

    try:
        commit = git('describe', '--always')
    except OSError:  # no git
        return None
    if commit.returncode:
        return None
    return (
        commit.stdout.strip()
        + '-dirty' * git('diff', '--quiet', 'HEAD', '--', '.', ':!results').returncode
    )


def versions():
    """What a run's results depend on, as a dictionary for its log."""
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


def _cuda_versions():
    """The same of the GPUs: their names, TF32 or not, the largest workspace of a convolution."""
    driver, runtime, cudnn = _cuda.versions()
    return {
        'cuda': runtime,
        'cuda_driver': driver,
        'cudnn': cudnn,
        'tf32': _cuda.tf32(),
        'workspace_mib': _cuda.workspace_limit() >> 20,
        'gpus': [' '.join(_cuda.device(number)) for number in range(_cuda.device_count())],
    }
