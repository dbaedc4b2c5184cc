"""Whom the server answers: checks of host, origin and token before any other code sees a request,
and the headers that confine the page.

A page elsewhere could make a browser send requests here, or give this machine's address a name of
its own (DNS rebinding). So a request must name this server by an address, as localhost or by a name
that the command line gave, and one that a page sends must come from a page of ours.
"""

import hmac
import ipaddress
import json
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = 'fcn_token'
OPEN = ('/healthz',)  # answered without a token
MAX_QUERY = 8192  # bytes

HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
}


class Guard:
    """Wraps an ASGI application.

    `loopback` says that the server can be reached from this machine alone; then only its own
    addresses are answered to. `names` are further host names. `answered` hears each status.
    """

    def __init__(
        self,
        app: ASGIApp,
        loopback: bool,
        names: tuple[str, ...],
        token: str | None,
        answered: Callable[[int], None],
    ) -> None:
        self._app, self._loopback, self._token = app, loopback, token
        self._names = {name.lower().rstrip('.') for name in names}
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            if scope['type'] == 'lifespan':
                await self._app(scope, receive, send)
            return

        async def send_confined(message: Message) -> None:
            if message['type'] == 'http.response.start':
                self._answered(message['status'])
                headers = list(message.get('headers', []))
                headers += [
                    (key.lower().encode(), value.encode()) for key, value in HEADERS.items()
                ]
                if not any(key == b'cache-control' for key, _ in headers):
                    headers.append((b'cache-control', b'no-store'))
                message['headers'] = headers
            await send(message)

        headers = _headers(scope)
        if refusal := self._refusal(scope, headers):
            status, text = refusal
            await respond(send_confined, status, text)
        elif self._token and scope['path'] not in OPEN:
            await self._with_token(scope, receive, send_confined, headers)
        else:
            await self._app(scope, receive, send_confined)

    def _refusal(self, scope: Scope, headers: dict[str, list[str]]) -> tuple[int, str] | None:
        """Return status and reason if a request is not to be answered."""
        hosts = headers.get('host', [])
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            shown = hosts[0][:100] if hosts else ''
            return 403, (
                f"Host '{shown}' is not this server's; open it by its address, or start it with "
                '--name HOST'
            )
        for origin in headers.get('origin', []):
            if urlsplit(origin).netloc.lower() != hosts[0].lower():
                return 403, f"requests from pages of '{origin[:100]}' are not answered"
        if headers.get('sec-fetch-site', [''])[0] in ('cross-site', 'same-site') and not (
            scope['method'] == 'GET' and headers.get('sec-fetch-mode') == ['navigate']
        ):
            return 403, 'requests from pages of other sites are not answered'
        if len(scope['query_string']) > MAX_QUERY:
            return 414, 'the address is too long'
        return None

    def _is_ours(self, host: str) -> bool:
        """Return whether a Host header names this server."""
        try:
            name = urlsplit(f'//{host}').hostname or ''
        except ValueError:
            return False
        name = name.lower().rstrip('.')
        if name == 'localhost' or name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._loopback

    async def _with_token(
        self, scope: Scope, receive: Receive, send: Send, headers: dict[str, list[str]]
    ) -> None:
        """Answer a request that brings the token, as header or cookie; take it from the address
        once, and put it into a cookie."""
        assert self._token
        bearer = headers.get('authorization', [''])[0].removeprefix('Bearer ')
        if self._matches(bearer) or self._matches(_cookie(headers)):
            await self._app(scope, receive, send)
            return
        given = parse_qs(scope['query_string'].decode('latin-1')).get('token', [''])[0]
        if scope['method'] == 'GET' and self._matches(given):
            cookie = f'{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict'
            await send(
                {
                    'type': 'http.response.start',
                    'status': 303,
                    'headers': [(b'location', b'/'), (b'set-cookie', cookie.encode())],
                }
            )
            await send({'type': 'http.response.body', 'body': b''})
            return
        await respond(
            send, 401, 'this server wants its token: open /?token=…, or send it as a bearer token'
        )

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or '').encode()) and bool(given)


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in scope['headers']:
        found.setdefault(key.decode('latin-1').lower(), []).append(value.decode('latin-1'))
    return found


def _cookie(headers: dict[str, list[str]]) -> str:
    cookies: SimpleCookie = SimpleCookie()
    for line in headers.get('cookie', []):
        try:
            cookies.load(line)
        except CookieError:
            return ''
    return cookies[COOKIE].value if COOKIE in cookies else ''


async def respond(send: Send, status: int, text: str, **more: Any) -> None:
    """Send an error as JSON."""
    body = json.dumps({'error': text, **more}).encode()
    headers = [(b'content-type', b'application/json')]
    await send({'type': 'http.response.start', 'status': status, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
