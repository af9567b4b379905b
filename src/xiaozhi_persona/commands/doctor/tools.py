"""What `doctor` finds of the model that looks at pictures, and of the owner's MCP servers: each is tried."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
import zlib
from collections.abc import AsyncIterator

from xiaozhi_persona.checks import Check, failed
from xiaozhi_persona.errors import PersonaError, ServiceUnavailable, SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import Settings

_SIDE = 64
"""Pixels: there are models that take no smaller pictures than 28."""


async def check_tools(settings: Settings) -> AsyncIterator[Check]:
    """Yield a check for each that is set."""
    if settings.llm.vision.base_url:
        yield await _vision(settings)
    from xiaozhi_persona.bridge.mcp.own_servers import OwnServers, check_package
    from xiaozhi_persona.bridge.mcp.server_files import own_servers

    found, troubles = await asyncio.to_thread(own_servers, settings)
    for trouble in troubles:
        yield failed(tr("MCP 服务器"), SettingsError(trouble))
    if not found:
        return
    try:
        check_package()
    except PersonaError as exc:
        yield failed(tr("MCP 服务器"), exc)
        return
    async with contextlib.aclosing(OwnServers(found, settings.mcp.timeout_s)) as servers:
        servers.start()
        await servers.settle(settings.mcp.timeout_s + 1.0)
        for name, trouble, count in servers.states():
            what = tr("MCP 服务器 {name}", name=name)
            if trouble:
                yield failed(what, ServiceUnavailable(trouble))
            else:
                yield Check("ok", what, tr("{count} 个工具", count=count))


async def _vision(settings: Settings) -> Check:
    from xiaozhi_persona.providers.llm.vision import Picture, VisionModel

    what, began_s = tr("看图"), time.monotonic()
    try:
        async with contextlib.aclosing(VisionModel(settings.llm.vision)) as model:
            await model.look(Picture.of(_red_square()), tr("这是什么颜色？只说颜色。"))
    except PersonaError as exc:
        return failed(what, exc)
    took_s = time.monotonic() - began_s
    return Check("ok", what, tr("{name} 会看（{took_s:.1f} 秒）", name=model.name, took_s=took_s))


def _red_square() -> bytes:
    """Return a PNG. Source of the format: RFC 2083."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">2I5B", _SIDE, _SIDE, 8, 2, 0, 0, 0)  # 8 bits each of red, green and blue
    rows = (b"\0" + b"\xff\0\0" * _SIDE) * _SIDE
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
