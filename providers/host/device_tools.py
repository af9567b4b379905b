"""What can be called over a connection of the host: the device's own tools, and those of the host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import anyio
from core.providers.tools.unified_tool_handler import UnifiedToolHandler
from plugins_func.register import Action

from xiaozhi_persona.errors import ServiceRejected, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.host.tool_names import NO_NAME

log = logging.getLogger(__name__)

CALL_S = 4.0
"""How long a tool has for its answer; a device that is there answers within a tenth of a second."""
PHOTO_S = 30.0
"""The same of a camera, whose picture goes through a model."""
LIST_S = 3.0
"""How long the device's list of tools is waited for: the host asks for it one second after the device has connected."""

_POLL_S = 0.05


class DeviceTools:
    """The tools of one connection. All belongs on the host's loop, but not into what receives from the device."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._own_handler: Any = None

    async def names(self) -> list[str]:
        """Return all names, the device's first and as its firmware writes them; waits for a list that is on its way."""
        await self._wait_for_list()
        written = self._as_written()
        names = [written.get(name, name) for name in self._manager().get_all_tools()]
        return sorted(names, key=lambda name: name not in written.values())

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool and return what it answers. Raises ServiceTimeout, and ServiceRejected with what it says."""
        manager = self._manager()
        known = NO_NAME.sub("_", name)
        if not manager.has_tool(known):
            raise ServiceRejected(tr("设备和小智服务端都没有工具 {name}。", name=name))
        try:
            with anyio.fail_after(PHOTO_S if known.endswith("take_photo") else CALL_S):
                answer = await manager.execute_tool(known, dict(arguments))
        except TimeoutError as exc:
            raise ServiceTimeout(tr("工具 {name} 没有在时限内回答。", name=name)) from exc
        if answer is None:
            return ""
        if answer.action in (Action.ERROR, Action.NOTFOUND):
            told = str(answer.response or answer.result or "")
            raise ServiceRejected(tr("工具 {name} 没有做到：{told}", name=name, told=told[:200]))
        return str(answer.result or answer.response or "")

    def for_model(self) -> int:
        """Return how many tools the chat model is offered."""
        handler = self._connection.func_handler
        is_offered = handler and self._connection.intent_type == "function_call"
        return len(handler.get_functions()) if is_offered else 0

    async def _wait_for_list(self) -> None:
        features = self._connection.features
        if not (isinstance(features, Mapping) and features.get("mcp")):
            return
        with anyio.move_on_after(LIST_S):
            while not await self._has_list():  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
        if self._own_handler is not None:
            self._own_handler.tool_manager.refresh_tools()

    async def _has_list(self) -> bool:
        client = getattr(self._connection, "mcp_client", None)
        return bool(client is not None and await client.is_ready())

    def _manager(self) -> Any:
        """Return the host's; with nointent it has none for its model, and we make one."""
        handler = self._connection.func_handler
        if handler is None:
            if self._own_handler is None:
                self._own_handler = UnifiedToolHandler(self._connection)
            handler = self._own_handler
        return handler.tool_manager

    def _as_written(self) -> Mapping[str, str]:
        """Return the device's names by those that the host has made of them."""
        return getattr(getattr(self._connection, "mcp_client", None), "name_mapping", {})
