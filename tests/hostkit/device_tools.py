"""The tools of a device, which answers the host's MCP messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Tool = Callable[[dict[str, Any]], Any]
"""Takes the arguments; what it returns is the answer, in JSON unless it is a text. What it raises is a refusal."""


@dataclass
class DeviceTools:
    """Tools by their names as the firmware writes them."""

    tools: Mapping[str, Tool]
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What was called, in order."""
    called_at: list[float] = field(default_factory=list)
    """When, by the loop's clock."""
    hold: asyncio.Event | None = None
    """Answers wait for it."""
    refuses_list: bool = False
    is_listed: bool = False
    """Whether the host has been told all of them."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, payload: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Answer a message of the host's."""
        task = asyncio.get_running_loop().create_task(self._answer(payload, send), name="hostkit-tool")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _answer(
        self, payload: dict[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        number, method = payload["id"], payload["method"]
        answer: dict[str, Any] = {}
        if method == "initialize":
            answer["result"] = {"protocolVersion": "2024-11-05", "serverInfo": {"name": "hostkit"}}
        elif method == "tools/list":
            schema = {"type": "object", "properties": {}}
            listed = [{"name": name, "description": name, "inputSchema": schema} for name in self.tools]
            if self.refuses_list:
                return
            answer["result"] = {"tools": listed}
        else:
            name, arguments = payload["params"]["name"], payload["params"]["arguments"]
            self.calls.append((name, arguments))
            self.called_at.append(asyncio.get_running_loop().time())
            if self.hold is not None:
                await self.hold.wait()
            try:
                found = self.tools[name](arguments)
            except Exception as exc:
                answer["error"] = {"code": -32603, "message": str(exc)}
            else:
                text = found if isinstance(found, str) else json.dumps(found)
                answer["result"] = {"content": [{"type": "text", "text": text}], "isError": False}
        await send({"jsonrpc": "2.0", "id": number, **answer})
        self.is_listed = self.is_listed or method == "tools/list"


@dataclass
class Speaker:
    """What an ESP32 with a loudspeaker and a screen can do."""

    volume: int = 50
    brightness: int = 60

    def tools(self) -> DeviceTools:
        return DeviceTools(
            {
                "self.get_device_status": self._status,
                "self.audio_speaker.set_volume": lambda given: self._set("volume", given["volume"]),
                "self.screen.set_brightness": lambda given: self._set("brightness", given["brightness"]),
            }
        )

    def _status(self, given: dict[str, Any]) -> Any:
        return {"audio_speaker": {"volume": self.volume}, "screen": {"brightness": self.brightness}}

    def _set(self, name: str, value: int) -> Any:
        setattr(self, name, int(value))
        return True
