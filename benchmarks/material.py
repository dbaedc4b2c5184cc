"""What all contenders are given: a net, its weights and an image, in files that need no library of
another contender."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.json_format import MessageToDict

from fcn.engine import caffe
from fcn.nets import NetConfig, deploy_net, find, train_net_with_inputs
from fcn.nets.window import window_of
from fcn.surgery import gaussian, interp, save

if TYPE_CHECKING:  # The engine comes first.
    from caffe.proto.caffe_pb2 import NetParameter

SIDE = 500
SEED = 1
SOLVER = (
    'net: "{net}" base_lr: 1e-14 momentum: 0.99 weight_decay: 0.0005 lr_policy: "fixed" '
    'type: "SGD" random_seed: 1 snapshot: 0 display: 0 max_iter: 1000'
)


def deployable(config: NetConfig, side: int) -> 'NetParameter':
    """Return the net to deploy, for images of side×side."""
    spec = deploy_net(config).to_proto()
    for layer in spec.layer:
        if layer.type == 'Input':
            layer.input_param.shape[0].dim[2:] = [side, side]
    return spec


def layers_of(spec: 'NetParameter') -> list[dict[str, Any]]:
    """Return the layers of a net as plain dictionaries, as benchmarks.run_torch reads them.

    Each has its window besides: PyTorch's process must not load Caffe to read it.
    """
    return [
        MessageToDict(layer, preserving_proto_field_name=True)
        | {'window': window_of(layer)._asdict()}
        for layer in spec.layer
    ]


def prepare(name: str, folder: Path) -> int:
    """Write the files of net `name` into `folder` and return the multiply-adds of a forward pass.

    They are the deploy, train and solver prototxts, the layers of the first two as JSON,
    weights.npz, weights.caffemodel and data.npy. Weights are Gaussians and bilinear kernels: the
    arithmetic is that of learned ones.
    """
    config = find(name)
    for phase, spec in (
        ('deploy', deployable(config, SIDE)),
        ('train', train_net_with_inputs(config, SIDE)),
    ):
        (folder / f'{phase}.prototxt').write_text(str(spec))
        (folder / f'{phase}.json').write_text(json.dumps(layers_of(spec)))
    (folder / 'solver.prototxt').write_text(SOLVER.format(net=folder / 'train.prototxt'))
    net = caffe.Net(str(folder / 'deploy.prototxt'), caffe.TEST)
    deconvolutions = [name for name in net.params if net.layer_dict[name].type == 'Deconvolution']
    gaussian(net, [name for name in net.params if name not in deconvolutions], SEED)
    interp(net, deconvolutions)
    save_arrays(net, folder / 'weights.npz')
    save(net, folder / 'weights.caffemodel')
    image = np.random.default_rng(SEED).standard_normal((1, 3, SIDE, SIDE), np.float32) * 50
    np.save(folder / 'data.npy', image)
    return sum(multiply_adds(net, name) for name in net.params)


def multiply_adds(net: 'caffe.Net', name: str) -> int:
    """Return the multiply-adds of a convolution or deconvolution.

    Each weight is used once for each place of the smaller side's plane. A bilinear kernel's zeros
    count as nothing.
    """
    weights = net.params[name][0].data
    blobs = net.blobs[net.top_names[name][0]], net.blobs[net.bottom_names[name][0]]
    places = min(np.prod(blob.data.shape[2:]) for blob in blobs)
    return int(np.count_nonzero(weights)) * int(places)


def save_arrays(net: 'caffe.Net', path: Path) -> None:
    """Write the weights of a net as arrays named LAYER:INDEX to an NPZ file."""
    arrays = {
        f'{name}:{index}': blob.data
        for name, blobs in net.params.items()
        for index, blob in enumerate(blobs)
    }
    np.savez(path, **arrays)


def with_weights(net: 'caffe.Net', folder: Path) -> 'caffe.Net':
    """Return a net with the weights of `folder`."""
    with np.load(folder / 'weights.npz') as weights:
        for name, blobs in net.params.items():
            for index, blob in enumerate(blobs):
                blob.data[...] = weights[f'{name}:{index}']
    return net
