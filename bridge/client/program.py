"""Runs the programs that a user has named: without a shell, with a deadline, and with as much output as is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence

import anyio

from xiaozhi_persona.errors import ServiceTimeout, ServiceUnavailable, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.tasks import cancel_and_wait

_MESSAGE_BYTES = 2000
_KILLED_WITHIN_S = 2.0


def words_of(command: str, option: str) -> list[str]:
    """Return a command line as words, quoted as in a shell. Raises SettingsError, which names the option."""
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise SettingsError(tr("{option} 的引号没有配对：{command}", option=option, command=command)) from exc
    if not words:
        raise SettingsError(tr("{option} 没有写要运行的命令", option=option))
    return words


async def run_program(
    words: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    timeout_s: float,
    max_bytes: int,
) -> bytes:
    """Run a program and return what it printed. One that does not end well is killed, with its children.

    Children that it leaves behind go on, if they do not hold its outputs. `environment` is added to our own; the standard
    input is empty. Raises ServiceUnavailable (cannot be started, failed, printed more than `max_bytes`), ServiceTimeout.
    """
    name = words[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:  # ValueError: a NUL within a word
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ServiceUnavailable(tr("运行不了 {name}（{why}）。请检查命令", name=name, why=why)) from exc
    said = asyncio.create_task(_read(process.stderr, _MESSAGE_BYTES, to_the_end=True), name=f"stderr-{name}")
    try:
        with anyio.fail_after(timeout_s):
            output = await _read(process.stdout, max_bytes + 1)
            if len(output) > max_bytes:
                raise ServiceUnavailable(
                    tr("{name} 输出超过 {max_bytes} 字节，已经停掉", name=name, max_bytes=max_bytes)
                )
            message = await said
            code = await process.wait()
    except TimeoutError as exc:
        raise ServiceTimeout(
            tr("{name} 运行了 {timeout_s:g} 秒还没有结束，已经停掉", name=name, timeout_s=timeout_s)
        ) from exc
    finally:
        await cancel_and_wait(said)
        await _end(process)
    if code:
        lines = message.decode(errors="replace").strip().splitlines()
        raise ServiceUnavailable(
            tr(
                "{name} 失败（退出码 {code}）：{said}",
                name=name,
                code=code,
                said=lines[-1] if lines else tr("没有说原因"),
            )
        )
    return output


async def _read(stream: asyncio.StreamReader | None, max_bytes: int, to_the_end: bool = False) -> bytes:
    """Return the first bytes of a stream. To the end: what is more is thrown away, so that the program can go on."""
    assert stream is not None
    kept = b""
    while (len(kept) < max_bytes or to_the_end) and (piece := await stream.read(65536)):
        kept += piece[: max_bytes - len(kept)]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a process that still runs, and its children, and reap it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        with anyio.move_on_after(_KILLED_WITHIN_S, shield=True):
            await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # a child that got away may hold the pipes
