"""The PEP 517 backend of pycaffe: scikit-build-core, with what it can't know.

Before CMake runs, the toolchain is checked and Caffe's source is found. A wheel
once built is kept, under a key over everything that shapes it, so that a second
set-up on the same machine copies it in seconds. There is no hook for metadata
alone: scikit-build-core's asks for CMake, and an installer takes the metadata
from the wheel as well.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import cuda_toolkit
import metadata
import source
import toolchain

HERE = Path(__file__).resolve().parent
# Environment variables that change what the compiler and CMake make.
SWITCHES = (
    'CC',
    'CXX',
    'CFLAGS',
    'CPPFLAGS',
    'CXXFLAGS',
    'LDFLAGS',
    'CPATH',
    'LIBRARY_PATH',
    'CUDAFLAGS',
)
SWITCH_PREFIXES = ('CMAKE_', 'SKBUILD_')


def readable(hook):
    """Make `hook` end with a message alone where an installer would show a traceback."""

    @functools.wraps(hook)
    def wrapped(*args, **kwargs):
        try:
            return hook(*args, **kwargs)
        except (source.SourceError, toolchain.ToolchainError) as error:
            sys.stdout.flush()
            raise SystemExit(f'pycaffe: {error}') from None

    return wrapped


@readable
def get_requires_for_build_wheel(config_settings=None):
    """What to install before `build_wheel`: CMake and Ninja, unless the system has them or the wheel is kept.

    This is the first hook an installer calls, so a missing tool or source is told here.
    """
    if kept_wheel(checked_key(config_settings)):
        return []
    source.find()
    cuda = cuda_toolkit.build_requirements() if cuda_toolkit.wanted() else []
    return [*skbuild().get_requires_for_build_wheel(config_settings), *cuda]


@readable
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Write the wheel into `wheel_directory` and return its file name."""
    wheel_key = checked_key(config_settings)
    wheel = kept_wheel(wheel_key)
    if wheel:
        shutil.copy(wheel, wheel_directory)
        return wheel.name
    defines = {
        'CAFFE_SOURCE_DIR': source.find(),
        'CAFFE_COMMIT': source.COMMIT,
        'CAFFE_SOURCE_DIGEST': source.DIGEST,
        **(cuda_toolkit.defines() if cuda_toolkit.wanted() else {}),
    }
    settings = dict(config_settings or {})
    settings.update({f'cmake.define.{name}': str(value) for name, value in defines.items()})
    name = skbuild().build_wheel(wheel_directory, settings, metadata_directory)
    if cuda_toolkit.wanted():
        metadata.require(Path(wheel_directory, name), cuda_toolkit.runtime_requirements())
    keep_wheel(wheel_key, Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory, config_settings=None):
    return skbuild().build_sdist(sdist_directory, config_settings)


def skbuild():
    import scikit_build_core.build

    return scikit_build_core.build


def checked_key(config_settings):
    """The cache's key, after a look at what a kept wheel must not hide: the toolchain and CAFFE_SOURCE."""
    toolchain.check()
    if os.environ.get('CAFFE_SOURCE'):
        source.find()
    return key(config_settings)


def key(config_settings=None, folder=HERE):
    """The cache's key, a hex digest over all that shapes the wheel built from `folder`."""
    shaping = {
        'source': source.DIGEST,
        'files': {str(path.relative_to(folder)): file_digest(path) for path in our_files(folder)},
        'toolchain': toolchain.fingerprint(),
        'cuda': cuda_toolkit.fingerprint(),
        'python': [platform.python_version(), sysconfig.get_config_var('SOABI')],
        'packages': {
            name: importlib.metadata.version(name) for name in ('numpy', 'scikit-build-core')
        },
        'settings': config_settings or {},
        'environment': {name: os.environ[name] for name in os.environ if is_switch(name)},
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_switch(name):
    return name in SWITCHES or name.startswith(SWITCH_PREFIXES)


def our_files(folder):
    """The files of this folder and of those in it: what our layers are made of lies a level deeper."""
    paths = (path for path in folder.rglob('*') if path.is_file())
    return sorted(
        path
        for path in paths
        if not re.search(r'/[.]|/__pycache__/', f'/{path.relative_to(folder)}')
    )


def kept_wheel(wheel_key):
    """The wheel kept under this key, or None."""
    return next((source.cache_folder('wheels') / wheel_key).glob('*.whl'), None)


def keep_wheel(wheel_key, wheel):
    """Keep a copy of `wheel` under its key; whole or not at all, also when two builds end at once."""
    wheels = source.cache_folder('wheels')
    with tempfile.TemporaryDirectory(prefix='new-', dir=wheels) as fresh:
        copied = Path(shutil.copy(wheel, fresh))
        (wheels / wheel_key).mkdir(exist_ok=True)
        copied.replace(wheels / wheel_key / wheel.name)
