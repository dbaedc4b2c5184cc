"""Nets in several threads, Python's lock, forks, and how many threads a net computes with."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import caffe
import numpy as np
import pytest

from benchmarks.material import SOLVER
from fcn import engine
from fcn.engine import net_of
from fcn.nets import deploy_net, find
from tests.support import ROOT

pytestmark = pytest.mark.cpu

LAYERS = caffe.layers


class Double(caffe.Layer):
    """A layer in Python."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff


def chain(*layers: Callable, side: int = 64, channels: int = 8) -> 'caffe.Net':
    """Return a net of layers, each on top of the last, with drawn weights and data."""
    spec = caffe.NetSpec()
    spec.data = LAYERS.Input(shape={'dim': [1, channels, side, side]})
    top = spec.data
    for index, layer in enumerate(layers):
        spec[f'layer{index}'] = top = layer(top)
    proto = spec.to_proto()
    proto.force_backward = True
    net = net_of(proto)
    rng = np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.normal(0, 0.1, blob.data.shape)
    net.blobs['data'].data[...] = rng.normal(0, 1, net.blobs['data'].data.shape)
    return net


def convolution(top):
    return LAYERS.Convolution(top, num_output=8, kernel_size=3, pad=1)


def in_python(top):
    return LAYERS.Python(top, module=__name__, layer='Double')


@contextmanager
def heartbeat() -> Iterator[list[float]]:
    """Yield a list that gets the time every few milliseconds, from another thread."""
    beats: list[float] = []
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.002):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield beats
    finally:
        ended.set()
        thread.join()


def slow(top):
    return LAYERS.Convolution(top, num_output=64, kernel_size=9, pad=4)


def power(top):  # one of Caffe's own layers
    return LAYERS.Power(top, power=1.3, shift=30)


@pytest.mark.parametrize(
    ('layers', 'side'),
    [([slow, slow], 128), ([power] * 4, 600), ([in_python, slow, in_python, slow], 128)],
)
def test_other_threads_run_while_a_net_computes(layers, side):
    net = chain(*layers, side=side)
    for backward in (False, True):
        with heartbeat() as beats:
            compute = net.backward if backward else net.forward
            time.sleep(0.05)
            began = time.monotonic()
            compute()
            ended = time.monotonic()
        assert sum(began < beat < ended for beat in beats) > 3


def test_other_threads_run_while_a_solver_steps(tmp_path):
    spec = caffe.NetSpec()
    spec.data = LAYERS.DummyData(shape={'dim': [1, 8, 192, 192]})
    spec.made = in_python(spec.data)
    spec.scores = slow(spec.made)
    spec.target = LAYERS.DummyData(shape={'dim': [1, 64, 192, 192]})
    spec.loss = LAYERS.EuclideanLoss(spec.scores, spec.target)
    (tmp_path / 'net.prototxt').write_text(f'force_backward: true\n{spec.to_proto()}')
    (tmp_path / 'solver.prototxt').write_text(SOLVER.format(net=tmp_path / 'net.prototxt'))
    solver = caffe.SGDSolver(str(tmp_path / 'solver.prototxt'))
    called = []
    solver.net.after_forward(called.append)
    solver.net.after_backward(called.append)
    with heartbeat() as beats:
        began = time.monotonic()
        solver.step(1)
        ended = time.monotonic()
    assert sum(began < beat < ended for beat in beats) > 5
    count = len(solver.net.layers)
    assert called == [*range(count), *reversed(range(count))]


def test_nets_of_several_threads_do_not_mix():
    """Nets with layers in Python and in C++, each in a thread of its own, some after others."""
    layers = [convolution, in_python, power, in_python, convolution]
    expected = {side: chain(*layers, side=side).forward()['layer4'] for side in (40, 64, 90)}

    def compute(side: int) -> bool:
        net = chain(*layers, side=side)
        return all(np.array_equal(net.forward()['layer4'], expected[side]) for _ in range(20))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(compute, [40, 64, 90] * 4))


def test_a_net_that_computes_is_refused_to_another_thread():
    net, computes, go_on = chain(convolution), threading.Event(), threading.Event()

    def wait(layer: int) -> None:
        computes.set()
        assert go_on.wait(60)

    net.before_forward(wait)
    thread = threading.Thread(target=net.forward)
    thread.start()
    assert computes.wait(60)
    for use in (net.forward, net.backward, net.reshape):
        with pytest.raises(RuntimeError, match='another thread'):
            use()
    go_on.set()
    thread.join()
    net.forward()


