"""Filter rarefaction: subsampling is removed and what follows is dilated (section 3.2).

One run of the rarefied net gives what f² runs on shifted inputs give, interlaced; `stitch` makes
those runs. A layer whose stride of s is removed has s times as many cells to a side. A window that
looked at neighbours among them must now look at every s-th one. Caffe's convolutions can, by
`dilation`. Its poolings cannot: Im2col collects each dilated window, Slice takes it apart, and
Eltwise takes the maximum or the mean. The other way is the paper's aside: the cells fall into s²
subsampled versions, a batch on which the net continues unchanged. Both ways use the weights of the
original net.

They agree with the shifted runs where a cell sees only the image and the zeros that the first layer
puts around it. Nearer to the border, the padding of later layers and poolings that reach past the
end (Caffe rounds their size up) depend on where the grid starts: there the shifted runs differ from
any single run. `stitch.inside` says which cells agree, or refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from caffe.proto.caffe_pb2 import EltwiseParameter, LayerParameter, NetParameter

from fcn.errors import FCNError
from fcn.nets.window import MAX_CELLS, Pair, Window, window_of
from fcn.text import few

# The types of layers that compute each cell without looking at its neighbours.
CELLWISE = {
    'AbsVal',
    'BatchNorm',
    'Bias',
    'BNLL',
    'Concat',
    'Dropout',
    'Eltwise',
    'ELU',
    'Exp',
    'Input',
    'Log',
    'LRN',
    'Power',
    'PReLU',
    'ReLU',
    'Scale',
    'Sigmoid',
    'Softmax',
    'Split',
    'TanH',
    'Threshold',
}

# Reshapes N×C×1×H×W to N×C×H×W.
_WITHOUT_AXIS: dict[str, Any] = dict(shape={}, axis=2, num_axes=1)


def subsampling(spec: NetParameter) -> dict[str, Pair]:
    """Return the stride, as (height, width), of each layer of a NetParameter that subsamples."""
    return {
        layer.name: window_of(layer).stride
        for layer in spec.layer
        if layer.type in ('Convolution', 'Pooling') and window_of(layer).stride != (1, 1)
    }


def until(spec: NetParameter, top: str) -> NetParameter:
    """Return the NetParameter cut to what its blob `top` needs.

    Raises FCNError if there is no such blob.
    """
    needed, cut = {top}, []
    for layer in reversed(spec.layer):
        if needed.intersection(layer.top):
            needed.update(layer.bottom)
            cut.append(layer)
    if not cut:
        blobs = [name for layer in spec.layer for name in layer.top]
        raise FCNError(f'{top}: the net has no such blob; its last is {few(blobs[-1:])}')
    return _with_layers(spec, reversed(cut))


def rarefy(
    spec: NetParameter, layers: Iterable[str] | None = None, batch: bool = False
) -> NetParameter:
    """Return the NetParameter without the subsampling of `layers`, by default of all layers.

    What follows is dilated. With `batch` it stays as it is and sees the s² subsampled versions of
    N×C×H×W as s²·N×C×⌊H/s⌋×⌊W/s⌋, which `stitch.interlace` puts together at the end. Raises
    FCNError for a layer that does not subsample, for one that subsamples after a chosen one and is
    not chosen itself, and for a layer that cannot be dilated.
    """
    strides = subsampling(spec)
    chosen = _chosen(strides, layers)
    result: list[LayerParameter] = []
    dilations: dict[str, Pair] = {}
    for layer in spec.layer:
        dilation = _dilation(layer, dilations)
        step = chosen.get(layer.name, (1, 1))
        apart = _times(dilation, step)
        if max(apart) > MAX_CELLS:
            raise FCNError(
                f'{layer.name}: its cells would lie {max(apart)} apart; remove the subsampling of '
                'fewer layers (--layers)'
            )
        if dilation != (1, 1) or layer.name in chosen:
            result += _in_batch(layer, step) if batch else _dilated(layer, dilation)
        else:
            result.append(layer)
        if layer.name in strides and layer.name not in chosen and dilation != (1, 1):
            raise FCNError(
                f'{layer.name} would subsample the dense output of {few(chosen)}; name '
                f'{layer.name} too, or only layers after it'
            )
        dilations.update(dict.fromkeys(layer.top, apart))
    return _with_layers(spec, result)


def _with_layers(spec: NetParameter, layers: Iterable[LayerParameter]) -> NetParameter:
    result = NetParameter()
    result.CopyFrom(spec)
    del result.layer[:]
    result.layer.extend(layers)
    return result


def _chosen(strides: Mapping[str, Pair], layers: Iterable[str] | None) -> dict[str, Pair]:
    """Return the strides of the named layers. Raises FCNError for one that does not subsample."""
    if not strides:
        raise FCNError('the net has no layer that subsamples; there is nothing to remove')
    names = list(layers or strides)
    if unknown := [name for name in names if name not in strides]:
        raise FCNError(
            f'{few(unknown)}: no layer of the net that subsamples; those are {few(strides, 12)}'
        )
    return {name: strides[name] for name in names}


def _dilation(layer: LayerParameter, dilations: Mapping[str, Pair]) -> Pair:
    """Return how far apart the cells of a layer's bottoms lie that used to be neighbours.

    Raises FCNError if the layer cannot be dilated by so much.
    """
    below = {dilations.get(name, (1, 1)) for name in layer.bottom}
    if len(below) > 1:
        raise FCNError(
            f'{layer.name} ({layer.type}) joins blobs that are dilated with blobs that are not; '
            'end the net before it (--top), or remove the subsampling of both'
        )
    dilation = below.pop() if below else (1, 1)
    if dilation == (1, 1):
        return dilation
    if layer.type == 'InnerProduct':
        raise FCNError(
            f'{layer.name} is fully connected and cannot be dilated; cast the net first '
            '(fcn surgery cast)'
        )
    if layer.type == 'Pooling' and (
        layer.pooling_param.global_pooling
        or len(layer.top) > 1
        or layer.pooling_param.pool == layer.pooling_param.STOCHASTIC
    ):
        raise FCNError(
            f'{layer.name}: only plain maximum and average pooling over a window can be dilated; '
            'end the net before it (--top)'
        )
    within = layer.type == 'LRN' and layer.lrn_param.norm_region != layer.lrn_param.ACROSS_CHANNELS
    if layer.type not in CELLWISE | {'Convolution', 'Pooling'} or within:
        raise FCNError(
            f'{layer.name} ({layer.type}) cannot be dilated; end the net before it (--top)'
        )
    return dilation


def _dilated(layer: LayerParameter, dilation: Pair) -> list[LayerParameter]:
    """Return the layers of stride 1 that do what `layer` did before its cells lay `dilation`
    apart."""
    if layer.type not in ('Convolution', 'Pooling'):
        return [layer]
    window = window_of(layer)
    if layer.type == 'Pooling':
        if dilation == (1, 1) or window.kernel == (1, 1):
            return [_dense(layer)]
        wide = window._replace(pad=_times(window.pad, dilation), dilation=dilation)
        return _dilated_pooling(layer, wide)
    layer = _dense(layer)
    param = layer.convolution_param
    for field in ('pad_h', 'pad_w'):
        param.ClearField(field)
    param.pad[:] = _short(_times(window.pad, dilation))
    param.dilation[:] = _short(_times(window.dilation, dilation))
    return [layer]


def _dense(layer: LayerParameter) -> LayerParameter:
    """Return `layer` with a stride of 1."""
    result = LayerParameter()
    result.CopyFrom(layer)
    param = result.convolution_param if layer.type == 'Convolution' else result.pooling_param
    for field in ('stride', 'stride_h', 'stride_w'):
        param.ClearField(field)
    if layer.type == 'Pooling':  # 1 is the default; it is written so that a reader sees it.
        param.stride = 1
    return result


def _dilated_pooling(layer: LayerParameter, window: Window) -> list[LayerParameter]:
    """Return layers that take the maximum or the mean over a dilated window.

    Its padding counts as zeros, while Caffe's own maximum ignores padding.
    """
    count = window.kernel[0] * window.kernel[1]
    layers, cells = _gather(layer.name, layer.bottom[0], window._replace(stride=(1, 1)))
    if layer.pooling_param.pool == layer.pooling_param.MAX:
        joint: dict[str, Any] = dict(operation=EltwiseParameter.MAX)
    else:
        joint = dict(operation=EltwiseParameter.SUM, coeff=[1 / count] * count)
    return [
        *layers,
        _layer(f'{layer.name}_joint', 'Eltwise', cells, eltwise_param=joint),
        _layer(
            layer.name, 'Reshape', [f'{layer.name}_joint'], layer.top, reshape_param=_WITHOUT_AXIS
        ),
    ]


def _in_batch(layer: LayerParameter, step: Pair) -> list[LayerParameter]:
    """Return `layer` with a stride of 1, and layers that make a batch of its top's s² subsampled
    versions."""
    if step == (1, 1):
        return [layer]
    layer, top = _dense(layer), layer.top[0]
    layer.top[0] = f'{top}_dense'
    layers, versions = _gather(layer.name, layer.top[0], Window(kernel=step, stride=step))
    return [
        layer,
        *layers,
        _layer(f'{layer.name}_batch', 'Concat', versions, concat_param=dict(axis=0)),
        _layer(
            f'{layer.name}_versions',
            'Reshape',
            [f'{layer.name}_batch'],
            [top],
            reshape_param=_WITHOUT_AXIS,
        ),
    ]


def _gather(name: str, bottom: str, window: Window) -> tuple[list[LayerParameter], list[str]]:
    """Return layers that make a blob N×C×1×H×W of each element of a window, and the names of these
    blobs."""
    count = window.kernel[0] * window.kernel[1]
    if count > MAX_CELLS:
        raise FCNError(
            f'{name}: a window of {count} cells cannot be taken apart; end the net before it '
            '(--top)'
        )
    columns = dict(
        kernel_size=_short(window.kernel),
        stride=_short(window.stride),
        pad=_short(window.pad),
        dilation=_short(window.dilation),
    )
    cells = [f'{name}_cell{index}' for index in range(count)]
    return [
        _layer(f'{name}_windows', 'Im2col', [bottom], convolution_param=columns),
        _layer(
            f'{name}_apart',
            'Reshape',
            [f'{name}_windows'],
            reshape_param=dict(shape=dict(dim=[-1, count]), axis=1, num_axes=1),
        ),
        _layer(f'{name}_cells', 'Slice', [f'{name}_apart'], cells, slice_param=dict(axis=2)),
    ], cells


def _layer(
    name: str, kind: str, bottom: Sequence[str], top: Sequence[str] = (), **params: Any
) -> LayerParameter:
    return LayerParameter(name=name, type=kind, bottom=bottom, top=top or [name], **params)


def _times(a: Pair, b: Pair) -> Pair:
    return a[0] * b[0], a[1] * b[1]


def _short(pair: Pair) -> list[int]:
    """Return a pair as Caffe's lists have it: one number if both are equal."""
    return list(pair[:1] if pair[0] == pair[1] else pair)
