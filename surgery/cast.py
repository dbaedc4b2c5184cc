"""Classifiers become fully convolutional: an inner product over a C×H×W input is a convolution with
an H×W kernel (section 3.1, Figure 2)."""

from collections.abc import Iterable
from pathlib import Path

import caffe
import numpy as np
from caffe.proto.caffe_pb2 import NetParameter
from google.protobuf import text_format

from fcn.errors import FCNError, WeightsError
from fcn.io import read_text
from fcn.text import few

MAX_PROTOTXT = 4 << 20  # bytes: the prototxts of the paper's nets have some thousand
DATA_LAYER = 'fcn.data_layers.layers', 'SegDataLayer'  # the one Python layer a prototxt may run


def cast(blob: np.ndarray, shape: Iterable[int]) -> np.ndarray:
    """Return the weights or biases of one layer in the shape of another layer's.

    Inner product weights are out×(C·H·W), in that order, and convolution weights out×C×H×W: the
    same floats. Raises WeightsError if the numbers of elements or of outputs differ.
    """
    shape = tuple(shape)
    outputs = blob.shape[:1], modern(blob.shape)[:1]
    if blob.size != np.prod(shape) or shape[:1] not in outputs:
        raise WeightsError(f'weights of shape {tuple(blob.shape)} do not fit {shape}')
    return blob.reshape(shape)


def modern(shape: Iterable[int]) -> tuple[int, ...]:
    """Return `shape` as files have had it since blobs may have any number of axes.

    Old files write a vector as 1×1×1×out and a matrix as 1×1×out×in.
    """
    shape = tuple(shape)
    if len(shape) == 4 and shape[:2] == (1, 1):
        return shape[3:] if shape[2] == 1 else shape[2:]
    return shape


def convolutionalize(net: caffe.Net, spec: NetParameter) -> NetParameter:
    """Return a NetParameter like `spec` with a Convolution for each InnerProduct.

    It takes inputs of any size.

    `net` is built from `spec`: the first inner product's kernel has the height and width of its
    bottom; the later ones see 1×1. Layers of another phase stay as they are. Raises WeightsError if
    there is no inner product, or one that is transposed or works along another axis than 1.
    """
    result = NetParameter()
    result.CopyFrom(spec)
    inner_products = [
        layer
        for layer in result.layer
        if layer.type == 'InnerProduct'
        and layer.name in net.layer_dict
        and any(bottom in net.blobs for bottom in layer.bottom[:1])
    ]
    if not inner_products:
        raise WeightsError('the net has no InnerProduct layer to cast')
    for layer in inner_products:
        old = layer.inner_product_param
        if old.transpose or old.axis != 1:
            raise WeightsError(
                f"layer '{layer.name}' is transposed or works along another axis than 1, and "
                'cannot be cast'
            )
        shape = tuple(net.blobs[layer.bottom[0]].shape)  # Reading .data would allocate it.
        kernel = shape[2:] if len(shape) == 4 else (1, 1)
        layer.type = 'Convolution'
        layer.convolution_param.num_output = old.num_output
        layer.convolution_param.bias_term = old.bias_term
        layer.convolution_param.kernel_h, layer.convolution_param.kernel_w = map(int, kernel)
        layer.ClearField('inner_product_param')
    return result


def read_spec(path: str | Path) -> NetParameter:
    """Return the NetParameter in a prototxt. Raises WeightsError if there is none.

    The file may come from anyone: layers that write files or run modules other than ours are
    refused.
    """
    spec = NetParameter()
    try:
        text_format.Merge(read_text(path, MAX_PROTOTXT), spec)
    except (FCNError, OSError) as error:
        raise WeightsError(str(error)) from error
    except (ValueError, RecursionError, text_format.ParseError) as error:
        message = ' '.join(str(error).split())
        if len(message) > 160:
            message = f'{message[:160]}…'
        raise WeightsError(f'{path}: no prototxt of a net ({message})') from error
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
            f'{path}: layers of type {few(unknown)} cannot be used here; give a deploy prototxt'
        )
    for layer in spec.layer:
        python = layer.python_param
        if layer.type == 'Python' and (python.module, python.layer) != DATA_LAYER:
            raise WeightsError(
                f"{path}: layer '{layer.name}' would run {python.module or 'no module'}."
                f'{python.layer or "no class"}; only {".".join(DATA_LAYER)} may run, so give a '
                'deploy prototxt'
            )
    return spec
