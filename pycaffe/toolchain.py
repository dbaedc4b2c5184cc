"""Checks what building the engine needs from the system: whether it is there, in which versions.

Otherwise a missing piece would show as a page of CMake's or the compiler's output. One message
names all that is missing, with the apt command that fixes it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path
from typing import Any

PYTHON = f'{sys.version_info.major}.{sys.version_info.minor}'
BOOST_PYTHON = f'boost_python{PYTHON.replace(".", "")}'

# Debian's package → the header and the library that the build takes from it.
PACKAGES = {
    'libboost-python-dev': ('boost/python.hpp', BOOST_PYTHON),
    'libboost-thread-dev': ('boost/thread.hpp', 'boost_thread'),
    'libboost-filesystem-dev': ('boost/filesystem.hpp', 'boost_filesystem'),
    'libprotobuf-dev': ('google/protobuf/message.h', 'protobuf'),
    'libgoogle-glog-dev': ('glog/logging.h', 'glog'),
    'libgflags-dev': ('gflags/gflags.h', 'gflags'),
    'libhdf5-dev': ('hdf5_hl.h', 'hdf5_hl'),
    'libopenblas-dev': ('cblas.h', 'openblas'),
    'libdnnl-dev': ('dnnl.hpp', 'dnnl'),
}
# The folders of headers and libraries of which distributions ship several builds.
SUBFOLDERS = ('', 'hdf5/serial', 'openblas', 'openblas-pthread')


class ToolchainError(Exception):
    """Something that the build needs is missing. The message says what, and how to fix it."""


def check() -> None:
    """Raise one ToolchainError that names all that is missing; return if nothing is missing."""
    missing = {}  # Debian's package → which part of it is missing
    if not compiler():
        missing['g++'] = 'a C++ compiler'
    else:
        missing.update(missing_packages())
    if not shutil.which('protoc'):
        missing['protobuf-compiler'] = 'protoc'
    if not Path(sysconfig.get_path('include'), 'Python.h').is_file():
        missing['python3-dev'] = f'Python.h of Python {PYTHON}'
    other = other_python(missing)
    if other:
        raise ToolchainError(
            f'Boost.Python on this machine is built for Python {other}, and this is Python '
            f"{PYTHON} ({sys.executable}). Use a virtual environment of the distribution's own "
            'Python:\n'
            f'    /usr/bin/python{other} -m venv .venv && .venv/bin/pip install ./pycaffe'
        )
    if missing:
        sudo = '' if os.geteuid() == 0 else 'sudo '
        raise ToolchainError(
            f'missing to build the engine: {", ".join(missing.values())}. On Debian or Ubuntu:\n'
            f'    {sudo}apt-get install {" ".join(sorted(missing))}'
        )


def compiler() -> list[str]:
    """Return the command of the C++ compiler that CMake would choose, as words; none if missing."""
    named = shlex.split(os.environ.get('CXX', ''))
    if named:
        return named if shutil.which(named[0]) else []
    return next(([name] for name in ('c++', 'g++', 'clang++') if shutil.which(name)), [])


def missing_packages() -> dict[str, str]:
    """Return Debian's packages that are missing → the header or the library that shows it."""
    headers, libraries = present_headers(), present_libraries()
    return {
        package: header if header not in headers else f'lib{library}.so'
        for package, (header, library) in PACKAGES.items()
        if header not in headers or library not in libraries
    }


def present_headers() -> set[str]:
    """Return those of the headers that the compiler finds, in one run of its preprocessor."""
    headers = [header for header, _ in PACKAGES.values()]
    probe = ''.join(
        f'#if __has_include(<{header}>)\nfound {header}\n#endif\n' for header in headers
    )
    folders = [Path('/usr/include') / name for name in SUBFOLDERS if name]
    folders += [prefix / 'include' for prefix in prefixes()]
    flags = [*shlex.split(os.environ.get('CXXFLAGS', '')), *(f'-I{folder}' for folder in folders)]
    output = run(*compiler(), *flags, '-E', '-P', '-x', 'c++', '-', text=probe)
    return set(re.findall(r'^found (\S+)$', output, re.MULTILINE))


def library_folders() -> list[Path]:
    """Return the folders in which the compiler looks for libraries, and SUBFOLDERS of them."""
    searched = re.search(r'libraries: =?(.*)', run(*compiler(), '-print-search-dirs'))
    folders = [Path(name) for name in searched[1].split(':')] if searched else []
    folders += [prefix / 'lib' for prefix in prefixes()]
    return [folder / name for folder in folders for name in SUBFOLDERS]


def present_libraries() -> dict[str, Path]:
    """Return those of the libraries that can be linked → the file, whose name has the version."""
    folders, present = library_folders(), {}
    for _, library in PACKAGES.values():
        paths = (folder / f'lib{library}.so' for folder in folders)
        path = next((path for path in paths if path.exists()), None)
        if path:
            present[library] = path.resolve()
    return present


def prefixes() -> list[Path]:
    """Return the folders of software installed by hand: those in CMAKE_PREFIX_PATH."""
    return [
        Path(name) for name in re.split('[:;]', os.environ.get('CMAKE_PREFIX_PATH', '')) if name
    ]


def other_python(missing: Collection[str]) -> str | None:
    """Return the Python ("3.11") that Boost.Python is built for, if that is another than this one.

    `missing` are the names of the missing packages.
    """
    if 'libboost-python-dev' not in missing or not compiler():
        return None
    for folder in library_folders():
        for path in folder.glob('libboost_python3*.so'):
            version = re.fullmatch(r'libboost_python3(\d+)\.so', path.name)
            if version and version[1] != PYTHON.partition('.')[2]:
                return f'3.{version[1]}'
    return None


def fingerprint() -> dict[str, Any]:
    """Return the versions of what the wheel is compiled by and linked with, for the cache's key."""
    return {
        'compiler': run(*compiler(), '--version').splitlines()[:1],
        'protoc': run('protoc', '--version').strip(),
        'machine': sysconfig.get_platform(),
        'libraries': {name: str(path) for name, path in sorted(present_libraries().items())},
    }


def run(*command: str, text: str = '') -> str:
    """Return what `command` prints, given `text` on its standard input."""
    environment = {**os.environ, 'LC_ALL': 'C'}
    return subprocess.run(
        command, input=text, capture_output=True, text=True, env=environment
    ).stdout
