"""Filter rarefaction: subsampling goes and what follows is dilated, so that one run of the net
gives what f² runs on shifted inputs give, interlaced (section 3.2; `stitch` has those runs).

A layer whose stride of s goes has s times as many cells to a side. A window that looked
at neighbours among them must look at every s-th one now. Caffe's convolutions can, by
`dilation`; its poolings cannot, so Im2col collects each dilated window, Slice takes it
apart and Eltwise takes the maximum or the mean. The other way is the paper's aside: the
cells fall into s² subsampled versions, a batch of them, on which the net goes on as it was.
Both ways take the weights of the net as it was.

They agree with the shifted runs where a cell sees nothing but the image and the zeros that
the first layer puts around it. Nearer to the border, paddings further on and poolings that
reach past the end (Caffe rounds their size up) depend on where the grid starts: the shifted
runs differ there from any one run. `stitch.inside` says which cells those are, or refuses.
"""

from typing import NamedTuple

from caffe.proto import caffe_pb2

from fcn.errors import FCNError
from fcn.text import few

# What these do to a cell, its neighbours do not change.
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


MOST = 4096  # cells of a window, to a side or apart: no net that can be run has more


class Window(NamedTuple):
    """What a convolution or a pooling looks at; each is (height, width)."""

    kernel: tuple
    stride: tuple
    pad: tuple
    dilation: tuple


def window(layer):
    """The Window of a convolution or a pooling."""
    param = layer.convolution_param if layer.type == 'Convolution' else layer.pooling_param

    def pair(name, default, full=None):
        if param.HasField(f'{name}_h') or param.HasField(f'{name}_w'):
            return getattr(param, f'{name}_h'), getattr(param, f'{name}_w')
        values = getattr(param, full or name)
        values = [values] if isinstance(values, int) else list(values) or [default]
        return tuple((values * 2)[:2])

    dilation = tuple((list(layer.convolution_param.dilation) * 2 or [1, 1])[:2])
    found = Window(pair('kernel', 1, 'kernel_size'), pair('stride', 1), pair('pad', 0), dilation)
    if max(map(max, found)) > MOST or min(found.stride) < 1:
        raise FCNError(f'{layer.name}: a window of {found} is none that a net can have')
    return found


def subsampling(spec):
    """{name: stride as (height, width)} of the layers of a NetParameter that keep fewer cells than they see."""
    return {
        layer.name: window(layer).stride
        for layer in spec.layer
        if layer.type in ('Convolution', 'Pooling') and window(layer).stride != (1, 1)
    }


def until(spec, top):
    """The NetParameter `spec` cut to what its blob `top` needs. Raises FCNError if there is no such blob."""
    needed, kept = {top}, []
    for layer in reversed(spec.layer):
        if needed.intersection(layer.top):
            needed.update(layer.bottom)
            kept.append(layer)
    if not kept:
        blobs = [name for layer in spec.layer for name in layer.top]
        raise FCNError(f'{top}: no blob of the net; its last is {few(blobs[-1:])}')
    return _with_layers(spec, reversed(kept))


def rarefy(spec, layers=None, batch=False):
    """The NetParameter `spec` without the subsampling of the layers named (all that subsample by default).

    What follows is dilated; or, with `batch`, it stays as it is and sees the s² subsampled versions
    of N×C×H×W as s²·N×C×⌊H/s⌋×⌊W/s⌋, which `stitch.interlace` puts together at the end. Raises
    FCNError for a layer that does not subsample, for one that does after a chosen one and is not
    chosen, and for what cannot be dilated.
    """
    there, chosen = subsampling(spec), _chosen(spec, layers)
    result, dilations = [], {}
    for layer in spec.layer:
        dilation = _dilation(layer, dilations)
        step = chosen.get(layer.name, (1, 1))
        if max(_times(dilation, step)) > MOST:
            raise FCNError(
                f'{layer.name}: cells would lie {max(_times(dilation, step))} apart; remove the '
                'subsampling of fewer layers (--layers)'
            )
        if dilation != (1, 1) or layer.name in chosen:
            result += _in_batch(layer, step) if batch else _dilated(layer, dilation)
        else:
            result.append(layer)
        if layer.name in there and layer.name not in chosen and dilation != (1, 1):
            raise FCNError(
                f'{layer.name} subsamples what {few(chosen)} would no longer: name {layer.name} too, or '
                'only layers after it'
            )
        dilations.update(
            dict.fromkeys(layer.top, tuple(d * s for d, s in zip(dilation, step, strict=True)))
        )
    return _with_layers(spec, result)


def _with_layers(spec, layers):
    result = caffe_pb2.NetParameter()
    result.CopyFrom(spec)
    del result.layer[:]
    result.layer.extend(layers)
    return result


def _chosen(spec, layers):
    there = subsampling(spec)
    if not there:
        raise FCNError('the net has no layer that subsamples; there is nothing to remove')
    if unknown := [name for name in layers or () if name not in there]:
        raise FCNError(
            f'{few(unknown)}: no layer of the net that subsamples; those are {few(there, 12)}'
        )
    return {name: there[name] for name in layers or there}


