"""What all contenders are given: a net, its weights and an image, in files for which none needs the other's library."""

import json

import numpy as np
from google.protobuf.json_format import MessageToDict

from fcn.engine import caffe
from fcn.nets import deploy_net, find
from fcn.surgery import gaussian, interp, save

SIDE = 500
SEED = 1
SOLVER = (
    'net: "{net}" base_lr: 1e-14 momentum: 0.99 weight_decay: 0.0005 lr_policy: "fixed" type: "SGD" '
    'random_seed: 1 snapshot: 0 display: 0 max_iter: 1000'
)


def prepare(name, folder):
    """Write the files of net `name` into `folder`: deploy, train and solver prototxts, plan.json (the layers),
    weights.npz and data.npy. Returns the multiply-adds of a forward pass.

    Weights are Gaussians and bilinear kernels: the arithmetic is that of learned ones.
    """
    deploy = deploy_net(find(name)).to_proto()
    (folder / 'deploy.prototxt').write_text(str(deploy))
    (folder / 'train.prototxt').write_text(str(with_loss(deploy)))
    (folder / 'solver.prototxt').write_text(SOLVER.format(net=folder / 'train.prototxt'))
    layers = [MessageToDict(layer, preserving_proto_field_name=True) for layer in deploy.layer]
    (folder / 'plan.json').write_text(json.dumps(layers))
    net = caffe.Net(str(folder / 'deploy.prototxt'), caffe.TEST)
    deconvolutions = [name for name in net.params if net.layer_dict[name].type == 'Deconvolution']
    gaussian(net, [name for name in net.params if name not in deconvolutions], SEED)
    interp(net, deconvolutions)
    np.savez(
        folder / 'weights.npz',
        **{
            f'{name}:{index}': blob.data
            for name, blobs in net.params.items()
            for index, blob in enumerate(blobs)
        },
    )
    save(net, folder / 'weights.caffemodel')
    image = np.random.default_rng(SEED).standard_normal((1, 3, SIDE, SIDE), np.float32) * 50
    np.save(folder / 'data.npy', image)
    return sum(multiply_adds(net, name) for name in net.params)


def with_loss(deploy):
    """The deploy net as one that learns: labels of class 3 and the paper's loss."""
    train = caffe.proto.caffe_pb2.NetParameter()
    train.CopyFrom(deploy)
    label = train.layer.add(name='label', type='Input', top=['label'])
    label.input_param.shape.add(dim=[1, 1, SIDE, SIDE])
    loss = train.layer.add(
        name='loss', type='SoftmaxWithLoss', bottom=['score', 'label'], top=['loss']
    )
    loss.loss_param.normalize = False
    return train


def multiply_adds(net, name):
    """Of a convolution or deconvolution: each weight is used once for each place of the smaller side's plane.

    A bilinear kernel's zeros count as nothing.
    """
    weights = net.params[name][0].data
    blobs = net.blobs[net.top_names[name][0]], net.blobs[net.bottom_names[name][0]]
    places = min(np.prod(blob.data.shape[2:]) for blob in blobs)
    return int(np.count_nonzero(weights)) * int(places)


def loaded(net, folder):
    """A caffe.Net with the weights of `folder`."""
    with np.load(folder / 'weights.npz') as weights:
        for name, blobs in net.params.items():
            for index, blob in enumerate(blobs):
                blob.data[...] = weights[f'{name}:{index}']
    return net
