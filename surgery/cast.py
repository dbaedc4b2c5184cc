"""Classifiers become fully convolutional: an inner product over a C×H×W input is a
convolution whose kernel is H×W (section 3.1, Figure 2)."""

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from errors import few

from .caffemodel import WeightsError


def cast(blob, shape):
    """The weights or biases `blob` of one layer in the shape of another's.

    Inner product weights are out×(C·H·W), in that order, and convolution weights
    out×C×H×W: the same floats. Raises WeightsError if the counts of elements or of
    outputs differ.
    """
    shape = tuple(shape)
    if blob.size != np.prod(shape) or shape[0] not in (blob.shape[0], modern(blob.shape)[0]):
        raise WeightsError(f'weights of shape {tuple(blob.shape)} do not fit {shape}')
    return blob.reshape(shape)


def modern(shape):
    """`shape` as files have it since blobs have any number of axes: old ones write a
    vector as 1×1×1×out and a matrix as 1×1×out×in."""
    if len(shape) == 4 and tuple(shape[:2]) == (1, 1):
        return tuple(shape[3:] if shape[2] == 1 else shape[2:])
    return tuple(shape)


def cast_net(net, spec):
    """A NetParameter like `spec` with every InnerProduct a Convolution, for inputs of any size.

    `net` is a caffe.Net of `spec`: the first inner product's kernel is its bottom's
    height and width; the later ones see 1×1. Raises WeightsError if there is none.
    """
    if not any(layer.type == 'InnerProduct' for layer in spec.layer):
        raise WeightsError('the net has no InnerProduct layer to cast')
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    for layer in result.layer:
        if layer.type != 'InnerProduct':
            continue
        old = layer.inner_product_param
        shape = net.blobs[layer.bottom[0]].data.shape
        kernel = shape[2:] if len(shape) == 4 else (1, 1)
        layer.type = 'Convolution'
        layer.convolution_param.num_output = old.num_output
        layer.convolution_param.bias_term = old.bias_term
        layer.convolution_param.kernel_h, layer.convolution_param.kernel_w = map(int, kernel)
        layer.ClearField('inner_product_param')
    return result


def read_spec(path):
    """The NetParameter in a prototxt; WeightsError if it is none."""
    spec = caffe_pb2.NetParameter()
    try:
        with open(path, encoding='utf-8') as file:
            text_format.Merge(file.read(), spec)
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise WeightsError(f'{path}: no prototxt of a net ({error})') from error
    if spec.layers:
        raise WeightsError(f'{path}: written for Caffe before 2014 (layers, not layer); use one of nets/ilsvrc-*, '
                           "or upgrade it with Caffe's upgrade_net_proto_text")
    usable = set(caffe.layer_type_list()) - {'Data', 'ImageData', 'WindowData'}
    if unknown := sorted({layer.type for layer in spec.layer} - usable):
        raise WeightsError(f'{path}: no layer of type {few(unknown)} can be had here; give a deploy prototxt')
    return spec
