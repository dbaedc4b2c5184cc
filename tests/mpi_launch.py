"""Starts commands as several processes of MPI, where there is one."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

# As root, and more processes than cores: Open MPI wants to be told. MPICH does not read these.
OPEN_MPI = {
    'OMPI_ALLOW_RUN_AS_ROOT': '1',
    'OMPI_ALLOW_RUN_AS_ROOT_CONFIRM': '1',
    'OMPI_MCA_rmaps_base_oversubscribe': '1',
    'PRTE_MCA_rmaps_default_mapping_policy': ':oversubscribe',
}


def launcher(processes: int) -> list[str]:
    """Return the command that starts so many Python processes; skips the test where it cannot."""
    beside = Path(sys.prefix) / 'bin' / 'mpiexec'
    found = str(beside) if beside.exists() else shutil.which('mpiexec')
    if not found or not importlib.util.find_spec('mpi4py'):
        pytest.skip("needs MPI: pip install '.[mpi]'")
    return [found, '-n', str(processes), sys.executable]


def environment(**more: str) -> dict[str, str]:
    """Return the environment to start processes of MPI in: a thread each."""
    return {**os.environ, **OPEN_MPI, 'OMP_NUM_THREADS': '1', **more}


def mpiexec(
    processes: int, *arguments: Any, cwd: Path = ROOT, timeout: float = 300, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python command as so many processes and return what they wrote."""
    return subprocess.run(
        [*launcher(processes), *map(str, arguments)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
