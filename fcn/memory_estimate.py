"""How much a net needs for an image, known before Caffe is asked to allocate it.

Caffe aborts the process where a blob has 2³¹ elements, and the kernel ends one that asks
for more memory than there is: a photo of some megapixels can do either.
"""

from fcn.data_layers import dataset_class, open_image
from fcn.data_layers.prefetch import evenly_spread
from fcn.engine import STOCK, net_of
from fcn.errors import DataError, FCNError
from fcn.memory import SHARE, free_memory
from fcn.nets import deploy_net
from fcn.text import gigabytes

MAX_ELEMENTS = 2**31 - 1
LARGEST_TILE = 4096  # beyond it, overlap is little
WORKSPACE = 200e6  # bytes that all layers share, and more
# Small enough to be cheap, large enough that rounding in the pools hardly counts.
_SIDES = (96, 224)


class MemoryEstimate:
    """What a deploy net that is lean (engine.release_activations) holds at once, as a function of the image's size.

    Heights and widths of blobs are affine in the image's, so two sizes tell all. On a GPU
    nothing is given back, nor by Caffe's stock layers, which keep a buffer each for the
    patches that they multiply (im2col).
    """

    def __init__(self, net, device='cpu'):
        found = [_buffers(net, side) for side in _SIDES]
        self.buffers = {name: (found[0][name], found[1][name][1]) for name in found[0]}
        self.steps = [list(self.buffers)] if STOCK or device != 'cpu' else _alive(net)
        self.weights = 4 * sum(blob.count for blobs in net.params.values() for blob in blobs)

    def elements(self, height, width):
        """{blob or buffer: its elements} for an image of this size."""
        counts = {}
        for name, ((depth, low), high) in self.buffers.items():
            slope = (high - low) / (_SIDES[1] - _SIDES[0])
            counts[name] = (
                depth * (high + slope * (height - _SIDES[1])) * (high + slope * (width - _SIDES[1]))
            )
        return counts

    def fits(self, height, width, free):
        """Whether Caffe can take an image of this size in `free` bytes."""
        largest = max(self.elements(height, width).values())
        return largest <= MAX_ELEMENTS and self.bytes(height, width) <= SHARE * free

    def bytes(self, height, width):
        """Bytes that are held at once, at most, for an image of this size."""
        counts = self.elements(height, width)
        return WORKSPACE + 4 * max(sum(counts[name] for name in names) for names in self.steps)

    def training_bytes(self, height, width, batch=1):
        """The same of the net in training, weights included: all activations are kept for the backward pass,
        gradients for as long as they are read, and of the weights their gradients and momentum too."""
        counts = self.elements(height, width)
        gradients = max(sum(counts[name] for name in names) for names in self.steps)
        return WORKSPACE + 3 * self.weights + 4 * batch * (sum(counts.values()) + gradients)

    def tile(self, tiling, free):
        """The side of the largest tiles worth having that fit in `free` bytes; FCNError if none does."""
        side = tiling.smallest()
        if not self.fits(side, side, free):
            raise FCNError(
                f'the net needs {self.bytes(side, side) / 1e9:.1f} GB for the smallest tiles that it can '
                f'segment an image by, and {SHARE * free / 1e9:.1f} GB may be taken; end other programs'
            )
        while side < LARGEST_TILE and self.fits(side + tiling.stride, side + tiling.stride, free):
            side += tiling.stride
        return side


def check_memory(name, config, source, training=False, beside=0, device='cpu', free=None):
    """The bytes that training or scoring on the largest image of a data_layers.Source needs; DataError if the
    device has not so many.

    Only the images' headers are read; one that is missing or no image is named here, too. `beside` is what the
    process will need besides, `free` what there is, in bytes.
    """
    if config.is_classifier:  # A classifier's images have one size, which its data layer compares.
        return 0
    file, height, width = _largest(config, source)
    estimate = MemoryEstimate(net_of(deploy_net(config)), device)
    batch = dict(source.options).get('batch', 1)
    needed = (
        estimate.training_bytes(height, width, batch)
        if training
        else (estimate.weights + batch * estimate.bytes(height, width))
    )
    largest = batch * max(estimate.elements(height, width).values())
    free = free_memory(device) if free is None else free
    what = f'{file} is {width}×{height}: {"training" if training else "scoring"} {name} on it'
    mend = 'make the image smaller' + (
        '' if training or beside else ', or segment it with infer.py --tile'
    )
    if largest > MAX_ELEMENTS:
        raise DataError(
            f'{what} needs a blob of {largest:.1e} elements, and Caffe has none of 2³¹ or more; {mend}'
        )
    if needed + beside > SHARE * free:
        more = f' beside {gigabytes(beside)} for training' if beside else ''
        raise DataError(
            f'{what} needs {gigabytes(needed)}{more} and {gigabytes(free)} are free, of which '
            f'{gigabytes(SHARE * free)} may be taken; {mend}'
        )
    return needed


def _largest(config, source):
    """(file, height, width) of the image that a net needs most for."""
    dataset = dataset_class(source.dataset)(source.root, source.split)
    top, found = next(iter(config.input_blobs)), {}
    for name in evenly_spread(dataset.names, dict(source.options).get('limit')):
        file = dataset.path(top, name)
        with open_image(file) as image:
            found.setdefault(image.size, file)
    # The nets pad images by 100 pixels a side.
    width, height = max(found, key=lambda size: (size[0] + 200) * (size[1] + 200))
    return found[width, height], height, width


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
            spatial = (
                net.top_names[name][0] if layer.type == 'Convolution' else net.bottom_names[name][0]
            )
            _, depth, *kernel = layer.blobs[0].shape
            if layer.type == 'Convolution':
                depth = shapes[net.bottom_names[name][0]][1]  # with all its groups
            buffers[f'{name} im2col'] = (depth * kernel[0] * kernel[1], shapes[spatial][2])
    return buffers
