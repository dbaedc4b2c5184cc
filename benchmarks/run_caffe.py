"""Caffe's side, in a process of its own: python -m benchmarks.run_caffe FOLDER {forward,train,output} TIMES

CAFFE_CPU=stock in the environment measures Caffe's own layers.
"""

import os
import sys
from pathlib import Path

import numpy as np

from fcn.engine import caffe, release_activations

from .clock import measure
from .material import loaded


def main(folder, what, times):
    image = np.load(folder / 'data.npy')
    if what == 'train':
        solver = caffe.SGDSolver(str(folder / 'solver.prototxt'))
        net = loaded(solver.net, folder)
        net.blobs['label'].data[...] = 3
    else:
        net = loaded(caffe.Net(str(folder / 'deploy.prototxt'), caffe.TEST), folder)
    if os.environ.get('CAFFE_CPU') != 'stock':
        release_activations(net)
    net.blobs['data'].data[...] = image
    if what == 'output':
        np.save(folder / 'caffe.npy', net.forward()['score'])
    else:
        measure((lambda: solver.step(1)) if what == 'train' else net.forward, times)


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
