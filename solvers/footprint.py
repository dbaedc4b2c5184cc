"""How much a net needs for an image, known before Caffe is asked to allocate it.

Caffe aborts the process where a blob has 2³¹ elements, and the kernel ends one that asks
for more memory than there is: a photo of some megapixels can do either.
"""

from pathlib import Path

from engine import STOCK
from errors import UserError

MAX_ELEMENTS = 2 ** 31 - 1
SHARE = 0.8  # of the free memory that a net may take
LARGEST_TILE = 4096  # beyond it, overlap is little
WORKSPACE = 200e6  # bytes that all layers share, and more
# Small enough to be cheap, large enough that rounding in the pools hardly counts.
_SIDES = (96, 224)


class Footprint:
    """What a deploy net that is lean (engine.lean) holds at once, as a function of the image's size.

    Heights and widths of blobs are affine in the image's, so two sizes tell all. Caffe's
    stock layers give nothing back, and keep a buffer each for the patches that they
    multiply (im2col).
    """

    def __init__(self, net):
        found = [_buffers(net, side) for side in _SIDES]
        self.buffers = {name: (found[0][name], found[1][name][1]) for name in found[0]}
        self.steps = [list(self.buffers)] if STOCK else _alive(net)

    def elements(self, height, width):
        """{blob or buffer: its elements} for an image of this size."""
        counts = {}
        for name, ((depth, low), high) in self.buffers.items():
            slope = (high - low) / (_SIDES[1] - _SIDES[0])
            counts[name] = depth * (high + slope * (height - _SIDES[1])) * (high + slope * (width - _SIDES[1]))
        return counts

    def fits(self, height, width, free):
        """Whether Caffe can take an image of this size in `free` bytes."""
        largest = max(self.elements(height, width).values())
        return largest <= MAX_ELEMENTS and self.bytes(height, width) <= SHARE * free

    def bytes(self, height, width):
        """Bytes that are held at once, at most, for an image of this size."""
        counts = self.elements(height, width)
        return WORKSPACE + 4 * max(sum(counts[name] for name in names) for names in self.steps)

    def tile(self, tiling, free):
        """The side of the largest tiles worth having that fit in `free` bytes; UserError if none does."""
        side = tiling.smallest()
        if not self.fits(side, side, free):
            raise UserError(f'the net needs {self.bytes(side, side) / 1e9:.1f} GB for the smallest tiles that it can '
                            f'segment an image by, and {SHARE * free / 1e9:.1f} GB may be taken; end other programs')
        while side < LARGEST_TILE and self.fits(side + tiling.stride, side + tiling.stride, free):
            side += tiling.stride
        return side


def free_memory():
    """Bytes that can be allocated without swapping, as Linux estimates them."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable'):
            return 1024 * int(line.split()[1])
    return MAX_ELEMENTS


def _alive(net):
    """For each layer, the blobs that are held as it computes: what it makes and what it or a later one reads."""
    layers = list(net.layer_dict)
    last = {name: index for index, layer in enumerate(layers) for name in net.bottom_names[layer]}
    last.update(dict.fromkeys([*net.inputs, *net.outputs], len(layers)))
    steps, held = [], set(net.inputs)
    for index, layer in enumerate(layers):
        held |= set(net.top_names[layer])
        steps.append(sorted(held))
        held = {name for name in held if last.get(name, index) > index}
    return steps


def _buffers(net, side):
    """{name: (depth, height)} of every blob, and of every im2col buffer, for an image of side×side."""
    for name in net.inputs:
        net.blobs[name].reshape(1, net.blobs[name].shape[1], side, side)
    net.reshape()
    shapes = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    buffers = {name: shape[1:3] for name, shape in shapes.items() if len(shape) == 4}
    for name, layer in net.layer_dict.items():
        if STOCK and layer.type in ('Convolution', 'Deconvolution'):
            spatial = net.top_names[name][0] if layer.type == 'Convolution' else net.bottom_names[name][0]
            _, depth, *kernel = layer.blobs[0].shape
            if layer.type == 'Convolution':
                depth = shapes[net.bottom_names[name][0]][1]  # with all its groups
            buffers[f'{name} im2col'] = (depth * kernel[0] * kernel[1], shapes[spatial][2])
    return buffers
