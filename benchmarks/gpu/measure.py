"""One measurement in a process of its own, because TF32 and memory belong to a process.

    python -m benchmarks.gpu.measure caffe|torch forward|train|mixed NET --weights FILE.npz [--side N] [--tf32]

prints a line of JSON: seconds of each run, bytes used at the end, and a digest of the result. Caffe
writes the weights that PyTorch then reads.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from fcn.cli import Parser

WARM_UP = 3


def parse(arguments=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add('framework', choices=['caffe', 'torch'])
    add('what', choices=['forward', 'train', 'mixed'])
    add('net')
    add(
        '--weights',
        type=Path,
        required=True,
        help='.npz of the weights, written by caffe and read by torch',
    )
    add('--side', type=int, default=500)
    add('--runs', type=int, default=20)
    add('--tf32', action='store_true')
    return parser.parse_args(arguments)


def timed(run, finish, runs):
    """Seconds of each of `runs` calls of `run`, after some to warm up; `finish` waits for the device."""
    seconds = []
    for _ in range(WARM_UP + runs):
        finish()
        start = time.perf_counter()
        run()
        finish()
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def host_peak():
    """The peak of this process's memory, in bytes."""
    status = Path('/proc/self/status').read_text()
    return int(status.partition('VmHWM:')[2].split()[0]) << 10


def caffe_measure(args):
    from fcn.engine import caffe, choose_device
    from fcn.surgery import start

    from . import specs

    device = choose_device()
    gpu = device != 'cpu'
    if gpu:
        from caffe import _cuda
    finish = _cuda.memory if gpu else (lambda: None)
    used = (lambda: _cuda.memory()[0]) if gpu else host_peak
    caffe.set_random_seed(1)
    image, label = specs.example(args.side)
    with tempfile.TemporaryDirectory() as folder:
        if args.what == 'forward':
            path = write(folder, 'net.prototxt', specs.deploy(args.net, args.side))
            net = caffe.Net(path, caffe.TEST)
        else:
            path = write(folder, 'net.prototxt', specs.train(args.net, args.side))
            solver = caffe.SGDSolver(
                write(
                    folder,
                    'solver.prototxt',
                    f'net: "{path}" base_lr: 1e-12 momentum: 0.9 '
                    'lr_policy: "fixed" display: 0 snapshot: 0 weight_decay: 0.0005',
                )
            )
            net = solver.net
    start(net, [], init_missing=True)
    last = score_layer(net)
    last[...] = np.random.default_rng(2).normal(
        0, 1e-3, last.shape
    )  # or scores and gradients would be 0
    if args.what != 'mixed':
        np.savez(
            args.weights,
            **{
                f'{name}:{index}': blob.data
                for name, blobs in net.params.items()
                for index, blob in enumerate(blobs)
            },
        )
    if args.what == 'mixed':
        return mixed(net, solver, specs.example, used, args)
    net.blobs['data'].data[...] = image
    if args.what == 'forward':
        end = len(net.layers) - 1
        seconds = timed(lambda: net._forward(0, end), finish, args.runs)
        result = net.blobs['score'].data
    else:
        net.blobs['label'].data[...] = label
        result = net.forward()['loss']
        seconds = timed(lambda: solver.step(1), finish, args.runs)
    return {'device': device, 'seconds': seconds, 'bytes': used(), 'result': digest(result)}


def score_layer(net):
    """The weights of the layer that scores the trunk."""
    return net.params['score_fr'][0].data


def mixed(net, solver, example, used, args):
    """Train on images of `runs` sizes, the largest first; bytes used after each tenth of them."""
    sides = [
        args.side,
        *np.random.default_rng(3).integers(args.side // 3, args.side + 1, args.runs - 1),
    ]
    history = []
    for index, side in enumerate(map(int, sides)):
        image, label = example(side, index)
        net.blobs['data'].reshape(*image.shape)
        net.blobs['label'].reshape(*label.shape)
        net.blobs['data'].data[...], net.blobs['label'].data[...] = image, label
        solver.step(1)
        if index % max(args.runs // 10, 1) == 0 or index == args.runs - 1:
            history.append(used())
    return {'history': history, 'sizes': len(set(sides)), 'images': args.runs}


def torch_measure(args):
    import torch
    from torch.nn import functional as F

    from benchmarks.run_torch import CaffeNet
    from fcn.nets import find

    from . import specs

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32
    gpu = torch.cuda.is_available()
    device = torch.device('cuda' if gpu else 'cpu')
    finish = torch.cuda.synchronize if gpu else (lambda: None)
    image, label = (torch.from_numpy(array).to(device) for array in specs.example(args.side))
    with np.load(args.weights) as weights:
        net = CaffeNet(specs.plan(specs.deploy(args.net, args.side)), weights).to(device)
    if args.what == 'forward':
        net.eval()
        with torch.inference_mode():
            seconds = timed(lambda: net(image), finish, args.runs)
            result = net(image).cpu().numpy()
    else:
        reduction = 'mean' if find(args.net).normalize_loss else 'sum'
        optimizer = torch.optim.SGD(
            [p for p in net.parameters() if p.requires_grad], 1e-12, 0.9, weight_decay=5e-4
        )

        def step():
            optimizer.zero_grad()
            scores = net(image)
            loss = F.cross_entropy(
                scores, label[:, 0].long(), ignore_index=255, reduction=reduction
            )
            loss.backward()
            optimizer.step()
            return loss.item()

        result = np.array(step())
        seconds = timed(step, finish, args.runs)
    free, total = torch.cuda.mem_get_info() if gpu else (0, host_peak())
    return {
        'device': str(device),
        'seconds': seconds,
        'bytes': total - free,
        'result': digest(result),
    }


def write(folder, name, text):
    path = Path(folder, name)
    path.write_text(str(text))
    return str(path)


def digest(array):
    """A few values of a result, spread over it, to compare two frameworks by."""
    flat = np.asarray(array, np.float64).ravel()
    return [float(value) for value in flat[:: max(flat.size // 64, 1)]]


if __name__ == '__main__':
    asked = parse()
    os.environ['CAFFE_TF32'] = str(int(asked.tf32))
    print(json.dumps({'caffe': caffe_measure, 'torch': torch_measure}[asked.framework](asked)))
