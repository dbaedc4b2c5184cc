"""Runs commands in forks of a process that has loaded everything but computed nothing.

A fork takes milliseconds where an interpreter that loads Caffe takes a second. The processes that
read data for a net or validate one are forked, too; one case in `COLD` starts them as the commands
do, and ends as the interpreter itself ends. `judge` says what is wrong with how a command ended.
"""

import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple, NoReturn

from tqdm import tqdm

from fcn import child, cli
from tests.forks import Fork

from .cases import Recipe
from .judge import judge, leftovers, tree

MAX_SECONDS = 30
MAX_MEMORY = 1_500_000_000  # bytes beyond what the process has mapped when it is forked
COLD = 25
_PR_SET_CHILD_SUBREAPER = 36


class Outcome(NamedTuple):
    """How a case ended.

    `status` is the exit status, negative for a signal, or None if time was up. `peak` is in bytes.
    `wrong` has a line for each thing that is wrong.
    """

    status: int | None
    seconds: float
    peak: int
    stdout: str
    stderr: str
    wrong: list[str]


def become_subreaper() -> None:
    """Adopt the processes that a case leaves behind, so that they can be ended and counted."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_case(
    recipe: Recipe, folder: Path, cold: bool = False, seconds: float = MAX_SECONDS
) -> Outcome:
    """Return the Outcome of a recipe's command in `folder`, which was arranged for it."""
    logs = Path(tempfile.mkdtemp(prefix='log-', dir=folder.parent))
    temporary = logs / 'tmp'
    temporary.mkdir()
    before = tree(folder)
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _become_command(recipe, folder, logs, cold)
    status, peak = _wait(pid, start + seconds)
    elapsed = time.monotonic() - start
    stdout, stderr = ((logs / name).read_text(errors='replace') for name in ('stdout', 'stderr'))
    _end_orphans()
    if status is None:
        wrong = [f'still at work after {seconds} s']
    else:
        wrong = judge(status, stdout, stderr, recipe)
    wrong += leftovers(before, tree(folder), status, recipe)
    if any(temporary.iterdir()):
        wrong.append(f'left in the folder of temporary files: {next(temporary.iterdir()).name}')
    shutil.rmtree(logs)
    return Outcome(status, elapsed, peak, stdout, stderr, wrong)


def _wait(pid: int, deadline: float) -> tuple[int | None, int]:
    """Return the exit status and peak memory, in bytes, of a process.

    When time is up the process and its group are ended, and the status is None.
    """
    handle = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        in_time = poll.poll(max(0, deadline - time.monotonic()) * 1000)
    finally:
        os.close(handle)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None, usage.ru_maxrss * 1024


def _end_orphans() -> None:
    """End what the case left running."""
    for path in Path('/proc/self/task').glob('*/children'):
        for orphan in path.read_text().split():
            os.kill(int(orphan), signal.SIGKILL)
            os.waitpid(int(orphan), 0)


def _become_command(recipe: Recipe, folder: Path, logs: Path, cold: bool) -> NoReturn:
    """Run the recipe's command in this process, a fork, and end it."""
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _redirect(logs)
        os.chdir(folder)
        _limit()
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter('ignore', kind)
        tqdm._instances.clear()  # Bars of this process would move the command's.
        if not cold:
            child.starter = Fork
        sys.argv = [recipe.program, *recipe.argv.split()]
        cli.run(recipe.main)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    if cold:
        ctypes.pythonapi.Py_Exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _redirect(logs: Path) -> None:
    """Write standard output, standard error and temporary files to the folder `logs`."""
    for stream, name in ((1, 'stdout'), (2, 'stderr')):
        file = os.open(logs / name, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, stream)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout = open(1, 'w', 1, 'utf-8', 'strict', closefd=False)  # noqa: SIM115
    sys.stderr = open(2, 'w', 1, 'utf-8', 'backslashreplace', closefd=False)  # noqa: SIM115
    os.environ['TMPDIR'] = str(logs / 'tmp')
    tempfile.tempdir = None


def _limit() -> None:
    """Bound the memory of this process, and let it leave no core."""
    mapped = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MAX_MEMORY,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
