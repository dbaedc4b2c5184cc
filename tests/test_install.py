"""The project installed with pip, not editable, in an environment of its own.

The environment sees the packages that the tests' own environment has, but no source tree: what
works there works after `pip install .` on any machine that has Caffe.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import ROOT, make_voc

from fcn import __version__
from fcn.nets import NETS

# What nobody installs: the sources of nothing, and the builds of other interpreters.
UNUSED = '.*', 'build', '*.egg-info', '__pycache__', 'runs', 'out', 'data', 'weights', 'tests'
# Modules that users have, too. Version 1.0 installed most of these at the top level.
USERS_MODULES = (
    *('errors', 'files', 'engine', 'memory', 'command', 'cli', 'child', 'text', 'infer', 'solve'),
    *('nets', 'solvers', 'surgery', 'data_layers', 'preparation', 'metrics', 'layers', 'config'),
)
NET = 'mini-fcn32s'
Run = Callable[..., subprocess.CompletedProcess[str]]


def pip(*arguments: Any) -> None:
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check', *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds of the project."""
    folder = tmp_path_factory.mktemp('wheel')
    # A copy, so that no files of an earlier build get into the wheel, and none stay here.
    shutil.copytree(ROOT, folder / 'source', symlinks=True, ignore=shutil.ignore_patterns(*UNUSED))
    # Where the build's tool is here already, nothing is fetched.
    major = int(version('setuptools').partition('.')[0]) if find_spec('setuptools') else 0
    offline = ['--no-build-isolation', '--no-index'] if major > 70 else []
    pip('wheel', '--no-deps', *offline, '-w', folder, folder / 'source')
    (result,) = folder.glob('*.whl')
    return result


def environment(folder: Path, wheel: Path, without: str = '') -> Path:
    """Make an environment that has the wheel and, after it, the packages here; return its folder.

    `without` is the start of the names of those that it does not have.
    """
    venv.create(folder)
    python = folder / 'bin' / 'python'
    pip('--python', python, 'install', '--no-index', '--no-deps', wheel)
    packages = folder / 'packages'
    packages.mkdir()
    hidden = ('fcn', '__editable__', *([without, f'py{without}'] if without else []))
    for entry in Path(sysconfig.get_path('platlib')).iterdir():
        if not entry.name.startswith(hidden):
            (packages / entry.name).symlink_to(entry)
    (site,) = folder.glob('lib/python*/site-packages')
    (site / 'here.pth').write_text(f'{packages}\n')
    return folder


@pytest.fixture(scope='module')
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment with the project and Caffe."""
    return environment(tmp_path_factory.mktemp('installed'), wheel)


@pytest.fixture(scope='module')
def without_caffe(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment with the project, without Caffe."""
    return environment(tmp_path_factory.mktemp('bare'), wheel, without='caffe')


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """A folder of a user, whose modules must not be taken for ours."""
    folder = tmp_path / 'work'
    folder.mkdir()
    for name in USERS_MODULES:
        (folder / f'{name}.py').write_text(f'raise RuntimeError("this is the user\'s {name}.py")\n')
    return folder


