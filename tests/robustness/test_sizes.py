"""A short form of the watch over memory, and that it sees a leak.

Each watch has a process of its own: one that ran other tests has freed memory enough to hide a leak in.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.robustness import sizes

# Few shapes: the primitives of some hundred are kept, and so small a number of images would not fill that.
SHORT = dict(FIRST=60, WINDOW=20, SIDES=(32, 36), FILES=20)


def watch(through, leak=0):
    """What `sizes.watch` sees of 120 images, `leak` bytes lost with each."""
    kept, segment = [], sizes.segment

    def leaking(*args):
        kept.append(bytearray(b'x') * leak)
        return segment(*args)

    vars(sizes).update(SHORT, segment=leaking)
    windows = sizes.watch(argparse.Namespace(count=120, seed=0, net='mini-fcn8s', through=through))
    return windows, sizes.summary(windows)


def in_a_new_process(*args):
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(watch, *args).result()


@pytest.mark.parametrize('through', ['array', 'layer'])
def test_memory_is_flat_over_images_of_many_sizes(through):
    windows, found = in_a_new_process(through)
    assert (
        len(windows) == 6 and found['most'] == max(windows[3:]) and found['growth'] <= sizes.GOAL
    ), windows


def test_a_leak_is_seen():
    windows, found = in_a_new_process('array', 2**20)
    assert found['growth'] > sizes.GOAL, windows
