"""Runs the web application: a deadline for a request's body and for what comes after it, a log without noise."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from xiaozhi_persona.bridge.listening import Connections

BODY_TIMEOUT_S = 10.0
"""How long after its head the whole body of a request must be there, however its bytes come."""

KEEP_ALIVE_S = 30.0
"""How long after a request was answered the answer must have gone out and the head of another one come."""

_LINGER_S = 1.0
"""How long the rest of a refused body is read: closed with something unread, the answer would be lost in a reset."""

_SHUTDOWN_S = 2.0

_log = logging.getLogger(__name__)


def request_key(name: str, kind: type) -> Any:
    """Return a key under which a request keeps something: of aiohttp's own kind from 3.14 on, which warns of others."""
    return web.RequestKey(name, kind) if hasattr(web, "RequestKey") else name


@contextlib.asynccontextmanager
async def serve_http(
    app: web.Application,
    listener: socket.socket,
    connections: Connections,
    rooms: Sequence[Callable[[web.Request], contextlib.AbstractContextManager[int | None]]],
) -> AsyncIterator[None]:
    """Serve `app` on a socket of `connections` while the block runs. Handlers begin when the body is there.

    Each of `rooms` may refuse a request, and tells while its body comes how many bytes it may have; None for what the
    application allows.
    """

    @web.middleware
    async def in_time(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError  # it has gone
        connections.wait_for_request(transport, BODY_TIMEOUT_S)
        try:
            try:
                with contextlib.ExitStack() as stack:
                    for room in rooms:
                        most = stack.enter_context(room(request))
                        request = request.clone(client_max_size=most) if most else request
                    await request.read()
            except web.RequestPayloadError as exc:
                raise web.HTTPBadRequest from exc
            connections.request_came(transport)
            return await handler(request)
        finally:
            connections.wait_for_request(transport, KEEP_ALIVE_S)

    app.middlewares.insert(0, in_time)
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,  # of who has gone nothing is to go on
        logger=_log,
        lingering_time=_LINGER_S,
        shutdown_timeout=_SHUTDOWN_S,
        auto_decompress=False,  # no client compresses what it asks, and a few bytes can become very many
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


def _tells_of_us(record: logging.LogRecord) -> bool:
    """Leave out the tracebacks of malformed and broken off requests, to which aiohttp has answered."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, (HttpProcessingError, ConnectionError))


_log.addFilter(_tells_of_us)
