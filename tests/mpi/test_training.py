"""Several processes learn what one learns, up to rounding, and the same bits every time."""

from pathlib import Path

import numpy as np
import pytest
from mpi_launch import mpiexec
from small_runs import assert_equal_weights, history, weights_of_run

from fcn import engine, nets
from fcn.commands import solve
from fcn.errors import FCNError
from fcn.mpi import Group
from fcn.solvers import Run, gradients
from fcn.solvers.share import share_out
from fcn.surgery import read_weights

PROGRAM = Path(__file__).with_name('program.py')
NET = 'mini-fcn32s'
# Of the largest change of any weight of an array. Sums of float32 in another order differ by some
# 1e-7 of the terms, and here a weight is a thousand times its change.
TOLERANCE = 1e-3
# Caffe adds up the losses of thousands of pixels in float32, one after the other.
LOSS_TOLERANCE = 1e-3


def options(mini, *more):
    """Few iterations of training from drawn weights, the second of them from changed weights."""
    given = ['--data', mini, '--init-missing', '--base-lr', '1e-5', '--iterations', 2, '--gpu', -1]
    return [str(value) for value in (NET, *given, '--val-every', 1, *more)]


def assert_alike(one, other):
    """Assert that two runs learned the same from the same, up to rounding."""
    first = weights_at(one, 1)
    ours, theirs = weights_of_run(one), weights_of_run(other)
    moved = 0
    for name in ours:
        for a, b, before in zip(ours[name], theirs[name], first[name], strict=True):
            change = np.abs(a - before).max()
            rounding = np.spacing(np.abs(a).max())
            assert np.abs(a - b).max() <= TOLERANCE * change + 4 * rounding, name
            moved += change > 100 * rounding
    assert moved > 5  # else the comparison says nothing
    for a, b in zip(history(one), history(other), strict=True):
        assert set(a) == set(b)
        for key, value in a.items():
            if key != 'validation':
                assert b[key] == pytest.approx(value, rel=LOSS_TOLERANCE), key


def weights_at(run, iteration):
    file = run.snapshots.file(iteration, 'caffemodel')
    return {name: [np.array(blob) for blob in blobs] for name, blobs in read_weights(file)}


@pytest.mark.parametrize(
    ('processes', 'more'),
    [
        # The passes of a step are shared out.
        (3, ['--batch', 3, '--mirror', '--jitter', 5]),
        # The images of a pass are, and what dropout and sampling draw for them.
        (2, ['--batch', 2, '--crop', 32, '--sample', 0.5, '--balance']),
        pytest.param(
            3,
            ['--batch', 3, '--sample', 1 / 3, '--iterations', 4],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_as_one_process(processes, more, mini, tmp_path):
    solve.main(options(mini, *more, '--runs', tmp_path / 'one'))
    several = mpiexec(processes, 'solve.py', *options(mini, *more, '--runs', tmp_path / 'several'))
    assert several.returncode == 0, several.stderr
    assert several.stdout.count('pixel accuracy') == 1
    one, other = (Run(tmp_path / name / NET) for name in ('one', 'several'))
    assert_alike(one, other)
    for name in ('train.prototxt', 'val.prototxt', 'deploy.prototxt'):
        text = (other.folder / name).read_text()
        assert (one.folder / name).read_text() == text.replace(str(other.folder), str(one.folder))


@pytest.mark.slow
def test_a_mean_over_pixels_is_that_of_all(mini, tmp_path):
    # Crops with void around them: each process has another number of pixels that count.
    more = ['--batch', 4, '--crop', 80, '--base-lr', '1e-2']
    for processes in (1, 2):
        given = [*options(mini, *more), '--runs', str(tmp_path / str(processes))]
        result = mpiexec(processes, PROGRAM, 'mean_loss', *given)
        assert result.returncode == 0, result.stderr
    assert_alike(*(Run(tmp_path / str(processes) / NET) for processes in (1, 2)))


@pytest.mark.slow
def test_the_same_bits_every_time(mini, tmp_path):
    for name in 'ab':
        result = mpiexec(2, 'solve.py', *options(mini, '--batch', 2, '--runs', tmp_path / name))
        assert result.returncode == 0, result.stderr
    one, other = (Run(tmp_path / name / NET) for name in 'ab')
    assert_equal_weights(weights_of_run(one), weights_of_run(other))
    assert history(one) == history(other)


@pytest.mark.parametrize('what', ['exchanges', 'sums'])
def test_what_processes_exchange(what):
    result = mpiexec(3, PROGRAM, what)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('ok') == 3


def group_of(size, rank=0):
    group = Group()
    group.size, group.rank = size, rank
    return group


def test_shares_cover_a_step():
    for size, passes, batch in ((1, 3, 2), (3, 6, 1), (2, 1, 4), (3, 3, 2), (4, 2, 8)):
        read = []
        for rank in range(size):
            share = share_out('net', group_of(size, rank), passes, batch, passes, None)
            whole = [0, passes * batch, passes * batch]  # said by no option
            first, count, of = share.of_images().get('share', whole)
            steps = passes * batch // of
            assert share.own_passes * share.own_batch == steps * count
            read += [
                step * of + place for step in range(steps) for place in range(first, first + count)
            ]
        assert sorted(read) == list(range(passes * batch))


@pytest.mark.parametrize(
    ('size', 'passes', 'batch', 'sampling', 'named'),
    [
        (2, 1, 1, None, '--batch 2 or 4, or start 1$'),
        (4, 6, 1, None, '--batch 8 or 12, or start 1 or 2 or 3$'),
        (3, 2, 1, 0.5, '--batch 3 or 6, or start 1 or 2$'),
        (5, 1, 16, None, '--batch 5 or 10, or start 1 or 2 or 4$'),
    ],
)
def test_what_cannot_be_shared_is_refused(size, passes, batch, sampling, named):
    with pytest.raises(FCNError, match=named):
        share_out('net', group_of(size), passes, batch, passes, sampling)


def test_what_cannot_be_shared_is_told_once(mini, tmp_path):
    result = mpiexec(2, 'solve.py', *options(mini, '--runs', tmp_path))
    assert result.returncode == 2 and result.stderr.count('solve.py: ') == 1
    assert '--batch 2 or 4' in result.stderr and not list(tmp_path.iterdir())


def test_buckets_hold_each_gradient_once(monkeypatch):
    monkeypatch.setattr(gradients, 'LARGEST', 40_000)
    monkeypatch.setattr(gradients, 'WORTHWHILE', 20_000)
    spec = nets.train_net_with_inputs(nets.find('mini-fcn16s'), 96)
    net = engine.net_of(spec, engine.caffe.TRAIN)
    buckets = gradients.buckets_of(net, spec)
    assert [b.layer for b in buckets] == sorted((b.layer for b in buckets), reverse=True)
    seen = {}
    order = list(net._layer_names)
    for bucket in buckets:
        assert sum(4 * (end - start) for *_, start, end in bucket.pieces) <= 60_000
        for name, index, start, end in bucket.pieces:
            assert order.index(name) >= bucket.layer
            seen.setdefault((name, index), []).append((start, end))
    for (name, index), parts in seen.items():
        starts, ends = zip(*sorted(parts), strict=True)
        assert starts == (0, *ends[:-1]) and ends[-1] == net.params[name][index].count
    assert {name for name, _ in seen} == {name for name in net.params if 'upscore' not in name}
