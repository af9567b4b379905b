"""`talk` in a terminal without --text and --wav: a typed chat, in a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest
from fakes.xiaozhi_server import FakeXiaozhi, Session

from xiaozhi_persona.commands.talk.converse import typed_lines


async def test_lines_are_asked_for_one_by_one_and_end_with_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter([" 你好 ", "", "再见"])
    prompts: list[str] = []

    def asked(prompt: str) -> str:
        prompts.append(prompt)
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    monkeypatch.setattr(builtins, "input", asked)
    assert [line async for line in typed_lines("你：")] == ["你好", "再见"]
    assert prompts == ["你："] * 4


async def test_a_line_that_comes_too_late_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, asked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(prompt: str) -> str:
        loop.call_soon_threadsafe(asked.set)
        go_on.wait(10)
        return "太晚了"

    monkeypatch.setattr(builtins, "input", slow)
    lines = typed_lines("")
    waiting = asyncio.ensure_future(anext(lines))
    await asked.wait()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    (reading,) = [thread for thread in threading.enumerate() if thread.name == "typed-line"]
    go_on.set()
    await asyncio.to_thread(reading.join, 10)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
async def test_a_chat_in_a_terminal_shows_feelings_and_latency_and_ends_with_ctrl_d(tmp_path: Path) -> None:
    async def script(session: Session) -> None:
        for number in ("一", "二"):
            await session.turn()
            await session.answer(number, [("happy", f"这是{number}。")])

    master, slave = os.openpty()
    async with FakeXiaozhi(script) as server:
        command = [
            sys.executable,
            "-m",
            "xiaozhi_persona",
            "talk",
            server.url,
            "--no-mic",
            "--device-id",
            "aa:bb",
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=slave, stdout=asyncio.subprocess.PIPE, cwd=tmp_path
        )
        os.close(slave)
        assert process.stdout
        os.write(master, "你好\n再见\n".encode())
        os.write(master, b"\x04")
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    os.close(master)
    shown = out.decode()
    assert process.returncode == 0 and "设备 aa:bb 连接" in shown
    assert shown.index("它（高兴）：这是一。") < shown.index("它（高兴）：这是二。")
    assert shown.count("秒出声）") == 2