@pytest.fixture
def run(working_folder: Path) -> Run:
    """A function that runs a program of an environment in the user's folder."""

    def run(environment: Path, program: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
        variables = {name: text for name, text in os.environ.items() if name != 'PYTHONPATH'}
        return subprocess.run(
            [environment / 'bin' / program, *map(str, arguments)],
            cwd=working_folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def good(result: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed; it must have ended well."""
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_only_fcn_is_installed_at_the_top_level(wheel: Path) -> None:
    names = {Path(name).parts[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert names == {'fcn', f'fcn_caffe-{__version__}.dist-info'}


def test_the_page_is_installed_whole(wheel: Path) -> None:
    static = ROOT / 'fcn' / 'serving' / 'static'
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    prefix = 'fcn/serving/static/'
    installed = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    assert installed == {
        str(path.relative_to(static)) for path in static.rglob('*') if path.is_file()
    }


def test_the_library_is_the_installed_one_in_any_folder(installed: Path, run: Run) -> None:
    program = 'import fcn, fcn.nets, fcn.commands.solve; print(fcn.__file__, fcn.nets.__file__)'
    for file in good(run(installed, 'python', '-c', program)).split():
        assert Path(file).is_relative_to(installed)


def test_version_and_nets(installed: Path, run: Run) -> None:
    assert good(run(installed, 'fcn', '--version')).strip() == f'fcn {__version__}'
    assert good(run(installed, 'python', '-m', 'fcn', '--version')).split()[-1] == __version__
    listed = good(run(installed, 'fcn', 'net', '--list')).splitlines()
    assert [line.split()[0] for line in listed] == list(NETS)


def test_prototxts_are_the_committed_ones(installed: Path, run: Run, working_folder: Path) -> None:
    good(run(installed, 'fcn', 'net', 'voc-fcn8s', '--out', 'net'))
    for file in (ROOT / 'nets' / 'voc-fcn8s').glob('*.prototxt'):
        written = (working_folder / 'net' / file.name).read_text()
        if file.name != 'solver.prototxt':  # which names the others by their folder
            assert written == file.read_text()


def test_a_net_is_trained_scored_and_used(
    installed: Path, run: Run, working_folder: Path, mini: Path
) -> None:
    """The data layer is read by a child process, and each surgery builds its net in one."""
    good(run(installed, 'fcn', 'surgery', 'init', NET, 'start.caffemodel', '--init-missing'))
    options = ['--data', mini, '--iterations', 2, '--base-lr', 1e-7, '--gpu', -1]
    good(run(installed, 'fcn', 'solve', NET, *options, '--weights', 'start.caffemodel'))
    log = (working_folder / 'runs' / NET / 'log.jsonl').read_text().splitlines()
    assert json.loads(log[-1])['iteration'] == 2
    good(run(installed, 'fcn', 'score', NET, '--data', mini, '--gpu', -1, '--out', 'scores'))
    assert 0 <= json.loads((working_folder / 'scores' / 'metrics.json').read_text())['mean_iu'] <= 1
    image = mini / 'JPEGImages' / 'v000.jpg'
    good(run(installed, 'fcn', 'infer', image, '--net', NET, '--gpu', -1))
    with Image.open(working_folder / 'out' / 'v000.png') as picture:
        from_command = np.asarray(picture)
    program = (
        'import sys, fcn, numpy; '
        f'numpy.save("labels.npy", fcn.load("runs/{NET}", gpu=-1)(sys.argv[1]).labels)'
    )
    good(run(installed, 'python', '-c', program, image))
    assert (np.load(working_folder / 'labels.npy') == from_command).all()


def test_tools_for_data_work(installed: Path, run: Run, working_folder: Path) -> None:
    (working_folder / 'colours').mkdir()
    Image.new('RGB', (9, 9), (128, 0, 0)).save(working_folder / 'colours' / 'a.png')
    good(run(installed, 'fcn', 'convert', 'colours', 'labels'))
    with Image.open(working_folder / 'labels' / 'a.png') as label:
        assert (np.asarray(label) == 1).all()


@pytest.mark.parametrize(
    'command',
    ['solve', 'score', 'infer', 'export', 'prepare', 'net', 'surgery', 'hha', 'serve', 'curves'],
)
def test_every_command_has_help(installed: Path, run: Run, command: str) -> None:
    assert f'fcn {command}' in good(run(installed, 'fcn', command, '--help'))


def test_without_caffe_one_line_says_how_to_get_it(
    without_caffe: Path, run: Run, tmp_path: Path
) -> None:
    """The library and its version are there all the same."""
    assert __version__ in good(run(without_caffe, 'fcn', '--version'))
    good(run(without_caffe, 'python', '-c', 'import fcn'))
    caught = 'import fcn\ntry:\n    fcn.load("voc-fcn8s")\nexcept fcn.FCNError as error:\n'
    message = good(run(without_caffe, 'python', '-c', f'{caught}    print(error)'))
    make_voc(tmp_path, ['x'])
    image = tmp_path / 'JPEGImages' / 'x.jpg'
    for arguments in (['infer', image], ['solve', NET], ['net', '--list']):
        result = run(without_caffe, 'fcn', *arguments)
        assert result.returncode == 2 and result.stdout == '', result.stderr
        assert result.stderr == f'fcn {arguments[0]}: {message}'
    assert message.count('\n') == 1 and 'pycaffe' in message
