"""The space bar as a button, in a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from xiaozhi_persona.bridge.client.buttons.presses import Presses
from xiaozhi_persona.commands.talk.keys import has_keys, space_bar

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


async def test_presses_are_told_also_after_whoever_waited_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pty
    import termios

    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin, os.fdopen(controller, "wb", buffering=0) as keyboard:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert has_keys()
        before = termios.tcgetattr(stdin)
        presses = Presses()
        with space_bar(presses):
            waiting = asyncio.ensure_future(anext(presses))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            keyboard.write(b"x \n ")
            assert await asyncio.wait_for(anext(presses), 5) == "down"
            assert await asyncio.wait_for(anext(presses), 5) == "down"
        assert termios.tcgetattr(stdin) == before


def test_what_is_no_terminal_has_no_keys() -> None:
    assert not has_keys()  # pytest's own standard input is none
