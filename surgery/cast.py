"""Classifiers become fully convolutional: an inner product over a C×H×W input is a
convolution whose kernel is H×W (section 3.1, Figure 2)."""

import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from .caffemodel import WeightsError


def cast(blob, shape):
    """The weights or biases `blob` of one layer in the shape of another's.

    Inner product weights are out×(C·H·W), in that order, and convolution weights
    out×C×H×W: the same floats. Raises WeightsError if the counts of elements or of
    outputs differ.
    """
    shape = tuple(shape)
    if blob.size != np.prod(shape) or strip(blob.shape)[0] != strip(shape)[0]:
        raise WeightsError(f'weights of shape {tuple(blob.shape)} do not fit {shape}')
    return blob.reshape(shape)


def strip(shape):
    """`shape` without leading ones: old files write a matrix as 1×1×out×in."""
    shape = tuple(shape)
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def cast_net(net, spec):
    """A NetParameter like `spec` with every InnerProduct a Convolution, for inputs of any size.

    `net` is a caffe.Net of `spec`: the first inner product's kernel is its bottom's
    height and width; the later ones see 1×1.
    """
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    convolutional = set()
    for layer in result.layer:
        if layer.type != 'InnerProduct':
            continue
        old = layer.inner_product_param
        shape = net.blobs[layer.bottom[0]].data.shape
        flat = layer.bottom[0] in convolutional or len(shape) != 4
        kernel = (1, 1) if flat else shape[2:]
        convolutional.add(layer.top[0])
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
    return spec
