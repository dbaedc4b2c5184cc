"""What may come before a net and after it: preprocessing of images, and labels of scores.

Both do what the library does with a net of Caffe (`data_layers.inputs`, `inference.predict`), in
the same order, so that not even rounding differs.
"""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from fcn.data_layers.inputs import HHA, Colour, Input, LogDepth
from fcn.errors import FCNError

from .graph import Graph

Dims = Sequence[str | int | None]
MAX_UINT8 = 256  # classes


def add_preprocessing(
    graph: Graph, kind: Input, blob: str, dims: Dims
) -> tuple[ValueInfoProto, str]:
    """Add nodes from an image to an input blob; return the input and the tensor of the blob.

    Colour and HHA come as N×H×W×3 uint8, colour in the order of RGB, and depth as N×H×W float32, in
    millimetres. `dims` is N×H×W, as names or numbers.
    """
    name = graph.take('image' if blob == 'data' else blob)
    if isinstance(kind, LogDepth):
        image = helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        return image, _depth(graph, kind, name, blob)
    if isinstance(kind, Colour):
        image = helper.make_tensor_value_info(name, TensorProto.UINT8, [*dims, kind.channels])
        return image, _colour(graph, kind, name, blob)
    raise FCNError(f'{blob}: is made of {type(kind).__name__}, which has no preprocessing here')


def _colour(graph: Graph, kind: Colour, name: str, blob: str) -> str:
    """The image in Caffe's order of axes and, of colours, of channels; minus the mean, times the
    scale."""
    step = f'{blob}/preprocessing'
    x = graph.op('Cast', [name], f'{step}/float', to=TensorProto.FLOAT)
    x = graph.op('Transpose', [x], f'{step}/channels_first', perm=(0, 3, 1, 2))
    if not isinstance(kind, HHA):
        order = graph.integers(*reversed(range(kind.channels)))
        x = graph.op('Gather', [x, order], f'{step}/bgr', axis=1)
    mean = np.array(kind.mean, np.float32).reshape(1, -1, 1, 1)
    subtrahend = graph.constant(mean[0], f'{step}/mean')
    x = graph.op('Sub', [x, subtrahend], f'{step}/minus_mean')
    if kind.scale != 1:
        x = graph.op('Mul', [x, graph.scalar(kind.scale)], f'{step}/scaled')
    return x


def _depth(graph: Graph, kind: LogDepth, name: str, blob: str) -> str:
    """The logarithm of the depth, or the mean of logarithms where there is none; minus the mean."""
    step = f'{blob}/preprocessing'
    mean = graph.scalar(kind.mean)
    known = graph.op('Greater', [name, graph.scalar(0)], f'{step}/known')
    logarithm = graph.op('Log', [name], f'{step}/logarithm')
    x = graph.op('Where', [known, logarithm, mean], f'{step}/filled')
    x = graph.op('Sub', [x, mean], f'{step}/minus_mean')
    return graph.op('Unsqueeze', [x, graph.integers(1)], f'{step}/channel')


def add_labels(graph: Graph, scores: str, classes: int, name: str, dims: Dims) -> ValueInfoProto:
    """Add the label of each pixel, that of the highest score, the first of equal ones; return the
    output: N×H×W uint8, or int32 if there are more than 256 classes."""
    best = graph.op('ArgMax', [scores], f'{name}/argmax', axis=1, keepdims=0)
    kind = TensorProto.UINT8 if classes <= MAX_UINT8 else TensorProto.INT32
    graph.add('Cast', [best], [graph.take(name)], name, to=kind)
    return helper.make_tensor_value_info(name, kind, dims)


def label_names(outputs: Sequence[str]) -> dict[str, str]:
    """Return what the labels of each output blob are called: `labels`, or where there are several
    labels_sem of score_sem."""
    if len(outputs) == 1:
        return {outputs[0]: 'labels'}
    return {blob: f'labels_{blob.removeprefix("score_")}' for blob in outputs}
