"""How much memory a net needs for an image, known before Caffe is asked to allocate it.

Caffe aborts the process where a blob has 2³¹ elements, and the kernel ends one that asks for more
memory than there is: a photo of some megapixels can do either.
"""

from pathlib import Path
from typing import NamedTuple

from fcn.data_layers import Source, open_image
from fcn.data_layers.dataset import evenly_spread
from fcn.engine import STOCK, caffe, net_of, threads
from fcn.errors import DataError, FCNError
from fcn.inference import compared_blobs
from fcn.memory import SHARE, free_memory
from fcn.memory_pool import Pool, managed_blobs
from fcn.mpi import Group
from fcn.nets import NetConfig, deploy_net, train_net_with_inputs
from fcn.text import gigabytes
from fcn.tiling import Tiling

MAX_ELEMENTS = 2**31 - 1  # of one of Caffe's blobs
MAX_TILE = 4096  # beyond it, overlap is little
LIBRARIES = 30e6  # bytes that Caffe and oneDNN take for themselves
# Of pycaffe/winograd/convolver.cpp: bytes of transformed weights that are kept, of a chunk of
# transformed tiles, of the sums of groups of tiles, of what a thread has of its own.
MAX_WEIGHTS, CHUNK, GROUPS, THREAD = 21e6, 17e6, 67e6, 4e6
SQUARES = [(side, side) for side in range(3, 8)]  # the kernels that it takes
PATCHES = ('Convolution', 'Deconvolution') if STOCK else ()  # types that keep patches (im2col)
READER = 40e6  # bytes of a process that reads images, without them
PHOTO = 24  # bytes for each pixel of a photo that is segmented, outside of the net
COPIES = 2  # of an example's arrays: one here, one in that process
# Small enough to be cheap, large enough that rounding in the pools hardly counts.
_SIDES = (96, 224)


class Use(NamedTuple):
    """The bytes that something takes of its own, and of the pool that all nets share."""

    own: float
    pool: float = 0

    def __add__(self, other: 'Use') -> 'Use':  # type: ignore[override]
        return Use(self.own + other.own, max(self.pool, other.pool))

    @property
    def bytes(self) -> float:
        return self.own + self.pool


NOTHING = Use(0)


