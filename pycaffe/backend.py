"""The PEP 517 backend of pycaffe: scikit-build-core, and what that cannot know.

Before CMake runs, the toolchain is checked and Caffe's source is found. A wheel that was built is
cached under a key over everything that shapes it, so that another set-up on the same machine copies
it (measured on two cores: 4 s instead of 80 s). There is no hook for the metadata alone: that of
scikit-build-core asks for CMake, and an installer can take the metadata from the wheel.
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
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

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

Settings = dict[str, Any] | None  # what an installer passes on from its command line
Arguments = ParamSpec('Arguments')
Result = TypeVar('Result')


def readable(hook: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Make `hook` end with a message alone where an installer would show a traceback."""

    @functools.wraps(hook)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return hook(*args, **kwargs)
        except (source.SourceError, toolchain.ToolchainError) as error:
            sys.stdout.flush()
            raise SystemExit(f'pycaffe: {error}') from None

    return wrapped


@readable
def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what to install before `build_wheel`.

    That is CMake and Ninja, unless the system has them or the wheel is cached. This is the first
    hook that an installer calls, so here it hears of a missing tool or source.
    """
    if cached_wheel(checked_key(config_settings)):
        return []
    source.find()
    cuda = cuda_toolkit.build_requirements() if cuda_toolkit.wanted() else []
    return [*skbuild().get_requires_for_build_wheel(config_settings), *cuda]


@readable
def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel into `wheel_directory` and return its file name."""
    wheel_key = checked_key(config_settings)
    wheel = cached_wheel(wheel_key)
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
    cache_wheel(wheel_key, Path(wheel_directory, name))
    return name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Write the source distribution into `sdist_directory` and return its file name."""
    return skbuild().build_sdist(sdist_directory, config_settings)


def skbuild() -> ModuleType:
    """Return the backend of scikit-build-core."""
    import scikit_build_core.build

    return scikit_build_core.build


def checked_key(config_settings: Settings) -> str:
    """Return the cache's key after checking what a cached wheel must not hide.

    That is the toolchain and CAFFE_SOURCE. Raises ToolchainError or SourceError.
    """
    toolchain.check()
    if os.environ.get('CAFFE_SOURCE'):
        source.find()
    return key(config_settings)


def key(config_settings: Settings = None, folder: Path = HERE) -> str:
    """Return the cache's key: a hex digest over all that shapes the wheel built from `folder`."""
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


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_switch(name: str) -> bool:
    """Return whether an environment variable changes what is built."""
    return name in SWITCHES or name.startswith(SWITCH_PREFIXES)


def our_files(folder: Path) -> list[Path]:
    """Return the files below `folder`, sorted, without hidden ones and bytecode."""
    paths = (path for path in folder.rglob('*') if path.is_file())
    return sorted(
        path
        for path in paths
        if not re.search(r'/[.]|/__pycache__/', f'/{path.relative_to(folder)}')
    )


def cached_wheel(wheel_key: str) -> Path | None:
    """Return the wheel cached under this key, or None."""
    return next((source.cache_folder('wheels') / wheel_key).glob('*.whl'), None)


def cache_wheel(wheel_key: str, wheel: Path) -> None:
    """Keep a copy of `wheel` under its key: a whole one, also when two builds end at once."""
    wheels = source.cache_folder('wheels')
    with tempfile.TemporaryDirectory(prefix='new-', dir=wheels) as fresh:
        copied = Path(shutil.copy(wheel, fresh))
        (wheels / wheel_key).mkdir(exist_ok=True)
        copied.replace(wheels / wheel_key / wheel.name)
