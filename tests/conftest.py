"""Fixtures of all tests: real weights and images where they are at hand, small ones made here.

With FCN_TEST_GPU=0 in the environment the tests run on that GPU, where they do not choose a device
themselves.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOT, make_voc

from fcn import child, engine
from fcn.data_layers import DATASETS
from fcn.nets import deploy_net, find
from fcn.surgery import save, start
from miniature.generate import generate
from tests.forks import Server, starter

SHARED = ROOT.parent / 'shared'
TIMEOUT = 300  # seconds that a command may take
# These have the longest tests, and go first, so that no process is left with one at the end.
FIRST = 'sweep', 'experiments', 'robustness'


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each process whole files, in order, and the experiments, which share runs, to one."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduler(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return (
                'experiments' if folder(nodeid) == 'experiments' else super()._split_scope(nodeid)
            )

    config.option.loadscopereorder = False
    return Scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the folders of FIRST first."""
    items.sort(key=lambda item: [*FIRST, ''].index(folder(item.nodeid)))


def folder(nodeid: str) -> str:
    """Return the folder of FIRST that a test is in, or ''."""
    return next((name for name in FIRST if name in Path(nodeid.partition('::')[0]).parts), '')


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded by `record_property`, such as how many of upstream's passed."""
    for report in terminalreporter.getreports('passed'):
        for name, value in report.user_properties:
            terminalreporter.write_line(f'{name}: {value}')


@pytest.fixture(scope='session')
def shared() -> Callable[[str], Path]:
    """A function that returns a file of real weights or images, or skips the test."""

    def find(path: str) -> Path:
        if not (SHARED / path).exists():
            pytest.skip(f'needs real material that is not here: shared/{path}')
        return SHARED / path

    return find


@pytest.fixture(scope='session')
def server() -> Iterator[Server]:
    """The process that runs commands in forks."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope='session')
def command(server: Server) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs a command of ours in its own process, from the repository's root.

    The process is a fork of one that has loaded the library, unless it is given options, or an
    environment that the library may read as it is loaded.
    """

    def run(*arguments: Any, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
        words = [*map(str, arguments)]
        if not options and server.can_run(words):
            return server.run(words, cwd, TIMEOUT)
        return subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            **options,
        )

    return run


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that read data are forks: they start in no time."""
    monkeypatch.setattr(child, 'starter', starter)


@pytest.fixture(autouse=True)
def device(request: pytest.FixtureRequest) -> str:
    """The device of each test: the GPU that FCN_TEST_GPU names, else the CPU.

    Tests that are marked with `cpu` are about the CPU's layers.
    """
    gpu = -1 if request.node.get_closest_marker('cpu') else int(os.environ.get('FCN_TEST_GPU', -1))
    return engine.choose_device(gpu)


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """What a command changes in its process is put back after each test."""
    log, stderr, handler = logging.getLogger('fcn'), sys.stderr, signal.getsignal(signal.SIGTERM)
    handlers, level = log.handlers[:], log.level
    yield
    log.handlers[:], sys.stderr = handlers, stderr
    log.setLevel(level)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope='session')
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few images of the miniature's size and classes, to learn from and to validate on."""
    root, classes = tmp_path_factory.mktemp('mini'), len(DATASETS['mini'].classes)
    make_voc(root, [f'{i:04}' for i in range(8)], classes, size=(56, 64))
    make_voc(root, [f'v{i:03}' for i in range(3)], classes, 'val', size=(56, 64))
    (root / 'miniature.json').write_text('{}')  # else it is a set of the user's own
    return root


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A folder in the layout of VOC: six images to learn from, four to validate on."""
    make_voc(tmp_path / 'voc', [f'2007_{i:06}' for i in range(6)])
    names = [f'2008_{i:06}' for i in range(4)]
    return make_voc(tmp_path / 'voc', names, split='seg11valid', seed=1)


@pytest.fixture(scope='session')
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    command: Callable[..., subprocess.CompletedProcess[str]],
) -> Path:
    """A few scenes of the miniature in data, and in runs the stages to FCN-16s that solve.py
    trained for three iterations. Tests only read them."""
    root = tmp_path_factory.mktemp('trained')
    generate(root / 'data', train=4, val=3, objects=40)
    where = ['--data', root / 'data', '--runs', root / 'runs']
    nets = ['mini-vgg', 'mini-fcn32s', 'mini-fcn16s']
    result = command('solve.py', *nets, *where, '--iterations', 3, '--base-lr', '1e-6')
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture(scope='session')
def drawn_weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that returns a caffemodel of random weights for a net, once made for all tests.

    Its scores differ from pixel to pixel.
    """
    folder = tmp_path_factory.mktemp('drawn')

    def draw(name: str) -> Path:
        file = folder / f'{name}.caffemodel'
        if not file.exists():
            net = engine.net_of(deploy_net(find(name)))
            start(net, [], init_missing=True)
            rng = np.random.default_rng(0)
            for layer in net.params:
                if layer.startswith('score'):
                    weights = net.params[layer][0].data
                    weights[...] = rng.normal(0, 0.01, weights.shape)
            save(net, file)
        return file

    return draw
