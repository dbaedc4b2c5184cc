"""Listens for browsers: the socket, and connections that say nothing."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fcn.errors import FCNError

from .app import create_app
from .settings import Settings

SILENCE = 20.0  # seconds that a connection may take to say what it wants
CONNECTIONS = 512


class Impatient(H11Protocol):
    """Closes a connection that does not finish the head of a request in time; uvicorn waits for
    ever, and a few hundred of those would keep everybody else away."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(SILENCE, self._close_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._deadline.cancel()
        self._deadline = self.loop.call_later(SILENCE, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises FCNError if the address cannot be had."""
    listening = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(found[0], found[1])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(found[4])
    except OSError as error:
        if listening:
            listening.close()
        raise FCNError(
            f'{host}:{port}: cannot be listened on ({error.strerror}); give another --port or '
            '--host'
        ) from error
    return listening


def serve(settings: Settings, listening: socket.socket) -> None:
    """Answer on a socket until a signal ends it."""
    config = uvicorn.Config(
        create_app(settings),
        http=Impatient,
        ws='none',
        lifespan='on',
        log_level='warning',
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    asyncio.run(server.serve(sockets=[listening]))
