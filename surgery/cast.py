"""Classifiers become fully convolutional: an inner product over a C×H×W input is a
convolution whose kernel is H×W (section 3.1, Figure 2)."""

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from fcn.errors import FCNError, WeightsError
from fcn.io import read_text
from fcn.text import few

MAX_PROTOTXT = 4 << 20  # bytes: the largest of the paper's nets has some thousand
OURS = 'fcn.data_layers.layers', 'SegDataLayer'  # the one Python layer that a prototxt may ask for


def cast(blob, shape):
    """The weights or biases `blob` of one layer in the shape of another's.

    Inner product weights are out×(C·H·W), in that order, and convolution weights
    out×C×H×W: the same floats. Raises WeightsError if the counts of elements or of
    outputs differ.
    """
    shape = tuple(shape)
    if blob.size != np.prod(shape) or shape[:1] not in (blob.shape[:1], modern(blob.shape)[:1]):
        raise WeightsError(f'weights of shape {tuple(blob.shape)} do not fit {shape}')
    return blob.reshape(shape)


def modern(shape):
    """`shape` as files have it since blobs have any number of axes: old ones write a
    vector as 1×1×1×out and a matrix as 1×1×out×in."""
    if len(shape) == 4 and tuple(shape[:2]) == (1, 1):
        return tuple(shape[3:] if shape[2] == 1 else shape[2:])
    return tuple(shape)


def convolutionalize(net, spec):
    """A NetParameter like `spec` with every InnerProduct a Convolution, for inputs of any size.

    `net` is a caffe.Net of `spec`: the first inner product's kernel is its bottom's
    height and width; the later ones see 1×1. Those of another phase stay as they are.
    Raises WeightsError if there is none.
    """
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    found = [
        layer
        for layer in result.layer
        if layer.type == 'InnerProduct'
        and layer.name in net.layer_dict
        and any(bottom in net.blobs for bottom in layer.bottom[:1])
    ]
    if not found:
        raise WeightsError('the net has no InnerProduct layer to cast')
    for layer in found:
        old = layer.inner_product_param
        if old.transpose or old.axis != 1:
            raise WeightsError(
                f"layer '{layer.name}' is transposed or takes another axis than 1, and cannot be cast"
            )
        shape = tuple(net.blobs[layer.bottom[0]].shape)  # not of .data, which would be allocated
        kernel = shape[2:] if len(shape) == 4 else (1, 1)
        layer.type = 'Convolution'
        layer.convolution_param.num_output = old.num_output
        layer.convolution_param.bias_term = old.bias_term
        layer.convolution_param.kernel_h, layer.convolution_param.kernel_w = map(int, kernel)
        layer.ClearField('inner_product_param')
    return result


def read_spec(path):
    """The NetParameter in a prototxt; WeightsError if it is none.

    What is read here may come from anyone: layers that write files or run other
    modules than ours are refused.
    """
    spec = caffe_pb2.NetParameter()
    try:
        text_format.Merge(read_text(path, MAX_PROTOTXT), spec)
    except (FCNError, OSError) as error:
        raise WeightsError(str(error)) from error
    except (ValueError, RecursionError, text_format.ParseError) as error:
        words = ' '.join(str(error).split())
        raise WeightsError(
            f'{path}: no prototxt of a net ({words[:160]}{"…" * (len(words) > 160)})'
        ) from error
    if not (spec.layer or spec.layers):
        raise WeightsError(f'{path}: holds no layer; give the prototxt of a net')
    if spec.layers:
        raise WeightsError(
            f'{path}: written for Caffe before 2014 (layers, not layer); use one of nets/ilsvrc-*, '
            "or upgrade it with Caffe's upgrade_net_proto_text"
        )
    usable = set(caffe.layer_type_list()) - {'Data', 'ImageData', 'WindowData', 'HDF5Output'}
    if unknown := sorted({layer.type for layer in spec.layer} - usable):
        raise WeightsError(
            f'{path}: no layer of type {few(unknown)} can be had here; give a deploy prototxt'
        )
    for layer in spec.layer:
        python = layer.python_param
        if layer.type == 'Python' and (python.module, python.layer) != OURS:
            raise WeightsError(
                f"{path}: layer '{layer.name}' would run {python.module or 'no module'}."
                f'{python.layer or "no class"}; only {".".join(OURS)} is run, so give a deploy prototxt'
            )
    return spec
