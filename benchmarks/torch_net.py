"""A net of the paper in PyTorch, read from its prototxt, with Caffe's weights.

It is what Caffe is measured against, so each layer is the one call of PyTorch that computes it.
"""

import torch
from torch.nn import functional as F


class TorchNet(torch.nn.Module):
    """The layers of a caffe_pb2.NetParameter, with `weights` as {'LAYER/INDEX': array}."""

    def __init__(self, net, weights):
        super().__init__()
        self.layers = [layer for layer in net.layer if layer.type in COMPUTE]
        unknown = {layer.type for layer in net.layer} - {*COMPUTE, 'Input', 'SoftmaxWithLoss'}
        if unknown:
            raise ValueError(f'{net.name}: no counterpart in PyTorch of {", ".join(sorted(unknown))}')
        # torch takes no dot in a parameter's name.
        self.weights = torch.nn.ParameterDict({name: torch.from_numpy(array) for name, array in weights.items()})
        for layer in self.layers:
            if layer.param and layer.param[0].lr_mult == 0:
                for parameter in self._of(layer):
                    parameter.requires_grad_(False)

    def _of(self, layer):
        names = (f'{layer.name}/{index}' for index in range(2))
        return [self.weights[name] for name in names if name in self.weights]

    def forward(self, **blobs):
        """The blobs that nothing takes, of the inputs as N×C×H×W tensors; the last is the score."""
        for layer in self.layers:
            bottoms = [blobs[name] for name in layer.bottom]
            blobs[layer.top[0]] = COMPUTE[layer.type](self, layer, bottoms, self._of(layer))
        return blobs[self.layers[-1].top[0]]


def pair(param, name, default):
    """A convolution's KERNEL, stride or pad: one for both axes, as our nets have it."""
    values = getattr(param, name)
    return values[0] if values else default


def convolution(net, layer, bottoms, weights):
    param = layer.convolution_param
    function = F.conv_transpose2d if layer.type == 'Deconvolution' else F.conv2d
    return function(bottoms[0], weights[0], weights[1] if len(weights) > 1 else None, groups=param.group,
                    stride=pair(param, 'stride', 1), padding=pair(param, 'pad', 0))


def pooling(net, layer, bottoms, weights):
    param = layer.pooling_param
    return F.max_pool2d(bottoms[0], param.kernel_size, param.stride, param.pad, ceil_mode=True)


def normalization(net, layer, bottoms, weights):
    param = layer.lrn_param
    return F.local_response_norm(bottoms[0], param.local_size, param.alpha, param.beta, param.k)


def dropout(net, layer, bottoms, weights):
    return F.dropout(bottoms[0], layer.dropout_param.dropout_ratio, net.training)


def crop(net, layer, bottoms, weights):
    offset = layer.crop_param.offset[0]
    height, width = bottoms[1].shape[2:]
    return bottoms[0][:, :, offset:offset + height, offset:offset + width]


def eltwise(net, layer, bottoms, weights):
    param = layer.eltwise_param
    if param.operation == param.MAX:
        return torch.maximum(*bottoms)
    factors = param.coeff or [1] * len(bottoms)
    return sum(blob if factor == 1 else factor * blob for factor, blob in zip(factors, bottoms, strict=True))


def scale(net, layer, bottoms, weights):
    return bottoms[0] * weights[0].reshape(-1, 1, 1)


COMPUTE = {
    'Concat': lambda net, layer, bottoms, weights: torch.cat(bottoms, 1),
    'Convolution': convolution,
    'Crop': crop,
    'Deconvolution': convolution,
    'Dropout': dropout,
    'Eltwise': eltwise,
    'LRN': normalization,
    'Pooling': pooling,
    'ReLU': lambda net, layer, bottoms, weights: F.relu(bottoms[0], inplace=True),
    'Scale': scale,
}
