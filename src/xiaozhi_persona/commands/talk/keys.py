"""The space bar of the terminal as a button, key by key where that is possible."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr

_WAITING = 8


class _Presses(AsyncIterator[None]):
    """No generator, which would be at its end once somebody who waited for a press was cancelled."""

    def __init__(self, pressed: asyncio.Queue[None]) -> None:
        self._pressed = pressed

    async def __anext__(self) -> None:
        await self._pressed.get()


@contextlib.asynccontextmanager
async def presses() -> AsyncIterator[AsyncIterator[None]]:
    """Give an iterator that yields when the space bar is pressed. Raises SettingsError without a terminal."""
    if os.name != "posix" or not sys.stdin.isatty():
        raise SettingsError(tr("--mode manual 的按键要在 Linux 或 macOS 的终端里用。请在终端里运行"))
    import termios
    import tty

    loop = asyncio.get_running_loop()
    pressed: asyncio.Queue[None] = asyncio.Queue(_WAITING)
    terminal = sys.stdin.fileno()

    def read() -> None:
        for key in os.read(terminal, 64):
            if key == ord(" ") and not pressed.full():
                pressed.put_nowait(None)

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield _Presses(pressed)
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
