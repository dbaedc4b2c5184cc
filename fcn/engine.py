"""The engine, as the library wants it: quiet, on a chosen device, with a chosen number of threads.

glog reads its settings once, when caffe loads it. So every module of the library imports caffe from
here:

    from fcn.engine import caffe

FCN_VERBOSE=1 in the environment writes a line on stderr for each pass of each layer that the engine
has a choice of kernels for: the layer, the kernel, the time.
"""

import contextlib
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fcn.errors import FCNError

# Caffe's own log tells every layer of every net; ours tells the run.
os.environ.setdefault('GLOG_minloglevel', '2')
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

import numpy as np

# Whether Caffe's own layers compute on the CPU, instead of ours over oneDNN.
STOCK = os.environ.get('CAFFE_CPU') == 'stock'

__all__ = [
    'STOCK',
    'caffe',
    'choose_device',
    'net_of',
    'own_gpu',
    'release_activations',
    'set_threads',
    'threads',
    'threads_here',
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


def own_gpu(gpu: int | None, rank: int, ranks: int) -> int | None:
    """Return which GPU process `rank` of `ranks` on this machine takes, for `choose_device`.

    `gpu` is what the user asked for. Each process takes a GPU of its own. Raises FCNError if there
    are fewer GPUs than processes, and for one GPU that all were told to take.
    """
    count = _cuda.device_count() if _build.CUDA else 0
    if ranks == 1 or not count or (gpu is not None and gpu < 0):
        return gpu
    if count == 1 and 'CUDA_VISIBLE_DEVICES' in os.environ:
        return gpu  # The launcher has shown each process its own.
    if gpu is not None:
        raise FCNError(
            f'--gpu {gpu}: {ranks} processes on this machine would share it; leave the option out, '
            'and each takes one'
        )
    if ranks > count:
        raise FCNError(
            f'{ranks} processes on a machine of {count} GPUs: start one for each GPU, or give '
            '--gpu -1 to compute on the CPU'
        )
    return rank


def _no_gpu() -> str:
    """Return why CUDA finds no GPU."""
    driver, runtime, _ = _cuda.versions()
    if driver is None:
        return "NVIDIA's driver is not installed"
    return f"NVIDIA's driver is for CUDA {driver}, this engine for {runtime}"


def threads() -> int:
    """Return how many threads a net computes with on the CPU.

    By default these are OMP_NUM_THREADS of the environment, or as many as the affinity of the
    process and the CPU time of its control groups grant.
    """
    return _fcn.threads()


def set_threads(count: int) -> None:
    """Let all nets compute with `count` threads on the CPU.

    Raises FCNError unless `count` is positive, and for more than one in a process that was forked
    after a net had computed with several: OpenMP's threads did not come along.
    """
    try:
        _fcn.set_threads(count)
    except (RuntimeError, ValueError) as error:
        raise FCNError(f'threads={count}: {error}') from error


@contextlib.contextmanager
def threads_here(count: int | None) -> Iterator[None]:
    """Let the calling thread compute with `count` threads in the context; None changes nothing.

    Caffe's own layers keep the number of the process.
    """
    _fcn.set_threads_here(count or 0)
    try:
        yield
    finally:
        _fcn.set_threads_here(0)


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
        'threads': threads(),
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