def _dilation(layer, dilations):
    """How far apart in its bottoms the cells lie that were neighbours. FCNError if a layer cannot treat them so."""
    below = {dilations.get(name, (1, 1)) for name in layer.bottom}
    if len(below) > 1:
        raise FCNError(
            f'{layer.name} ({layer.type}) joins what is dilated with what is not; '
            'end the net before it (--top), or remove the subsampling of both'
        )
    dilation = below.pop() if below else (1, 1)
    if dilation == (1, 1):
        return dilation
    if layer.type in ('Convolution', 'Pooling'):
        if layer.type == 'Pooling' and (
            layer.pooling_param.global_pooling
            or len(layer.top) > 1
            or layer.pooling_param.pool == layer.pooling_param.STOCHASTIC
        ):
            raise FCNError(
                f'{layer.name}: only plain maximum and average pooling over a window can be dilated; '
                'end the net before it (--top)'
            )
        return dilation
    if layer.type == 'InnerProduct':
        raise FCNError(
            f'{layer.name} is fully connected and cannot be dilated; cast the net first '
            '(python -m surgery cast)'
        )
    across = layer.type != 'LRN' or layer.lrn_param.norm_region == layer.lrn_param.ACROSS_CHANNELS
    if layer.type not in CELLWISE or not across:
        raise FCNError(
            f'{layer.name} ({layer.type}) cannot be dilated; end the net before it (--top)'
        )
    return dilation


def _dilated(layer, dilation):
    """The layers that do, with a stride of 1, what `layer` did before its cells lay `dilation` apart."""
    if layer.type not in ('Convolution', 'Pooling'):
        return [layer]
    seen = window(layer)
    if layer.type == 'Pooling':
        if dilation == (1, 1) or seen.kernel == (1, 1):
            return [_dense(layer)]
        return _dilated_pooling(
            layer, seen._replace(pad=_times(seen.pad, dilation), dilation=dilation)
        )
    layer = _dense(layer)
    param = layer.convolution_param
    for field in ('pad_h', 'pad_w'):
        param.ClearField(field)
    param.pad[:] = _short(_times(seen.pad, dilation))
    param.dilation[:] = _short(_times(seen.dilation, dilation))
    return [layer]


def _dense(layer):
    """`layer` with a stride of 1."""
    result = caffe_pb2.LayerParameter()
    result.CopyFrom(layer)
    param = result.convolution_param if layer.type == 'Convolution' else result.pooling_param
    for field in ('stride', 'stride_h', 'stride_w'):
        param.ClearField(field)
    if (
        layer.type == 'Pooling'
    ):  # Which would have a stride of 1 by default, were it not good to see.
        param.stride = 1
    return result


def _dilated_pooling(layer, seen):
    """Maximum or mean over the cells of a dilated window. Its padding counts as zeros, Caffe's maximum ignores it."""
    count = seen.kernel[0] * seen.kernel[1]
    layers, cells = _gather(layer.name, layer.bottom[0], seen._replace(stride=(1, 1)))
    if layer.pooling_param.pool == layer.pooling_param.MAX:
        joint = dict(operation=caffe_pb2.EltwiseParameter.MAX)
    else:
        joint = dict(operation=caffe_pb2.EltwiseParameter.SUM, coeff=[1 / count] * count)
    return [
        *layers,
        _layer(f'{layer.name}_joint', 'Eltwise', cells, eltwise_param=joint),
        _layer(
            layer.name, 'Reshape', [f'{layer.name}_joint'], layer.top, reshape_param=_WITHOUT_AXIS
        ),
    ]


def _in_batch(layer, step):
    """`layer` with a stride of 1, and its top's s² subsampled versions as a batch."""
    if step == (1, 1):
        return [layer]
    layer, top = _dense(layer), layer.top[0]
    layer.top[0] = f'{top}_dense'
    layers, versions = _gather(layer.name, layer.top[0], Window(step, step, (0, 0), (1, 1)))
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


# N×C×1×H×W to N×C×H×W.
_WITHOUT_AXIS = dict(shape={}, axis=2, num_axes=1)


def _gather(name, bottom, seen):
    """Layers that take each element of a Window as a blob of N×C×1×H×W, and the names of these blobs."""
    count = seen.kernel[0] * seen.kernel[1]
    if count > MOST:
        raise FCNError(
            f'{name}: a window of {count} cells cannot be taken apart; end the net before it (--top)'
        )
    columns = dict(
        kernel_size=_short(seen.kernel),
        stride=_short(seen.stride),
        pad=_short(seen.pad),
        dilation=_short(seen.dilation),
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


def _layer(name, kind, bottom, top=None, **params):
    return caffe_pb2.LayerParameter(
        name=name, type=kind, bottom=bottom, top=top or [name], **params
    )


def _times(a, b):
    return tuple(x * y for x, y in zip(a, b, strict=True))


def _short(pair):
    return list(pair[:1] if pair[0] == pair[1] else pair)
