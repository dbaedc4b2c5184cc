"""The nets that are measured, as prototxts of a given size without a data layer."""

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict

from fcn.prototxts import prototxts

NETS = {
    'voc-fcn-alexnet': 50,
    'voc-fcn32s': 210,
    'voc-fcn16s': None,
    'voc-fcn8s': None,
    'voc-fcn-googlenet': 59,
}  # ms forward at 500×500 on a K40c, Table 1


def deploy(name, side):
    """NetParameter of the net to deploy, for side×side images."""
    net = text_format.Parse(prototxts(name)['deploy.prototxt'], caffe_pb2.NetParameter())
    for layer in net.layer:
        if layer.type == 'Input':
            layer.input_param.shape[0].dim[2:] = [side, side]
    return net


def plan(net):
    """The layers of a NetParameter as benchmarks.run_torch takes them."""
    return [MessageToDict(layer, preserving_proto_field_name=True) for layer in net.layer]


def train(name, side):
    """NetParameter of the net to train, with blobs to fill in the place of its data layer."""
    net = text_format.Parse(prototxts(name)['train.prototxt'], caffe_pb2.NetParameter())
    data = net.layer[0]
    if data.type != 'Python':
        raise ValueError(f'{name}: its first layer is no data layer but {data.type}')
    data.type = 'Input'
    data.ClearField('python_param')
    for channels in (3, 1):
        data.input_param.shape.add().dim.extend([1, channels, side, side])
    return net


def example(side, seed=0):
    """An image 1×3×side×side as nets see it, and its labels 1×1×side×side, both float32."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-120, 140, (1, 3, side, side)).astype(np.float32)
    return image, rng.integers(0, 21, (1, 1, side, side)).astype(np.float32)
