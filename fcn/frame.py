"""Computes once what the padding of a net determines, so that images compute only what sees them.

The nets pad their input by 100 pixels. At 500×500 more than a third of the arithmetic of FCN-8s
never sees the image: its results depend on the weights and the image's size alone. They are taken
from one pass over an image of zeros. From then on, images of that size are computed by a net of the
same weights, in which each layer computes its window, the cells that see the image, and is given
what lies around them (Frame layers, pycaffe/onednn/frame.cpp).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fcn.engine import caffe, net_of, release_activations
from fcn.nets.window import Window, window_of

MAX_SIZES = 4  # whose nets are kept
MAX_BYTES = 256e6  # that these nets hold besides the weights and the memory that all nets share
MAX_KNOWN = 256  # sizes that are remembered to have been seen once
WORTH = 0.85  # of a layer's cells; where more see the image, all are computed

# Layers whose cells depend on one cell of each bottom.
_POINTWISE = {'ReLU', 'Dropout', 'LRN', 'Power', 'PReLU', 'ELU', 'Sigmoid', 'TanH', 'AbsVal', 'Exp'}
_JOINING = {'Concat', 'Eltwise'}


class Rect(NamedTuple):
    """Rows top … bottom − 1 and columns left … right − 1 of a blob; beyond its edges is padding."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def area(self) -> int:
        return self.height * self.width

    def holds(self, other: 'Rect') -> bool:
        """Return whether `other` lies in this one."""
        return self.meet(other) == other

    def meet(self, other: 'Rect') -> 'Rect':
        """Return what both share."""
        first, last = map(max, self[:2], other[:2]), map(min, self[2:], other[2:])
        return Rect(*first, *last)

    def join(self, other: 'Rect') -> 'Rect':
        """Return the smallest that holds both."""
        first, last = map(min, self[:2], other[:2]), map(max, self[2:], other[2:])
        return Rect(*first, *last)


class _Blob(NamedTuple):
    """What the windowed net holds of a blob: `held` of `whole`. What lies outside of it does not
    see the image. `writer` is the layer that writes it last."""

    held: Rect
    whole: Rect
    writer: str


class Frame(NamedTuple):
    """A Frame layer: it widens what is held of a blob, as `writer` leaves it, to `wanted`."""

    layer: str
    blob: str
    writer: str
    held: Rect
    wanted: Rect

    def around(self, values: np.ndarray) -> np.ndarray:
        """Return what of `wanted` is not held, C×n, of the whole blob's values, 1×C×H×W."""
        _, channels, height, width = values.shape
        result = np.zeros((channels, self.wanted.height, self.wanted.width), np.float32)
        inner = self.wanted.meet(Rect(0, 0, height, width))
        result[:, *_slices(inner, self.wanted)] = values[0, :, *_slices(inner)]
        covered = np.zeros(result.shape[1:], bool)
        covered[_slices(self.wanted.meet(self.held), self.wanted)] = True
        return result[:, ~covered]


def _slices(rect: Rect, origin: Rect | None = None) -> tuple[slice, slice]:
    """Return the rows and columns of `rect`, counted from the first of `origin`."""
    top, left = (rect.top - origin.top, rect.left - origin.left) if origin else rect[:2]
    return slice(top, top + rect.height), slice(left, left + rect.width)


