"""Finds CUDA: an installed toolkit, or NVIDIA's wheels where there is none.

`CUDA=1` in the environment asks for an engine that computes on the GPU as well. A toolkit of CUDA
12 or 13 (CUDA_HOME, else the nvcc on PATH) is taken first. What it lacks (often cuDNN and NCCL, or
all where there is no toolkit) is required from the package index: to build with, at the versions
below, and to run with, at those or later versions. So neither root nor a vendor's image is needed.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import toolchain
from toolchain import ToolchainError

MAJORS = (12, 13)
# nvcc and what it needs, from the first release of CUDA 13: every driver for CUDA 13 takes its PTX.
NVCC = (
    'nvidia-cuda-nvcc==13.0.88',
    'nvidia-cuda-crt==13.0.88',
    'nvidia-nvvm==13.0.88',
    'nvidia-cuda-runtime==13.0.96',
    'nvidia-cuda-cccl==13.0.85',
)


class Library(NamedTuple):
    """A library that Caffe uses: its header, and its file and its wheel for each of MAJORS."""

    header: str
    files: tuple[str, str]
    wheels: tuple[str, str]  # name==version
    folders: tuple[str, str]  # in site-packages/nvidia
    below: str  # the first version that may break what was built with this one; '': the next major


LIBRARIES = (
    Library("cublas_v2.h", ("libcublas.so.12", "libcublas.so.13"),
            ("nvidia-cublas-cu12==12.8.4.1", "nvidia-cublas==13.0.2.14"), ("cublas", "cu13"), ""),
    Library("curand.h", ("libcurand.so.10",) * 2,
            ("nvidia-curand-cu12==10.3.9.90", "nvidia-curand==10.4.0.35"),
            ("curand", "cu13"), "11"),
    Library("cudnn.h", ("libcudnn.so.9",) * 2,
            ("nvidia-cudnn-cu12==9.13.0.50", "nvidia-cudnn-cu13==9.13.0.50"), ("cudnn",) * 2, "10"),
    Library("nccl.h", ("libnccl.so.2",) * 2,
            ("nvidia-nccl-cu12==2.27.7", "nvidia-nccl-cu13==2.27.7"), ("nccl",) * 2, "3"),
)  # fmt: skip
# cuRAND's wheel loads the runtime's library, and does not say that it requires the runtime.
RUNTIME = ('nvidia-cuda-runtime-cu12==12.8.90', 'nvidia-cuda-runtime==13.0.96')
# Machine code for each generation since Turing, which also runs on the later chips of its
# generation, and PTX for generations to come.
GENERATIONS = '75;80-real;90-real;100-real;120-real'


class Toolkit(NamedTuple):
    """An installed toolkit: its nvcc, folder and major version, and nvcc's "release 13.0"."""

    nvcc: Path
    home: Path
    major: int
    release: str


def wanted() -> bool:
    """Return whether CUDA=1 is set. Raises ToolchainError for any value but 0 and 1."""
    value = os.environ.get('CUDA', '')
    if value not in ('', '0', '1'):
        raise ToolchainError(f'CUDA={value}: set 1 for an engine with CUDA, 0 for one without')
    return value == '1'


def toolkit() -> Toolkit | None:
    """Return the installed Toolkit, or None.

    Raises ToolchainError if CUDA_HOME is set and holds none of MAJORS. An nvcc on PATH that is of
    another version is passed over.
    """
    home = os.environ.get('CUDA_HOME')
    nvcc = shutil.which('nvcc', path=str(Path(home, 'bin')) if home else None)
    release = re.search(r'release (\d+)\.\d+', output_of(nvcc, '--version')) if nvcc else None
    if nvcc and release and int(release[1]) in MAJORS:
        # The nvcc on PATH can be a script; the real one says where it lies.
        top = re.search(
            r'^#\$ TOP=(.+)$',
            output_of(nvcc, '--dryrun', '-x', 'cu', '-c', os.devnull),
            re.MULTILINE,
        )
        if top:
            folder = Path(os.path.normpath(top[1]))
            return Toolkit(folder / 'bin' / 'nvcc', folder, int(release[1]), release[0])
    if home:
        raise ToolchainError(
            f'CUDA_HOME={home} holds no toolkit of CUDA {MAJORS[0]} or {MAJORS[1]}; '
            "unset it to build with NVIDIA's wheels instead"
        )
    return None


def output_of(*command: str | Path) -> str:
    """Return what `command` prints, on both streams."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


def architectures() -> str:
    """Return what nvcc compiles for, as CMake writes it.

    That is CUDA_ARCHITECTURES, else the GPUs of this machine, else GENERATIONS. Raises
    ToolchainError for an element that is no architecture.
    """
    requested = re.split(r'[;,\s]+', os.environ.get('CUDA_ARCHITECTURES', '').strip(' ;,'))
    if requested != ['']:
        for one in requested:
            if not re.fullmatch(r'\d{2,3}[af]?(-real|-virtual)?', one):
                raise ToolchainError(
                    f'CUDA_ARCHITECTURES: {one} is not an architecture such as 86 or 120-real'
                )
        return ';'.join(requested)
    query = ('nvidia-smi', '--query-gpu=compute_cap', '--format=csv,noheader')
    capabilities = (
        re.findall(r'^(\d+)\.(\d)$', output_of(*query), re.MULTILINE)
        if shutil.which(query[0])
        else []
    )
    present = sorted({int(major + minor) for major, minor in capabilities})
    return ';'.join(map(str, present)) or GENERATIONS


def sources(installed: Toolkit | None) -> list[tuple[Path, Path] | None]:
    """Return for each of LIBRARIES the folders of its header and its file, or None.

    They are searched for in the Toolkit `installed` and in the system's folders.
    """
    if installed is None:
        return [None] * len(LIBRARIES)
    targets = installed.home / 'targets' / f'{os.uname().machine}-linux'
    headers = [installed.home / 'include', targets / 'include', *system_headers()]
    files = [
        installed.home / 'lib64',
        installed.home / 'lib',
        targets / 'lib',
        *toolchain.library_folders(),
    ]
    which = MAJORS.index(installed.major)
    return [
        (header, file) if header and file else None
        for library in LIBRARIES
        for header, file in [(holder(headers, library.header), holder(files, library.files[which]))]
    ]


def system_headers() -> list[Path]:
    """Return the folders of the system's headers."""
    multiarch = output_of(*toolchain.compiler(), '-print-multiarch').strip()
    return [Path('/usr/include'), Path('/usr/include') / multiarch]


