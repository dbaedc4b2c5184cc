"""The server, in this process, with its engine in another: right labels, limits, whom it answers,
and what it says when the engine is killed."""

import asyncio
import io
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_runs import line, validation, write_run

import fcn

pytest.importorskip('fastapi')

from fastapi.testclient import TestClient

from fcn.inference import softmax
from fcn.serving.app import create_app
from fcn.serving.guard import Guard
from fcn.serving.settings import Settings

NET = 'mini-fcn8s'
ID = f'file:{NET}={NET}.caffemodel'
HOME = 'http://127.0.0.1:8000'
QUEUE = 2


@pytest.fixture(scope='module')
def weights(drawn_weights: Callable[[str], Path]) -> Path:
    return drawn_weights(NET)


@pytest.fixture(scope='module')
def client(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    runs = tmp_path_factory.mktemp('runs')
    write_run(
        runs / 'a/mini-fcn32s',
        *(line(1, 9.0), line(20, float('nan'))),
        validation(20, 0.25, class_iu={'disc': 0.5, 'ring': None}),
        {'time': 9, 'iteration': 20, 'event': 'stopped by SIGINT'},
    )
    settings = Settings(
        folders=(runs,),
        files=((NET, weights),),
        gpu=-1,
        threads=1,
        queue=QUEUE,
        max_bytes=1 << 20,
        max_pixels=1_000_000,
        upload_seconds=0.5,
    )
    with TestClient(create_app(settings), base_url=HOME) as client:
        yield client


@pytest.fixture(scope='module')
def photo() -> np.ndarray:
    blocks = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    return blocks.repeat(6, 0).repeat(6, 1)


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'PNG')
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image)


