"""Puts the page's server under load: many clients at once, right labels or not, memory.

    python -m benchmarks.serving RUN                64 clients for two minutes
    python -m benchmarks.serving RUN --clients 8 --seconds 20

Half of the clients send a picture and take the labels in one request; the others line it up, ask
how far it is, and take what the page paints. Each result is compared, pixel by pixel, with that of
a Segmenter. A client that is turned away (429) waits as it is told and sends the picture again. The
exit code is 1 for a wrong label or a lost request.
"""

import argparse
import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from PIL import Image

import fcn
from fcn.cli import Parser, integer, run

ROOT = Path(__file__).resolve().parents[1]
PICTURES = 12
SIDES = 90, 160  # pixels
TIMEOUT = 120.0  # seconds that a client waits for an answer
SAMPLE = 5.0  # seconds between looks at the memory


class Load:
    """What the clients saw."""

    def __init__(self, port: int, net: str, pictures: Sequence[tuple[bytes, np.ndarray]]) -> None:
        self.port, self.net, self.pictures = port, net, pictures
        self.counts: Counter[str] = Counter()
        self.times: list[float] = []
        self._lock = threading.Lock()

    def client(self, number: int, until: float) -> None:
        """Send one picture after another until that time."""
        rng = np.random.default_rng(number)
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=TIMEOUT)
        while time.monotonic() < until:
            content, expected = self.pictures[rng.integers(len(self.pictures))]
            began = time.monotonic()
            try:
                take = self._labels if number % 2 else self._view
                right = np.array_equal(take(connection, content), expected)
                outcome = 'right' if right else 'wrong'
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                outcome = f'lost: {error!r}'[:120]
                connection.close()
            with self._lock:
                self.counts[outcome] += 1
                self.times.append(time.monotonic() - began)
        connection.close()

    def _labels(self, connection: http.client.HTTPConnection, content: bytes) -> np.ndarray:
        return _pixels(self._ask(connection, 'POST', f'/api/labels?net={quote(self.net)}', content))

    def _view(self, connection: http.client.HTTPConnection, content: bytes) -> np.ndarray:
        answer = self._ask(connection, 'POST', f'/api/jobs?net={quote(self.net)}', content)
        job = json.loads(answer)
        while job['state'] in ('waiting', 'running'):
            news = f'/api/jobs/{job["id"]}?after={job["version"]}'
            job = json.loads(self._ask(connection, 'GET', news))
        if job['state'] != 'done':
            raise ValueError(job['error'])
        return _pixels(self._ask(connection, 'GET', f'/api/jobs/{job["id"]}/0/view.png'))[..., 0]

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
    ) -> bytes:
        while True:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status == 429:
                with self._lock:
                    self.counts['turned away, and sent again'] += 1
                time.sleep(float(answer.headers['Retry-After']))
                continue
            if answer.status not in (200, 202):
                raise ValueError(f'{answer.status} {content[:80]!r}')
            return content


def _pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image)


def memory(port: int) -> dict[str, int]:
    """Return the resident bytes of the server's processes, and of the results that it keeps."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=TIMEOUT)
    connection.request('GET', '/metrics')
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(r'^fcn_resident_bytes\{process="(\w+)"\} (\d+)', text, re.MULTILINE)
    results = re.findall(r'^fcn_results_bytes (\d+)', text, re.MULTILINE)
    return {name: int(value) for name, value in [*found, ('results', results[0])]}


def draw_pictures(run_folder: Path) -> list[tuple[bytes, np.ndarray]]:
    """Return (PNG, labels of a Segmenter) of pictures of several sizes."""
    segmenter = fcn.load(run_folder, gpu=-1, threads=1)
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(PICTURES):
        height, width = rng.integers(*SIDES, 2)
        blocks = rng.integers(0, 256, (height // 12 + 1, width // 12 + 1, 3), np.uint8)
        image = blocks.repeat(12, 0).repeat(12, 1)[:height, :width]
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'PNG')
        pictures.append((file.getvalue(), segmenter(image).labels))
    return pictures


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument('run', type=Path, metavar='RUN', help='the run folder of a net')
    parser.add_argument('--clients', type=integer(1, 256), default=64, metavar='N')
    parser.add_argument('--seconds', type=integer(1, 3600), default=120, metavar='N')
    args: argparse.Namespace = parser.parse_args()
    pictures = draw_pictures(args.run)
    command = [sys.executable, ROOT / 'serve.py', args.run, '--port', '0', '--gpu', '-1']
    with subprocess.Popen(
        [*command, '--threads', '1'], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    ) as server:
        try:
            assert server.stdout
            port = int(server.stdout.readline().split()[0].rsplit(':', 1)[1])
            load = Load(port, f'run:{args.run.resolve().name}', pictures)
            load.client(0, time.monotonic() + 2)
            load.counts.clear()
            load.times.clear()
            return measure(load, args.clients, args.seconds)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(30)


def measure(load: Load, clients: int, seconds: int) -> int:
    """Let clients at the server and print what they saw; return the exit code."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=load.client, args=(n, until)) for n in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        used = ', '.join(f'{name} {size / 1e6:.0f} MB' for name, size in memory(load.port).items())
        print(f'{max(0, until - time.monotonic()):5.0f} s left: {used}', flush=True)
        time.sleep(SAMPLE)
    for outcome, count in sorted(load.counts.items()):
        print(f'{count:6} {outcome}')
    times = sorted(load.times)
    done = load.counts['right']
    print(
        f'{done / seconds:.1f} images/s; seconds an image, waiting included: '
        f'median {times[len(times) // 2]:.2f}, 99 % {times[int(0.99 * len(times))]:.2f}, '
        f'maximum {times[-1]:.2f}'
    )
    bad = [outcome for outcome in load.counts if outcome.startswith(('wrong', 'lost'))]
    return 1 if bad or not done else 0


if __name__ == '__main__':
    run(main)