def holder(folders: Iterable[Path], name: str) -> Path | None:
    """Return the first of `folders` that has the file `name`, or None."""
    return next((folder for folder in folders if (folder / name).is_file()), None)


def wheels(installed: Toolkit | None) -> dict[str, Library]:
    """Return the wheels ("name==version") of the libraries that the toolkit lacks → the Library."""
    which = MAJORS.index(installed.major) if installed else -1
    lacking = (
        library
        for library, source in zip(LIBRARIES, sources(installed), strict=True)
        if source is None
    )
    return {library.wheels[which]: library for library in lacking}


def build_requirements() -> list[str]:
    """Return the wheels to build with.

    Their versions are the same everywhere, because they are part of the cached wheel's key.
    """
    installed = toolkit()
    return [*(() if installed else NVCC), *wheels(installed)]


def runtime_requirements() -> list[str]:
    """Return the wheels that the built one needs, of the versions it was built with or later."""
    installed = toolkit()
    needed = {wheel: library.below for wheel, library in wheels(installed).items()}
    if needed:
        needed[RUNTIME[MAJORS.index(installed.major) if installed else -1]] = ''
    pairs = ((*wheel.split('=='), below) for wheel, below in needed.items())
    return [
        f'{name}>={version},<{below or int(version.split(".")[0]) + 1}'
        for name, version, below in pairs
    ]


def defines() -> dict[str, str | Path]:
    """Return CMake's definitions.

    Raises ToolchainError if a wheel of build_requirements() is not installed.
    """
    installed = toolkit()
    which = MAJORS.index(installed.major) if installed else -1
    flags = os.environ.get('CUDAFLAGS', '')
    includes: list[Path] = []
    libraries: list[str] = []
    paths: list[str | Path] = []
    if installed is None:
        nvcc = in_wheels('cu13', 'bin/nvcc', NVCC)
        # This nvcc looks in lib64, and the wheels have lib.
        flags = f'{flags} -L{nvcc.parents[1] / "lib"}'.strip()
        includes += [nvcc.parents[1] / 'include', nvcc.parents[1] / 'include' / 'cccl']
    else:
        nvcc = installed.nvcc
        cccl = holder([installed.home / 'include' / 'cccl'], 'thrust/version.h')
        includes += [installed.home / 'include', *([cccl] if cccl else [])]
    for library, source in zip(LIBRARIES, sources(installed), strict=True):
        folder = library.folders[which]
        if source is None:
            header = in_wheels(folder, f'include/{library.header}', [library.wheels[which]]).parent
            source = header, header.parent / 'lib'
            paths.append(f'$ORIGIN/../nvidia/{folder}/lib')
        elif installed and source[1].is_relative_to(installed.home):
            paths.append(source[1])
        includes.append(source[0])
        libraries += [f'-L{source[1]}', f'-l:{library.files[which]}']
    lists: dict[str, Sequence[str | Path]] = {
        'CUDA_INCLUDES': includes,
        'CUDA_LIBRARIES': libraries,
        'CUDA_RPATH': paths,
    }
    return {
        'PYCAFFE_CUDA': 'True',
        'CMAKE_CUDA_COMPILER': nvcc,
        'CMAKE_CUDA_ARCHITECTURES': architectures(),
        'CMAKE_CUDA_FLAGS': flags,
        **{name: ';'.join(dict.fromkeys(map(str, values))) for name, values in lists.items()},
    }


def in_wheels(folder: str, name: str, requirements: Iterable[str]) -> Path:
    """Return the path of a file of NVIDIA's wheels, as they are installed where this runs.

    Raises ToolchainError, which names `requirements`, if there is none.
    """
    spec = importlib.util.find_spec('nvidia')
    for root in (spec.submodule_search_locations if spec else None) or ():
        path = Path(root, folder, name)
        if path.is_file():
            return path
    raise ToolchainError(
        f'missing to build the engine with CUDA: {" ".join(requirements)} (pip install them, or '
        'build without --no-build-isolation)'
    )


def fingerprint() -> dict[str, Any] | None:
    """Return what compiles the wheel and what it is linked with, for the cache's key.

    None without CUDA.
    """
    if not wanted():
        return None
    installed = toolkit()
    return {
        'toolkit': installed and [str(installed.nvcc), output_of(installed.nvcc, '--version')],
        'libraries': [source and str(source[1]) for source in sources(installed)],
        'requirements': build_requirements(),
        'architectures': architectures(),
    }
