"""Runs Caffe in a process of its own.

    python -m benchmarks.run_caffe FOLDER {forward,train} TIMES OUT [framed]

The scores go to FOLDER/OUT. CAFFE_CPU=stock in the environment measures Caffe's own layers. With
`framed`, what padding determines was computed before, as for the images of a Segmenter.
"""

import os
import sys
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from fcn.engine import caffe, release_activations, versions
from fcn.frame import FrameCache

from .clock import hand_in, measure
from .material import with_weights


def framed(net: caffe.Net, folder: Path) -> caffe.Net:
    """Return the net that computes the second image of a size."""
    from caffe.proto.caffe_pb2 import NetParameter

    spec = text_format.Parse((folder / 'deploy.prototxt').read_text(), NetParameter())
    cache, size = FrameCache(net, spec, ['data']), tuple(net.blobs['data'].shape[2:])
    cache.net_for(*size)
    return cache.net_for(*size)


def main(folder: Path, what: str, times: int, out: str, form: str = '') -> None:
    image = np.load(folder / 'data.npy')
    if what == 'train':
        solver = caffe.SGDSolver(str(folder / 'solver.prototxt'))
        net = with_weights(solver.net, folder)
        net.blobs['label'].data[...] = 3
    else:
        net = with_weights(caffe.Net(str(folder / 'deploy.prototxt'), caffe.TEST), folder)
    if os.environ.get('CAFFE_CPU') != 'stock':
        release_activations(net)
    if form == 'framed':
        net = framed(net, folder)
    if tuple(net.blobs['data'].shape) != image.shape:  # NumPy would repeat a smaller one.
        raise ValueError(f'the net takes {tuple(net.blobs["data"].shape)}, not {image.shape}')
    net.blobs['data'].data[...] = image
    result = measure((lambda: solver.step(1)) if what == 'train' else net.forward, times)
    file = folder / out if what == 'forward' else None
    hand_in(result, versions()['fcn'], net.blobs['score'].data, file)


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
