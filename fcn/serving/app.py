"""What the server answers. /api/openapi.json describes it to programs."""

import asyncio
import contextlib
import functools
import hashlib
import ipaddress
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.middleware import Middleware

import fcn
from fcn.data_layers.images import ENDINGS
from fcn.errors import FCNError, RunError
from fcn.history import number

from . import figure, pictures
from .catalogue import Catalogue, Entry, UnknownError
from .desk import Desk, FullError, Job, discard
from .guard import Guard
from .process import EngineProcess
from .settings import MAX_NETS, MAX_STRIP, MAX_UPLOADS, POLL, Settings
from .telemetry import Telemetry, resident_bytes
from .watch import Watch, parents

STATIC = Path(__file__).with_name('static')
KINDS = {
    '.html': 'text/html; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.jpg': 'image/jpeg',
}
DRAINED = 4  # times the bytes that are taken, which are read and forgotten before the answer
MAX_EXAMPLES = 24

NETS = Annotated[
    list[str],
    Query(alias='net', description='ids of nets, of /api/nets; ID@ITERATION for a snapshot'),
]


class Status(BaseModel):
    """An image that waits, is computed, or was: `position` images are to be done before it; `share`
    of the work is done. `version` grows with every change."""

    id: str
    state: str
    version: int
    position: int
    share: float
    layer: str
    net: str
    error: str
    result: dict[str, Any] | None = None


class Server:
    """The state of one server: its engine, queue, and what it knows of nets and runs."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.telemetry = settings, Telemetry()
        self.engine = EngineProcess(folder, settings)
        self.desk = Desk(folder, self.engine, settings, self.telemetry)
        self.catalogue, self.watch = Catalogue(settings), Watch()
        self.examples = _examples(settings.examples)

    async def upload(self, request: Request) -> Path:
        """Read a body into a new job's folder, within the limits, and return the folder.

        Raises HTTPException: 408 for a slow body, 413 for a large one, 429 if there is no room.
        """
        settings, telemetry = self.settings, self.telemetry
        announced = int(request.headers.get('content-length') or 0)
        if telemetry.uploads >= MAX_UPLOADS:
            raise self.full()
        try:
            self.desk.check_room()
        except FullError:
            raise self.full() from None
        folder = self.desk.new_folder()
        telemetry.uploads += 1
        size = 0
        try:
            async with asyncio.timeout(settings.upload_seconds):
                with (folder / 'upload').open('wb') as file:
                    async for chunk in request.stream():
                        size += len(chunk)
                        if max(size, announced) <= settings.max_bytes:
                            file.write(chunk)
                        elif size > DRAINED * settings.max_bytes:
                            break
            if max(size, announced) > settings.max_bytes:
                limit = f'{settings.max_bytes / 2**20:g} MiB'
                raise HTTPException(413, f'this server takes files of up to {limit}; scale it down')
            if not size:
                raise HTTPException(400, 'the body is empty; send the bytes of an image')
        except TimeoutError:
            discard(folder)
            raise HTTPException(
                408, f'the image took longer than {settings.upload_seconds:g} s to arrive'
            ) from None
        except BaseException:
            discard(folder)
            raise
        finally:
            telemetry.uploads -= 1
        return folder

    def full(self) -> HTTPException:
        """Return the answer for a request that there is no room for."""
        self.telemetry.failed('turned_away')
        return HTTPException(
            429, 'the queue is full; try again in a moment', headers={'Retry-After': '1'}
        )

    def submit(self, folder: Path, nets: list[Entry], **task: Any) -> Job:
        """Line up a job. Raises HTTPException 429 if there is no room."""
        try:
            return self.desk.submit(folder, nets, **task)
        except FullError:
            raise self.full() from None

    def find(self, nets: list[str], maximum: int = MAX_NETS) -> list[Entry]:
        """Return the nets of these ids. Raises FCNError."""
        if not 1 <= len(nets) <= maximum:
            raise FCNError(f'net: {len(nets)} are given; give one to {maximum}')
        return [self.catalogue.find(name) for name in nets]

    def job(self, name: str) -> Job:
        """Return a job by its id. Raises UnknownError."""
        job = self.desk.find(name)
        if job is None:
            raise UnknownError('this result has made room for newer ones; segment the image again')
        return job

    def result(self, name: str, index: int, label: str | None) -> pictures.Result:
        """Return what a net made of an image. Raises UnknownError, or GoneError."""
        job = self.job(name)
        if job.result is None:
            raise UnknownError(job.error or 'this image is not segmented yet')
        return pictures.Result(job.folder, job.result, index, label)

    def status(self, job: Job) -> Status:
        """Return what is told of a job."""
        return Status(
            id=job.id,
            state=job.state,
            version=job.version,
            position=self.desk.position(job),
            share=job.share,
            layer=job.layer,
            net=job.at,
            error=job.error,
            result=job.result,
        )


def create_app(settings: Settings) -> FastAPI:
    """Return the server as an ASGI application; its engine starts with it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix='fcn-serve-') as folder:
            server = app.state.server = Server(settings, Path(folder))
            worker = asyncio.create_task(server.desk.work())
            # Now, not with the first image: that may take seconds.
            warm = asyncio.create_task(_quietly(server.engine.start()))
            try:
                yield
            finally:
                for task in (warm, worker):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                await server.engine.stop()

    def answered(status: int) -> None:
        app.state.server.telemetry.answered(status)

    guard = Middleware(
        Guard,
        loopback=is_loopback(settings.host),
        names=settings.names,
        token=settings.token,
        answered=answered,
    )
    app = FastAPI(
        title='fcn',
        version=fcn.__version__,
        description='Segments images with fully convolutional networks, and shows their training.',
        docs_url=None,  # These pages would load scripts from other sites.
        redoc_url=None,
        openapi_url='/api/openapi.json',
        lifespan=lifespan,
        middleware=[guard],
    )
    _add_errors(app)
    _add_segmenting(app)
    _add_results(app)
    _add_runs(app)
    _add_housekeeping(app)
    _add_page(app)
    return app


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


