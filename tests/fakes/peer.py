"""A TCP client that does as it likes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import anyio

SOON_S = 5.0
"""Far more than any deadline of a test, far less than the libraries' own."""


class Peer:
    """One connection to a port of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> bytes:
        """Return what comes next; nothing when the other side has closed."""
        with anyio.fail_after(SOON_S), contextlib.suppress(ConnectionError):
            return await self._reader.read(65536)
        return b""

    async def receive_all(self) -> bytes:
        """Return all that comes until the other side closes."""
        everything = b""
        while data := await self.receive():
            everything += data
        return everything

    async def drip(self) -> None:
        """Send a byte now and then until the other side closes."""
        with anyio.fail_after(SOON_S):
            while True:
                self.send(b"a")
                with anyio.move_on_after(0.02) as waiting:
                    assert not await self.receive()
                if not waiting.cancelled_caught:
                    return


@contextlib.asynccontextmanager
async def peer(port: int, data: bytes = b"", host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    """Connect from `host`, an address of this machine, and send `data`; cut the connection at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
    writer.write(data)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
