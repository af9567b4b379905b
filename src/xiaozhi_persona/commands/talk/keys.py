"""The space bar of the terminal as a button, key by key where that is possible."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

from xiaozhi_persona.bridge.client.buttons.presses import Presses


def has_keys() -> bool:
    """Whether there is a terminal that gives its keys one by one."""
    return os.name == "posix" and sys.stdin.isatty()


@contextlib.contextmanager
def space_bar(presses: Presses) -> Iterator[None]:
    """Tell `presses` of the space bar of a terminal that `has_keys`."""
    import termios
    import tty

    loop = asyncio.get_running_loop()
    terminal = sys.stdin.fileno()

    def read() -> None:
        for key in os.read(terminal, 64):
            if key == ord(" "):
                presses.down()

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
