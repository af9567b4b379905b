"""What was done to buttons, whichever they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal

Press = Literal["down", "up"]
"""down: a button was pressed; up: one that was held was released."""

HELD_S = 0.4
"""Who holds a button for longer talks while he holds it; a shorter press begins, and the next one ends."""
_WAITING = 8


class Presses(AsyncIterator[Press]):
    """Presses one after the other; no generator, which would end where whoever waits for one is cancelled."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[Press] = asyncio.Queue(_WAITING)
        self._down_at = self._loop.time()

    async def __anext__(self) -> Press:
        return await self._waiting.get()

    def down(self) -> None:
        """A button was pressed. Called from the event loop."""
        self._down_at = self._loop.time()
        self._put("down")

    def up(self) -> None:
        """The button was released, where it tells that. Called from the event loop."""
        if self._loop.time() - self._down_at >= HELD_S:
            self._put("up")

    def soon(self, what: Callable[[], None]) -> None:
        """Call `down` or `up` from another thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(what)

    def _put(self, press: Press) -> None:
        if not self._waiting.full():
            self._waiting.put_nowait(press)
