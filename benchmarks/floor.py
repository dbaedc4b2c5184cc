"""What the machine can do at best: the rate of a matrix product, and of memory.

python -m benchmarks.floor
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from .clock import min_seconds
from .contenders import ROOT, THREADS

SIZE = 2048  # of the matrices
BLOCK = 128 << 20  # bytes that each thread copies


class Floor(NamedTuple):
    """Multiply-adds a second of sgemm with one thread and with THREADS, and bytes a second that
    copying reads and writes, likewise."""

    sgemm: tuple[float, float]
    memory: tuple[float, float]


def sgemm_rate() -> float:
    """Return the multiply-adds per second of NumPy's matrix product, in this process."""
    a = np.ones((SIZE, SIZE), np.float32)
    return SIZE**3 / min_seconds(lambda: a @ a, 5)


def memory_rate(threads: int) -> float:
    """Return the bytes per second that so many threads read and write as they copy."""
    blocks = [(np.ones(BLOCK, np.uint8), np.ones(BLOCK, np.uint8)) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        seconds = min_seconds(
            lambda: [*pool.map(lambda pair: np.copyto(pair[0], pair[1]), blocks)], 5
        )
    return 2 * BLOCK * threads / seconds


def measure() -> Floor:
    """Measure both, each in a process that has so many threads."""
    found = []
    for threads in (1, THREADS):
        kept = {key: value for key, value in os.environ.items() if not key.startswith('OPENBLAS_')}
        number = str(threads)
        done = subprocess.run(
            [sys.executable, '-m', 'benchmarks.floor', number],
            cwd=ROOT,
            env={**kept, 'OMP_NUM_THREADS': number, 'OPENBLAS_NUM_THREADS': number},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    (one_product, one_copy), (product, copy) = found
    return Floor((one_product, product), (one_copy, copy))


def best(floors: Sequence[Floor]) -> Floor:
    """Return the largest of each rate: other work on the machine lowers them."""
    kinds = zip(*floors, strict=True)
    return Floor(*(tuple(map(max, zip(*kind, strict=True))) for kind in kinds))


if __name__ == '__main__':
    print(json.dumps([sgemm_rate(), memory_rate(int(sys.argv[1]))]))
