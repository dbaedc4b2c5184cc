"""Where images wait for the engine, and where what came of them is kept for a while."""

import asyncio
import contextlib
import itertools
import logging
import secrets
import shutil
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .catalogue import Entry
from .process import EngineLostError, EngineProcess
from .settings import ABANDONED, KEPT, KEPT_BYTES, LARGEST_ENGINE, Settings
from .telemetry import Telemetry, resident_bytes

log = logging.getLogger('fcn')

TOLD = 8  # of the waiting, who hear at once that they have come nearer


class FullError(Exception):
    """The queue is full."""


@dataclass(eq=False)
class Job:
    """An image to segment by some nets; `folder` holds its upload and what came of it.

    `version` grows with every change, and `changed` is set at the next one.
    """

    id: str
    folder: Path
    nets: Sequence[Entry]
    task: dict[str, Any]
    state: Literal['waiting', 'running', 'done', 'failed'] = 'waiting'
    share: float = 0.0
    layer: str = ''
    at: str = ''  # the net that is computed
    result: dict[str, Any] | None = None
    error: str = ''
    bytes: int = 0
    version: int = 0
    touched: float = field(default_factory=time.monotonic)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def change(self, **news: Any) -> None:
        """Take over the news and wake those who wait for them."""
        for name, value in news.items():
            setattr(self, name, value)
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self.state in ('done', 'failed')

    async def news(self, after: int, seconds: float) -> None:
        """Wait until the version is beyond `after`, or so many seconds have passed."""
        self.touched = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.version <= after:
                    await self.changed.wait()
        self.touched = time.monotonic()


class Desk:
    """A bounded queue before one engine. `folder` is private to the server."""

    def __init__(
        self, folder: Path, engine: EngineProcess, settings: Settings, telemetry: Telemetry
    ) -> None:
        self._folder, self._engine, self._settings = folder, engine, settings
        self._telemetry = telemetry
        self._numbers = itertools.count(1)
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._running: Job | None = None
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    @property
    def length(self) -> int:
        """How many images wait or are computed."""
        return len(self._waiting) + (self._running is not None)

    @property
    def kept_bytes(self) -> int:
        """The bytes of the results that are kept."""
        return sum(job.bytes for job in self._jobs.values())

    def check_room(self) -> None:
        """Raise FullError if the queue is full."""
        if len(self._waiting) >= self._settings.queue:
            raise FullError

    def new_folder(self) -> Path:
        """Return a new folder for a job."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(mode=0o700)
        return folder

    def submit(self, folder: Path, nets: Sequence[Entry], **task: Any) -> Job:
        """Line up a job. Raises FullError if the queue is full; the folder is gone then."""
        try:
            self.check_room()
        except FullError:
            discard(folder)
            raise
        job = Job(secrets.token_urlsafe(18), folder, nets, task)
        self._jobs[job.id] = job
        self._waiting.append(job)
        self._arrived.set()
        return job

    def find(self, name: str) -> Job | None:
        """Return a job by its id; None if there is none, or it has made room for others."""
        return self._jobs.get(name)

    def position(self, job: Job) -> int:
        """Return how many images are to be done before this one."""
        if job.state != 'waiting':
            return 0
        return self._waiting.index(job) + (self._running is not None)

    def drop(self, job: Job, reason: str = 'it was withdrawn') -> None:
        """Take a waiting job out of the queue; one that is computed goes on."""
        if job.state == 'waiting':
            self._waiting.remove(job)
            self._fail(job, reason, 'dropped')

    async def work(self) -> None:
        """Do one job after another, for good."""
        number = itertools.count(1)
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            job = self._waiting.popleft()
            if time.monotonic() - job.touched > ABANDONED:
                self._fail(job, 'nobody waited for it any more', 'dropped')
                continue
            self._running = job
            job.change(state='running')
            for other in itertools.islice(self._waiting, TOLD):
                other.change()
            try:
                await self._do(job, next(number))
            except Exception as error:  # A defect of ours must not end the service for all.
                log.exception('an image could not be segmented')
                await self._engine.stop()
                self._fail(job, f'a defect of the server: {error!r}', 'crashed')
            finally:
                self._running = None
                self._make_room()

    async def _do(self, job: Job, number: int) -> None:
        message = {
            'task': number,
            'folder': str(job.folder),
            'nets': [entry.for_engine() for entry in job.nets],
            **job.task,
        }
        began = time.monotonic()

        def hear(news: dict[str, Any]) -> None:
            job.change(share=news['share'], layer=news['layer'], at=news['net'])

        try:
            answer = await self._engine.ask(message, hear, self._settings.job_seconds)
        except EngineLostError as error:
            log.warning('%s', error)
            self._fail(job, str(error), 'crashed')
            return
        if 'error' in answer:
            self._fail(job, answer['error'], 'refused')
            return
        with contextlib.suppress(FileNotFoundError):
            (job.folder / 'upload').unlink()
        job.bytes = sum(file.stat().st_size for file in job.folder.iterdir())
        self._telemetry.segmented(answer['done'], time.monotonic() - began)
        job.change(state='done', share=1.0, result=answer['done'])
        # A net keeps the memory that its largest image took.
        if resident_bytes(self._engine.pid) > LARGEST_ENGINE:
            await self._engine.stop()

    def _fail(self, job: Job, error: str, outcome: str) -> None:
        self._telemetry.failed(outcome)
        discard(job.folder)
        job.change(state='failed', error=error)

    def _make_room(self) -> None:
        """Forget the oldest results beyond what is kept."""
        while len(self._jobs) > self.length and (
            sum(job.ended for job in self._jobs.values()) > KEPT or self.kept_bytes > KEPT_BYTES
        ):
            oldest = next(job for job in self._jobs.values() if job.ended)
            if oldest is next(reversed(self._jobs.values())):
                return  # The newest is kept however large it is.
            del self._jobs[oldest.id]
            discard(oldest.folder)


def discard(folder: Path) -> None:
    """Remove a job's folder."""
    shutil.rmtree(folder, ignore_errors=True)
