"""Whether a server is still the process that it was: a connection on which nothing is asked, which ends with it.

uvicorn closes a connection after a request that is not followed by another one, but never one on which there was no
request (uvicorn 0.54, h11_impl.py and httptools_impl.py: the timer starts when a response is complete).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import anyio
import httpx

_KEEP_ALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""After half a minute without an answer the machine is gone: it may have been switched off and on."""


class ServerWatch:
    """Watches one server. Made for one event loop."""

    def __init__(self, url: str) -> None:
        """`url` is its base address. Behind https stands another program, whose connections tell nothing."""
        where = httpx.URL(url)
        self._host, self._port = where.host, where.port or 80
        self._can_watch = where.scheme == "http"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the process that was watched has ended; False where none is watched."""
        reader = self._reader
        return reader is not None and (reader.at_eof() or reader.exception() is not None)

    async def begin(self, timeout_s: float) -> None:
        """Watch the process that is there, unless it is watched already; where that cannot be, nothing is watched."""
        if not self._can_watch or (self._reader and not self.has_ended):
            return
        await self.aclose()
        with contextlib.suppress(OSError, TimeoutError):
            with anyio.fail_after(timeout_s):
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            _keep_alive(self._writer.get_extra_info("socket"))

    async def aclose(self) -> None:
        """Stop watching."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _keep_alive(connection: socket.socket) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE:
            if option := getattr(socket, name, None):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
