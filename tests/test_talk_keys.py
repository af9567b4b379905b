"""The space bar as a button, in a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from xiaozhi_persona.commands.talk.keys import presses
from xiaozhi_persona.errors import SettingsError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


async def test_presses_are_told_also_after_whoever_waited_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin, os.fdopen(controller, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        before = termios.tcgetattr(stdin)
        async with presses() as pressed:
            waiting = asyncio.ensure_future(anext(pressed))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            keyboard.write(b"x \n ")
            await asyncio.wait_for(anext(pressed), 5)
            await asyncio.wait_for(anext(pressed), 5)
        assert termios.tcgetattr(stdin) == before


async def test_without_a_terminal_it_is_told() -> None:
    with pytest.raises(SettingsError, match="终端"):  # pytest's own standard input is none
        async with presses():
            pass
