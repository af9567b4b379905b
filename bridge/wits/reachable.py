"""What an intent can call: the tools of the device, then those of the owner's servers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import anyio

from xiaozhi_persona.bridge.mcp.device_tools import DeviceTools
from xiaozhi_persona.bridge.mcp.own_servers import OwnServers
from xiaozhi_persona.errors import ServiceTimeout
from xiaozhi_persona.language import tr


class Reachable:
    """The tools over one connection, as wits.Tools."""

    def __init__(self, device: DeviceTools, servers: OwnServers) -> None:
        self._device = device
        self._servers = servers

    async def names(self) -> Collection[str]:
        """Return their names, as the device writes them; waits for a list that is on its way."""
        await self._device.wait_until_known()
        return [*self._device.names, *(tool.name for tool in self._servers.tools())]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call one of them. Raises PersonaError."""
        tool = next((tool for tool in self._servers.tools() if tool.name == name), None)
        if tool is None or name in self._device.names:
            return await self._device.call(name, arguments)
        try:
            with anyio.fail_after(tool.timeout_s):
                return (await tool.call(arguments)).text
        except TimeoutError as exc:
            limit_s = tool.timeout_s
            raise ServiceTimeout(
                tr("工具 {name} {limit_s:g} 秒没有回答", name=name, limit_s=limit_s)
            ) from exc
