"""Measures training by two processes, and predicts what more machines would do.

    python -m benchmarks.scaling             to results/scaling.md and scaling.png (half an hour)

Two processes of a thread each are compared with one of two threads, in turns, on drawn images of
500×500. As root, two network namespaces with a limited rate between them stand for two machines.
The model computes when each bucket of gradients is final, as it was measured, and when the network
has moved it: sums that are moved while the net still computes cost nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcn.cli import Parser, integer, run
from fcn.data_layers.images import save_label
from fcn.engine import versions
from fcn.errors import FCNError
from fcn.io import write_text

from .machine import machine

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / 'results'
NETS = 'voc-fcn8s-googlenet', 'voc-fcn8s'
SIDE = 500
MACHINES = 1, 2, 4, 16, 64
RATES = 10.0, 100.0  # gigabits a second
# Assumptions of the model.
USED = 0.85  # of the rate: TCP over a limited rate reached that much here
LATENCY = 50e-6  # seconds of a message
ADDED = 4e9  # bytes of gradients that are added up in a second
SETTLING = 3  # seconds until a new network can be used
GATHERED = 2  # rounds of messages for a bucket: parts to their owners, sums to all

ALONE, TOGETHER = 'one process', 'two processes'

Result = dict[str, Any]


def draw(root: Path, count: int) -> Path:
    """Draw images of coloured rectangles with their labels, in the layout of VOC."""
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    names = [f'2007_{number:06}' for number in range(count)]
    for name in names:
        label = rng.integers(0, 21, (10, 10), np.uint8).repeat(SIDE // 10, 0).repeat(SIDE // 10, 1)
        image = rng.integers(0, 256, (21, 3), np.uint8)[label]
        Image.fromarray(image).save(root / 'JPEGImages' / f'{name}.jpg')
        save_label(label, root / 'SegmentationClass' / f'{name}.png')
    (root / 'ImageSets' / 'Segmentation' / 'train.txt').write_text('\n'.join(names) + '\n')
    return root


def started(
    launcher: Sequence[str], *arguments: Any, environment: Mapping[str, str] | None = None
) -> Result:
    """Return what benchmarks.run_scaling prints."""
    command = [*launcher, sys.executable, '-m', 'benchmarks.run_scaling', *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1', **(environment or {})},
    )
    if done.returncode:
        raise FCNError(f'{" ".join(command)} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def mpiexec() -> str:
    found = Path(sys.prefix) / 'bin' / 'mpiexec'
    return str(found) if found.exists() else shutil.which('mpiexec') or ''


@contextmanager
def two_machines(rate: float) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield the launcher of two processes in a network namespace each, with `rate` gigabits a
    second between them, and its environment. Only root may make them."""

    def ip(*words: str) -> None:
        subprocess.run(['ip', *words], check=True, capture_output=True)

    names, addresses = ('fcn-a', 'fcn-b'), ('10.99.0.1', '10.99.0.2')
    limit = ['tbf', 'rate', f'{rate * 1000:.0f}mbit', 'burst', '256kb', 'latency', '50ms']
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in names:
                ip('netns', 'add', name)
            veth = ['link', 'add', 'net0', 'netns', names[0], 'type', 'veth']
            ip(*veth, 'peer', 'name', 'net0', 'netns', names[1])
            for name, address in zip(names, addresses, strict=True):
                ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', 'net0')
                ip('-n', name, 'link', 'set', 'net0', 'up')
                ip('-n', name, 'link', 'set', 'lo', 'up')
                ip('netns', 'exec', name, 'tc', 'qdisc', 'add', 'dev', 'net0', 'root', *limit)
            time.sleep(SETTLING)
            # In ssh's place: it is told the host, among options, and then the command.
            login = Path(folder, 'login')
            login.write_text(
                '#!/bin/sh\n'
                'while :; do case $1 in\n'
                f'  {addresses[0]}) name={names[0]}; shift; break;;\n'
                f'  {addresses[1]}) name={names[1]}; shift; break;;\n'
                'esac; shift; done\n'
                'exec ip netns exec $name sh -c "$*"\n'
            )
            login.chmod(0o755)
            hosts = ','.join(f'{address}:1' for address in addresses)
            command = ['ip', 'netns', 'exec', names[0], mpiexec(), '-launcher', 'ssh']
            command += ['-launcher-exec', str(login), '-hosts', hosts, '-iface', 'net0']
            # Both are on one machine after all, and MPI would find out.
            provider = {'FI_PROVIDER': 'tcp', 'FI_TCP_IFACE': 'net0'}
            yield command, {'MPIR_CVAR_CH4_NETMOD': 'ofi', **provider}
        finally:
            for name in names:
                subprocess.run(['ip', 'netns', 'del', name], capture_output=True)


