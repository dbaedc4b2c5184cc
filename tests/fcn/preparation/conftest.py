"""A web server that can drop connections."""

import http.server
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` ({path: bytes}) at `url`, with `ranges` unless that is set to False.

    `requested` holds where each answer was to start. The numbers in `drops` are the bytes after
    which the next answers end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.files: dict[str, bytes] = {}
        self.drops: list[int] = []
        self.requested: list[int | None] = []
        self.ranges = True


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        match = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        requested = int(match[1]) if match else None
        self.server.requested.append(requested)
        partly = match and self.server.ranges
        start = requested if partly else 0
        content = self.server.files.get(self.path)
        if content is None or start >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if partly else 200)
        self.send_header('Content-Length', str(len(content) - start))
        if partly:
            self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        self.end_headers()
        end = start + self.server.drops.pop(0) if self.server.drops else None
        self.wfile.write(content[start:end])

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
