"""A whole image at once against patch by patch (section 3.1), and what the data layer costs.

    python -m benchmarks.amortization

The paper: AlexNet gives a 10×10 grid of outputs for a 500×500 image over five times as
fast as it classifies a hundred patches.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from data_layers import Source
from engine import caffe, lean
from miniature.generate import generate
from nets import FOLDER, find, train_net
from surgery import cast_net, read_spec, start

from .clock import least

SIDE = 500
TIMES = 5
BATCH = 20  # patches that the classifier takes at once, as is kind to it


def grid_against_patches(name):
    """(outputs to a side, seconds for all of them at once, seconds for as many patches) of a classifier."""
    deploy = FOLDER / name / 'deploy.prototxt'
    patches = caffe.Net(str(deploy), caffe.TEST)
    with tempfile.NamedTemporaryFile('w', suffix='.prototxt') as file:
        file.write(str(cast_net(patches, read_spec(deploy))))
        file.flush()
        whole = caffe.Net(file.name, caffe.TEST)
    rng = np.random.default_rng(0)
    for net in (patches, whole):
        start(net, [], init_missing=True)
        lean(net)
    patches.blobs['data'].reshape(BATCH, *patches.blobs['data'].shape[1:])
    whole.blobs['data'].reshape(1, 3, SIDE, SIDE)
    for net in (patches, whole):
        net.blobs['data'].data[...] = rng.normal(0, 50, net.blobs['data'].data.shape)
    at_once = least(whole.forward, TIMES)
    side = whole.blobs[whole.outputs[0]].shape[2]
    return side, at_once, least(patches.forward, TIMES) / BATCH * side ** 2


def data_share(name='voc-fcn-googlenet', images=12):
    """{phase: share of its time that a net waits for its data layer}, on the miniature's scenes."""
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        root = generate(Path(folder) / 'data', train=images, val=images, size=(320, 480), objects=20)
        for phase, split in ((caffe.TRAIN, 'train'), (caffe.TEST, 'val')):
            file = Path(folder) / f'{split}.prototxt'
            file.write_text(str(train_net(find(name), Source('VOC', str(root), split)).to_proto()))
            net = caffe.Net(str(file), phase)
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
    lines = ['## Whole images against patches', '',
             '| classifier | outputs of a 500×500 image | at once, s | as patches, s | ratio |',
             '|---|---|---|---|---|']
    for name in ('ilsvrc-alexnet', 'ilsvrc-vgg16', 'ilsvrc-googlenet'):
        side, at_once, patches = grid_against_patches(name)
        lines.append(f'| {name} | {side}×{side} | {at_once:.3f} | {patches:.2f} | {patches / at_once:.1f} |')
    shares = data_share()
    lines += ['', f'The paper names a ratio of over 5 for AlexNet. Patches go {BATCH} at once.', '',
              '## Waiting for data', '',
              f'FCN-GoogLeNet waits for its data layer for {100 * shares["train"]:.2f} % of a training iteration and '
              f'{100 * shares["val"]:.2f} % of a forward pass (goal: below 3 %).']
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    print(report())
