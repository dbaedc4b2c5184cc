"""What a file of ONNX says of itself, and how its inputs and outputs are described."""

import json
from collections.abc import Mapping
from typing import Any

from onnx import TensorProto, ValueInfoProto

from fcn.data_layers.inputs import HHA, Colour, Input, LogDepth

from .check import Agreement
from .source import Source


def metadata(source: Source, agreement: Agreement, half_labels: float | None) -> dict[str, str]:
    """Return the file's metadata, by key. What is no plain text is JSON.

    With several inputs or outputs, means, classes and colours are objects, by blob.
    """
    about: dict[str, Any] = {
        'net': source.name,
        'weights': source.weights.name,
        'weights_sha256': source.digest(),
        'checked_with': agreement.runtime,
        'largest_relative_difference': f'{agreement.difference:.2e}',
    }
    if agreement.equal_labels is not None:
        about['equal_labels'] = f'{agreement.equal_labels:.6f}'
    if half_labels is not None:
        about['equal_labels_float16'] = f'{half_labels:.6f}'
    colours = {blob: source.colours(blob) for blob in source.classes}
    lists: dict[str, Mapping[str, Any]] = {
        'classes': source.classes,
        'colours_rgb': {blob: c.tolist() for blob, c in colours.items() if c is not None},
        'mean': {blob: kind.mean for blob, kind in _with_mean(source).items()},
        'scale': {blob: getattr(kind, 'scale', 1.0) for blob, kind in _with_mean(source).items()},
        'channels': {blob: _channels(kind) for blob, kind in _with_mean(source).items()},
    }
    for key, values in lists.items():
        if values:
            (*_, only) = values.values()
            about[key] = json.dumps(only if len(values) == 1 else values, ensure_ascii=False)
    return about


def _with_mean(source: Source) -> dict[str, Colour | LogDepth]:
    return {b: k for b, k in source.kinds.items() if isinstance(k, Colour | LogDepth)}


def _channels(kind: Input) -> str:
    """Return what an input blob's channels are."""
    if isinstance(kind, LogDepth):
        return 'the logarithm of millimetres'
    return 'HHA' if isinstance(kind, HHA) else 'BGR'


def describe(value: ValueInfoProto, kind: Input | None = None, image: bool = False) -> str:
    """Return in a few words what an input or output is; `kind` is what it is made of, if that is
    known, and `image` whether it is an image and not a blob."""
    tensor = value.type.tensor_type
    dims = [dim.dim_param or str(dim.dim_value or '?') for dim in tensor.shape.dim]
    text = f'{"×".join(dims)} {TensorProto.DataType.Name(tensor.elem_type).lower()}'
    text = text.replace(' float', ' float32')
    if isinstance(kind, LogDepth):
        return f'{text}, millimetres' if image else f'{text}, log of millimetres − {kind.mean:g}'
    if isinstance(kind, Colour):
        channels = _channels(kind)
        if image:
            return f'{text} {"RGB" if channels == "BGR" else channels}'
        scale = '' if kind.scale == 1 else f', times {kind.scale:g}'
        return f'{text} {channels} minus ({", ".join(f"{m:g}" for m in kind.mean)}){scale}'
    return text
