"""Forks in place of new interpreters, which take most of a second to load the library.

`Fork` starts the processes that read data; `Server` is a process that has loaded the commands and
runs each in a fork of itself, as if it had been typed.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from fcn import child

ROOT = Path(__file__).resolve().parents[1]
LOADED = (
    *('fcn.commands.solve', 'fcn.commands.score', 'fcn.commands.infer', 'fcn.commands.net'),
    *('matplotlib.pyplot', 'surgery', 'experiments.study', 'miniature.generate'),
)
# What the environment may hold that the server's does not.
OTHER = ('PYTEST_CURRENT_TEST',)


class Fork(subprocess.Popen[bytes]):
    """A fork that calls a function: the `starter` of fcn.child, without a new interpreter."""

    def __init__(
        self,
        function: Callable[..., None],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stderr: IO[bytes] | None = None,
        stdin: int = subprocess.DEVNULL,
        **_: Any,
    ) -> None:
        receive, send = os.pipe()
        given, give = os.pipe()
        self.args, self.returncode = arguments, None
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():  # Python's, that a process with threads is forked.
            warnings.simplefilter('ignore', DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(receive)
                os.close(give)
                os.dup2(given, 0)
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
        os.close(given)
        self.stdin = open(give, 'wb')  # noqa: SIM115
        if stdin != subprocess.PIPE:
            self.stdin.close()
        self.stdout = open(receive, 'rb')  # noqa: SIM115

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes, None]:
        assert self.stdout
        with self.stdout:
            stdout = self.stdout.read()  # The time limit of the case is the limit here.
        self.wait()
        return stdout, None

    def __del__(self) -> None:
        pass


def starter(
    function: Callable[..., None],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    **options: Any,
) -> subprocess.Popen[bytes]:
    """Fork the processes that read data; others bound their memory, and want an interpreter of
    their own."""
    start = Fork if function.__module__.endswith('prefetch') else child._start_interpreter
    return start(function, arguments, environment, **options)


class Server:
    """Runs commands in forks of a process that has loaded them, but computed nothing."""

    def __init__(self) -> None:
        self._environment = environment()
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tests.forks'],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def can_run(self, arguments: Sequence[str]) -> bool:
        """Return whether the command is a script or a module of the library's, in the environment
        of the server.

        The proofs of tests/robustness fork by themselves.
        """
        first, *others = arguments
        ours = not others[0].startswith('tests.') if first == '-m' else first.endswith('.py')
        return ours and environment() == self._environment

    def run(
        self, arguments: Sequence[str], cwd: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS` in `cwd`. Raises TimeoutExpired after `timeout` seconds."""
        assert self._process.stdin and self._process.stdout
        with tempfile.TemporaryDirectory(prefix='command-') as logs:
            request = [list(arguments), str(cwd), logs]
            print(json.dumps(request), file=self._process.stdin, flush=True)
            if not select.select([self._process.stdout], [], [], timeout)[0]:
                self.close()
                raise subprocess.TimeoutExpired(list(arguments), timeout)
            status = int(self._process.stdout.readline())
            output = [Path(logs, name).read_text(errors='replace') for name in ('out', 'err')]
        return subprocess.CompletedProcess([sys.executable, *arguments], status, *output)

    def close(self) -> None:
        """End the server, and a command that it is at."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def environment() -> dict[str, str]:
    """Return the environment as far as it may change what a command does."""
    return {name: value for name, value in os.environ.items() if name not in OTHER}


def serve() -> None:
    """Run the commands that standard input names, until it ends."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        arguments, cwd, logs = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(arguments, cwd, Path(logs))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(arguments: list[str], cwd: str, logs: Path) -> NoReturn:
    """Run `python ARGUMENTS` in this process, a fork, and end it."""
    status = 0
    try:
        for stream, name in enumerate((os.devnull, logs / 'out', logs / 'err')):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), stream)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, 'w', closefd=False)  # noqa: SIM115
        sys.stderr = open(2, 'w', 1, errors='backslashreplace', closefd=False)  # noqa: SIM115
        os.chdir(cwd)
        child.starter = starter
        if arguments[0] == '-m':
            sys.argv = arguments[1:]
            sys.path.insert(0, cwd)
            runpy.run_module(arguments[1], run_name='__main__', alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
            runpy.run_path(arguments[0], run_name='__main__')
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == '__main__':
    serve()