def step_seconds(
    profile: Result, machines: int, rate: float, faster: float = 1.0, overlap: bool = True
) -> float:
    """Return the seconds of a step of an image a machine, by the model.

    `profile` is what one core measured, which takes `faster` times as long as the machines of the
    cluster. Buckets are moved one after another, each once it is final and the network is free.
    Without `overlap` nothing is moved before the backward pass has ended: the floor.
    """
    forward, backward = profile['forward'] / faster, profile['backward'] / faster
    done = forward if overlap else forward + backward
    for final, size in zip(profile['final'], profile['bytes'], strict=True):
        ready = forward + final / faster if overlap else forward + backward
        done = max(done, ready) + moving_seconds(size, machines, rate)
    return max(done, forward + backward) + profile['update'] / faster


def moving_seconds(size: int, machines: int, rate: float) -> float:
    """Return the seconds that the network needs for the sum of `size` bytes of gradients."""
    if machines == 1:
        return 0.0
    moved = GATHERED * (machines - 1) / machines * size
    adding = (machines - 1) / machines * size / ADDED
    return moved * 8 / (USED * rate * 1e9) + adding + GATHERED * LATENCY


def speed_up(profile: Result, machines: int, rate: float, **options: Any) -> float:
    """Return how many times the images of one machine so many learn from in a second."""
    alone = step_seconds(profile, 1, rate, options.get('faster', 1.0))
    return machines * alone / step_seconds(profile, machines, rate, **options)


def measure(name: str, data: Path, steps: int, rounds: int, rates: Sequence[float]) -> Result:
    """Measure a net: alone, by two processes, and by two with a limited rate between them."""
    cores = len(os.sched_getaffinity(0))
    profile = min(
        (started([], 'profile', name, SIDE, 1) for _ in range(rounds)),
        key=lambda one: one['forward'] + one['backward'],
    )
    cases: dict[str, list[Result]] = {}
    for _ in range(rounds):
        one = started([], 'train', name, data, steps, 2, cores)
        cases.setdefault(ALONE, []).append(one)
        two = started([mpiexec(), '-n', '2'], 'train', name, data, steps, 2, 1)
        cases.setdefault(TOGETHER, []).append(two)
        for rate in rates:
            with two_machines(rate) as (launcher, environment):
                given = ('train', name, data, steps, 2, 1)
                limited = started(launcher, *given, environment=environment)
            cases.setdefault(f'rate {rate:g}', []).append(limited)
    return dict(profile=profile, cases=cases)


def about() -> Result:
    """Return what the figures depend on: not the threads of this process, nor a commit that is not
    yet one."""
    return {name: value for name, value in versions().items() if name not in ('fcn', 'threads')}


def pace(one: Result) -> float:
    """Return how many times as long as the passes of its profile a step of two processes takes
    where nothing limits what they send: it reads images, and has the machine not for itself."""
    profile = one['profile']
    alone = profile['forward'] + profile['backward'] + profile['update']
    return min(least(one['cases'][TOGETHER])['seconds']) / alone


def least(runs: Sequence[Result]) -> Result:
    """Return the run with the fastest step: other work on the machine only slows."""
    return min(runs, key=lambda one: min(one['seconds']))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = Parser(__doc__, prog='python -m benchmarks.scaling')
    parser.add_argument('--steps', type=integer(2), default=6, metavar='N')
    parser.add_argument('--rounds', type=integer(1), default=3, metavar='N')
    parser.add_argument(
        '--nets', nargs='+', default=list(NETS), metavar='NET', help='of others, the figures stay'
    )
    parser.add_argument('--rates', nargs='*', type=float, metavar='GBITS', default=[0.2, 0.05])
    parser.add_argument('--out', type=Path, default=RESULTS / 'scaling.md', metavar='FILE')
    args = parser.parse_args(arguments)
    file = args.out.with_suffix('.json')
    kept: Result = json.loads(file.read_text()) if file.exists() else {'nets': {}}
    if not mpiexec():
        raise FCNError("there is no mpiexec here; pip install '.[mpi]' brings one")
    with tempfile.TemporaryDirectory() as folder:
        data = draw(Path(folder) / 'data', 4)
        for name in args.nets:
            load = os.getloadavg()[0]
            measured = measure(name, data, args.steps, args.rounds, args.rates)
            kept['nets'][name] = {**measured, 'load': load, 'nice': os.nice(0)}
            kept |= dict(machine=machine(), versions=about())
            write_text(file, json.dumps(kept, indent=1) + '\n')
    from .scaling_page import page, plot  # matplotlib is slow to import

    write_text(args.out, page(kept))
    plot(kept, args.out.with_suffix('.png'))


if __name__ == '__main__':
    run(main)
