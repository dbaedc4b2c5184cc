"""The model that is to be written: inputs, the net, and outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto, TensorProto, ValueInfoProto, helper, shape_inference

import fcn
from fcn.errors import FCNError

from . import ends
from .graph import Graph
from .net import add_net
from .source import Source

OPSET = 13  # the oldest whose operators suffice: the more runtimes read it
IR_VERSION = 7  # of the files that this opset came with

Dims = list[str | int | None]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a net is exported, as the arguments of `export` say."""

    preprocessing: bool = False
    labels: bool = False
    half: bool = False
    simplify: bool = False
    size: tuple[int, int] | None = None


@dataclass
class Draft:
    """A model to write.

    `images` names the input that an input blob is made of, and `labels` the output that stands for
    an output blob: then `scores` are the outputs that it has no more.
    """

    model: ModelProto
    images: dict[str, str]
    labels: dict[str, str]
    scores: list[ValueInfoProto]


def make_draft(source: Source, choices: Choices) -> Draft:
    """Return the model of a net. Raises FCNError for choices that do not fit it."""
    graph = Graph(choices.half)
    inputs, images, tensors = [], {}, {}
    for blob in source.shapes:
        value, tensors[blob] = _input(graph, source, blob, choices)
        inputs.append(value)
        if choices.preprocessing:
            images[blob] = value.name
    outputs = add_net(graph, source.net, source.spec, tensors)
    dims = _output_dims(graph, source, inputs, list(outputs), choices)
    scores = [_float(blob, dims[blob]) for blob in outputs]
    names = ends.label_names(list(outputs)) if choices.labels else {}
    labels = [_labels(graph, source, blob, name, dims[blob]) for blob, name in names.items()]
    model = helper.make_model(
        graph.proto(source.name, inputs, labels + scores),
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='fcn',
        producer_version=fcn.__version__,
    )
    if choices.simplify:
        model = simplified(model)
    if labels:
        del model.graph.output[len(labels) :]
    return Draft(model, images, names, scores if labels else [])


def _input(graph: Graph, source: Source, blob: str, choices: Choices) -> tuple[ValueInfoProto, str]:
    """Return the input that an input blob is, or is made of, and the blob's tensor."""
    dims = _input_dims(source, blob, choices)
    if not choices.preprocessing:
        return _float(graph.take(blob), dims), blob
    if blob not in source.kinds:
        raise FCNError(
            f'{source.name}: is a prototxt, which does not say how an image becomes its {blob}; '
            'leave the preprocessing out'
        )
    return ends.add_preprocessing(graph, source.kinds[blob], blob, [dims[0], *dims[2:]])


def _float(name: str, dims: Dims) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def _input_dims(source: Source, blob: str, choices: Choices) -> Dims:
    """Return the shape of an input blob as the file has it: names for what is free."""
    shape = source.shapes[blob]
    if len(shape) != 4:
        return list(shape)
    if choices.size:
        return [1, shape[1], *choices.size]
    return ['batch', *shape[1:]] if source.pinned else ['batch', shape[1], 'height', 'width']


def _output_dims(
    graph: Graph,
    source: Source,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[str],
    choices: Choices,
) -> dict[str, Dims]:
    """Return the shape of each output blob; what is not known is None."""
    shapes = {blob: source.net.blobs[blob].shape for blob in outputs}
    batch = 1 if choices.size else 'batch'
    if source.config is None:
        values = [_float(blob, [None] * len(shape)) for blob, shape in shapes.items()]
        model = helper.make_model(
            graph.without_weights(inputs, values), opset_imports=[helper.make_opsetid('', OPSET)]
        )
        inferred = shape_inference.infer_shapes(model, data_prop=True).graph.output
        return {value.name: _dims(value) for value in inferred}
    if source.config.is_classifier:
        return {blob: [batch, shape[1]] for blob, shape in shapes.items()}
    size = choices.size or ('height', 'width')
    return {blob: [batch, shape[1], *size] for blob, shape in shapes.items()}


def _dims(value: ValueInfoProto) -> Dims:
    """Return the shape of a value: numbers and the names of inputs' axes, None for others."""
    named = 'batch', 'height', 'width'
    return [
        dim.dim_value or (dim.dim_param if dim.dim_param in named else None)
        for dim in value.type.tensor_type.shape.dim
    ]


def _labels(graph: Graph, source: Source, blob: str, name: str, dims: Dims) -> ValueInfoProto:
    shape = source.net.blobs[blob].shape
    if len(shape) < 2:
        raise FCNError(
            f'{source.name}: {blob} has {len(shape)} axes, and no classes; leave the labels out'
        )
    return ends.add_labels(graph, blob, shape[1], name, [dims[0], *dims[2:]])


def simplified(model: ModelProto) -> ModelProto:
    """Return a model in which onnxslim has folded what is constant."""
    try:
        import onnxslim
    except ImportError as error:
        raise FCNError(
            f'onnxslim is not installed ({error}); install it with `pip install onnxslim`, or '
            'leave the graph as it is'
        ) from error
    return onnxslim.slim(model)
