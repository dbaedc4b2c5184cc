"""What a pixel of a score sees of the image: receptive field and stride, from the layers
(section 3)."""

from __future__ import annotations

from typing import NamedTuple

from caffe import NetSpec
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from google.protobuf import text_format

from .window import window_of


class ReceptiveField(NamedTuple):
    """The receptive field of a blob: its element i sees the pixels stride · i + low to
    stride · i + high of the input."""

    stride: float = 1.0
    low: float = 0.0
    high: float = 0.0

    @property
    def size(self) -> float:
        """Side of the receptive field, in pixels."""
        return self.high - self.low + 1


def receptive_fields(spec: NetSpec | NetParameter) -> dict[str, ReceptiveField]:
    """Return the ReceptiveField of each blob, by name.

    They are measured along the height; windows and strides are taken to be equal in height and
    width. Raises FCNError for a window that no net has.
    """
    net = spec
    if not isinstance(spec, NetParameter):
        net = text_format.Parse(str(spec.to_proto()), NetParameter())
    fields: dict[str, ReceptiveField] = {}
    for layer in net.layer:
        below = [fields[name] for name in layer.bottom if name in fields]
        field = _above(layer, below) if below else ReceptiveField()
        fields.update(dict.fromkeys(layer.top, field))
    return fields


def _above(layer: LayerParameter, below: list[ReceptiveField]) -> ReceptiveField:
    """Return the ReceptiveField of a layer's tops, given those of its bottoms."""
    if layer.type == 'Crop':  # Only the size of its second bottom matters.
        field = below[0]
        shift = field.stride * layer.crop_param.offset[0]
        return ReceptiveField(field.stride, field.low + shift, field.high + shift)
    stride = below[0].stride
    low, high = min(field.low for field in below), max(field.high for field in below)
    kernel, step, pad, dilation = (height for height, _ in window_of(layer))
    extent = (kernel - 1) * dilation
    if layer.type == 'Deconvolution':
        # Output j sees the inputs i with step · i ≤ j + pad ≤ step · i + extent.
        fine = stride / step
        return ReceptiveField(fine, low + fine * (pad - extent), high + fine * pad)
    return ReceptiveField(stride * step, low - stride * pad, high + stride * (extent - pad))