def ended(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    while job['state'] in ('waiting', 'running'):
        job = client.get(f'/api/jobs/{job["id"]}', params={'after': job['version']}).json()
    return job


def metric(client: TestClient, name: str) -> float:
    lines = client.get('/metrics').text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_results_are_those_of_a_segmenter(
    client: TestClient, weights: Path, photo: np.ndarray
) -> None:
    segmenter = fcn.load(NET, weights, gpu=-1, threads=1)
    expected, probabilities = segmenter(photo).labels, softmax(segmenter.scores(photo))
    labels = client.post('/api/labels', params={'net': ID}, content=png(photo))
    assert labels.headers['content-type'] == 'image/png'
    assert np.array_equal(pixels(labels.content), expected)
    job = client.post('/api/jobs', params={'net': [ID, ID]}, content=png(photo)).json()
    job = ended(client, job)
    assert job['state'] == 'done' and job['share'] == 1
    shares = job['result']['results'][0]['labels']['label']['shares']
    assert shares == pytest.approx([(expected == index).mean() for index in range(7)])
    home = f'/api/jobs/{job["id"]}'
    view = pixels(client.get(f'{home}/1/view.png').content)
    assert np.array_equal(view[..., 0], expected)
    best = np.rint(255 * probabilities.max(0))
    assert np.abs(view[..., 1] - best).max() <= 1
    kept = np.load(io.BytesIO(client.get(f'{home}/0/probabilities.npy').content))
    assert kept.dtype == np.uint8 and np.abs(kept - 255 * probabilities).max() < 1
    heat = pixels(client.get(f'{home}/0/heat.png', params={'class': 3}).content)
    assert np.array_equal(heat, kept[3])
    blend = {'first': 0, 'second': 1, 'share': 0.5}
    mixed = pixels(client.get(f'{home}/blend.png', params=blend).content)
    assert np.array_equal(mixed[..., 0], kept.argmax(0))
    overlay = pixels(client.get(f'{home}/0/overlay.jpg').content)
    assert overlay.shape[1] == photo.shape[1] and overlay.shape[0] > photo.shape[0]
    assert np.array_equal(pixels(client.get(f'{home}/0/labels.png').content), expected)
    assert client.get(f'{home}/2/view.png').status_code == 404
    assert client.get(f'{home}/0/heat.png', params={'class': 7}).status_code == 404
    assert client.get(f'{home}/truth.png').status_code == 404


@pytest.mark.parametrize(
    ('content', 'status', 'word'),
    [
        (b'', 400, 'empty'),
        (b'junk' * 5000, 422, 'not an image'),
        (png(np.zeros((50, 50, 3), np.uint8))[:-20], 422, 'truncated'),
        (png(np.zeros((1001, 1000), np.uint8)), 422, 'megapixels'),
        (png(np.zeros((1, 16_400), np.uint8)), 422, '16400'),
        (b'x' * ((1 << 20) + 1), 413, '1 MiB'),
        (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n', 422, 'not an image'),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(
    client: TestClient, content: bytes, status: int, word: str
) -> None:
    answer = client.post('/api/labels', params={'net': ID}, content=content)
    error = answer.json()['error']
    assert answer.status_code == status and word in error and '\n' not in error
    assert tempfile.gettempdir() not in error and 'upload' not in error


def test_a_slow_body_is_not_waited_for(client: TestClient) -> None:
    async def slow() -> dict[str, Any]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.2)
            return {'type': 'http.request', 'body': b'x', 'more_body': True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            'type': 'http',
            'method': 'POST',
            'path': '/api/jobs',
            'query_string': f'net={ID.replace("=", "%3D")}'.encode(),
            'headers': [(b'host', b'localhost')],
        }
        await client.app(scope, receive, send)  # type: ignore[arg-type]
        return sent[0]

    began = time.monotonic()
    assert client.portal is not None
    assert client.portal.call(slow)['status'] == 408
    assert time.monotonic() - began < 5
    assert metric(client, 'fcn_uploads') == 0


@pytest.mark.parametrize(
    'path',
    [
        '/static/../app.py',
        '/static/%2e%2e/app.py',
        '/static//etc/passwd',
        '/api/examples/..%2f..%2fapp.py',
        '/api/jobs/../../etc/passwd',
        '/api/jobs/..%2F..%2Fetc%2Fpasswd/image.jpg',
        '/api/figure?net=../../etc/passwd',
        '/api/figure?net=run:../../etc',
        '/api/run?id=/etc',
        '/api/run?id=..',
    ],
)
def test_no_path_from_a_browser_reaches_the_files(client: TestClient, path: str) -> None:
    assert client.get(path).status_code in (404, 405, 422)


def test_unknown_nets_are_refused(client: TestClient) -> None:
    for nets in ([], ['voc-fcn8s'], [f'{ID}@400'], [ID] * 4):
        answer = client.post('/api/jobs', params={'net': nets}, content=b'x')
        assert answer.status_code in (404, 422) and 'net' in answer.json()['error']
    assert client.post('/api/strip', params={'id': 'none'}).status_code == 404


@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({'host': 'evil.example'}, 403),
        ({'host': '127.0.0.1.evil.example:8000'}, 403),
        ({'host': '192.168.0.2:8000'}, 403),
        ({'host': 'user@evil:8000'}, 403),
        ({'host': '[::1'}, 403),
        ({'host': '[::1]:8000'}, 200),
        ({'host': 'localhost:8000'}, 200),
        ({'origin': 'http://evil.example'}, 403),
        ({'origin': 'null'}, 403),
        ({'origin': 'http://127.0.0.1:8001'}, 403),
        ({'origin': HOME}, 200),
        ({'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors'}, 403),
        ({'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate'}, 200),
    ],
)
def test_only_pages_of_this_server_are_answered(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = client.get('/api/info', headers=headers)
    assert answer.status_code == status
    assert "default-src 'none'" in answer.headers['content-security-policy']


def test_a_token_is_asked_for() -> None:
    answered: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b''})

    guard = Guard(app, False, ('box',), 'secret', answered.append)
    client = TestClient(guard, base_url='http://box', follow_redirects=False)
    assert client.get('/').status_code == 401
    assert client.get('/?token=secre').status_code == 401
    assert client.get('/', headers={'authorization': 'Bearer wrong'}).status_code == 401
    assert client.get('/', headers={'cookie': 'fcn_token=wrong'}).status_code == 401
    assert client.get('/healthz').status_code == 200
    assert client.get('/', headers={'authorization': 'Bearer secret'}).status_code == 200
    entered = client.get('/?token=secret')
    assert entered.status_code == 303 and 'HttpOnly' in entered.headers['set-cookie']
    assert client.get('/').status_code == 200  # with the cookie
    assert answered == [401, 401, 401, 401, 200, 200, 303, 200]