def test_an_error_in_a_callback_leaves_a_net_that_works():
    net = chain(convolution, convolution)
    expected = net.forward()['layer1'].copy()
    failing = [True]

    def fail(layer: int) -> None:
        if failing and layer == 1:
            raise KeyError('of the callback')

    net.after_forward(fail)
    with pytest.raises(KeyError, match='of the callback'), heartbeat():
        net.forward()
    failing.clear()
    with ThreadPoolExecutor(1) as pool:  # It is claimed by no thread any more.
        assert np.array_equal(pool.submit(net.forward).result()['layer1'], expected)


FORK = """
import os, sys
import numpy as np
from tests.pycaffe.test_threads import chain, slow
from fcn import engine

net = chain(slow, slow, side=128)
engine.set_threads(2)
expected = net.forward()['layer1'].copy() if sys.argv[1] == 'after' else None
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    net.forward()  # The parent goes on as before.
    assert engine.threads() == 2
else:
    code = 1
    try:
        scores = net.forward()['layer1']
        assert expected is None or np.allclose(scores, expected, rtol=1e-5, atol=1e-5)
        assert engine.threads() == (2 if expected is None else 1)
        try:
            engine.set_threads(2)
        except engine.FCNError:
            assert expected is not None
        else:
            assert expected is None
        code = 0
    finally:
        os._exit(code)
"""


@pytest.mark.parametrize('when', ['before', 'after'])
def test_a_fork_computes(when):
    subprocess.run([sys.executable, '-c', FORK, when], cwd=ROOT, check=True, timeout=120)


def threads_of(environment: dict[str, str], *prefix: str) -> int:
    """Return how many threads nets compute with in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if 'NUM_THREADS' not in name}
    command = [*prefix, sys.executable, '-c', 'import caffe; print(caffe._fcn.threads())']
    result = subprocess.run(
        command, env=kept | environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return int(result.stdout)


def test_the_affinity_grants_threads():
    cores = sorted(os.sched_getaffinity(0))
    assert threads_of({}) <= len(cores)
    assert threads_of({}, 'taskset', '--cpu-list', str(cores[-1])) == 1
    assert threads_of({'OMP_NUM_THREADS': '5'}) == 5


@pytest.fixture
def quota(request) -> Iterator[Callable[[float], list[str]]]:
    """Return a function of cores' worth of CPU time: the words that start a command under it."""
    version1, version2 = Path('/sys/fs/cgroup/cpu'), Path('/sys/fs/cgroup')
    root = version1 if version1.is_dir() else version2
    group = root / f'fcn-test-{os.getpid()}'
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f'no control group can be made: {error}')

    def limit(cores: float) -> list[str]:
        try:
            if root == version1:
                (group / 'cpu.cfs_quota_us').write_text(f'{cores * 100000:.0f}')
            else:
                (group / 'cpu.max').write_text(f'{cores * 100000:.0f} 100000')
        except OSError as error:
            pytest.skip(f'no CPU quota can be set: {error}')
        return ['sh', '-c', f'echo $$ > {group}/cgroup.procs && exec "$@"', 'sh']

    yield limit
    group.rmdir()


def test_a_quota_of_cpu_time_grants_threads(quota):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip('there is one core')
    assert threads_of({}, *quota(1)) == 1
    assert threads_of({}, *quota(0.5)) == 1
    assert threads_of({}, *quota(1.5)) == 2


def test_a_thread_can_have_a_number_of_its_own():
    before = engine.threads()
    try:
        engine.set_threads(3)
        with engine.threads_here(2):
            assert engine.threads() == 2
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(engine.threads).result() == 3
        assert engine.threads() == 3
    finally:
        engine.set_threads(before)


SMALL = """
import os, sys
from tests.pycaffe.test_threads import chain, convolution, slow
from fcn import engine

engine.set_threads(2)
before = len(os.listdir('/proc/self/task'))
net = chain(*{layers}, side={side})
net.forward()
print(len(os.listdir('/proc/self/task')) - before)
"""


@pytest.mark.parametrize(
    ('layers', 'side', 'woken'), [('[convolution] * 3', 16, 0), ('[slow]', 128, 1)]
)
def test_little_work_wakes_no_thread(layers, side, woken):
    script = SMALL.format(layers=layers, side=side)
    result = subprocess.run(
        [sys.executable, '-c', script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert int(result.stdout) == woken


def test_threads_that_take_turns_share_memory():
    net = net_of(deploy_net(find('mini-fcn8s')))
    net.blobs['data'].reshape(1, 3, 400, 400)
    engine.release_activations(net)
    turn, done = threading.Lock(), threading.Barrier(9)

    def resident() -> int:
        return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def compute() -> None:
        with turn:
            net.forward()
        done.wait(60)  # until all have computed
        done.wait(60)  # until the memory is read

    net.forward()
    before = resident()
    threads = [threading.Thread(target=compute) for _ in range(8)]
    for thread in threads:
        thread.start()
    done.wait(60)
    taken = resident() - before
    done.wait(60)
    for thread in threads:
        thread.join()
    assert taken < 20e6
