"""A whole image at once against patch by patch (section 3.1), and what the data layer costs.

    python -m benchmarks.amortization

The paper: AlexNet gives a 10×10 grid of outputs for a 500×500 image over five times as
fast as it classifies a hundred patches.
"""

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from caffe.proto import caffe_pb2

from fcn.data_layers import Source
from fcn.engine import caffe, net_of, release_activations
from fcn.nets import deploy_net, find, train_net
from fcn.surgery import convolutionalize, start
from miniature.generate import generate

from .clock import in_turns

SIDE = 500
ROUNDS = 5
TURN = 0.2  # seconds: short passes are repeated for so long
BATCH = 20  # patches that the classifier takes at once, as is kind to it


class Amortization(NamedTuple):
    """For `side`×`side` outputs: the seconds of each round of a pass over the whole image, and of as many patches."""

    side: int
    wholes: list
    by_patches: list

    @property
    def whole(self):
        return float(np.median(self.wholes))

    @property
    def patches(self):
        return float(np.median(self.by_patches))

    @property
    def ratio(self):
        return self.patches / self.whole


def grid_against_patches(name, backward=False):
    """{'forward': Amortization} of a classifier, and that of its 'backward' pass if asked for, all in turns."""
    classifier = deploy_net(find(name)).to_proto()
    whole = convolutionalize(net_of(classifier), classifier)
    patches, whole = (
        _net(with_loss(spec) if backward else spec, shape, backward)
        for spec, shape in (
            (classifier, (BATCH, 3, *_input(classifier)[2:])),
            (whole, (1, 3, SIDE, SIDE)),
        )
    )
    side = whole.blobs[whole.bottom_names['loss'][0] if backward else whole.outputs[0]].shape[2]
    passes = ('forward', 'backward') if backward else ('forward',)
    seconds = in_turns(
        {(what, net): getattr(net, what) for what in passes for net in (whole, patches)},
        ROUNDS,
        TURN,
    )
    return {
        what: Amortization(
            side,
            seconds[what, whole],
            [batch / BATCH * side**2 for batch in seconds[what, patches]],
        )
        for what in passes
    }


def _net(spec, shape, backward):
    """A lean caffe.Net of drawn weights, its input of noise; one that is to go backward is for training."""
    net = net_of(spec, caffe.TRAIN if backward else caffe.TEST)
    start(net, [], init_missing=True)
    net.blobs['data'].reshape(*shape)
    if backward:  # A label for each output: where they are follows from the shape of the scores.
        scores = net.bottom_names['loss'][0]
        net.forward(end=next(name for name, tops in net.top_names.items() if scores in tops))
        batch, _, *places = net.blobs[scores].shape
        net.blobs['label'].reshape(batch, 1, *places)
    release_activations(net)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, shape)
    return net


def _input(spec):
    """The dimensions of a NetParameter's input."""
    return list(spec.layer[0].input_param.shape[0].dim)


def with_loss(spec):
    """A copy of a classifier, a NetParameter, that learns: the loss of a label in the place of its probabilities."""
    learns = caffe_pb2.NetParameter()
    learns.CopyFrom(spec)
    last = learns.layer[-1]
    label = caffe_pb2.LayerParameter(name='label', type='Input', top=['label'])
    label.input_param.shape.add(dim=[1, 1])
    last.CopyFrom(
        caffe_pb2.LayerParameter(
            name='loss', type='SoftmaxWithLoss', bottom=[last.bottom[0], 'label'], top=['loss']
        )
    )
    learns.layer.insert(1, label)
    return learns


def data_share(name='voc-fcn-googlenet', images=12):
    """{phase: share of its time that a net waits for its data layer}, on the miniature's scenes."""
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        root = generate(
            Path(folder) / 'data', train=images, val=images, size=(320, 480), objects=20
        )
        for phase, split in ((caffe.TRAIN, 'train'), (caffe.TEST, 'val')):
            net = net_of(train_net(find(name), Source('VOC', str(root), split)), phase)
            start(net, [], init_missing=True)
            waited, total = 0.0, 0.0
            for index in range(images + 1):
                began = time.perf_counter()
                net.forward(end='data')
                read = time.perf_counter()
                net.forward(start=list(net.layer_dict)[1])
                if phase == caffe.TRAIN:
                    net.backward()
                if index:  # The first waits for the reading process to start.
                    waited += read - began
                    total += time.perf_counter() - began
            shares[split] = waited / total
    return shares


def report():
    """Both, as a section in Markdown."""
    lines = [
        '## Whole images against patches',
        '',
        '| classifier | outputs of a 500×500 image | at once, s | as patches, s | ratio |',
        '|---|---|---|---|---|',
    ]
    for name in ('ilsvrc-alexnet', 'ilsvrc-vgg16', 'ilsvrc-googlenet'):
        found = grid_against_patches(name)['forward']
        lines.append(
            f'| {name} | {found.side}×{found.side} | {found.whole:.3f} | {found.patches:.2f} | '
            f'{found.ratio:.1f} |'
        )
    shares = data_share()
    lines += [
        '',
        f'The paper names a ratio of over 5 for AlexNet. Patches go {BATCH} at once. Seconds are the '
        f'median of {ROUNDS} rounds, in turns.',
        '',
        '## Waiting for data',
        '',
        f'FCN-GoogLeNet waits for its data layer for {100 * shares["train"]:.2f} % of a training iteration and '
        f'{100 * shares["val"]:.2f} % of a forward pass (goal: below 3 %).',
    ]
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    print(report())
