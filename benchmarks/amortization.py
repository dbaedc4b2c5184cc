"""Compares a whole image at once with patch by patch (section 3.1), and measures the data layer.

    python -m benchmarks.amortization

In the paper, AlexNet computes a 10×10 grid of outputs for a 500×500 image over five times as fast
as it classifies a hundred patches.
"""

import tempfile
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fcn.data_layers import Source
from fcn.engine import caffe, net_of, release_activations
from fcn.errors import FCNError
from fcn.nets import deploy_net, find, train_net, train_net_with_inputs
from fcn.nets.receptive_field import receptive_fields
from fcn.surgery import convolutionalize, start
from fcn.text import markdown_table
from miniature.generate import generate

from .clock import in_turns, seconds_of

if TYPE_CHECKING:  # The engine comes first.
    from caffe.proto.caffe_pb2 import NetParameter

SIDE = 500
ROUNDS = 5
MIN_TURN = 0.2  # seconds: short passes are repeated for so long
BATCH = 20  # patches that the classifier takes at once, which suits it best
NETS = ('ilsvrc-alexnet', 'ilsvrc-vgg16', 'ilsvrc-googlenet')


class Amortization(NamedTuple):
    """The seconds of `side`×`side` outputs, in each round: from the whole image, and from as many
    patches."""

    side: int
    wholes: list[float]
    by_patches: list[float]

    @property
    def whole(self) -> float:
        return float(np.median(self.wholes))

    @property
    def patches(self) -> float:
        return float(np.median(self.by_patches))

    @property
    def ratio(self) -> float:
        return self.patches / self.whole


def grid_against_patches(
    name: str, backward: bool = False, image_side: int = SIDE
) -> dict[str, Amortization]:
    """Return {'forward': Amortization} of a classifier, and 'backward' if requested.

    The image is image_side×image_side. Raises FCNError if the nets that were measured computed
    other shapes than this.
    """
    config = find(name)
    classifier = deploy_net(config).to_proto()
    field = side_of_input(classifier)
    spec = train_net_with_inputs(config, field) if backward else classifier
    whole_spec = convolutionalize(net_of(spec, caffe.TRAIN if backward else caffe.TEST), spec)
    patches = _net(spec, (BATCH, 3, field, field), backward)
    whole = _net(whole_spec, (1, 3, image_side, image_side), backward)
    passes = ('forward', 'backward') if backward else ('forward',)
    tasks = {(what, net): getattr(net, what) for what in passes for net in (whole, patches)}
    seconds = in_turns(tasks, ROUNDS, MIN_TURN)
    # After the passes: what a net's blobs are now is what was measured.
    check_side(output_shape(patches), field, field, name)
    side = check_side(output_shape(whole), image_side, field, name)
    return {
        what: Amortization(
            side,
            seconds[what, whole],
            [batch / BATCH * side**2 for batch in seconds[what, patches]],
        )
        for what in passes
    }


def output_shape(net: 'caffe.Net') -> tuple[int, ...]:
    """Return the shape of the blob that scores the classes."""
    if 'loss' in net.bottom_names:
        return tuple(net.blobs[net.bottom_names['loss'][0]].shape)
    return tuple(net.blobs[net.outputs[0]].shape)


def check_side(shape: tuple[int, ...], image_side: int, field: int, name: str) -> int:
    """Return the side of a square grid of outputs, N×C×side×side (or N×C: 1).

    A classifier that sees `field` pixels at a stride of 32 has about (image_side − field) / 32 + 1
    outputs, rounded up or down by its layers. Raises FCNError for another number: the net was not
    given an image of this side.
    """
    height, width = shape[2:] if len(shape) == 4 else (1, 1)
    steps = (image_side - field) / stride_of(name)
    if height != width or not floor(steps) <= height - 1 <= ceil(steps):
        raise FCNError(
            f'{name}: measured {height}×{width} outputs, where {image_side}×{image_side} pixels '
            f'give about {steps + 1:.1f} to a side; nothing is reported'
        )
    return height


def stride_of(name: str) -> int:
    """Return the stride of a classifier's outputs once it is fully convolutional, in pixels."""
    spec = deploy_net(find(name)).to_proto()
    fields = receptive_fields(convolutionalize(net_of(spec), spec))
    return int(max(field.stride for field in fields.values()))


def side_of_input(spec: 'NetParameter') -> int:
    """Return the side of the image that a classifier takes, in pixels."""
    return int(spec.layer[0].input_param.shape[0].dim[2])


def _net(spec: 'NetParameter', shape: tuple[int, int, int, int], backward: bool) -> 'caffe.Net':
    """Return a net with drawn weights and an input of noise, for training if it goes backward.

    It gives back the memory of its activations as it runs.
    """
    net = net_of(spec, caffe.TRAIN if backward else caffe.TEST)
    start(net, [], init_missing=True)
    net.blobs['data'].reshape(*shape)
    if (
        backward
    ):  # A label for each output: how many there are follows from the shape of the scores.
        scores = net.bottom_names['loss'][0]
        net.forward(end=next(name for name, tops in net.top_names.items() if scores in tops))
        batch, _, *places = net.blobs[scores].shape
        net.blobs['label'].reshape(batch, 1, *places)
    net.reshape()
    release_activations(net)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, shape)
    return net


def data_share(name: str = 'voc-fcn-googlenet', images: int = 12) -> dict[str, float]:
    """Return the share of its time that a net waits for its data layer, when it learns ('train')
    and when it is scored ('val'), on the miniature's scenes."""
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        root = generate(
            Path(folder) / 'data', train=images, val=images, size=(320, 480), objects=20
        )
        for phase, split in ((caffe.TRAIN, 'train'), (caffe.TEST, 'val')):
            net = net_of(train_net(find(name), Source('VOC', str(root), split)), phase)
            start(net, [], init_missing=True)
            shares[split] = _waiting(net, images, learns=phase == caffe.TRAIN)
    return shares


def _waiting(net: 'caffe.Net', images: int, learns: bool) -> float:
    """Return the share of the time of `images` passes that a net waits for its data layer."""

    def compute() -> None:
        net.forward(start=list(net.layer_dict)[1])
        if learns:
            net.backward()

    waited = total = 0.0
    for index in range(images + 1):
        reading = seconds_of(lambda: net.forward(end='data'))
        computing = seconds_of(compute)
        if index:  # The first waits for the reading process to start.
            waited += reading
            total += reading + computing
    return waited / total


def report() -> str:
    """Measure both and return a section in Markdown."""
    rows = []
    for name in NETS:
        result = grid_against_patches(name)['forward']
        cells = f'{result.whole:.3f}', f'{result.patches:.2f}', f'{result.ratio:.1f}'
        rows.append((name, f'{result.side}×{result.side}', *cells))
    head = [
        'classifier',
        f'outputs of a {SIDE}×{SIDE} image',
        'at once, s',
        'as patches, s',
        'ratio',
    ]
    shares = data_share()
    return f"""## Whole images against patches

{markdown_table(head, rows)}

The paper names a ratio of over 5 for AlexNet. Patches go {BATCH} at once. Seconds are of one pass,
the median of {ROUNDS} round{'' if ROUNDS == 1 else 's'}, in turns.

## Waiting for data

FCN-GoogLeNet waits for its data layer for {100 * shares['train']:.2f} % of a training iteration and
{100 * shares['val']:.2f} % of a forward pass (goals: below 1 % and 2 %).
"""


if __name__ == '__main__':
    print(report())
