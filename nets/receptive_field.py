"""What a pixel of a score sees of the image: receptive field and stride, from the layers (section 3)."""

from typing import NamedTuple

from caffe.proto import caffe_pb2
from google.protobuf import text_format


class ReceptiveField(NamedTuple):
    """Of a blob: its element i sees the pixels from stride · i + low to stride · i + high of the input."""

    stride: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @property
    def size(self):
        """Side of the receptive field, in pixels."""
        return self.high - self.low + 1


def receptive_fields(spec):
    """{blob: ReceptiveField} of a NetSpec or a NetParameter. Windows and strides must be equal in height and width."""
    net = spec
    if not isinstance(spec, caffe_pb2.NetParameter):
        net = text_format.Parse(str(spec.to_proto()), caffe_pb2.NetParameter())
    found = {}
    for layer in net.layer:
        below = [found[name] for name in layer.bottom if name in found]
        field = _above(layer, below) if below else ReceptiveField()
        found.update(dict.fromkeys(layer.top, field))
    return found


def _above(layer, below):
    """The ReceptiveField of a layer's tops."""
    if layer.type == 'Crop':  # Its second bottom gives a size alone.
        field = below[0]
        shift = field.stride * layer.crop_param.offset[0]
        return ReceptiveField(field.stride, field.low + shift, field.high + shift)
    stride = below[0].stride
    low, high = min(field.low for field in below), max(field.high for field in below)
    kernel, step, pad, dilation = _window(layer)
    extent = (kernel - 1) * dilation
    if (
        layer.type == 'Deconvolution'
    ):  # Output j sees the inputs i with step · i ≤ j + pad ≤ step · i + extent.
        return ReceptiveField(
            stride / step, low + stride / step * (pad - extent), high + stride / step * pad
        )
    return ReceptiveField(stride * step, low - stride * pad, high + stride * (extent - pad))


def _window(layer):
    """Kernel, stride, pad and dilation of a layer; those of one that looks at single elements otherwise."""
    if layer.type in ('Convolution', 'Deconvolution'):
        param = layer.convolution_param
        kernel = [param.kernel_h] if param.HasField('kernel_h') else param.kernel_size
        return [
            values[0] if values else default
            for values, default in (
                (kernel, 1),
                (param.stride, 1),
                (param.pad, 0),
                (param.dilation, 1),
            )
        ]
    if layer.type == 'Pooling':
        param = layer.pooling_param
        return param.kernel_size, param.stride, param.pad, 1
    return 1, 1, 0, 1