class Windowed:
    """The windowed net of a NetParameter, and its frames.

    `shapes` are those of the whole net's blobs.
    """

    def __init__(self, spec: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.spec = type(spec)()
        self.spec.CopyFrom(spec)
        del self.spec.layer[:]
        self.frames: list[Frame] = []
        self._shapes = shapes
        self._blobs: dict[str, _Blob] = {}
        self._framed: dict[tuple[str, Rect], str] = {}
        self.saved = 0  # cells that need not be computed, of all convolutions
        for layer in spec.layer:
            self._add(layer)

    def _add(self, layer: Any) -> None:
        copy = type(layer)()
        copy.CopyFrom(layer)
        bottoms = [self._blobs[name] for name in layer.bottom]
        held = None
        if layer.type in _POINTWISE and not _sees_neighbours(layer):
            held = bottoms[0].held
        elif layer.type in _JOINING and all(len(self._shapes[name]) == 4 for name in layer.bottom):
            held = bottoms[0].held
            for other in bottoms[1:]:
                held = held.join(other.held)
            copy.bottom[:] = [self._widened(name, held) for name in layer.bottom]
        elif layer.type in ('Convolution', 'Pooling') and len(bottoms) == len(layer.top) == 1:
            held = self._look(layer, copy)
        if held is None:
            copy.bottom[:] = [
                self._widened(name, blob.whole)
                for name, blob in zip(layer.bottom, bottoms, strict=True)
            ]
        self.spec.layer.append(copy)
        for name in layer.top:
            whole = _whole(self._shapes[name])
            self._blobs[name] = _Blob(held or whole, whole, layer.name)
            self._framed = {key: value for key, value in self._framed.items() if key[0] != name}

    def _look(self, layer: Any, copy: Any) -> Rect | None:
        """Return the cells that a convolution or pooling computes of what its bottom holds, and
        let `copy` read those that it needs; None if the layer is better computed whole."""
        bottom, whole = self._blobs[layer.bottom[0]], _whole(self._shapes[layer.top[0]])
        window = window_of(layer)
        if not all(window.kernel) or len(self._shapes[layer.bottom[0]]) != 4:
            return None
        spans = [
            _seen(window, axis, bottom.held[axis], bottom.held[axis + 2], whole[axis + 2])
            for axis in (0, 1)
        ]
        held = Rect(*(first for first, _ in spans), *(last for _, last in spans))
        if held.area > WORTH * whole.area:
            return None
        spans = [_read(window, axis, held[axis], held[axis + 2]) for axis in (0, 1)]
        wanted = Rect(*(first for first, _ in spans), *(last for _, last in spans))
        if layer.type == 'Pooling' and not bottom.whole.holds(wanted):
            return None  # Padding counts for nothing in a maximum, and in a mean its own way.
        copy.bottom[0] = self._widened(layer.bottom[0], wanted)
        param = copy.convolution_param if layer.type == 'Convolution' else copy.pooling_param
        for name in ('pad', 'pad_h', 'pad_w'):
            param.ClearField(name)
        if layer.type == 'Convolution':
            self.saved += (whole.area - held.area) * self._shapes[layer.top[0]][1]
        return held

    def _widened(self, name: str, wanted: Rect) -> str:
        """Return the blob that holds `wanted` of `name`: that itself, or that of a Frame."""
        blob = self._blobs[name]
        if wanted == blob.held:
            return name
        if (name, wanted) not in self._framed:
            framed = f'{name} framed {len(self.frames)}'
            self._framed[name, wanted] = framed
            self.frames.append(Frame(framed, name, blob.writer, blob.held, wanted))
            layer = self.spec.layer.add(name=framed, type='Frame', bottom=[name], top=[framed])
            row, column = blob.held.top - wanted.top, blob.held.left - wanted.left
            layer.reshape_param.shape.dim[:] = [wanted.height, wanted.width, row, column]
        return self._framed[name, wanted]


def _sees_neighbours(layer: Any) -> bool:
    return layer.type == 'LRN' and layer.lrn_param.norm_region != 0


def _whole(shape: tuple[int, ...]) -> Rect:
    return Rect(0, 0, *shape[2:]) if len(shape) == 4 else Rect(0, 0, 1, 1)


def _seen(window: Window, axis: int, first: int, last: int, size: int) -> tuple[int, int]:
    """Return from where to where outputs see the inputs first … last − 1; there are `size`."""
    reach = (window.kernel[axis] - 1) * window.dilation[axis]
    stride, pad = window.stride[axis], window.pad[axis]
    begin = -((reach - first - pad) // stride)
    return min(max(begin, 0), size), max(0, min((last - 1 + pad) // stride + 1, size))


def _read(window: Window, axis: int, first: int, last: int) -> tuple[int, int]:
    """Return from where to where the outputs first … last − 1 read inputs."""
    reach = (window.kernel[axis] - 1) * window.dilation[axis]
    stride, pad = window.stride[axis], window.pad[axis]
    return first * stride - pad, (last - 1) * stride - pad + reach + 1


class FrameCache:
    """The nets that a net for testing is replaced by, for the sizes of image that come again.

    The first image of a size is computed by the net itself; the second makes the windowed net. The
    weights of `net`, which has released its activations, must not change any more. `inputs` are the
    blobs that images are put into. It has no lock: a net computes for one thread at a time anyway.
    """

    def __init__(self, net: 'caffe.Net', spec: Any, inputs: Iterable[str]) -> None:
        """`spec` is the net's NetParameter."""
        self._net = net
        self._spec = spec
        self._inputs = tuple(inputs)
        self._once: OrderedDict[tuple[int, int], None] = OrderedDict()
        self._nets: OrderedDict[tuple[int, int], caffe.Net] = OrderedDict()

    def net_for(self, height: int, width: int) -> 'caffe.Net':
        """Return the net to compute an image of this size with."""
        size = height, width
        if size in self._nets:
            self._nets.move_to_end(size)
            return self._nets[size]
        if size not in self._once:
            self._once[size] = None
            _forget(self._once, MAX_KNOWN)
            return self._net
        net = self._nets[size] = self._make(height, width) or self._net
        _forget(self._nets, MAX_SIZES)
        while len(self._nets) > 1 and sum(map(self._held, self._nets.values())) > MAX_BYTES:
            _forget(self._nets, len(self._nets) - 1)
        return net

    def _held(self, net: 'caffe.Net') -> float:
        """Return the bytes that a net holds between images, besides the weights that it shares."""
        if net is self._net:
            return 0
        frames = [name for name, layer in net.layer_dict.items() if layer.type == 'Frame']
        count = sum(net.blobs[name].count for name in (*net.inputs, *net.outputs))
        return 4.0 * (count + sum(net.params[name][0].count for name in frames))

    def _make(self, height: int, width: int) -> 'caffe.Net | None':
        """Return the windowed net for images of a size, or None if it would save nothing."""
        spec = type(self._spec)()
        spec.CopyFrom(self._spec)
        for layer in spec.layer:
            if layer.type == 'Input':
                layer.input_param.shape[0].dim[2:] = [height, width]
        for name in self._inputs:
            self._net.blobs[name].reshape(1, self._net.blobs[name].shape[1], height, width)
        self._net.reshape()
        windowed = Windowed(
            spec, {name: tuple(blob.shape) for name, blob in self._net.blobs.items()}
        )
        if not windowed.saved:
            return None
        around = self._around(spec, windowed.frames)
        net = net_of(windowed.spec)
        net.share_with(self._net)
        for name, values in around.items():
            net.params[name][0].data[...] = values
        release_activations(net)
        return net if self._held(net) <= MAX_BYTES else None

    def _around(self, spec: Any, frames: list[Frame]) -> dict[str, np.ndarray]:
        """Return {layer: what lies around its window} of `frames`, from a pass over zeros."""
        writers = {frame.writer for frame in frames}
        names = [layer.name for layer in spec.layer]
        front = type(spec)()
        front.CopyFrom(spec)
        del front.layer[1 + max(map(names.index, writers)) :]
        net = net_of(front)
        net.share_with(self._net)
        around: dict[str, np.ndarray] = {}
        # Caffe keeps the callback for good: it must keep neither the net nor the values.
        watched = [(net, around)]

        def keep(index: int) -> None:
            for net, around in watched:
                name = net._layer_names[index]
                for frame in frames:
                    if frame.writer == name:
                        around[frame.layer] = frame.around(net.blobs[frame.blob].data)

        net.after_forward(keep)  # before the activations are released
        release_activations(net)
        net.forward()
        watched.clear()
        return around


def _forget(items: 'OrderedDict[Any, Any]', most: int) -> None:
    while len(items) > most:
        items.popitem(last=False)
