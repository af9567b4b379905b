"""The device's side of MCP: lists its tools, carries out calls. A call runs beside everything else: sound never waits for it.

Source: 78/xiaozhi-esp32 2.4.2, main/mcp_server.cc: JSON-RPC 2.0 within messages of type mcp; ids are numbers, errors have
no code, the list of tools comes in pages of at most 8000 bytes, `nextCursor` names the first tool of the next page.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import anyio

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.tasks import cancel_and_wait

PROTOCOL_VERSION = "2024-11-05"
PAGE_BYTES = 8000
CALL_TIMEOUT_S = 10.0
"""What servers allow for most tools; for pictures it is 30 s."""
MAX_CALLS = 8
"""So many run at the same time; more are refused."""
_PAGE_FRAME_BYTES = 30
"""What the firmware keeps free on a page for the cursor's frame."""

_TYPES: dict[str, type] = {"boolean": bool, "integer": int, "string": str}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Argument:
    """What a tool wants to be told; one with a default may be left out."""

    name: str
    type: Literal["boolean", "integer", "string"] = "string"
    default: bool | int | str | None = None
    minimum: int | None = None
    maximum: int | None = None

    def schema(self) -> dict[str, Any]:
        """Return it as JSON schema."""
        limits = {"default": self.default, "minimum": self.minimum, "maximum": self.maximum}
        return {"type": self.type, **{key: value for key, value in limits.items() if value is not None}}

    def read(self, given: Mapping[str, Any]) -> bool | int | str:
        """Return its value among those given; a wrong type counts as missing. Raises _Refused."""
        value = given.get(self.name)
        if self.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows one kind of number
        if type(value) is not _TYPES[self.type]:
            if self.default is None:
                raise _Refused(f"Missing valid argument: {self.name}")
            return self.default
        assert isinstance(value, bool | int | str)
        if self.minimum is not None and int(value) < self.minimum:
            raise _Refused(f"Value is below minimum allowed: {self.minimum}")
        if self.maximum is not None and int(value) > self.maximum:
            raise _Refused(f"Value exceeds maximum allowed: {self.maximum}")
        return value


Capabilities = Mapping[str, Any]
"""What a server says in `initialize` that it offers."""


def _ignore(capabilities: Capabilities) -> None:
    pass


@dataclass(frozen=True)
class Tool:
    """Something that the server may ask the device to do."""

    name: str
    description: str
    """For the chat model."""
    call: Callable[[Mapping[str, Any]], Awaitable[str | bool]]
    """Gets every argument; PersonaErrors are told to the server."""
    arguments: Sequence[Argument] = ()
    timeout_s: float = CALL_TIMEOUT_S
    on_capabilities: Callable[[Capabilities], None] = _ignore

    def to_json(self) -> dict[str, Any]:
        """Return it as `tools/list` names it."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {argument.name: argument.schema() for argument in self.arguments},
        }
        if required := [argument.name for argument in self.arguments if argument.default is None]:
            schema["required"] = required
        return {"name": self.name, "description": self.description, "inputSchema": schema}


class McpServer:
    """The tools on one connection. `send` takes the answers, which may come in another order than the questions."""

    def __init__(self, tools: Sequence[Tool], send: Callable[[dict[str, Any]], None]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._send = send
        self._calls: set[asyncio.Task[None]] = set()
        self._turns = {name: asyncio.Lock() for name in self._tools}

    def take(self, request: Mapping[str, Any]) -> None:
        """Answer a message, a call as soon as it has been carried out; the firmware gives none to malformed ones."""
        method, number, params = request.get("method"), request.get("id"), request.get("params", {})
        if request.get("jsonrpc") != "2.0" or not isinstance(method, str):
            return
        if method.startswith("notifications") or not isinstance(params, dict):
            return
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            return
        try:
            if method == "tools/call":
                self._begin(number, params)
            else:
                self._reply(number, self._result(method, params))
        except _Refused as exc:
            self._refuse(number, str(exc))

    async def aclose(self) -> None:
        """End the calls that still run."""
        await asyncio.gather(*map(cancel_and_wait, self._calls))

    def _result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            capabilities = params.get("capabilities")
            for tool in self._tools.values():
                tool.on_capabilities(capabilities if isinstance(capabilities, dict) else {})
            return {
                "protocolVersion": PROTOCOL_VERSION,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "xiaozhi-persona talk", "version": version("xiaozhi-persona")},
            }
        if method == "tools/list":
            return _page([tool.to_json() for tool in self._tools.values()], params.get("cursor"))
        raise _Refused(f"Method not implemented: {method}")

    def _begin(self, number: float, params: Mapping[str, Any]) -> None:
        name, given = params.get("name"), params.get("arguments", {})
        if not isinstance(name, str):
            raise _Refused("Missing name")
        if not isinstance(given, dict):
            raise _Refused("Invalid arguments")
        tool = self._tools.get(name)
        if tool is None:
            raise _Refused(f"Unknown tool: {name}")
        arguments = {argument.name: argument.read(given) for argument in tool.arguments}
        if len(self._calls) >= MAX_CALLS:
            raise _Refused("Too many calls at once")
        call = asyncio.create_task(self._call(number, tool, arguments), name=f"device-tool-{name}")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _call(self, number: float, tool: Tool, arguments: Mapping[str, Any]) -> None:
        try:
            with anyio.fail_after(tool.timeout_s):
                async with self._turns[tool.name]:  # of two calls of one tool the later one has the last word
                    value = await tool.call(arguments)
        except TimeoutError:
            self._refuse(number, f"No result within {tool.timeout_s:g} s")
        except PersonaError as exc:
            self._refuse(number, str(exc))
        except Exception as exc:
            log.exception("工具 %s 出错：%s", tool.name, type(exc).__name__)
            self._refuse(number, f"{tool.name} failed: {type(exc).__name__}")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            self._reply(number, {"content": [{"type": "text", "text": text}], "isError": False})

    def _reply(self, number: float, result: dict[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "id": number, "result": result})

    def _refuse(self, number: float, message: str) -> None:
        self._send({"jsonrpc": "2.0", "id": number, "error": {"message": message}})


class _Refused(Exception):
    """A request that is answered with an error."""


def _page(tools: Sequence[dict[str, Any]], cursor: Any) -> dict[str, Any]:
    """Return the page that begins with the tool that the cursor names. Raises _Refused for one that begins nowhere."""
    names = [tool["name"] for tool in tools]
    start = 0 if not isinstance(cursor, str) or not cursor else names.index(cursor) if cursor in names else -1
    if start < 0:
        raise _Refused(f"Unknown cursor: {cursor}")
    page: list[dict[str, Any]] = []
    size = len('{"tools":[') + _PAGE_FRAME_BYTES
    for tool in tools[start:]:
        size += len(json.dumps(tool, ensure_ascii=False, separators=(",", ":")).encode()) + 1
        if size > PAGE_BYTES:
            if not page:
                raise _Refused(f"Failed to add tool {tool['name']} because of payload size limit")
            return {"tools": page, "nextCursor": tool["name"]}
        page.append(tool)
    return {"tools": page}
