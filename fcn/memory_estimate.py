"""How much memory a net needs for an image, known before Caffe is asked to allocate it.

Caffe aborts the process where a blob has 2³¹ elements, and the kernel ends one that asks for more
memory than there is: a photo of some megapixels can do either.
"""

from pathlib import Path

from fcn.data_layers import Source, open_image
from fcn.data_layers.dataset import evenly_spread
from fcn.engine import STOCK, caffe, net_of
from fcn.errors import DataError, FCNError
from fcn.memory import SHARE, free_memory
from fcn.nets import NetConfig, deploy_net
from fcn.text import gigabytes
from fcn.tiling import Tiling

MAX_ELEMENTS = 2**31 - 1  # of one of Caffe's blobs
MAX_TILE = 4096  # beyond it, overlap is little
WORKSPACE = 200e6  # bytes that all layers share, and more
# Small enough to be cheap, large enough that rounding in the pools hardly counts.
_SIDES = (96, 224)


class MemoryEstimate:
    """What a deploy net holds at once as it runs, as a function of the image's size.

    Heights and widths of blobs are affine in the image's, so two sizes tell all. Activations are
    given back (engine.release_activations), but not on a GPU, nor by Caffe's own layers, which keep
    a buffer each for the patches that they multiply (im2col).
    """

    def __init__(self, net: caffe.Net, device: str = 'cpu') -> None:
        small, large = (_buffers(net, side) for side in _SIDES)
        self.buffers = {name: (small[name], large[name][1]) for name in small}
        self.steps = [list(self.buffers)] if STOCK or device != 'cpu' else _held_at_each_layer(net)
        self.weights = 4 * sum(blob.count for blobs in net.params.values() for blob in blobs)

    def elements(self, height: int, width: int) -> dict[str, float]:
        """Return the elements of each blob or buffer for an image of this size."""
        counts = {}
        for name, ((depth, low), high) in self.buffers.items():
            slope = (high - low) / (_SIDES[1] - _SIDES[0])
            sides = (high + slope * (side - _SIDES[1]) for side in (height, width))
            rows, columns = sides
            counts[name] = depth * rows * columns
        return counts

    def fits(self, height: int, width: int, free: float) -> bool:
        """Return whether Caffe can take an image of this size in `free` bytes."""
        largest = max(self.elements(height, width).values())
        return largest <= MAX_ELEMENTS and self.bytes(height, width) <= SHARE * free

    def bytes(self, height: int, width: int) -> float:
        """Return the bytes that are held at once, at most, for an image of this size."""
        return WORKSPACE + 4 * self._held(self.elements(height, width))

    def training_bytes(self, height: int, width: int, batch: int = 1) -> float:
        """Return the same of the net in training, weights included.

        All activations are kept for the backward pass, their gradients for as long as they are
        read, and of the weights their gradients and momentum too.
        """
        counts = self.elements(height, width)
        activations = sum(counts.values())
        return WORKSPACE + 3 * self.weights + 4 * batch * (activations + self._held(counts))

    def _held(self, counts: dict[str, float]) -> float:
        return max(sum(counts[name] for name in names) for names in self.steps)

    def tile(self, tiling: Tiling, free: float) -> int:
        """Return the side of the largest tiles worth having that fit in `free` bytes; FCNError if
        none does."""
        side = tiling.smallest()
        if not self.fits(side, side, free):
            raise FCNError(
                f'the net needs {gigabytes(self.bytes(side, side))} for the smallest tiles that it '
                f'can segment an image by, and {gigabytes(SHARE * free)} may be taken; end other '
                'programs'
            )
        while side < MAX_TILE and self.fits(side + tiling.stride, side + tiling.stride, free):
            side += tiling.stride
        return side


def check_memory(
    name: str,
    config: NetConfig,
    source: Source,
    training: bool = False,
    reserved: float = 0,
    device: str = 'cpu',
    free: float | None = None,
) -> float:
    """Return the bytes that training or scoring on the largest image of a source needs.

    Only headers of images are read; one that is missing or no image is named here, too. `reserved`
    is what the process will need besides, `free` what there is, in bytes. Raises DataError if the
    device has not so many.
    """
    if config.is_classifier:  # Its images have one size, which its data layer compares.
        return 0
    file, height, width = _largest(config, source)
    estimate = MemoryEstimate(net_of(deploy_net(config)), device)
    batch = dict(source.options).get('batch', 1)
    if training:
        needed = estimate.training_bytes(height, width, batch)
    else:
        needed = estimate.weights + batch * estimate.bytes(height, width)
    largest = batch * max(estimate.elements(height, width).values())
    free = free_memory(device) if free is None else free
    problem = f'{file}: {"training" if training else "scoring"} {name} on {width}×{height}'
    fix = 'make the image smaller'
    if not (training or reserved):
        fix += ', or segment it with infer.py --tile'
    if largest > MAX_ELEMENTS:
        raise DataError(
            f'{problem} needs a blob of {largest:.1e} elements, and Caffe has none of 2³¹ or more; '
            f'{fix}'
        )
    if needed + reserved > SHARE * free:
        more = f' besides {gigabytes(reserved)} for training' if reserved else ''
        raise DataError(
            f'{problem} needs {gigabytes(needed)}{more}, and of {gigabytes(free)} that are free '
            f'{gigabytes(SHARE * free)} may be taken; {fix}'
        )
    return needed


def _largest(config: NetConfig, source: Source) -> tuple[Path, int, int]:
    """Return (file, height, width) of the image that a net needs most for."""
    dataset = source.open()
    top = next(iter(config.input_blobs))
    files: dict[tuple[int, int], Path] = {}
    for name in evenly_spread(dataset.names, dict(source.options).get('limit')):
        file = dataset.path(top, name)
        with open_image(file) as image:
            files.setdefault(image.size, file)
    # The nets pad images by 100 pixels a side.
    width, height = max(files, key=lambda size: (size[0] + 200) * (size[1] + 200))
    return files[width, height], height, width


def _held_at_each_layer(net: caffe.Net) -> list[list[str]]:
    """Return, for each layer, the blobs that are held as it computes: what it makes and what it or
    a later one reads."""
    layers = list(net.layer_dict)
    last_use = {
        name: index for index, layer in enumerate(layers) for name in net.bottom_names[layer]
    }
    last_use.update(dict.fromkeys([*net.inputs, *net.outputs], len(layers)))
    steps, held = [], set(net.inputs)
    for index, layer in enumerate(layers):
        held |= set(net.top_names[layer])
        steps.append(sorted(held))
        held = {name for name in held if last_use.get(name, index) > index}
    return steps


def _buffers(net: caffe.Net, side: int) -> dict[str, tuple[int, int]]:
    """Return (depth, height) of every blob and im2col buffer for an image of side×side."""
    for name in net.inputs:
        net.blobs[name].reshape(1, net.blobs[name].shape[1], side, side)
    net.reshape()
    shapes = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    buffers = {name: shape[1:3] for name, shape in shapes.items() if len(shape) == 4}
    if not STOCK:
        return buffers
    for name, layer in net.layer_dict.items():
        if layer.type in ('Convolution', 'Deconvolution'):
            convolution = layer.type == 'Convolution'
            spatial = (net.top_names if convolution else net.bottom_names)[name][0]
            _, depth, *kernel = layer.blobs[0].shape
            if convolution:
                depth = shapes[net.bottom_names[name][0]][1]  # with all its groups
            buffers[f'{name} im2col'] = (depth * kernel[0] * kernel[1], shapes[spatial][2])
    return buffers
