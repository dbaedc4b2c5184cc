"""A net as Figure 3 of the paper draws it: poolings and predictions as grids by their stride.

Nothing is drawn by hand: the nodes are found in the net's layers, and what lies between two of them
is told with the edge.
"""

from typing import Any

from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from google.protobuf import text_format

from fcn.nets import NetConfig, deploy_net
from fcn.nets.receptive_field import ReceptiveField, receptive_fields
from fcn.nets.window import window_of

ABOUT = {
    1: 'Only the last features are scored, one score every {stride} pixels, and enlarged in one '
    'step: the net knows well what there is, and coarsely where it ends.',
    2: 'The scores of the last features are enlarged twofold and added to scores of {skips}, which '
    'lie twice as dense: what is taken from the deep layer, where from the shallower one.',
    3: 'Scores are added in two steps, of {skips}: each step halves the stride, and the outlines '
    'gain detail while the deepest layer still says what there is.',
}


def figure(config: NetConfig) -> dict[str, Any]:
    """Return the nodes and edges of a net's drawing, for its first label, and a sentence about it.

    A node has a name, a kind (image, pool, features, score, upscore, fuse), the stride of its
    cells, the side of their receptive field, and its channels; an edge the layers in between.
    """
    net = text_format.Parse(str(deploy_net(config).to_proto()), NetParameter())
    fields = receptive_fields(net)
    makers = _makers(net)
    score = next(iter(config.score_blobs.values()))
    kinds = _kinds(net, makers, score, set(config.input_blobs.values()))
    edges: list[dict[str, Any]] = []
    reached: list[str] = []
    _trace(score, kinds, makers, edges, reached)
    nodes = [_node(name, kinds[name], fields, makers) for name in reached]
    return {'nodes': nodes, 'edges': edges, 'about': _sentence(nodes, edges)}


def cells(config: NetConfig) -> dict[str, dict[str, float]]:
    """Return, for each label, where the cells of its last score lie under the image.

    The pixel x is nearest to the cell round((x + shift) / stride), which sees the pixels
    stride · cell + low to stride · cell + high.
    """
    net = text_format.Parse(str(deploy_net(config).to_proto()), NetParameter())
    fields, makers = receptive_fields(net), _makers(net)
    grids = {}
    for label, blob in config.score_blobs.items():
        offset, layer = 0.0, makers[blob][-1]
        while layer.type != 'Deconvolution':
            if layer.type == 'Crop':
                offset += layer.crop_param.offset[0]
            layer = makers[layer.bottom[0]][-1]
        window = window_of(layer)
        field = fields[layer.bottom[0]]
        middle = (window.kernel[0] - 1) / 2 - window.pad[0]
        grids[label] = {
            'stride': field.stride,
            'shift': offset - middle,
            'low': field.low,
            'high': field.high,
        }
    return grids


def _makers(net: NetParameter) -> dict[str, list[LayerParameter]]:
    """Return the layers that make, or change in place, each blob, in order."""
    makers: dict[str, list[LayerParameter]] = {}
    for layer in net.layer:
        for top in layer.top:
            makers.setdefault(top, []).append(layer)
    return makers


def _kinds(
    net: NetParameter, makers: dict[str, list[LayerParameter]], last: str, inputs: set[str]
) -> dict[str, str]:
    """Return the kind of each blob that is a node."""
    kinds = dict.fromkeys(inputs, 'image')
    classes = _channels(last, makers)
    for layer in net.layer:
        top = layer.top[0]
        if layer.type == 'Pooling' and window_of(layer).stride[0] > 1:
            kinds[top] = 'pool'
        elif layer.type == 'Deconvolution':
            kinds[top] = 'upscore'
        elif layer.type == 'Eltwise':
            kinds[top] = 'fuse'
        elif (
            layer.type == 'Convolution'
            and layer.convolution_param.num_output == classes
            and layer.name.startswith('score')
        ):
            kinds[top] = 'score'
            kinds.setdefault(_features(layer.bottom[0], makers), 'features')
    return kinds


def _features(blob: str, makers: dict[str, list[LayerParameter]]) -> str:
    """Return the blob that a score scores, past the scaling of at-once nets."""
    while (layer := makers[blob][0]).type == 'Scale' and layer.top[0] != layer.bottom[0]:
        blob = layer.bottom[0]
    return blob


def _channels(blob: str, makers: dict[str, list[LayerParameter]]) -> int:
    while blob in makers:
        layer = makers[blob][0]
        if layer.type in ('Convolution', 'Deconvolution'):
            return layer.convolution_param.num_output
        if layer.type == 'Concat':
            return sum(_channels(bottom, makers) for bottom in layer.bottom)
        if not layer.bottom:
            break
        blob = layer.bottom[0]
    return 0


def _trace(
    blob: str,
    kinds: dict[str, str],
    makers: dict[str, list[LayerParameter]],
    edges: list[dict[str, Any]],
    reached: list[str],
) -> str:
    """Walk from a blob to the image, note nodes and edges, and return the node it stands for."""
    node, _ = _node_below(blob, kinds, makers)
    if node in reached:
        return node
    if node in makers and kinds[node] != 'image':
        sources: dict[str, list[str]] = {}
        for layer in makers[node]:
            # Only the size of a crop's second bottom matters.
            bottoms = layer.bottom[:1] if layer.type == 'Crop' else layer.bottom
            for bottom in bottoms:
                if bottom != node:
                    source, passed = _node_below(bottom, kinds, makers)
                    sources.setdefault(source, passed)
        for source, passed in sources.items():
            _trace(source, kinds, makers, edges, reached)
            edges.append({'from': source, 'to': node, 'layers': passed})
    reached.append(node)
    return node


def _node_below(
    blob: str, kinds: dict[str, str], makers: dict[str, list[LayerParameter]]
) -> tuple[str, list[str]]:
    """Return the node at or below a blob, and the weighted layers passed on the way, from it up."""
    passed: list[str] = []
    while blob not in kinds:
        layer = makers[blob][0]
        if layer.type in ('Convolution', 'Concat'):
            passed.insert(0, layer.name)
        blob = layer.bottom[0]
    return blob, passed


def _node(
    name: str,
    kind: str,
    fields: dict[str, ReceptiveField],
    makers: dict[str, list[LayerParameter]],
) -> dict[str, Any]:
    field = fields.get(name, ReceptiveField())
    return {
        'name': name,
        'kind': kind,
        'stride': field.stride,
        'field': field.size,
        'channels': 3 if kind == 'image' else _channels(name, makers),
    }


def _sentence(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> str:
    scores = [node for node in nodes if node['kind'] == 'score']
    skips = {node['stride'] for node in scores}
    finer = [node['name'] for node in scores if node['stride'] < max(skips)]
    names = [edge['from'] for edge in edges if edge['to'] in finer]
    text = ABOUT[min(len(skips), 3)]
    return text.format(stride=int(max(skips)), skips=' and '.join(names))
