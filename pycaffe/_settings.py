"""The environment that Caffe's libraries read as they are loaded, so this comes before them.

What the user has set is left as it is.
"""

import os
from pathlib import Path


def _openblas_core() -> str | None:
    """Return the kernels that OpenBLAS should take, or None to let it choose.

    On an AMD processor that is newer than itself, OpenBLAS falls back to AVX2 kernels even if the
    processor has AVX-512, at half the speed (measured: Debian 12's 0.3.21 on Zen 5, 240 against
    450 GFLOP/s on two cores).
    """
    try:
        info = Path('/proc/cpuinfo').read_text()
    except OSError:
        return None
    flags = set(next((line for line in info.splitlines() if line.startswith('flags')), '').split())
    if 'AuthenticAMD' in info and {'avx512f', 'avx512bw', 'avx512dq', 'avx512vl'} <= flags:
        return 'SkylakeX'
    return None


def _choose() -> None:
    # OpenMP's threads spin for a few microseconds while they wait, then sleep. libgomp's own choice
    # is a thousand times as long. With thirty times as long, two threads were slower than one next
    # to other work, and now and then on quiet cores too: they kept each other from moving to a core
    # of their own. Not to spin at all costs up to a fifth on quiet cores.
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', '300')
    # OpenBLAS's threads, likewise, spin for 2**26 cycles unless they are told.
    os.environ.setdefault('OPENBLAS_THREAD_TIMEOUT', '14')
    if core := _openblas_core():
        os.environ.setdefault('OPENBLAS_CORETYPE', core)


_choose()