def workspace(outputs: int, inputs: int, training: bool = False) -> float:
    """Return the bytes that a Winograd convolution takes at most, besides its blobs.

    All layers share them. Weights have 64 points of four bytes once they are transformed, for each
    pair of channels; where that is much, a thread makes those of 32 outputs at a time.
    """
    weights, mine = 256.0 * inputs * outputs, THREAD * threads()
    if weights <= MAX_WEIGHTS:
        needed = weights + mine
    else:
        needed = CHUNK + threads() * 256 * 32 * min(inputs, 1024) + mine
    if not training:
        return needed
    groups = min(16, GROUPS // weights)
    sums = groups * weights if groups >= 4 else CHUNK + threads() * 256 * 32 * inputs
    return max(needed, workspace(inputs, outputs), sums + mine)


class MemoryEstimate:
    """What a net takes as it runs, as a function of the image's size.

    Heights and widths of blobs are affine in the image's, so two sizes tell all. The memory of
    activations, in training that of their gradients, comes from a pool and goes back to it
    (engine.release_activations), but not on a GPU, nor with Caffe's own layers, which keep a buffer
    each for the patches that they multiply (im2col).
    """

    def __init__(self, net: caffe.Net, device: str = 'cpu') -> None:
        gpu = device != 'cpu'
        small, large = (_buffers(net, side, gpu) for side in _SIDES)
        self.buffers = {name: (small[name], large[name][1]) for name in small}
        self.weights = 4.0 * sum(blob.count for blobs in net.params.values() for blob in blobs)
        self._layers = [
            (layer.type, net.bottom_names[name], net.top_names[name])
            for name, layer in net.layer_dict.items()
        ]
        pooled = not STOCK and not gpu
        fixed = {*net.inputs, *net.outputs}
        self._tested = managed_blobs(self._layers, fixed | {*compared_blobs(net)}) if pooled else {}
        self._trained = managed_blobs(self._layers, fixed) if pooled else {}
        shapes = [tuple(blobs[0].shape) for blobs in net.params.values()]
        sides = [(shape[0], shape[1]) for shape in shapes if pooled and shape[2:] in SQUARES]
        self._forward = max((workspace(*side) for side in sides), default=0.0)
        self._backward = max((workspace(*side, training=True) for side in sides), default=0.0)
        self._views = {top for kind, _, tops in self._layers if kind == 'Split' for top in tops}

    def elements(self, height: int, width: int) -> dict[str, float]:
        """Return the elements of each blob or buffer for an image of this size."""
        counts = {}
        for name, ((depth, low), high) in self.buffers.items():
            slope = (high - low) / (_SIDES[1] - _SIDES[0])
            sides = (high + slope * (side - _SIDES[1]) for side in (height, width))
            rows, columns = sides
            counts[name] = depth * rows * columns
        return counts

    def fits(self, height: int, width: int, free: float, besides: Use = NOTHING) -> bool:
        """Return whether the net can test an image of this size in `free` bytes, `besides` what
        else is taken of them."""
        largest = max(self.elements(height, width).values())
        needed = self.testing(height, width) + besides
        return largest <= MAX_ELEMENTS and needed.bytes <= SHARE * free

    def testing(self, height: int, width: int, batch: int = 1) -> Use:
        """Return what a forward pass takes, without weights."""
        counts = self.elements(height, width)
        own = sum(
            count
            for name, count in counts.items()
            if name not in self._tested and not name.endswith(' mask')
        )
        pool = Pool(counts)
        for _ in range(2):  # The second image finds what the first one left.
            pool.forward(self._layers, self._tested)
        return Use(4 * batch * own, LIBRARIES + self._forward + 4 * batch * pool.peak)

    def training(self, height: int, width: int, batch: int = 1) -> Use:
        """Return what an iteration takes, weights included.

        All activations are kept for the backward pass, their gradients for as long as they are
        read, and of the weights their gradients and momentum too, and a copy for a snapshot.
        """
        counts = self.elements(height, width)
        own = sum(count for name, count in counts.items() if name not in self._views)
        if not self._trained:
            own *= 2
        pool = Pool(counts)
        for _ in range(2):
            pool.backward(self._layers, self._trained)
        own = 4 * self.weights + 4 * batch * own
        return Use(own, LIBRARIES + self._backward + 4 * batch * pool.peak)

    def tile(self, tiling: Tiling, free: float, besides: Use = NOTHING) -> int:
        """Return the side of the largest tiles worth having that fit in `free` bytes, `besides`
        what else is taken of them; FCNError if none does."""
        side = tiling.smallest()
        if not self.fits(side, side, free, besides):
            needed = self.testing(side, side) + besides
            raise FCNError(
                f'the net needs {gigabytes(needed.bytes)} for the smallest tiles that it '
                f'can segment an image by, and {gigabytes(SHARE * free)} may be taken; end other '
                'programs'
            )
        while side < MAX_TILE and self.fits(
            side + tiling.stride, side + tiling.stride, free, besides
        ):
            side += tiling.stride
        return side


class Tiles(NamedTuple):
    """The side of the tiles to score images by, and why not whole."""

    side: int
    why: str


def tiles_of_all(group: Group, tiles: Tiles | None) -> Tiles | None:
    """Return the tiles that all processes take: the smallest that one of them needs."""
    return min((Tiles(*told) for told in group.gather(tiles) if told), default=None)


def check_memory(
    name: str,
    config: NetConfig,
    scored: Source,
    learned: Source | None = None,
    device: str = 'cpu',
    free: float | None = None,
    truth: bool = True,
    sharing: int = 1,
) -> Tiles | None:
    """Return the tiles to score the images of `scored` by; None if all fit in memory whole.

    With `learned`, the net is trained on that besides. Without `truth`, the images are segmented
    only. Only headers of images are read; one that is missing or no image is named here, too.
    `free` is what there is, in bytes, of which each of `sharing` processes takes as much. Raises
    DataError if training does not fit, or scoring by the smallest tiles.
    """
    if config.is_classifier:  # Its images have one size, which its data layer compares.
        return None
    free = free_memory(device) if free is None else free
    if device == 'cpu':
        free /= sharing
    estimate = MemoryEstimate(net_of(train_net_with_inputs(config, _SIDES[0])), device)
    besides, more = Use(estimate.weights), ''
    if learned is not None:
        besides = _check_training(name, config, learned, estimate, device, free)
        more = f' besides {gigabytes(besides.bytes)} for training'
    file, height, width = largest_image(config, scored)
    batch = _batch(scored)
    besides += reading(config, scored, height, width, device)
    deploy = MemoryEstimate(net_of(deploy_net(config)), device)
    whole = (estimate if truth else deploy).testing(height, width, batch) + besides
    largest = batch * max(estimate.elements(height, width).values())
    if largest <= MAX_ELEMENTS and whole.bytes <= SHARE * free:
        return None
    needs = f'{name} on {width}×{height} would need {gigabytes(whole.bytes)}{more}'
    if largest > MAX_ELEMENTS:
        needs = f'{name} on {width}×{height} would need a blob of {largest:.1e} elements'
    allowed = f'{gigabytes(SHARE * free)} of the {gigabytes(free)} that are free may be taken'
    try:
        side = deploy.tile(Tiling.of(config), free, besides)
    except FCNError as error:
        raise DataError(
            f'{file}: scoring {needs}, and not even its smallest tiles fit: {allowed}; make the '
            'image smaller, or end other programs'
        ) from error
    return Tiles(side, f'{file}: {needs}, and {allowed}; scoring by tiles of {side}')


def _check_training(
    name: str,
    config: NetConfig,
    source: Source,
    estimate: MemoryEstimate,
    device: str,
    free: float,
) -> Use:
    """Return what training on a source takes. Raises DataError if it does not fit."""
    file, height, width = largest_image(config, source)
    batch, needed = _batch(source), NOTHING
    if crop := dict(source.options).get('crop'):
        needed = reading(config, source._replace(options=()), height, width, device)  # whole, once
        height = width = crop
    needed += estimate.training(height, width, batch)
    needed += reading(config, source, height, width, device)
    largest = batch * max(estimate.elements(height, width).values())
    problem = f'{file}: training {name} on {width}×{height}'
    fix = 'make the image smaller, or learn from crops of it (--crop)'
    if crop:
        problem = f'training {name} on {batch} crops of {crop}×{crop}'
        fix = 'take smaller crops, or fewer at once'
    if largest > MAX_ELEMENTS:
        raise DataError(
            f'{problem} needs a blob of {largest:.1e} elements, and Caffe has none of 2³¹ or more; '
            f'{fix}'
        )
    if needed.bytes > SHARE * free:
        raise DataError(
            f'{problem} needs {gigabytes(needed.bytes)}, and of {gigabytes(free)} that are free '
            f'{gigabytes(SHARE * free)} may be taken; {fix}'
        )
    return needed


def _batch(source: Source) -> int:
    return dict(source.options).get('batch', 1)


def reading(config: NetConfig, source: Source, height: int, width: int, device: str = 'cpu') -> Use:
    """Return what the arrays of a batch take outside of the net, here and in the process that reads
    them ahead."""
    if device != 'cpu':
        return NOTHING
    inputs = config.dataset.inputs
    channels = sum(inputs[name].channels for name in config.input_names) + len(config.classes)
    return Use(READER + _batch(source) * 4 * COPIES * channels * height * width)


def segmenting(height: int, width: int, device: str = 'cpu') -> Use:
    """Return what a photo, its labels and the pictures of them take outside of the net."""
    return NOTHING if device != 'cpu' else Use(PHOTO * height * width)


def largest_image(config: NetConfig, source: Source) -> tuple[Path, int, int]:
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


def _buffers(net: caffe.Net, side: int, gpu: bool) -> dict[str, tuple[int, int]]:
    """Return (depth, height) of every blob, and of what layers keep besides, for an image of
    side×side.

    On the CPU, Caffe's own layers alone keep patches; on a GPU, upsampling does.
    """
    for name in net.inputs:
        net.blobs[name].reshape(1, net.blobs[name].shape[1], side, side)
    net.reshape()
    shapes = {name: tuple(blob.shape) for name, blob in net.blobs.items()}
    buffers = {name: shape[1:3] for name, shape in shapes.items() if len(shape) == 4}
    for name, layer in net.layer_dict.items():
        bottom = shapes[net.bottom_names[name][0]] if net.bottom_names[name] else ()
        if layer.type in ('SoftmaxWithLoss', 'InfogainLoss'):
            buffers[f'{name} probabilities'] = bottom[1:3]
            buffers[f'{name} sums'] = (1, bottom[2])
            # Caffe fills the place of the probabilities' gradient with the weight of the loss.
            buffers[f'{name} gradient'] = bottom[1:3]
        elif layer.type == 'LRN':
            buffers[f'{name} scale'] = bottom[1:3]
        elif layer.type == 'Dropout':
            buffers[f'{name} mask'] = bottom[1:3]  # in training
        elif layer.type in (('Deconvolution',) if gpu else PATCHES):
            convolution = layer.type == 'Convolution'
            spatial = (net.top_names if convolution else net.bottom_names)[name][0]
            _, depth, *kernel = layer.blobs[0].shape
            if convolution:
                depth = bottom[1]  # with all its groups
            buffers[f'{name} im2col'] = (depth * kernel[0] * kernel[1], shapes[spatial][2])
    return buffers
