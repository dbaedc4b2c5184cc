"""Nets of Caffe exported in this process, and run next to Caffe: in ONNX Runtime or another."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf import text_format

from fcn.engine import caffe, net_of
from fcn.onnx.draft import Choices, make_draft
from fcn.onnx.source import Source

Arrays = Mapping[str, np.ndarray]


def source_of(prototxt: str, seed: int = 0) -> Source:
    """Return the net of a prototxt with random weights, to export."""
    spec = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(prototxt, spec)
    net = net_of(spec)
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            fan_in = blob.count // blob.shape[0] if blob.shape else 1
            values = rng.normal(0, 1 / np.sqrt(fan_in), blob.data.shape)
            if net.layer_dict[name].type == 'BatchNorm' and index:
                values = np.abs(values) + 0.5  # a variance, and how many were summed up
            blob.data[...] = values
    return Source('net', Path('net.caffemodel'), net, spec, None, ((0, 0),))


def model_of(source: Source, **choices: Any) -> onnx.ModelProto:
    """Return the model of a net. It meets ONNX's specification."""
    model = make_draft(source, Choices(**choices)).model
    onnx.checker.check_model(model, full_check=True)
    return model


def onnx_runtime(model: onnx.ModelProto) -> Callable[[Arrays], Arrays]:
    """Return a function that runs a model in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ['CPUExecutionProvider']
    )
    names = [value.name for value in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def openvino(model: onnx.ModelProto) -> Callable[[Arrays], Arrays]:
    """Return a function that runs a model in OpenVINO, which shares no code with ONNX Runtime."""
    import io

    import openvino

    compiled = openvino.Core().compile_model(
        openvino.convert_model(io.BytesIO(model.SerializeToString())),
        'CPU',
        {'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1},
    )

    def run(inputs: Arrays) -> Arrays:
        results = compiled(dict(inputs))
        return {output.get_any_name(): results[output] for output in compiled.outputs}

    return run


def assert_same(
    source: Source, run: Callable[[Arrays], Arrays], inputs: Arrays, tolerance: float = 1e-6
) -> Arrays:
    """Assert that a runtime computes what Caffe does of `inputs`, and return that."""
    expected, found = source.run(inputs), run(inputs)
    assert set(found) == set(expected)
    for blob, reference in expected.items():
        where = f'{blob} at {[array.shape for array in inputs.values()]}'
        assert found[blob].shape == reference.shape, where
        largest = np.abs(reference).max(initial=0)
        difference = np.abs(found[blob].astype(np.float64) - reference).max(initial=0)
        assert np.isfinite(reference).all() and difference <= tolerance * largest, (
            f'{where}: {difference:.2g} of {largest:.2g}'
        )
    return expected
