"""How much a net needs for an image, known before Caffe is asked to allocate it.

Caffe aborts the process where a buffer has 2³¹ elements, and the kernel ends one that
asks for more memory than there is. Each convolution keeps a buffer of its own for the
patches that it multiplies (im2col), so a photo of some megapixels can do either.
"""

from pathlib import Path

from errors import UserError

MAX_ELEMENTS = 2 ** 31 - 1
SHARE = 0.8  # of the free memory that a net may take
LARGEST_TILE = 4096  # beyond it, overlap is little
# Small enough to be cheap, large enough that rounding in the pools hardly counts.
_SIDES = (96, 224)


class Footprint:
    """The buffers of a deploy net, as functions of the image's size.

    Heights and widths of blobs are affine in the image's, so two sizes tell all.
    """

    def __init__(self, net):
        self.buffers = list(zip(*(_buffers(net, side) for side in _SIDES), strict=True))

    def elements(self, height, width):
        """Elements of each buffer for an image of this size."""
        counts = []
        for (depth, low), (_, high) in self.buffers:
            slope = (high - low) / (_SIDES[1] - _SIDES[0])
            counts.append(depth * (high + slope * (height - _SIDES[1])) * (high + slope * (width - _SIDES[1])))
        return counts

    def fits(self, height, width, free):
        """Whether Caffe can take an image of this size in `free` bytes."""
        return max(self.elements(height, width)) <= MAX_ELEMENTS and self.bytes(height, width) <= SHARE * free

    def bytes(self, height, width):
        """Bytes of all buffers for an image of this size."""
        return 4 * sum(self.elements(height, width))

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


def _buffers(net, side):
    """(depth, height) of every blob and im2col buffer for an image of side×side."""
    for name in net.inputs:
        net.blobs[name].reshape(1, net.blobs[name].shape[1], side, side)
    net.reshape()
    shapes = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    buffers = [shape[1:3] for shape in shapes.values() if len(shape) == 4]
    for name, layer in net.layer_dict.items():
        if layer.type in ('Convolution', 'Deconvolution'):
            spatial = net.top_names[name][0] if layer.type == 'Convolution' else net.bottom_names[name][0]
            _, depth, *kernel = layer.blobs[0].shape
            if layer.type == 'Convolution':
                depth = shapes[net.bottom_names[name][0]][1]  # with all its groups
            buffers.append((depth * kernel[0] * kernel[1], shapes[spatial][2]))
    return buffers
