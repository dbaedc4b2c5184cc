"""A short form of the watch over memory, and that it sees a leak."""

import argparse

import pytest

from reliability import sizes


@pytest.fixture
def short(monkeypatch):
    # Few shapes: the primitives of some hundred are kept, and so small a number of images would not fill that.
    for name, value in dict(FIRST=60, WINDOW=20, SIDES=(32, 36), FILES=20).items():
        monkeypatch.setattr(sizes, name, value)
    return argparse.Namespace(count=120, seed=0, net='mini-fcn8s')


@pytest.mark.parametrize('through', ['array', 'layer'])
def test_memory_is_flat_over_images_of_many_sizes(through, short):
    short.through = through
    windows = sizes.watch(short)
    found = sizes.summary(windows)
    assert len(windows) == 6 and found['most'] == max(windows[3:]) and found['growth'] <= sizes.GOAL, windows


def test_a_leak_is_seen(short, monkeypatch):
    kept, segment = [], sizes.segment

    def leaking(*args):
        kept.append(bytes(range(256)) * 16384)
        return segment(*args)

    monkeypatch.setattr(sizes, 'segment', leaking)
    short.through = 'array'
    assert sizes.summary(sizes.watch(short))['growth'] > sizes.GOAL
