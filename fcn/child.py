"""Child processes: a function of this package, called in a new interpreter."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PACKAGE_FOLDER = Path(__file__).resolve().parents[1]
_CALL = (
    'import importlib, sys; '
    'module, name, *arguments = sys.argv[1:]; '
    'getattr(importlib.import_module(module), name)(*arguments)'
)


def _start_interpreter(
    function: Callable[..., None],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    **options: Any,
) -> subprocess.Popen[bytes]:
    target = [function.__module__, function.__name__]
    return subprocess.Popen(
        [sys.executable, '-P', '-c', _CALL, *target, *arguments], env=environment, **options
    )


# How a child is started. Tests that start thousands of them replace it by a fork.
starter: Callable[..., subprocess.Popen[bytes]] = _start_interpreter


def start(
    function: Callable[..., None],
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Call `function`, found by its module and name, with `arguments` in a new interpreter.

    The child imports this package from where it was imported here, and nothing from the working
    folder. It has no standard input. `options` are those of subprocess.Popen.
    """
    path = os.pathsep.join(filter(None, [str(_PACKAGE_FOLDER), os.environ.get('PYTHONPATH')]))
    environment = {**os.environ, **(environment or {}), 'PYTHONPATH': path}
    options = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, **options}
    return starter(function, arguments, environment, **options)
