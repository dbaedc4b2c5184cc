"""The backend names what is missing in one message, and builds a wheel once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import backend
import source
import toolchain

PYCAFFE = Path(backend.__file__).parent


class Builder:
    """Replaces scikit-build-core: writes a wheel and remembers the settings it got."""

    def __init__(self):
        self.requested = []

    def build_wheel(self, wheel_directory, settings, metadata_directory):
        self.requested.append(settings)
        Path(wheel_directory, 'pycaffe.whl').write_text(f'build {len(self.requested)}')
        return 'pycaffe.whl'

    def get_requires_for_build_wheel(self, settings):
        return ['cmake']


@pytest.fixture
def builder(monkeypatch, tmp_path):
    """The backend with an empty cache and a builder that takes no time."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'LICENSE').write_text('all contributions')
    monkeypatch.setattr(source, 'DIGEST', source.digest(source.read_folder(tree)))
    monkeypatch.setenv('CAFFE_SOURCE', str(tree))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    stand_in = Builder()
    monkeypatch.setattr(backend, 'skbuild', lambda: stand_in)
    return stand_in


def build(folder, settings=None):
    """Build a wheel into a new folder and return what it holds."""
    folder.mkdir()
    return Path(folder, backend.build_wheel(str(folder), settings)).read_text()


def test_cached_wheel_is_used_again(builder, tmp_path):
    assert backend.get_requires_for_build_wheel() == ['cmake']
    assert build(tmp_path / 'first') == 'build 1'
    assert backend.get_requires_for_build_wheel() == []
    assert build(tmp_path / 'second') == 'build 1'
    assert build(tmp_path / 'third', {'cmake.build-type': 'Debug'}) == 'build 2'
    assert len(builder.requested) == 2
    assert [path.name for path in (tmp_path / 'cache/pycaffe/wheels').glob('new-*')] == []


def test_cmake_is_given_the_verified_source(builder, tmp_path):
    build(tmp_path / 'wheel', {'cmake.build-type': 'Debug'})
    settings = builder.requested[0]
    assert settings['cmake.build-type'] == 'Debug'
    assert source.read_folder(settings['cmake.define.CAFFE_SOURCE_DIR']) == {
        'LICENSE': b'all contributions'
    }
    assert settings['cmake.define.CAFFE_COMMIT'] == source.COMMIT
    assert settings['cmake.define.CAFFE_SOURCE_DIGEST'] == source.DIGEST


def test_cached_wheel_does_not_hide_a_wrong_source(builder, tmp_path, monkeypatch):
    build(tmp_path / 'wheel')
    monkeypatch.setenv('CAFFE_SOURCE', str(tmp_path / 'nowhere'))
    with pytest.raises(SystemExit, match='nowhere'):
        backend.get_requires_for_build_wheel()


def test_key_covers_all_that_shapes_the_wheel(tmp_path, monkeypatch):
    folder = shutil.copytree(
        PYCAFFE, tmp_path / 'pycaffe', ignore=shutil.ignore_patterns('__pycache__')
    )
    keys = [backend.key(), backend.key(folder=folder)]
    assert keys[0] == keys[1]
    for name in ('compat.h', 'CMakeLists.txt', 'pyproject.toml', 'onednn/gemm.cpp'):
        (folder / name).write_text((folder / name).read_text() + '\n')
        keys.append(backend.key(folder=folder))
    monkeypatch.setenv('CXXFLAGS', '-march=native')
    keys.append(backend.key(folder=folder))
    monkeypatch.setattr(source, 'DIGEST', 'another')
    keys.append(backend.key(folder=folder))
    monkeypatch.setattr(backend.platform, 'python_version', lambda: '3.99.0')
    keys.append(backend.key(folder=folder))
    monkeypatch.setattr(toolchain, 'fingerprint', lambda: {'compiler': 'another'})
    keys.append(backend.key(folder=folder))
    assert len(set(keys)) == len(keys) - 1


def test_nothing_is_missing_where_the_engine_was_built():
    toolchain.check()


def fake_compiler(tmp_path, monkeypatch, arguments):
    """Let the compiler be the real one, called with these arguments as well."""
    real = shutil.which(toolchain.compiler()[0])
    script = tmp_path / 'compiler'
    script.write_text(f'#!/bin/sh\nexec {real} {arguments} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv('CXX', str(script))


def test_one_message_names_all_that_is_missing(tmp_path, monkeypatch):
    fake_compiler(tmp_path, monkeypatch, f'-nostdinc -nostdinc++ -B{tmp_path}')
    with pytest.raises(toolchain.ToolchainError) as error:
        toolchain.check()
    first, fix = str(error.value).splitlines()
    assert 'glog/logging.h' in first and 'cblas.h' in first and 'protoc' not in first
    assert fix.split('apt-get install ')[1].split() == sorted(
        {*toolchain.PACKAGES} - {'libhdf5-dev'}
    )


@pytest.mark.parametrize('value', ['no-such-compiler', '/nowhere/c++ -O2'])
def test_missing_compiler(monkeypatch, value):
    monkeypatch.setenv('CXX', value)
    with pytest.raises(
        toolchain.ToolchainError, match=r'a C\+\+ compiler.*\n.*apt-get install g\+\+$'
    ):
        toolchain.check()


def test_boost_python_of_another_python(monkeypatch):
    """The message has the command that makes a virtual environment of the right Python."""
    built_for = toolchain.PYTHON
    monkeypatch.setattr(toolchain, 'PYTHON', '3.99')
    monkeypatch.setitem(
        toolchain.PACKAGES, 'libboost-python-dev', ('boost/python.hpp', 'boost_python399')
    )
    with pytest.raises(toolchain.ToolchainError) as error:
        toolchain.check()
    message = str(error.value)
    assert built_for in message and '3.99' in message
    assert f'/usr/bin/python{built_for} -m venv .venv' in message


def test_set_up_installs_all_that_the_check_asks_for():
    listed = (PYCAFFE / 'apt-packages.txt').read_text().split()
    assert listed == sorted(listed)
    assert {*toolchain.PACKAGES, 'g++', 'protobuf-compiler', 'python3-dev'} <= set(listed)


def test_pip_shows_the_message_and_no_traceback(tmp_path):
    (tmp_path / 'c++').symlink_to(shutil.which('c++'))
    command = [
        sys.executable,
        '-m',
        'pip',
        '--disable-pip-version-check',
        'wheel',
        '--no-deps',
        '--no-index',
    ]
    result = subprocess.run(
        [*command, '--no-build-isolation', '--wheel-dir', tmp_path, PYCAFFE],
        env={**os.environ, 'PATH': str(tmp_path), 'XDG_CACHE_HOME': str(tmp_path / 'cache')},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert 'pycaffe: ' in output and 'protoc' in output
    assert 'apt-get install protobuf-compiler' in output
    assert 'Traceback' not in output
    assert list(tmp_path.glob('*.whl')) == []
