"""A web server that can drop connections."""

import http.server
import re
import threading

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` ({path: bytes}) at `url`, with ranges unless told otherwise, and notes where each answer
    was `asked` to start. The numbers in `drops` are the bytes after which the next answers end."""

    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}'
        self.files, self.drops, self.asked, self.ranges = {}, [], [], True


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        self.server.asked.append(int(asked[1]) if asked else None)
        partly = asked and self.server.ranges
        start = int(asked[1]) if partly else 0
        content = self.server.files.get(self.path)
        if content is None or start >= len(content):
            self.send_error(404 if content is None else 416)
            return
        self.send_response(206 if partly else 200)
        self.send_header('Content-Length', str(len(content) - start))
        if partly:
            self.send_header('Content-Range', f'bytes {start}-{len(content) - 1}/{len(content)}')
        self.end_headers()
        self.wfile.write(
            content[start : start + self.server.drops.pop(0) if self.server.drops else None]
        )

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
