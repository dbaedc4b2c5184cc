"""Runs a library for inference in a process of its own, from FOLDER/net.onnx.

    python -m benchmarks.run_peer FOLDER convert {mnn,ncnn}
    python -m benchmarks.run_peer FOLDER forward TIMES OUT {onnxruntime,openvino,mnn,ncnn}

All compute in float32, with as many threads as OMP_NUM_THREADS says. The scores go to FOLDER/OUT.
"""

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .clock import hand_in, measure

THREADS = int(os.environ.get('OMP_NUM_THREADS', 1))
Forward = Callable[[], Any]
Scores = Callable[[], np.ndarray]


def onnxruntime(folder: Path, data: np.ndarray) -> tuple[Forward, Scores]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(
        folder / 'net.onnx', options, providers=['CPUExecutionProvider']
    )
    feed = {session.get_inputs()[0].name: data}
    return lambda: session.run(None, feed), lambda: session.run(None, feed)[0]


def openvino(folder: Path, data: np.ndarray) -> tuple[Forward, Scores]:
    import openvino

    options = {
        'INFERENCE_NUM_THREADS': THREADS,
        'INFERENCE_PRECISION_HINT': 'f32',
        'PERFORMANCE_HINT': 'LATENCY',
    }
    request = openvino.compile_model(folder / 'net.onnx', 'CPU', options).create_infer_request()
    return (
        lambda: request.infer([data], share_inputs=True),
        lambda: request.get_output_tensor(0).data,
    )


def mnn(folder: Path, data: np.ndarray) -> tuple[Forward, Scores]:
    import MNN

    net = MNN.Interpreter(str(folder / 'net.mnn'))
    session = net.createSession({'backend': 'CPU', 'numThread': THREADS, 'precision': 'high'})
    kind, order = MNN.Halide_Type_Float, MNN.Tensor_DimensionType_Caffe
    given = MNN.Tensor(data.shape, kind, data, order)

    def forward() -> None:  # The input's memory is used again for what is computed of it.
        net.getSessionInput(session).copyFrom(given)
        net.runSession(session)

    def scores() -> np.ndarray:
        computed = net.getSessionOutput(session)
        shape = computed.getShape()
        host = MNN.Tensor(shape, kind, np.empty(shape, np.float32), order)
        computed.copyToHostTensor(host)
        return np.array(host.getNumpyData()).reshape(shape)

    return forward, scores


def ncnn(folder: Path, data: np.ndarray) -> tuple[Forward, Scores]:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = THREADS
    for name in dir(net.opt):
        if name.startswith(('use_fp16', 'use_bf16', 'use_int8')):
            setattr(net.opt, name, False)
    net.load_param(str(folder / 'net.ncnn.param'))
    net.load_model(str(folder / 'net.ncnn.bin'))
    given = ncnn.Mat(data[0]).clone()

    def forward() -> Any:
        extractor = net.create_extractor()
        extractor.input('in0', given)
        compute = extractor.extract
        return compute('out0')[1]

    return forward, lambda: np.array(forward())[np.newaxis]


def convert_to_mnn(folder: Path) -> None:
    import _tools  # MNN.tools would install a package that reports the conversion to its makers.

    files = '--modelFile', str(folder / 'net.onnx'), '--MNNModel', str(folder / 'net.mnn')
    _tools.mnnconvert(['mnnconvert', '-f', 'ONNX', *files, '--bizCode', 'MNN'])
    if not (folder / 'net.mnn').is_file():
        raise RuntimeError('MNN does not convert the net')


def convert_to_ncnn(folder: Path) -> None:
    side = np.load(folder / 'data.npy', mmap_mode='r').shape[2:]
    program = Path(sys.executable).with_name('pnnx')
    shape = f'inputshape=[1,3,{side[0]},{side[1]}]'
    command = [program, 'net.onnx', shape, 'fp16=0']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors='replace')
    if not (folder / 'net.ncnn.bin').is_file():
        raise RuntimeError(f'pnnx: {(done.stdout + done.stderr).strip()[-200:]}')


CONVERT = {'mnn': convert_to_mnn, 'ncnn': convert_to_ncnn}
LIBRARIES = {function.__name__: function for function in (onnxruntime, openvino, mnn, ncnn)}


def main(folder: Path, what: str, *rest: str) -> None:
    if what == 'convert':
        CONVERT[rest[0]](folder)
        return
    times, out, name = rest
    forward, scores = LIBRARIES[name](folder, np.load(folder / 'data.npy'))
    result = measure(forward, int(times))
    hand_in(result, importlib.metadata.version(name), scores(), folder / out)


if __name__ == '__main__':
    main(Path(sys.argv[1]), *sys.argv[2:])
