"""A net of Caffe as a graph of ONNX, layer by layer."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from caffe.proto.caffe_pb2 import TEST, LayerParameter, NetParameter, NetStateRule

from fcn.engine import caffe
from fcn.errors import WeightsError

from . import elementwise, layers, shapes
from .graph import Graph
from .layer import Layer

LAYERS: Mapping[str, Callable[[Layer], list[str]]] = {
    'AbsVal': elementwise.absolute,
    'ArgMax': shapes.argmax,
    'BNLL': elementwise.bnll,
    'BatchNorm': layers.batch_norm,
    'Bias': layers.scale,
    'Clip': elementwise.clip,
    'Concat': shapes.concat,
    'Convolution': layers.convolution,
    'Crop': shapes.crop,
    'Deconvolution': layers.deconvolution,
    'Dropout': layers.same,
    'ELU': elementwise.elu,
    'Eltwise': layers.eltwise,
    'Exp': elementwise.exponential,
    'Flatten': shapes.flatten,
    'InnerProduct': layers.inner_product,
    'LRN': layers.lrn,
    'Log': elementwise.logarithm,
    'MVN': layers.mvn,
    'PReLU': elementwise.prelu,
    'Parameter': layers.parameter,
    'Pooling': layers.pooling,
    'Power': elementwise.power,
    'ReLU': elementwise.relu,
    'Reduction': shapes.reduction,
    'Reshape': shapes.reshape,
    'Scale': layers.scale,
    'Sigmoid': elementwise.sigmoid,
    'Silence': layers.nothing,
    'Slice': shapes.slices,
    'Softmax': layers.softmax,
    'Split': layers.same,
    'Swish': elementwise.swish,
    'TanH': elementwise.tanh,
    'Threshold': elementwise.threshold,
    'Tile': shapes.tile,
}


def add_net(
    graph: Graph, net: 'caffe.Net', spec: NetParameter, inputs: Mapping[str, str]
) -> dict[str, str]:
    """Add the layers of `net`, which is built from `spec`, and return the tensor of each output.

    `inputs` names the tensor of each input blob. Raises WeightsError, which names the layer, for
    one that cannot be exported.
    """
    tensors = dict(inputs)
    for name in inputs.values():
        graph.take(name)
    for param in layers_of(spec):
        if param.type != 'Input':
            _add_layer(graph, net, param, tensors)
    outputs = [blob for blob in net.outputs if blob not in inputs]
    return {blob: _output(graph, tensors, blob, outputs, inputs) for blob in outputs}


def layers_of(spec: NetParameter) -> list[LayerParameter]:
    """Return the layers that a net for testing has, each with the name of its type in Caffe: ours
    may be called Stock… where Caffe's own code computes them."""
    result = []
    for layer in spec.layer:
        included = not layer.include or any(map(_meets, layer.include))
        if included and not any(map(_meets, layer.exclude)):
            copy = LayerParameter()
            copy.CopyFrom(layer)
            copy.type = copy.type.removeprefix('Stock')
            result.append(copy)
    return result


def _meets(rule: NetStateRule) -> bool:
    """Return whether a net for testing, of level 0 and without stages, meets a rule."""
    phase = not rule.HasField('phase') or rule.phase == TEST
    level = rule.min_level <= 0 if rule.HasField('min_level') else True
    level &= rule.max_level >= 0 if rule.HasField('max_level') else True
    return phase and level and not rule.stage


def _add_layer(
    graph: Graph, net: 'caffe.Net', param: LayerParameter, tensors: dict[str, str]
) -> None:
    if param.type not in LAYERS:
        raise WeightsError(
            f"layer '{param.name}' ({param.type}) cannot be exported: it has no counterpart in "
            'ONNX; give a deploy prototxt without it'
        )
    blobs = net.params.get(param.name, [])
    bottom_shapes = [tuple(net.blobs[bottom].shape) for bottom in param.bottom]
    layer = Layer(
        graph,
        param,
        [tensors[bottom] for bottom in param.bottom],
        [len(shape) for shape in bottom_shapes],
        [shape[1] if len(shape) > 1 else 1 for shape in bottom_shapes],
        [np.array(blob.data) for blob in blobs],
    )
    start = len(graph.nodes)
    computed = LAYERS[param.type](layer)
    for top, tensor in zip(param.top, computed, strict=bool(computed)):
        tensors[top] = _call(graph, param, top, tensor, tensors, start)


def _call(
    graph: Graph,
    param: LayerParameter,
    top: str,
    tensor: str,
    tensors: Mapping[str, str],
    start: int,
) -> str:
    """Give what a layer computed the name of its top, and the node that of the layer."""
    node = graph.node_of(tensor, start)
    if node is None:
        return tensor  # What it saw, as it was.
    in_place = top in param.bottom
    name = graph.take(param.name if in_place or top in tensors else top)
    graph.rename(tensor, name)
    node.name = param.name if len(param.top) == 1 else f'{param.name}/{top}'
    return name


def _output(
    graph: Graph,
    tensors: dict[str, str],
    blob: str,
    outputs: Sequence[str],
    inputs: Mapping[str, str],
) -> str:
    """Return the tensor of an output, called as the blob.

    What was computed in place has the name of the layer so far, and what the layer saw that of the
    blob. Where the tensor is an input's too, or another output's, it is copied.
    """
    tensor = tensors[blob]
    if tensor == blob:
        return blob
    earlier = graph.node_of(blob)
    if earlier is not None:
        graph.rename(blob, graph.take(f'{blob}/{earlier.name}'))
    sharing = [other for other in outputs if tensors[other] == tensor]
    if tensor in inputs.values() or len(sharing) > 1:
        graph.add('Identity', [tensor], [blob], graph.take(f'{blob}/output'))
    else:
        graph.rename(tensor, blob)
    tensors[blob] = blob
    return blob
