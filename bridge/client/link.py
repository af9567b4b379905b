"""Frames over one websocket, sent and received by tasks of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from xiaozhi_persona.bridge.messages import ServerMessage

_OUTBOX_FRAMES = 256
_FLUSH_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Received:
    """A frame from the server. `at` is the event loop's time."""

    at: float
    frame: str | bytes
    content: ServerMessage | bytes | None
    """The message, or the Opus packet; None for what follows no protocol."""


class Link:
    """An open websocket. `on_frame` and `on_closed` are called from the event loop."""

    def __init__(
        self,
        websocket: ClientConnection,
        on_frame: Callable[[str | bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.closed = False
        self._websocket = websocket
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._outbox: asyncio.Queue[str | bytes] = asyncio.Queue(_OUTBOX_FRAMES)
        self._receiving = asyncio.create_task(self._receive(), name="device-receive")
        self._writing = asyncio.create_task(self._write(), name="device-write")

    @property
    def ending(self) -> str:
        """How the websocket was closed: the code, and the reason where one was given."""
        code, reason = self._websocket.close_code, self._websocket.close_reason
        return f"{code} {reason}" if reason else f"{code}"

    def send(self, frame: str | bytes) -> None:
        """Put a frame behind the others; gives the connection up when the server takes nothing any more."""
        try:
            self._outbox.put_nowait(frame)
        except asyncio.QueueFull:
            self._websocket.transport.abort()

    async def hang_up(self) -> None:
        """Send what is to be sent, then close TCP without a close frame."""
        await self._flush()
        self._websocket.transport.close()
        await asyncio.wait({self._receiving}, timeout=_FLUSH_TIMEOUT_S)

    async def close(self) -> None:
        """Send what is to be sent, then close with a close frame; leaves no task and no socket behind.

        Raises what `on_frame` raised.
        """
        try:
            await self._flush()
            await self._websocket.close()
        finally:
            self._websocket.transport.abort()
            await cancel(self._writing)
            await cancel(self._receiving)

    async def _flush(self) -> None:
        if not self.closed:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._outbox.join(), _FLUSH_TIMEOUT_S)

    async def _receive(self) -> None:
        try:
            async for frame in self._websocket:
                self._on_frame(frame)
        except ConnectionClosed:
            pass
        finally:
            self.closed = True
            self._on_closed()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._websocket.send(await self._outbox.get())
                self._outbox.task_done()


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end. Raises what it died of."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