async def _quietly(starting: Awaitable[None]) -> None:
    with contextlib.suppress(FCNError):  # It is told to whoever needs the engine.
        await starting


def _server(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


def _add_errors(app: FastAPI) -> None:
    """Errors are JSON: {"error": one line}."""

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        # What is left of a body that was not read to its end must not be taken for a request.
        headers = {'Connection': 'close'} if error.status_code in (408, 413, 429) else {}
        headers |= dict(error.headers or {})
        return JSONResponse({'error': error.detail}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = '.'.join(str(part) for part in first['loc'][1:])
        return JSONResponse({'error': f'{where}: {first["msg"]}'}, 422)

    @app.exception_handler(FCNError)
    async def mistaken(request: Request, error: FCNError) -> Response:
        gone = isinstance(error, (UnknownError, pictures.GoneError))
        return JSONResponse({'error': str(error)}, 404 if gone else 422)


def _add_segmenting(app: FastAPI) -> None:
    """Nets, and images that they segment."""

    @app.get('/api/nets', tags=['segmenting'])
    def nets(request: Request) -> list[dict[str, Any]]:
        """The nets at hand."""
        return [_about_net(entry) for entry in _server(request).catalogue.entries().values()]

    @app.get('/api/figure', tags=['segmenting'])
    def drawing(request: Request, net: str) -> dict[str, Any]:
        """A net as Figure 3 of the paper draws it: nodes, edges, and a sentence."""
        entry = _server(request).catalogue.entries().get(net)
        if entry is None:
            raise UnknownError(f'net={net[:200]}: no such net here')
        return figure.figure(entry.config)

    @app.post('/api/jobs', status_code=202, tags=['segmenting'], openapi_extra=_IMAGE_BODY)
    async def segment(request: Request, net: NETS) -> Status:
        """Line up an image, the body of the request, to be segmented by one to three nets."""
        server = _server(request)
        entries = await asyncio.to_thread(server.find, net)
        folder = await server.upload(request)
        return server.status(server.submit(folder, entries))

    @app.get('/api/jobs/{job}', tags=['segmenting'])
    async def news(request: Request, job: str, after: int = -1) -> Status:
        """How far an image is. Waits until its version is beyond `after`, some seconds at most."""
        server = _server(request)
        found = server.job(job)
        await found.news(after, POLL)
        return server.status(found)

    @app.delete('/api/jobs/{job}', tags=['segmenting'])
    async def withdraw(request: Request, job: str) -> Status:
        """Take an image out of the queue. One that is computed goes on."""
        server = _server(request)
        found = server.job(job)
        server.desk.drop(found)
        return server.status(found)

    @app.post(
        '/api/labels',
        tags=['segmenting'],
        openapi_extra=_IMAGE_BODY,
        response_class=Response,
        responses={200: {'content': {'image/png': {}}}},
    )
    async def labels(request: Request, net: str, label: str | None = None) -> Response:
        """Segment an image, the body of the request, by one net, and return the labels as a palette
        PNG, in one request."""
        server = _server(request)
        entries = await asyncio.to_thread(server.find, [net])
        job = server.submit(await server.upload(request), entries)
        while not job.ended:
            await job.news(job.version, POLL)
            if await request.is_disconnected():
                server.desk.drop(job, 'its browser has gone')
        if job.state == 'failed':
            raise FCNError(job.error)
        result = server.result(job.id, 0, label)
        return Response(await asyncio.to_thread(result.label_png), media_type='image/png')


_IMAGE_BODY: dict[str, Any] = {
    'requestBody': {
        'required': True,
        'description': 'The bytes of an image: JPEG, PNG, WebP, TIFF, BMP, GIF or PPM.',
        'content': {'image/*': {'schema': {'type': 'string', 'format': 'binary'}}},
    }
}


def _about_net(entry: Entry) -> dict[str, Any]:
    best = entry.best
    return {
        'id': entry.id,
        'net': entry.net,
        'about': entry.config.about,
        'data': 'own images' if entry.config.own else entry.config.data,
        'classes': sum(map(len, entry.config.classes.values())),
        'stride': entry.stride,
        'cells': figure.cells(entry.config),
        'run': entry.run is not None,
        'snapshot': best.iteration if best else None,
        'snapshots': [
            {'iteration': each.iteration, 'mean_iu': number(each.mean_iu)}
            for each in entry.snapshots
        ],
        'mean_iu': number(best.mean_iu) if best else None,
        'published_mean_iu': entry.config.published,
        'refusal': entry.refusal,
    }


def _add_results(app: FastAPI) -> None:
    """What came of an image: {job}/{index} is that of the net of this index."""

    png = {'response_class': Response, 'responses': {200: {'content': {'image/png': {}}}}}

    @app.get('/api/jobs/{job}/image.jpg', tags=['results'], response_class=FileResponse)
    def image(request: Request, job: str) -> Response:
        """The image, upright, as the nets saw it."""
        return _file(_server(request).job(job).folder / 'image.jpg', 'image/jpeg')

    @app.get('/api/jobs/{job}/truth.png', tags=['results'], response_class=FileResponse)
    def truth(request: Request, job: str) -> Response:
        """The true labels of a validation's image, as `view.png` has labels."""
        return _file(_server(request).job(job).folder / 'truth.png', 'image/png')

    @app.get('/api/jobs/{job}/{index}/view.png', tags=['results'], response_class=FileResponse)
    def view(request: Request, job: str, index: int, label: str | None = None) -> Response:
        """For programs that paint: red is the class, green its probability in 255ths."""
        return _file(_server(request).result(job, index, label).view(), 'image/png')

    @app.get('/api/jobs/{job}/{index}/labels.png', tags=['results'], **png)  # type: ignore[arg-type]
    def labels(request: Request, job: str, index: int, label: str | None = None) -> Response:
        """The labels as a palette PNG, as infer.py writes them."""
        result = _server(request).result(job, index, label)
        return _attached(result.label_png(), 'image/png', 'labels.png')

    @app.get('/api/jobs/{job}/{index}/overlay.jpg', tags=['results'], response_class=Response)
    def overlay(
        request: Request,
        job: str,
        index: int,
        label: str | None = None,
        opacity: Annotated[float, Query(ge=0, le=1)] = 0.55,
    ) -> Response:
        """The labels over the image, with a legend."""
        result = _server(request).result(job, index, label)
        return _attached(result.overlay(opacity), 'image/jpeg', 'overlay.jpg')

    @app.get('/api/jobs/{job}/{index}/heat.png', tags=['results'], **png)  # type: ignore[arg-type]
    def heat(
        request: Request,
        job: str,
        index: int,
        of: Annotated[int, Query(alias='class')],
        label: str | None = None,
    ) -> Response:
        """The probability of one class, grey from 0 to 255."""
        return Response(_server(request).result(job, index, label).heat(of), media_type='image/png')

    @app.get(
        '/api/jobs/{job}/{index}/probabilities.npy', tags=['results'], response_class=FileResponse
    )
    def probabilities(request: Request, job: str, index: int, label: str | None = None) -> Response:
        """The probabilities of all classes in 255ths: C×H×W uint8, as numpy.load reads it."""
        file = _server(request).result(job, index, label).probabilities_file()
        return _file(file, 'application/octet-stream', 'probabilities.npy')

    @app.get('/api/jobs/{job}/blend.png', tags=['results'], **png)  # type: ignore[arg-type]
    def blend(
        request: Request,
        job: str,
        first: Annotated[int, Query(ge=0)],
        second: Annotated[int, Query(ge=0)],
        share: Annotated[float, Query(ge=0, le=1)],
        label: str | None = None,
    ) -> Response:
        """The classes by the mixed probabilities of two nets, as `view.png` has them."""
        server = _server(request)
        one, other = (server.result(job, index, label) for index in (first, second))
        return Response(pictures.blend(one, other, share), media_type='image/png')


def _file(path: Path, kind: str, name: str | None = None) -> Response:
    if not path.is_file():
        raise pictures.GoneError('this result has made room for newer ones; segment it again')
    return FileResponse(path, media_type=kind, filename=name)


def _attached(content: bytes, kind: str, name: str) -> Response:
    return Response(
        content, media_type=kind, headers={'Content-Disposition': f'attachment; filename="{name}"'}
    )


def _add_runs(app: FastAPI) -> None:
    """Runs, which are read and never written."""

    @app.get('/api/runs', tags=['runs'])
    def runs(request: Request) -> list[dict[str, Any]]:
        """The runs in the folders that the server looks at, the latest first."""
        server, found = _server(request), []
        for name, folder in server.catalogue.runs().items():
            with contextlib.suppress(RunError):
                found.append(server.watch.summary(name, folder))
        return sorted(found, key=lambda run: -(run['updated'] or 0))

    @app.get('/api/run', tags=['runs'])
    def run(request: Request, id: str) -> Response:
        """All that a run's log tells. Takes If-None-Match."""
        server = _server(request)
        folder = server.catalogue.run(id)
        stamp, history = server.watch.history(folder)
        text = f'{stamp} {history.state}'.encode()
        tag = f'"{hashlib.sha256(text).hexdigest()[:20]}"'
        headers = {'ETag': tag, 'Cache-Control': 'no-cache'}
        if request.headers.get('if-none-match') == tag:
            return Response(status_code=304, headers=headers)
        return JSONResponse(server.watch.detail(id, folder), headers=headers)

    @app.get('/api/strip', tags=['runs'])
    def stages(request: Request, id: str) -> dict[str, Any]:
        """The nets of a film strip: a run's parents, then its snapshots, the newest last."""
        server = _server(request)
        return {'nets': _strip(server, id)}

    @app.post('/api/strip', status_code=202, tags=['runs'])
    async def strip(
        request: Request, id: str, image: Annotated[int, Query(ge=0, le=10_000)] = 0
    ) -> Status:
        """Line up an image of a run's validation, to be segmented by the nets of its strip."""
        server = _server(request)
        folder = server.catalogue.run(id)
        names = await asyncio.to_thread(_strip, server, id)
        entries = server.find(names, MAX_STRIP)
        job = server.submit(server.desk.new_folder(), entries, run=str(folder), image=image)
        return server.status(job)


def _strip(server: Server, name: str) -> list[str]:
    """Return the ids of the nets of a run's film strip. Raises FCNError if there are none."""
    runs, entries = server.catalogue.runs(), server.catalogue.entries()
    own = entries.get(f'run:{name}')
    if own is None:
        server.catalogue.run(name)
        raise RunError(f'{name}: has no snapshot of an FCN yet; wait for the first')
    if own.refusal:
        raise RunError(f'{name}: {own.refusal}')
    before = [f'run:{parent}' for parent in parents(runs[name], runs)]
    known = [entry for entry in before if entry in entries and not entries[entry].refusal]
    known = [entry for entry in known if entries[entry].config.classes == own.config.classes]
    snapshots = [f'{own.id}@{each.iteration}' for each in own.snapshots]
    return [*known, *snapshots][-MAX_STRIP:]


def _add_housekeeping(app: FastAPI) -> None:
    """What programs ask that look after servers."""

    @app.get('/healthz', tags=['housekeeping'])
    async def health(request: Request) -> Response:
        """200 if images can be segmented, else 503."""
        server = _server(request)
        state = {
            'status': 'ok' if server.engine.healthy else 'the engine does not start',
            'engine': 'running' if server.engine.pid else 'starts with the next image',
            'queue': server.desk.length,
        }
        return JSONResponse(state, 200 if server.engine.healthy else 503)

    @app.get('/metrics', tags=['housekeeping'], response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Counters and gauges, as Prometheus reads them."""
        server = _server(request)
        text = server.telemetry.text(
            fcn_queue_length=server.desk.length,
            fcn_queue_limit=server.settings.queue,
            fcn_results_bytes=server.desk.kept_bytes,
            fcn_engine_up=int(server.engine.pid is not None),
            fcn_engine_starts_total=server.engine.starts,
            fcn_resident_bytes={
                'process': {
                    'server': resident_bytes(os.getpid()),
                    'engine': resident_bytes(server.engine.pid),
                }
            },
        )
        return PlainTextResponse(text, media_type='text/plain; version=0.0.4; charset=utf-8')

    @app.get('/api/info', tags=['housekeeping'])
    def info(request: Request) -> dict[str, Any]:
        """The server's version and limits, and how many examples it offers."""
        server = _server(request)
        return {
            'version': fcn.__version__,
            'max_bytes': server.settings.max_bytes,
            'max_pixels': server.settings.max_pixels,
            'max_nets': MAX_NETS,
            'queue': server.settings.queue,
            'examples': [name for name, _ in server.examples],
        }


def _add_page(app: FastAPI) -> None:
    """The page: files that are read as the server starts, by their names alone."""
    files = {
        f'/static/{path.name}': (path.read_bytes(), KINDS[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in KINDS
    }
    index = files.pop('/static/index.html', (b'', KINDS['.html']))

    def add(address: str, content: tuple[bytes, str]) -> None:
        body, kind = content
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'

        async def answer(request: Request) -> Response:
            headers = {'ETag': tag, 'Cache-Control': 'no-cache'}
            if request.headers.get('if-none-match') == tag:
                return Response(status_code=304, headers=headers)
            return Response(body, media_type=kind, headers=headers)

        app.add_api_route(address, answer, include_in_schema=False, methods=['GET'])

    add('/', index)
    for address, content in files.items():
        add(address, content)

    @app.get('/api/examples/{place}', tags=['segmenting'], response_class=FileResponse)
    def example(request: Request, place: int) -> Response:
        """An example picture, by its place in the list of /api/info."""
        examples = _server(request).examples
        if not 0 <= place < len(examples):
            raise UnknownError(f'{place}: no such example')
        return FileResponse(examples[place][1])


@functools.cache
def _examples(folder: Path | None) -> list[tuple[str, Path]]:
    """Return (name, file) of the pictures to offer: those of a folder, else drawn ones."""
    where = folder or STATIC / 'examples'
    if not where.is_dir():
        return []
    files = [path for path in sorted(where.iterdir()) if path.suffix.lower() in ENDINGS]
    return [(path.stem, path) for path in files if path.is_file()][:MAX_EXAMPLES]
