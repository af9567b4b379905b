"""A device with tools, as the wire sees it: it answers by MCP what the bridge asks, or misbehaves as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import anyio
from fakes.wire import PATIENCE_S, Wire
from websockets.exceptions import ConnectionClosed

Answer = Mapping[str, Any] | None
"""What follows `jsonrpc` and `id`; None for silence."""


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    """A tool as the firmware lists it: all its properties are required."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if properties:
        schema["required"] = [*properties]
    return {"name": name, "description": description or f"{name}.", "inputSchema": schema}


VOLUME = tool(
    "self.audio_speaker.set_volume",
    "Set the volume. If it is unknown, call `self.get_device_status` first.",
    volume={"type": "integer", "minimum": 0, "maximum": 100},
)
STATUS = tool("self.get_device_status")


def text(said: str, **more: Any) -> Answer:
    """The answer of a tool that says this."""
    return {"result": {"content": [{"type": "text", "text": said}], "isError": False, **more}}


class McpDevice:
    """A device that is connected. `asked` holds the questions, `on_*` may be replaced at any time."""

    def __init__(self, wire: Wire, *pages: list[dict[str, Any]]) -> None:
        self.wire = wire
        self.pages = [*pages]
        self.asked: list[dict[str, Any]] = []
        self.on_initialize: Callable[[dict[str, Any]], Answer] = lambda params: {"result": {}}
        self.on_list: Callable[[dict[str, Any]], Answer] = self.page
        self.on_call: Callable[[dict[str, Any]], Answer] = lambda params: text("true")
        self._came = asyncio.Event()
        wire.on_mcp = self._answer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, *pages: list[dict[str, Any]], device_id: str = "aa:bb:cc:dd:ee:01"
    ) -> AsyncIterator[McpDevice]:
        """Connect; the hello is sent by `hello`."""
        async with Wire.open(url, device_id) as wire:
            yield cls(wire, *pages)

    async def hello(self) -> None:
        await self.wire.send(type="hello", version=1, transport="websocket", features={"mcp": True})
        await self.wire.until(lambda: "hello" in self.wire.heard.kinds)

    async def ask(self, words: str) -> str:
        """Type something, and return what is said in answer."""
        before, stops = len(self.wire.heard.subtitles), self.wire.heard.stops
        await self.wire.type(words)
        await self.wire.until(lambda: self.wire.heard.stops > stops)
        return "".join(self.wire.heard.subtitles[before:])

    def page(self, params: dict[str, Any]) -> Answer:
        """The page that a cursor names, which is the name of its first tool, as in the firmware."""
        beginnings = [page[0]["name"] if page else "" for page in self.pages]
        number = beginnings.index(params["cursor"]) if params["cursor"] else 0
        more = {"nextCursor": beginnings[number + 1]} if number + 1 < len(self.pages) else {}
        return {"result": {"tools": self.pages[number] if self.pages else [], **more}}

    def of(self, method: str) -> list[dict[str, Any]]:
        """The params of the questions of one kind."""
        return [asked["params"] for asked in self.asked if asked["method"] == method]

    async def until_asked(self, method: str, times: int = 1) -> dict[str, Any]:
        """Wait for a question, and return it."""
        with anyio.fail_after(PATIENCE_S):
            while len(self.of(method)) < times:
                self._came.clear()
                await self._came.wait()
        return [asked for asked in self.asked if asked["method"] == method][times - 1]

    async def send(self, **payload: Any) -> None:
        """Send a JSON-RPC message, as it is."""
        with contextlib.suppress(ConnectionClosed):
            await self.wire.websocket.send(json.dumps({"type": "mcp", "payload": payload}))

    async def answer(self, asked: Mapping[str, Any], answer: Answer) -> None:
        """Answer a question that was left open."""
        await self.send(jsonrpc="2.0", id=asked["id"], **(answer or {}))

    async def _answer(self, payload: dict[str, Any]) -> None:
        assert payload["jsonrpc"] == "2.0" and type(payload["id"]) is int, payload
        json.dumps(payload, allow_nan=False)
        self.asked.append(payload)
        self._came.set()
        kinds = {"initialize": self.on_initialize, "tools/list": self.on_list, "tools/call": self.on_call}
        if (answer := kinds[payload["method"]](payload["params"])) is not None:
            await self.answer(payload, answer)
