"""Makes one measurement in a process of its own, because TF32 and memory belong to a process.

    python -m benchmarks.gpu.measure {caffe,torch} {forward,train,mixed} NET --weights FILE.npz

It prints a line of JSON: the seconds of each run, the bytes used at the end, and a digest of the
result. Caffe writes the weights that PyTorch then reads.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import Message

from benchmarks.clock import peak_memory, seconds_of
from fcn.cli import Parser

WARM_UP = 3
SOLVER = (
    'net: "{}" base_lr: 1e-12 momentum: 0.9 lr_policy: "fixed" display: 0 snapshot: 0 '
    'weight_decay: 0.0005'
)

Measurement = dict[str, Any]


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    add = parser.add_argument
    add('framework', choices=['caffe', 'torch'])
    add('what', choices=['forward', 'train', 'mixed'])
    add('net')
    add(
        '--weights',
        type=Path,
        required=True,
        help='NPZ file of the weights, written by caffe and read by torch',
    )
    add('--side', type=int, default=500, help='side of the image, in pixels (default: 500)')
    add('--runs', type=int, default=20, help='runs that are measured (default: 20)')
    add('--tf32', action='store_true', help='let the GPU compute in TF32')
    return parser.parse_args(arguments)


def example(side: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image 1×3×side×side as nets see it, and its labels 1×1×side×side, both float32."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-120, 140, (1, 3, side, side)).astype(np.float32)
    return image, rng.integers(0, 21, (1, 1, side, side)).astype(np.float32)


def timed(task: Callable[[], Any], finish: Callable[[], Any], runs: int) -> list[float]:
    """Return the seconds of each of `runs` calls of `task`, after some to warm up.

    `finish` waits for the device.
    """

    def work() -> None:
        task()
        finish()

    finish()
    return [seconds_of(work) for _ in range(WARM_UP + runs)][WARM_UP:]


def caffe_measure(args: argparse.Namespace) -> Measurement:
    from benchmarks.material import deployable, save_arrays
    from fcn.engine import caffe, choose_device
    from fcn.nets import find, train_net_with_inputs
    from fcn.surgery import start

    device = choose_device()
    gpu = device != 'cpu'
    if gpu:
        from caffe import _cuda
    finish = _cuda.memory if gpu else (lambda: None)
    used: Callable[[], int] = (lambda: _cuda.memory()[0]) if gpu else peak_memory
    caffe.set_random_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        if args.what == 'forward':
            path = write(folder, 'net.prototxt', deployable(find(args.net), args.side))
            net = caffe.Net(path, caffe.TEST)
        else:
            path = write(folder, 'net.prototxt', train_net_with_inputs(find(args.net), args.side))
            solver = caffe.SGDSolver(write(folder, 'solver.prototxt', SOLVER.format(path)))
            net = solver.net
    start(net, [], init_missing=True)
    score = net.params['score_fr'][0].data  # or scores and gradients would be 0
    score[...] = np.random.default_rng(2).normal(0, 1e-3, score.shape)
    if args.what == 'mixed':
        return mixed(net, lambda: solver.step(1), used, args)
    save_arrays(net, args.weights)
    image, label = example(args.side)
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


def mixed(
    net: Any, step: Callable[[], Any], used: Callable[[], int], args: argparse.Namespace
) -> Measurement:
    """Train on images of `runs` sizes, the largest first; return the bytes used after each
    tenth."""
    smaller = np.random.default_rng(3).integers(args.side // 3, args.side + 1, args.runs - 1)
    sides = [args.side, *map(int, smaller)]
    history = []
    for index, side in enumerate(sides):
        image, label = example(side, index)
        net.blobs['data'].reshape(*image.shape)
        net.blobs['label'].reshape(*label.shape)
        net.blobs['data'].data[...], net.blobs['label'].data[...] = image, label
        step()
        if index % max(args.runs // 10, 1) == 0 or index == args.runs - 1:
            history.append(used())
    return {'history': history, 'sizes': len(set(sides)), 'images': args.runs}


def torch_measure(args: argparse.Namespace) -> Measurement:
    import torch
    from torch.nn import functional as F

    from benchmarks.material import deployable, layers_of
    from benchmarks.run_torch import CaffeNet
    from fcn.nets import find, train_net_with_inputs

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.tf32
    gpu = torch.cuda.is_available()
    device = torch.device('cuda' if gpu else 'cpu')
    finish = torch.cuda.synchronize if gpu else (lambda: None)
    image, label = (torch.from_numpy(array).to(device) for array in example(args.side))
    config = find(args.net)
    spec = (deployable if args.what == 'forward' else train_net_with_inputs)(config, args.side)
    with np.load(args.weights) as weights:
        net = CaffeNet(layers_of(spec), weights).to(device)
    if args.what == 'forward':
        net.eval()
        with torch.inference_mode():
            seconds = timed(lambda: net(image), finish, args.runs)
            result = net(image).cpu().numpy()
    else:
        learned = [param for param in net.parameters() if param.requires_grad]
        optimizer = torch.optim.SGD(learned, 1e-12, 0.9, weight_decay=5e-4)
        reduction = 'mean' if config.normalize_loss else 'sum'

        def step() -> float:
            optimizer.zero_grad()
            truth = label[:, 0].long()
            loss = F.cross_entropy(net(image), truth, ignore_index=255, reduction=reduction)
            loss.backward()
            optimizer.step()
            return loss.item()

        result = np.array(step())
        seconds = timed(step, finish, args.runs)
    free, total = torch.cuda.mem_get_info() if gpu else (0, peak_memory())
    return {
        'device': str(device),
        'seconds': seconds,
        'bytes': total - free,
        'result': digest(result),
    }


def write(folder: str, name: str, text: str | Message) -> str:
    """Write a file into `folder` and return its path."""
    path = Path(folder, name)
    path.write_text(str(text))
    return str(path)


def digest(array: np.ndarray) -> list[float]:
    """Return some values of a result, spread over it, to compare two frameworks by."""
    flat = np.asarray(array, np.float64).ravel()
    return [float(value) for value in flat[:: max(flat.size // 64, 1)]]


if __name__ == '__main__':
    requested = parse()
    os.environ['CAFFE_TF32'] = str(int(requested.tf32))
    measure = {'caffe': caffe_measure, 'torch': torch_measure}[requested.framework]
    print(json.dumps(measure(requested)))
