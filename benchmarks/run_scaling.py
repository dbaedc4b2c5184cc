"""One training that is measured, for benchmarks.scaling: alone, or as one of several processes.

    python -m benchmarks.run_scaling train NET DATA STEPS BATCH THREADS
    python -m benchmarks.run_scaling profile NET SIDE THREADS

`train` prints the seconds of each step but the first, those of the CPU in all processes, and what
the log says of sums. `profile` prints the seconds of a forward pass, after how many of the
backward pass each bucket of gradients is final, and those of the update of the weights. Both print
JSON, by rank 0.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from fcn import nets
from fcn.data_layers import Source
from fcn.engine import caffe, choose_device, release_activations, set_threads
from fcn.mpi import world
from fcn.solvers import Options, Progress, Step, Trainer, solver_prototxt
from fcn.solvers.gradients import buckets_of
from fcn.surgery import start

REPEATS = 3


class Watch(Progress):
    """Notes when each step ends, and the CPU seconds until then."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def step(self, step: Step) -> None:
        self.wall.append(time.monotonic())
        self.cpu.append(time.process_time())


def train(name: str, data: str, steps: int, batch: int, threads: int) -> dict[str, Any]:
    """Train for one step and `steps` more on the drawn scenes in `data`."""
    set_threads(threads)
    group, watch = world(), Watch()
    source = Source('VOC', data, 'train')
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            source,
            source,
            max_iter=steps + 1,
            base_lr=1e-14,
            batch=batch,
            val_images=1,
            init_missing=True,
            group=group,
        )
        trainer = Trainer(name, Path(folder) / name, options)
        trainer.train([], watch)
        records = trainer.run.log.read()
    cpu = sum(group.gather(watch.cpu[-1] - watch.cpu[1]))
    sums = next((record for record in records if 'gradient_bytes' in record), {})
    return dict(seconds=np.diff(watch.wall)[1:].tolist(), cpu=cpu / steps, sums=sums)


def profile(name: str, side: int, threads: int) -> dict[str, Any]:
    """Measure the passes of an image of side×side, each as the least of a few."""
    set_threads(threads)
    spec = nets.train_net_with_inputs(nets.find(name), side)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'train.prototxt').write_text(str(spec))
        text = solver_prototxt(name, train_net=f'{folder}/train.prototxt', snapshot=0)
        (Path(folder) / 'solver.prototxt').write_text(text)
        solver = caffe.get_solver(f'{folder}/solver.prototxt')
    net = solver.net
    release_activations(net)
    start(net, [], init_missing=True)
    net.blobs['data'].data[...] = np.random.default_rng(0).normal(0, 50, net.blobs['data'].shape)
    layers: dict[int, float] = {}
    net.after_backward(lambda layer: layers.__setitem__(layer, time.monotonic()))
    buckets = buckets_of(net, spec)
    forward, final, update = [], [], []
    for _ in range(REPEATS + 1):
        began = time.monotonic()
        net.forward()
        middle = time.monotonic()
        net.backward()
        ended = time.monotonic()
        solver.apply_update()
        update.append(time.monotonic() - ended)
        forward.append(middle - began)
        final.append([layers[bucket.layer] - middle for bucket in buckets] + [layers[0] - middle])
    best = min(final[1:], key=lambda times: times[-1])
    sizes = [4 * sum(end - first for *_, first, end in bucket.pieces) for bucket in buckets]
    return dict(
        forward=min(forward[1:]),
        backward=best[-1],
        final=best[:-1],
        bytes=sizes,
        update=min(update[1:]),
    )


if __name__ == '__main__':
    choose_device(-1)
    what, net, *given = sys.argv[1:]
    if what == 'train':
        result = train(net, given[0], *map(int, given[1:]))
    else:
        result = profile(net, *map(int, given))
    if world().first:
        print(json.dumps(result))