def engine_of(client: TestClient) -> int:
    server = client.app.state.server  # type: ignore[attr-defined]
    while server.engine.pid is None:
        time.sleep(0.02)
    pid: int = server.engine.pid
    return pid


def test_a_full_queue_turns_away_and_tells_positions(client: TestClient, photo: np.ndarray) -> None:
    def submit() -> Any:
        return client.post('/api/jobs', params={'net': ID}, content=png(photo))

    client.post('/api/labels', params={'net': ID}, content=png(photo))
    os.kill(engine_of(client), signal.SIGSTOP)
    jobs = [submit().json()]
    while jobs[0]['state'] == 'waiting':
        jobs[0] = client.get(f'/api/jobs/{jobs[0]["id"]}').json()
    jobs += [submit().json() for _ in range(QUEUE)]
    assert [job['position'] for job in jobs] == [0, 1, 2]
    refused = submit()
    assert refused.status_code == 429 and refused.headers['retry-after'] == '1'
    withdrawn = client.delete(f'/api/jobs/{jobs[1]["id"]}').json()
    assert withdrawn['state'] == 'failed'
    assert client.get(f'/api/jobs/{jobs[2]["id"]}').json()['position'] == 1
    assert submit().status_code == 202
    os.kill(engine_of(client), signal.SIGCONT)
    assert [ended(client, job)['state'] for job in jobs] == ['done', 'failed', 'done']


def test_a_killed_engine_is_a_message_and_starts_again(
    client: TestClient, photo: np.ndarray
) -> None:
    client.post('/api/labels', params={'net': ID}, content=png(photo))
    starts = metric(client, 'fcn_engine_starts_total')
    pid = engine_of(client)
    os.kill(pid, signal.SIGSTOP)
    job = client.post('/api/jobs', params={'net': ID}, content=png(photo)).json()
    while job['state'] == 'waiting':
        job = client.get(f'/api/jobs/{job["id"]}').json()
    os.kill(pid, signal.SIGABRT)  # as Caffe does on a failed check
    os.kill(pid, signal.SIGCONT)
    job = ended(client, job)
    assert job['state'] == 'failed' and 'SIGABRT' in job['error']
    again = client.post('/api/labels', params={'net': ID}, content=png(photo))
    assert again.status_code == 200
    assert metric(client, 'fcn_engine_starts_total') == starts + 1
    assert client.get('/healthz').json()['status'] == 'ok'


def test_runs_are_told_and_never_written(client: TestClient) -> None:
    server = client.app.state.server  # type: ignore[attr-defined]
    (root,) = server.settings.folders
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    (run,) = client.get('/api/runs').json()
    assert (run['id'], run['state'], run['iteration']) == ('a/mini-fcn32s', 'interrupted', 20)
    answer = client.get('/api/run', params={'id': run['id']})
    detail = answer.json()
    assert detail['training']['loss'] == [9.0, None]  # NaN is no JSON.
    assert detail['validations']['mean_iu'] == [0.25]
    assert detail['class_iu'] == {'disc': [0.5], 'ring': [None]}
    assert detail['events'][0]['event'] == 'stopped by SIGINT'
    same = {'if-none-match': answer.headers['etag']}
    assert client.get('/api/run', params={'id': run['id']}, headers=same).status_code == 304
    assert client.post('/api/strip', params={'id': run['id']}).status_code == 422
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob('*')}


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get('/')
    assert page.headers['content-type'].startswith('text/html')
    found = set(re.findall(r'(?:src|href)="(/[^"]*)"', page.text))
    texts = [page.text]
    while found:
        answer = client.get(found.pop())
        assert answer.status_code == 200
        texts.append(answer.text)
        if 'javascript' in answer.headers['content-type']:
            modules = re.findall(r"from '\./(\w+\.js)'", answer.text)
            found |= {f'/static/{name}' for name in modules if name not in ''.join(texts[:-1])}
    addresses = set(re.findall(r'https?://[^\s"\'`]+', ''.join(texts)))
    assert addresses == {'http://www.w3.org/2000/svg'}


def test_the_api_is_described(client: TestClient) -> None:
    description = client.get('/api/openapi.json').json()
    assert {'/api/labels', '/api/jobs', '/api/nets', '/api/runs'} <= set(description['paths'])
    assert all(
        operation.get('description')
        for path in description['paths'].values()
        for operation in path.values()
    )
