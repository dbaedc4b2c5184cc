"""The one child process that holds the engine, as the server sees it: started, asked, ended,
started again after a crash."""

import asyncio
import contextlib
import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fcn import child
from fcn.errors import FCNError
from fcn.text import printable, shortened

from . import engine
from .settings import MAX_PROBABILITIES, Settings

START_SECONDS = 180.0  # for the engine to be loaded
LINE = 1 << 20  # bytes of a message
LOG_TAIL = 16_384  # bytes of what the engine said last
PATIENCE = 3  # starts in a row that may fail before the server says that it is ill

Message = dict[str, Any]


class EngineLostError(FCNError):
    """The engine's process ended while it worked, or took too long."""


class EngineProcess:
    """Starts the engine when it is first needed, and again when it has ended.

    `folder` is a private one, for what the engine says on stderr.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._log = folder / 'engine.log'
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._starting = asyncio.Lock()
        self.starts = 0
        self.failures = 0  # in a row, while it was started

    @property
    def pid(self) -> int | None:
        """The process's number; None if it does not run."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def healthy(self) -> bool:
        """Whether the engine runs, or can be expected to run once it is needed."""
        return self.failures < PATIENCE

    async def ask(
        self, message: Message, hear: Callable[[Message], None], seconds: float
    ) -> Message:
        """Hand a task to the engine and return its last message, `done` or `error`.

        `hear` gets those before. Raises EngineLostError if the engine ends, or needs more than
        `seconds`; then it is ended.
        """
        try:
            await self.start()
            assert self._reader and self._writer
            async with asyncio.timeout(seconds):
                self._writer.write(json.dumps(message).encode() + b'\n')
                await self._writer.drain()
                while True:
                    answer = await self._read()
                    if answer.get('task') != message['task']:
                        continue
                    if 'done' in answer or 'error' in answer:
                        return answer
                    hear(answer)
        except TimeoutError:
            await self.stop()
            raise EngineLostError(
                f'this took longer than {seconds:g} s and was ended; take a smaller image or a '
                'smaller net'
            ) from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def start(self) -> None:
        """Start the engine unless it runs. Raises EngineLostError if it does not come up."""
        async with self._starting:
            await self._start()

    async def _start(self) -> None:
        if self.pid and self._reader and not self._reader.at_eof():
            return
        await self.stop()
        options = json.dumps(
            {
                'gpu': self._settings.gpu,
                'threads': self._settings.threads,
                'max_pixels': self._settings.max_pixels,
                'max_probabilities': MAX_PROBABILITIES,
            }
        )
        ours, theirs = socket.socketpair()
        with theirs, self._log.open('wb') as log:
            self._process = child.start(
                engine.main,
                str(theirs.fileno()),
                options,
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the server, which ends the engine.
            )
        self.starts += 1
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=LINE)
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (await self._read()).get('ready'):
                    pass
        except (EngineLostError, TimeoutError) as error:
            self.failures += 1
            await self.stop()
            raise EngineLostError(f'the engine does not start: {error}') from error
        self.failures = 0

    async def stop(self) -> None:
        """End the engine's process, if it runs."""
        if self._writer:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self._reader = self._writer = None
        if self._process:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def _read(self) -> Message:
        """Return the engine's next message. Raises EngineLostError, which says why, at its end."""
        assert self._reader and self._process
        try:
            line = await self._reader.readline()
        except (OSError, ValueError):
            line = b''
        if not line.endswith(b'\n'):
            raise EngineLostError(await self._obituary())
        message: Message = json.loads(line)
        return message

    async def _obituary(self) -> str:
        """Return how the engine's process ended, in one line."""
        assert self._process
        try:
            status = await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            await self.stop()
            return 'the engine no longer answered and was ended; it is started again'
        ended = f'exit code {status}'
        if status < 0:
            with contextlib.suppress(ValueError):
                ended = signal.Signals(-status).name
        reason = _last_words(self._log)
        return (
            f'the engine ended ({ended}{reason}) and is started again; try again, or another image'
        )


def _last_words(log: Path) -> str:
    """Return what the engine's log says of its end: Caffe's failed check, or the last line."""
    with contextlib.suppress(OSError), log.open('rb') as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL))
        lines = file.read().decode(errors='replace').splitlines()
        failed = [line for line in lines if 'Check failed' in line]
        told = failed or [line for line in lines if re.search(r'\w', line)][-1:]
        if told:
            text = re.sub(r'^.*?\] ', '', told[-1]) if failed else told[-1]
            return f': {shortened(printable(text), 200)}'
    return ''
