"""Where CUDA comes from, what the built wheel requires, and what works without a GPU."""

import csv
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import backend
import cuda_toolkit
import metadata
from fcn.engine import _build, caffe, choose_device, versions
from fcn.errors import FCNError
from toolchain import ToolchainError

PYCAFFE = Path(backend.__file__).parent
with_cuda = pytest.mark.skipif(not _build.CUDA, reason='needs an engine built with CUDA')


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """A machine without a toolkit: nothing on PATH but what any build needs."""
    (tmp_path / 'bin').mkdir()
    for tool in ('c++', 'g++', 'as', 'ld', 'protoc'):
        if shutil.which(tool):
            (tmp_path / 'bin' / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    for name in ('CUDA', 'CUDA_HOME', 'CUDA_ARCHITECTURES', 'CUDAFLAGS', 'CXX'):
        monkeypatch.delenv(name, raising=False)


def program(folder, name, text):
    """An executable shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)


def lay_toolkit(home, release, libraries):
    """Make a folder like a toolkit's, with an nvcc and with `libraries`, header → file."""
    program(
        home / 'bin',
        'nvcc',
        f'echo "Cuda compilation tools, release {release}, V{release}.88"\n'
        f'echo "#$ TOP={home}/bin/.." >&2',
    )
    for header, file in libraries.items():
        for path in (home / 'include' / header, home / 'lib64' / file):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return home


def only_in_toolkit(monkeypatch):
    """Leave the system's own folders out of the search."""
    monkeypatch.setattr(cuda_toolkit, 'system_headers', lambda: [])
    monkeypatch.setattr(cuda_toolkit.toolchain, 'library_folders', lambda: [])


def test_the_switch(monkeypatch):
    for value, wanted in (('', False), ('0', False), ('1', True)):
        monkeypatch.setenv('CUDA', value)
        assert cuda_toolkit.wanted() is wanted
    monkeypatch.setenv('CUDA', 'yes')
    with pytest.raises(ToolchainError, match='CUDA=yes'):
        cuda_toolkit.wanted()


def test_without_a_toolkit_all_comes_from_wheels(monkeypatch):
    only_in_toolkit(monkeypatch)
    assert cuda_toolkit.toolkit() is None
    required = cuda_toolkit.build_requirements()
    assert all('==' in one for one in required) and len(required) == len(cuda_toolkit.NVCC) + 4
    assert cuda_toolkit.runtime_requirements() == [
        'nvidia-cublas>=13.0.2.14,<14',
        'nvidia-curand>=10.4.0.35,<11',
        'nvidia-cudnn-cu13>=9.13.0.50,<10',
        'nvidia-nccl-cu13>=2.27.7,<3',
        'nvidia-cuda-runtime>=13.0.96,<14',
    ]


def test_a_toolkit_lends_what_it_has(monkeypatch, tmp_path):
    """CUDA 12 with cuBLAS and cuRAND, found by a link on PATH; cuDNN and NCCL come as wheels."""
    only_in_toolkit(monkeypatch)
    home = lay_toolkit(
        tmp_path / 'cuda-12.4',
        '12.4',
        {
            'cublas_v2.h': 'libcublas.so.12',
            'curand.h': 'libcurand.so.10',
            'cudnn.h': 'libcudnn.so.8',
        },
    )
    (tmp_path / 'bin' / 'nvcc').symlink_to(home / 'bin' / 'nvcc')
    found = cuda_toolkit.toolkit()
    assert (found.home, found.major, found.release) == (home, 12, 'release 12.4')
    assert cuda_toolkit.build_requirements() == [
        'nvidia-cudnn-cu12==9.13.0.50',
        'nvidia-nccl-cu12==2.27.7',
    ]


def test_cmake_is_told_of_a_whole_toolkit(monkeypatch, tmp_path):
    only_in_toolkit(monkeypatch)
    files = {library.header: library.files[1] for library in cuda_toolkit.LIBRARIES}
    home = lay_toolkit(tmp_path / 'cuda', '13.1', files)
    monkeypatch.setenv('CUDA_HOME', str(home))
    monkeypatch.setenv('CUDA_ARCHITECTURES', '75')
    assert cuda_toolkit.build_requirements() == cuda_toolkit.runtime_requirements() == []
    defines = cuda_toolkit.defines()
    assert defines['CMAKE_CUDA_COMPILER'] == home / 'bin' / 'nvcc'
    assert defines['CUDA_RPATH'] == str(home / 'lib64')
    assert defines['CUDA_LIBRARIES'].split(';')[:2] == [f'-L{home}/lib64', '-l:libcublas.so.13']
    assert defines['CMAKE_CUDA_ARCHITECTURES'] == '75'


def test_an_old_toolkit_is_passed_over_unless_it_is_named(monkeypatch, tmp_path):
    home = lay_toolkit(tmp_path / 'cuda-11', '11.8', {})
    (tmp_path / 'bin' / 'nvcc').symlink_to(home / 'bin' / 'nvcc')
    assert cuda_toolkit.toolkit() is None
    monkeypatch.setenv('CUDA_HOME', str(home))
    with pytest.raises(ToolchainError, match=r'CUDA_HOME=.*cuda-11 .* CUDA 12 or 13'):
        cuda_toolkit.toolkit()


def test_a_wheel_that_is_missing_is_named(monkeypatch):
    only_in_toolkit(monkeypatch)
    monkeypatch.setattr(cuda_toolkit.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ToolchainError, match='nvidia-cuda-nvcc==13'):
        cuda_toolkit.defines()


def test_architectures(monkeypatch, tmp_path):
    assert cuda_toolkit.architectures() == cuda_toolkit.GENERATIONS
    program(tmp_path / 'bin', 'nvidia-smi', "echo 9.0; echo 8.9; echo 9.0; echo '[N/A]'")
    assert cuda_toolkit.architectures() == '89;90'
    monkeypatch.setenv('CUDA_ARCHITECTURES', '75, 86-real;120-virtual 90a')
    assert cuda_toolkit.architectures() == '75;86-real;120-virtual;90a'
    monkeypatch.setenv('CUDA_ARCHITECTURES', '86;sm_90')
    with pytest.raises(ToolchainError, match='CUDA_ARCHITECTURES: sm_90'):
        cuda_toolkit.architectures()


def test_cached_wheel_is_of_its_cuda(monkeypatch):
    keys = [backend.key()]
    monkeypatch.setenv('CUDA', '1')
    keys.append(backend.key())
    monkeypatch.setenv('CUDA_ARCHITECTURES', '75')
    keys.append(backend.key())
    assert len({*keys}) == 3


def test_requirements_are_added_to_a_wheel(tmp_path):
    wheel = tmp_path / 'a-1-py3-none-any.whl'
    with zipfile.ZipFile(wheel, 'w') as archive:
        archive.writestr('a.py', 'x = 1\n')
        archive.writestr(
            'a-1.dist-info/METADATA', 'Metadata-Version: 2.1\nName: a\nVersion: 1\n\nWhat it is.\n'
        )
        names = 'a.py', 'a-1.dist-info/METADATA', 'a-1.dist-info/RECORD'
        archive.writestr(
            'a-1.dist-info/RECORD', ''.join(f'{name},sha256=old,3\n' for name in names)
        )
    metadata.require(wheel, ['b>=1,<2'])
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None and archive.read('a.py') == b'x = 1\n'
        text = archive.read('a-1.dist-info/METADATA')
        assert text.splitlines()[3:] == [b'Requires-Dist: b>=1,<2', b'', b'What it is.']
        assert text.startswith(b'Metadata-Version: 2.1\nName: a\nVersion: 1\n')
        rows = {
            config[0]: config
            for config in csv.reader(io.StringIO(archive.read('a-1.dist-info/RECORD').decode()))
        }
    assert rows['a-1.dist-info/METADATA'][2] == str(len(text))
    assert {path.name for path in tmp_path.iterdir()} == {wheel.name, 'bin'}


MEMO = """
#include <cassert>
#include <string>
#include "memo.hpp"
#include "settings.hpp"
int main(int, char** arguments) {
  pycaffe::Memo<int> memo(2);
  int asked = 0, answer = 0;
  auto get = [&](std::vector<int> shape, int status) {
    return memo.get(shape, 0, &answer, [&](int* found) { *found = ++asked; return status; });
  };
  if (get({1, 500, 375}, 0) != 0 || answer != 1) return 1;
  if (get({1, 375, 500}, 7) != 7) return 2;                 // a failure is returned
  if (get({1, 375, 500}, 0) != 0 || answer != 3) return 3;  // and not remembered
  if (get({1, 500, 375}, 9) != 0 || answer != 1) return 4;  // an answer is remembered
  if (get({2}, 0) != 0 || asked != 4) return 5;             // full: all is forgotten
  if (get({1, 500, 375}, 0) != 0 || asked != 5) return 6;
  if (pycaffe::workspace_limit() != std::stoul(arguments[1]) << 20) return 7;
  return pycaffe::tf32() == (std::string(arguments[2]) == "tf32") ? 0 : 8;
}
"""


def test_answers_are_remembered_by_shape(tmp_path):
    """The memo and the settings, compiled alone."""
    (tmp_path / 'memo.cpp').write_text(MEMO)
    flags = ['-std=c++17', '-Wall', '-Werror', '-pthread', f'-I{PYCAFFE}/cuda']
    subprocess.run(['c++', *flags, tmp_path / 'memo.cpp', '-o', tmp_path / 'memo'], check=True)
    settings = {'CAFFE_TF32': '1', 'CAFFE_WORKSPACE_MIB': '64'}
    subprocess.run([tmp_path / 'memo', '512', 'off'], env={}, check=True)
    subprocess.run([tmp_path / 'memo', '64', 'tf32'], env=settings, check=True)
    subprocess.run(
        [tmp_path / 'memo', '512', 'off'],
        env={'CAFFE_TF32': '0', 'CAFFE_WORKSPACE_MIB': 'x'},
        check=True,
    )


@pytest.mark.parametrize('name', ['convolution', 'device', 'workspace'])
def test_shims_are_those_of_the_libraries(name, monkeypatch):
    """The replacements of CUDA's and cuDNN's functions compile with their headers, if installed."""
    monkeypatch.undo()
    try:
        includes = cuda_toolkit.defines()['CUDA_INCLUDES'].split(';')
    except ToolchainError as error:
        pytest.skip(str(error))
    flags = [
        '-std=c++17',
        '-Wall',
        '-Werror',
        '-DPYCAFFE_OURS',
        *(f'-I{folder}' for folder in includes),
    ]
    source = PYCAFFE / 'cuda' / f'{name}.cpp'
    subprocess.run(
        ['c++', *flags, '-include', PYCAFFE / 'cuda' / 'compat.h', '-fsyntax-only', source],
        check=True,
    )


@with_cuda
def test_without_a_gpu_it_computes_on_the_cpu():
    from caffe import _cuda

    if _cuda.device_count():
        pytest.skip('there is a GPU')
    assert choose_device() == 'cpu'
    with pytest.raises(FCNError, match=r'--gpu 0: there is no GPU here \(.+\); .* the CPU'):
        choose_device(0)
    assert versions()['gpus'] == [] and versions()['cudnn'].startswith('9.')


@with_cuda
def test_a_missing_gpu_is_named():
    with pytest.raises(FCNError, match='--gpu 99'):
        choose_device(99)


@with_cuda
def test_importing_and_seeding_is_silent():
    """Caffe itself would complain that it cannot create a cuBLAS handle and a generator."""
    script = 'import caffe; caffe.set_random_seed(1); caffe.set_mode_cpu()'
    done = subprocess.run(
        [sys.executable, '-c', script],
        capture_output=True,
        text=True,
        env={**os.environ, 'GLOG_minloglevel': '2', 'CUDA_VISIBLE_DEVICES': ''},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@with_cuda
def test_nccls_identifier_is_whole():
    """128 bytes, most of them 0: Caffe's own way ends at the first."""
    uids = {caffe.NCCL.new_uid() for _ in range(4)}
    assert len(uids) == 4 and {len(uid) for uid in uids} == {128}
    assert all(b'\0' in uid.rstrip(b'\0') for uid in uids)


@with_cuda
def test_tf32_and_workspace_are_as_requested():
    script = (
        'from fcn import engine; versions = engine.versions(); '
        'print(versions["tf32"], versions["workspace_mib"])'
    )
    for settings, expected in (
        ({}, 'False 512\n'),
        ({'CAFFE_TF32': '1', 'CAFFE_WORKSPACE_MIB': '99'}, 'True 99\n'),
    ):
        done = subprocess.run(
            [sys.executable, '-c', script],
            capture_output=True,
            text=True,
            check=True,
            cwd=PYCAFFE.parent,
            env={'GLOG_minloglevel': '2', **settings},
        )
        assert done.stdout == expected


@pytest.mark.slow
def test_the_wheel_builds_with_cuda(tmp_path, monkeypatch):
    """From NVIDIA's wheels, for one architecture, into a new environment that then imports it."""
    if os.environ.get('FCN_TEST_CUDA_BUILD') != '1':
        pytest.skip('downloads 3 GB and builds for minutes: FCN_TEST_CUDA_BUILD=1 asks for it')
    monkeypatch.setenv('PATH', '/usr/bin:/bin')
    subprocess.run(['/usr/bin/python3', '-m', 'venv', tmp_path / 'venv'], check=True)
    environment = {
        **os.environ,
        'CUDA': '1',
        'CUDA_ARCHITECTURES': '90',
        'XDG_CACHE_HOME': str(tmp_path / 'cache'),
    }
    subprocess.run(
        [tmp_path / 'venv/bin/pip', 'install', '--quiet', PYCAFFE], env=environment, check=True
    )
    script = (
        'import caffe; from caffe import _build, _cuda; '
        'print(_build.CUDA, _cuda.device_count() >= 0)'
    )
    done = subprocess.run(
        [tmp_path / 'venv/bin/python', '-c', script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == 'True True\n', done.stderr
