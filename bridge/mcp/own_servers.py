"""The owner's MCP servers together, whose tools every conversation has."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from collections.abc import Mapping

import anyio

from xiaozhi_persona.bridge.mcp.own_server import OwnServer
from xiaozhi_persona.bridge.tools import Tool
from xiaozhi_persona.errors import PackageMissing, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.mcp_settings import McpServerSettings
from xiaozhi_persona.providers.llm.vision import VisionModel

log = logging.getLogger(__name__)

OLDEST_MCP = 2
"""The major version of the `mcp` package whose client is used."""


class OwnServers:
    """None of them keeps the bridge from starting."""

    def __init__(
        self,
        servers: Mapping[str, McpServerSettings] | None = None,
        timeout_s: float = 30.0,
        vision: VisionModel | None = None,
    ) -> None:
        self._servers = [OwnServer(name, one, timeout_s, vision) for name, one in (servers or {}).items()]

    def start(self) -> None:
        """Begin to connect to each. Without the package there is one line in the log."""
        if not self._servers:
            return
        try:
            check_package()
        except PackageMissing as exc:
            log.error("%s", exc)
            for server in self._servers:
                server.trouble = tr("没有装 mcp")
                server.settled.set()
            return
        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what goes wrong is told here, in a line
        for server in self._servers:
            server.start()

    async def settle(self, timeout_s: float) -> None:
        """Return when each was connected or has failed once, or at the deadline."""
        with anyio.move_on_after(timeout_s):
            for server in self._servers:
                await server.settled.wait()

    def tools(self) -> list[Tool]:
        """Return the tools of those that are connected now."""
        return [tool for server in self._servers for tool in server.tools]

    def states(self) -> list[tuple[str, str, int]]:
        """Return of each its name, why it cannot be used ("" when it can), and how many tools it has."""
        return [(server.name, server.trouble, len(server.tools)) for server in self._servers]

    async def aclose(self) -> None:
        """Disconnect from all."""
        await asyncio.gather(*(server.aclose() for server in self._servers))


def check_package() -> None:
    """Raise PackageMissing, with the next step, unless the `mcp` package is there in a version that is used."""
    command = pip_install(f"mcp>={OLDEST_MCP}")
    try:
        version = importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError as exc:
        raise PackageMissing(tr("要用自己的 MCP 服务器，先装 mcp：{command}", command=command)) from exc
    if int(version.partition(".")[0]) < OLDEST_MCP:
        raise PackageMissing(
            tr("mcp {version} 太旧，自己的 MCP 服务器用不了：{command}", version=version, command=command)
        )
