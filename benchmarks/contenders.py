"""Who is measured, and how a process of each is run."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fcn.errors import FCNError

from .material import SIDE

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / 'build/bench-venv/bin/python'  # as `make bench` makes it
THREADS = 2
TOLERANCE = 1e-3  # of the largest score: the nets are the same
OURS = 'ours'
FRAMED = 'ours, padding computed once'  # see fcn.frame


class Contender(NamedTuple):
    """`module` of this package, run with `form` as its last argument, in the environment of the
    peers if it is one. What `file` names must have been made of the net, by `convert` if that is
    given. It is measured at `tasks`, in the first round alone if `once` is set."""

    module: str
    form: str | None = None
    peer: bool = True
    stock: bool = False
    file: str | None = None
    convert: bool = False
    tasks: tuple[str, ...] = ('forward',)
    once: bool = False


BOTH = ('forward', 'train')
CONTENDERS = {
    OURS: Contender('run_caffe', peer=False, tasks=BOTH),
    FRAMED: Contender('run_caffe', 'framed', peer=False),
    'stock Caffe': Contender('run_caffe', peer=False, stock=True, tasks=BOTH, once=True),
    'PyTorch': Contender('run_torch', 'nchw', tasks=BOTH),
    'PyTorch, channels_last': Contender('run_torch', 'channels_last', tasks=BOTH),
    'PyTorch, compiled': Contender('run_torch', 'compiled', tasks=BOTH),
    'MNN': Contender('run_peer', 'mnn', file='net.mnn', convert=True),
    'OpenVINO': Contender('run_peer', 'openvino', file='net.onnx'),
    'ncnn': Contender('run_peer', 'ncnn', file='net.ncnn.bin', convert=True),
    'ONNX Runtime': Contender('run_peer', 'onnxruntime', file='net.onnx'),
    'OpenCV dnn': Contender('run_opencv', peer=False, once=True),
}
PYTORCH = tuple(name for name in CONTENDERS if name.startswith('PyTorch'))
# OpenCV is the tests' reader of Caffe nets. Caffe's own layers are no rival.
RIVALS = (*PYTORCH, 'MNN', 'OpenVINO', 'ncnn', 'ONNX Runtime', 'OpenCV dnn')


class Failed(Exception):
    """A contender cannot be measured; says why."""


def environment(folder: Path, stock: bool = False) -> dict[str, str]:
    """Return the environment without what chooses layers or kernels, with THREADS threads.

    So each library takes its best kernels. What PyTorch compiles is kept in `folder`.
    """
    chosen = ('OPENBLAS_', 'OMP_', 'GOMP_', 'MKL_', 'DNNL_', 'ONEDNN_', 'CAFFE_', 'FCN_')
    kept = {key: value for key, value in os.environ.items() if not key.startswith(chosen)}
    threads = {'OMP_NUM_THREADS': str(THREADS), 'OPENBLAS_NUM_THREADS': str(THREADS)}
    compiled = {'TORCHINDUCTOR_FREEZING': '1', 'TORCHINDUCTOR_CACHE_DIR': str(folder / 'inductor')}
    return {**kept, **threads, **compiled, **({'CAFFE_CPU': 'stock'} if stock else {})}


def run_module(name: str, folder: Path, *arguments: str, python: Path = PEERS) -> str:
    """Run the module of a contender and return what it prints. Raises Failed if it fails."""
    contender = CONTENDERS[name]
    if not contender.peer:
        python = Path(sys.executable)
    if not python.is_file():
        raise Failed(f'there is no {python}; `make bench` makes it')
    try:
        done = subprocess.run(
            [python, '-m', f'benchmarks.{contender.module}', folder, *arguments],
            cwd=ROOT,
            env=environment(folder, contender.stock),
            capture_output=True,
            text=True,
            timeout=900,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed('it did not end in a quarter of an hour') from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or 'it says nothing').splitlines()[-1]
        raise Failed(f'{last[:200]} (exit {done.returncode})')
    return done.stdout


def contend(name: str, folder: Path, what: str, times: int, python: Path = PEERS) -> dict[str, Any]:
    """Return what a contender measured and computed, as `clock.hand_in` prints it.

    Its scores lie in `folder` in `scores_file(name)`, if it went forward. Raises Failed.
    """
    contender = CONTENDERS[name]
    if contender.file and not (folder / contender.file).is_file():
        raise Failed(f'the net was not converted: there is no {contender.file}')
    arguments = [what, str(times), scores_file(name), *([contender.form] if contender.form else [])]
    printed = run_module(name, folder, *arguments, python=python).strip().splitlines()
    return json.loads(printed[-1])


def scores_file(name: str) -> str:
    """Return the name of the file of a contender's scores."""
    return f'{name.replace(" ", "-")}.npy'


def export(folder: Path, net: str) -> None:
    """Write net.onnx of the net in `folder` for images of SIDE×SIDE. Raises Failed."""
    command = [sys.executable, '-m', 'fcn', 'export', str(folder / 'deploy.prototxt')]
    command += ['--weights', str(folder / 'weights.caffemodel'), '--size', f'{SIDE}×{SIDE}']
    done = subprocess.run(
        [*command, '-o', str(folder / 'net.onnx')], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise Failed(f'{net} is not exported as ONNX: {done.stderr.strip().splitlines()[-1][:200]}')


def convert(folder: Path, net: str, python: Path = PEERS) -> dict[str, str]:
    """Write the files that the peers read, and return {name: why not} of those that have none."""
    failed: dict[str, str] = {}
    try:
        export(folder, net)
    except Failed as error:
        return {name: str(error) for name, contender in CONTENDERS.items() if contender.file}
    for name, contender in CONTENDERS.items():
        if contender.convert:
            assert contender.form
            try:
                run_module(name, folder, 'convert', contender.form, python=python)
            except Failed as error:
                failed[name] = str(error)
    return failed


def check_shape(name: str, result: Mapping[str, Any], side: int = SIDE) -> None:
    """Raise FCNError if a contender computed the scores of another image than one of side×side."""
    if result['shape'][2:] != [side, side] or result['shape'][0] != 1:
        raise FCNError(
            f'{name}: computed scores of {result["shape"]}, not of one {side}×{side} image'
        )


def difference(name: str, folder: Path) -> float:
    """Return the largest difference between a contender's scores and ours, as a share of the
    largest. Raises FCNError if they are another net's."""
    ours, theirs = (np.load(folder / scores_file(who)) for who in (OURS, name))
    if ours.shape != theirs.shape:
        raise FCNError(f'{name}: scores are {theirs.shape}, ours {ours.shape}')
    share = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    if not share <= TOLERANCE:
        raise FCNError(f'{name}: computes another net: scores differ by {share:.1e} of the largest')
    return share
