"""Runs commands in forks of a process that has loaded everything but computed nothing, and judges how they end.

A fork takes milliseconds where an interpreter that loads Caffe takes a second. The
processes that read data for a net or try one are forked, too; one case in `COLD` starts
them as the commands do, and ends through the interpreter's own end.
"""

import ctypes
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from fcn import child as child_process
from fcn import cli as command

TIME = 30  # seconds
MEMORY = 1_500_000_000  # bytes beyond what the process has mapped when it is forked
COLD = 25
_SUBREAPER = 36  # prctl's number
# What commands say to a user who made no mistake, or of the inputs before.
_NOTES = re.compile(
    r'WARNING: |[\w-]+ at iteration \d+: |.* by tiles of \d+$|'
    r'.*: not the file its owners publish|.*has \d+ examples, the real set|.* names; VOC 2011|'
    r'.*: is there already, so|curl:'
)
_BAR = re.compile(r'.*(\d+%\|.*|\d+(\.\d+)?[kMG]?(it|image|B)? )\[\d\d:\d\d[:\d]*[<,].*')
_BAD = re.compile(
    r'Traceback \(most recent|^F\d{4} |^\S*:\d+: \w*Warning: |Exception ignored|terminate called|'
    r'\*\*\* |Fatal Python error|AddressSanitizer',
    re.MULTILINE,
)


class Outcome(NamedTuple):
    """How a case ended: `status` as a shell gives it, seconds, peak bytes, what was printed, what is wrong."""

    status: int
    seconds: float
    peak: int
    stdout: str
    stderr: str
    wrong: list


def become_subreaper():
    """Let the processes that a case leaves behind become this process's children, to be ended and counted."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def run_case(recipe, folder, cold=False, seconds=TIME):
    """The Outcome of a recipe's command in its folder, which is as it was arranged."""
    logs = Path(tempfile.mkdtemp(prefix='log-', dir=folder.parent))
    temporary = logs / 'tmp'
    temporary.mkdir()
    before = tree(folder)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _work(recipe, folder, logs, cold)
    status, peak = _wait(child, began + seconds)
    elapsed = time.monotonic() - began
    stdout, stderr = ((logs / name).read_text(errors='replace') for name in ('stdout', 'stderr'))
    _reap()
    wrong = judge(status, stderr, stdout, recipe)
    wrong += leftovers(before, tree(folder), status, recipe)
    if any(temporary.iterdir()):
        wrong.append(f'left in the folder of temporary files: {next(temporary.iterdir()).name}')
    shutil.rmtree(logs)
    return Outcome(status, elapsed, peak, stdout, stderr, wrong)


def judge(status, stderr, stdout, recipe):
    """What is wrong with how a command ended, a line each."""
    if status is None:
        return [f'still at work after {TIME} s']
    wrong = []
    if status < 0:
        wrong.append(f'killed by {signal.Signals(-status).name}')
    elif status not in (0, 2):
        wrong.append(f'exit {status}')
    if match := _BAD.search(stderr + stdout):
        wrong.append(f'printed {match[0].strip()}')
    lines = [
        line
        for line in re.split(r'[\r\n]+', stderr)
        if line.strip() and not _BAR.fullmatch(line) and not _NOTES.match(line)
    ]
    program = Path(recipe.program)
    name = program.name if program.stem != '__main__' else program.parent.name
    if status == 2 and not (
        len(lines) == 1 and lines[0].startswith(f'{name}: ') and len(lines[0]) < 1000
    ):
        wrong.append(
            f'{len(lines)} lines of error, not one that begins with {name}'
            if len(lines) != 1
            else 'its line of error is no line'
        )
    if status == 0 and lines:
        wrong.append('wrote of an error and ended well')
    return wrong


def tree(folder):
    """{path: what tells whether it changed} of the files under a folder."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (
            *files,
            *(name for name in folders if os.path.islink(os.path.join(place, name))),
        ):
            path = os.path.join(place, name)
            about = os.lstat(path)
            found[os.path.relpath(path, folder)] = about.st_ino, about.st_size, about.st_mtime_ns
    return found


def leftovers(before, after, status, recipe):
    """What a command left that it should not have."""
    changed = [path for path in after if before.get(path) != after[path]]
    wrong = [f'left {path}' for path in changed if re.search(r'partial|(^|/)\.[^/]*-', path)]
    if status == 2:
        wrong += [
            f'failed and left {path}'
            for path in changed
            if not (recipe.leaves and re.fullmatch(recipe.leaves, path))
            and not path.endswith('checksums.json')
        ]
        wrong += [
            f'failed and took {path} away'
            for path in before
            if path not in after and '/.partial' not in path
        ]
    return wrong[:3]


def _wait(child, until):
    """The exit status and peak memory of a process; it and its group are ended, with None, when time is up."""
    handle = os.pidfd_open(child)
    try:
        ready = select.poll()
        ready.register(handle, select.POLLIN)
        in_time = ready.poll(max(0, until - time.monotonic()) * 1000)
    finally:
        os.close(handle)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None, usage.ru_maxrss * 1024


def _reap():
    """End what the case left running."""
    for path in Path('/proc/self/task').glob('*/children'):
        for orphan in path.read_text().split():
            os.kill(int(orphan), signal.SIGKILL)
            os.waitpid(int(orphan), 0)


def _work(recipe, folder, logs, cold):
    """The forked child: becomes the command, and never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for stream, name in ((1, 'stdout'), (2, 'stderr')):
            file = os.open(logs / name, os.O_WRONLY | os.O_CREAT)
            os.dup2(file, stream)
            os.close(file)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, 'w', 1, 'utf-8', 'strict', closefd=False)  # noqa: SIM115
        sys.stderr = open(2, 'w', 1, 'utf-8', 'backslashreplace', closefd=False)  # noqa: SIM115
        os.chdir(folder)
        os.environ['TMPDIR'] = str(logs / 'tmp')
        tempfile.tempdir = None
        mapped = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter('ignore', kind)
        tqdm._instances.clear()  # Bars of this process would move the command's.
        if not cold:
            child_process.starter = _Forked
        sys.argv = [recipe.program, *recipe.argv.split()]
        command.run(recipe.main)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    if cold:
        ctypes.pythonapi.Py_Exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Forked(subprocess.Popen):
    """A fork that calls a function, in the place of a new interpreter that imports and calls it."""

    def __init__(self, function, arguments, environment, stderr=None, **_):
        receive, send = os.pipe()
        self.args, self.returncode = arguments, None
        self._forked = os.fork()
        if self._forked == 0:
            status = 1
            try:
                os.close(receive)
                if stderr is not None:
                    os.dup2(stderr.fileno(), 2)
                sys.stdout = sys.__stdout__ = open(send, 'w')  # noqa: SIM115
                function(*arguments)
                sys.stdout.flush()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(send)
        self.stdout = open(receive, 'rb')  # noqa: SIM115

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self._forked, 0)[1])
        return self.returncode

    def kill(self):
        if self.returncode is None:
            os.kill(self._forked, signal.SIGKILL)

    def communicate(self, input=None, timeout=None):
        stdout = self.stdout.read()  # The case's own time is its limit.
        self.wait()
        return stdout, None

    def __del__(self):
        pass
