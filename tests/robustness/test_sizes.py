"""A short form of the watch over memory, and a test that it sees a leak.

Each watch has a process of its own: one that ran other tests has freed memory enough to hide a
leak.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from tests.robustness import sizes

# Few shapes: the primitives of some hundred are kept, and so few images would not fill that.
SHORT = sizes.Plan(first=60, window=20, sides=(32, 36), files=20)


def watch(through: str, leak: int = 0) -> tuple[list[int], dict[str, Any]]:
    """Return what `sizes.watch` sees of 120 images when each leaks `leak` bytes."""
    leaked = []
    args = argparse.Namespace(count=120, seed=0, net='mini-fcn8s', through=through)
    windows = sizes.watch(args, SHORT, lambda: leaked.append(bytearray(b'x') * leak))
    return windows, sizes.summary(windows, SHORT)


def in_a_new_process(*args: Any) -> tuple[list[int], dict[str, Any]]:
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(watch, *args).result()


@pytest.mark.parametrize('through', ['array', 'layer'])
def test_memory_is_flat_over_images_of_many_sizes(through: str) -> None:
    windows, found = in_a_new_process(through)
    assert len(windows) == 6 and found['most'] == max(windows[3:]), windows
    assert found['growth'] <= sizes.MAX_GROWTH, windows


def test_a_leak_is_seen() -> None:
    windows, found = in_a_new_process('array', 2**20)
    assert found['growth'] > sizes.MAX_GROWTH, windows
