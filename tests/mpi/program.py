"""What the tests start as several processes: python program.py NAME …"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from fcn import engine, mpi, nets
from fcn.commands import solve
from fcn.errors import DataError
from fcn.solvers import gradients

engine.choose_device(-1)


def exchanges() -> None:
    """All that a group exchanges."""
    group = mpi.world()
    rank, size = group.rank, group.size
    assert size == 3 and group.nodes == 1 and group.node_size == 3
    assert group.gather({'rank': rank, 'text': 'é' * rank, 'tuple': (1, 0.1)}) == [
        {'rank': r, 'text': 'é' * r, 'tuple': [1, 0.1]} for r in range(size)
    ]
    many = np.arange(6).reshape(2, 3) * (rank + 1)
    assert (group.sum({'a': many})['a'] == np.arange(6).reshape(2, 3) * 6).all()
    assert group.numbers(np.array([rank, 0.1])).tolist() == [[r, 0.1] for r in range(size)]
    assert group.from_first(lambda: f'from {group.rank}') == 'from 0'
    assert group.together(lambda: rank) == rank
    content = group.bytes_from_first(bytes(range(256)) * 3 if rank == 0 else None)
    assert content.tobytes() == bytes(range(256)) * 3
    array = np.full((3, 5), float(rank), np.float32)
    group.copy_arrays([array, np.empty(0, np.float32)])
    assert (array == 0).all()
    for failing in range(size):
        try:
            group.together(lambda failing=failing: fails(rank == failing))
        except DataError as error:
            assert error.agreed and 'broken' in str(error)
            assert (f'rank {failing}' in str(error)) == (failing not in (0, rank))
        else:
            raise AssertionError(failing)
    assert not group.hears_stop()
    for teller in (2, 0):
        if rank == teller:
            group.tell_stop()
            group.tell_stop()
        group.gather(None)
        assert rank == teller or group.hears_stop()
        group.forget_stop()
        assert not group.hears_stop()
        group.gather(None)  # before the next one tells
    print('ok')


def fails(here: bool) -> None:
    if here:
        raise DataError('file: broken')


def sums() -> None:
    """The sum of gradients, bit for bit as rank after rank adds up, by a thread and without."""
    group = mpi.world()
    gradients.LARGEST, gradients.WORTHWHILE = 40_000, 20_000  # many buckets of few numbers
    spec = nets.train_net_with_inputs(nets.find('mini-fcn16s'), 96)
    net = engine.net_of(spec, engine.caffe.TRAIN)
    frozen = [('upscore2', 0), ('upscore16', 0)]
    learned = [
        (name, index)
        for name, blobs in net.params.items()
        for index in range(len(blobs))
        if (name, index) not in frozen
    ]
    for threaded in (True, False):
        summed = gradients.GradientSum(group, net, spec, threaded)
        assert summed.bytes == sum(4 * net.params[name][index].count for name, index in learned)
        for step in range(2):
            given = {}
            for number, (name, index) in enumerate([*learned, *frozen]):
                shape = tuple(net.params[name][index].shape)
                given[name, index] = [
                    np.random.default_rng([r, number, step]).normal(size=shape).astype(np.float32)
                    for r in range(group.size)
                ]
                net.params[name][index].diff[...] = given[name, index][group.rank]
            for layer in reversed(range(len(net.layers))):
                summed.final(layer)
            summed.wait()
            for (name, index), arrays in given.items():
                expected = arrays[group.rank]
                if (name, index) not in frozen:
                    expected = arrays[0].copy()
                    for array in arrays[1:]:
                        expected += array
                    expected *= np.float32(1 / group.size)
                assert (net.params[name][index].diff == expected).all(), (name, index)
        assert len(summed.timing.waited) == 2 and min(summed.timing.under_way) > 0
        summed.close()
    print('ok')


def mean_loss(*arguments: Any) -> None:
    """solve.py with a net whose loss is the mean over pixels, as the CVPR paper's nets have it."""
    nets.NETS['mini-fcn32s'] = replace(nets.NETS['mini-fcn32s'], recipe='cvpr')
    sys.exit(solve.main(list(map(str, arguments))))


if __name__ == '__main__':
    name, *given = sys.argv[1:]
    {'exchanges': exchanges, 'sums': sums, 'mean_loss': mean_loss}[name](*given)
