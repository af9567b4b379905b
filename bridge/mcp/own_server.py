"""One MCP server of the owner's: connected in the background, and again when it is lost, by the `mcp` package."""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from xiaozhi_persona import __version__
from xiaozhi_persona.bridge.mcp.offered import (
    MAX_LISTED,
    MAX_PAGES,
    Listed,
    bounded,
    functions_of,
    read_listed,
)
from xiaozhi_persona.bridge.mcp.results import text_of
from xiaozhi_persona.bridge.mcp.schemas import fitted
from xiaozhi_persona.bridge.mcp.transports import reason_of, transport
from xiaozhi_persona.bridge.tools import Tool
from xiaozhi_persona.errors import ServiceRejected, ServiceTimeout, ServiceUnavailable, first_line
from xiaozhi_persona.language import tr
from xiaozhi_persona.mcp_settings import McpServerSettings
from xiaozhi_persona.providers.llm.vision import VisionModel
from xiaozhi_persona.spine import ToolAnswer
from xiaozhi_persona.tasks import cancel_and_wait

if TYPE_CHECKING:
    from mcp import Client

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0
"""How often a server is asked for its tools: they may have changed, and it may have gone without a word."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Between two tries to connect; doubled each time, also for one that goes soon after it has come."""
_LOOKING_S = 30.0
"""How long the pictures in an answer may be looked at, beside what the call takes."""
_CLOSING_S = 10.0
"""A started command has this long to end: it is told, then asked, then killed."""


class OwnServer:
    """Does nothing until `start`, which returns at once. Used on one event loop."""

    def __init__(
        self, name: str, settings: McpServerSettings, timeout_s: float, vision: VisionModel | None
    ) -> None:
        self.name = name
        self.trouble = tr("正在连接")
        """Why its tools are not there, "" when they are."""
        self.settled = asyncio.Event()
        """Set when the first try to connect has ended."""
        self._settings = settings
        self._timeout_s = timeout_s
        self._vision = vision
        self._client: Client | None = None
        self._listed: dict[str, Listed] = {}
        self.tools: list[Tool] = []
        """For the chat model; none while it is not connected."""
        self._look_again = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._closing = False
        self._tries = 0
        self._complaints: deque[str] = deque(maxlen=3)  # of the server itself, the last ones
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect."""
        self._running = asyncio.create_task(self._keep_connected(), name=f"mcp-{self.name}")

    async def aclose(self) -> None:
        """Disconnect; a command that was started has ended by then."""
        self._closing = True
        self._scope.cancel()  # not the task: the library would not see to the end of what it has started
        if self._running:
            await asyncio.wait({self._running}, timeout=_CLOSING_S)
            await cancel_and_wait(self._running)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool by the name that the server has for it; return what it answers. Raises ServiceError."""
        client, listed = self._client, self._listed.get(name)
        if client is None or listed is None:
            raise ServiceUnavailable(tr("MCP 服务器 {name} 现在连不上。", name=self.name))
        arguments = fitted(arguments, listed.parameters)
        try:
            with anyio.fail_after(self._timeout_s):
                result = await client.call_tool(name, arguments)
        except TimeoutError as exc:
            self._look_again.set()
            raise ServiceTimeout(
                tr(
                    "MCP 服务器 {name} {limit_s:g} 秒没有回答，不知道办成没有。",
                    name=self.name,
                    limit_s=self._timeout_s,
                )
            ) from exc
        except Exception as exc:  # the library has many, one of each transport
            self._look_again.set()
            raise ServiceRejected(
                tr("MCP 服务器 {name} 没有办成：{reason}", name=self.name, reason=first_line(exc))
            ) from exc
        question = arguments.get("question")
        answer = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return await text_of(answer, self._vision, question if isinstance(question, str) else "")

    async def _keep_connected(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closing:
            began_s = time.monotonic()
            try:
                await self._be_connected()
            except Exception as exc:
                self._note_trouble(reason_of(exc, self._settings, self._complaints))
            self._client, self._listed, self.tools = None, {}, []
            self.settled.set()
            if not self._closing:
                if time.monotonic() - began_s > LONGEST_PAUSE_S:
                    pause_s = FIRST_PAUSE_S
                with anyio.CancelScope() as self._scope:
                    await anyio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _be_connected(self) -> None:
        """Connect, and return when the connection is lost; raises what has gone wrong."""
        await asyncio.to_thread(importlib.import_module, "mcp")  # takes a while
        from mcp import Client
        from mcp_types import Implementation

        self._tries += 1
        self._complaints.clear()
        with anyio.CancelScope(deadline=anyio.current_time() + self._timeout_s) as scope:
            self._scope = scope
            if self._closing:
                return
            async with (
                transport(self._settings, self._timeout_s, self._tries, self._complaints) as spoken_through,
                Client(
                    spoken_through,
                    read_timeout_seconds=self._timeout_s,
                    client_info=Implementation(name="xiaozhi-persona", version=__version__),
                    message_handler=self._take_message,
                    cache=None,
                ) as client,
            ):
                await self._list(client)
                scope.deadline = math.inf
                self._client = client
                log.info("MCP 服务器 %s 连上了，有 %d 个工具", self.name, len(self.tools))
                self._complaints.clear()
                self.trouble = ""
                self.settled.set()
                while True:
                    with anyio.move_on_after(LOOK_AGAIN_S):
                        await self._look_again.wait()
                    self._look_again.clear()
                    with anyio.fail_after(self._timeout_s):
                        await self._list(client)
        if not self._closing:
            raise TimeoutError

    async def _take_message(self, message: object) -> None:
        if "tools/list_changed" in str(getattr(message, "method", "")):
            self._look_again.set()

    async def _list(self, client: Client) -> None:
        found: dict[str, Listed] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools = [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
            found |= {tool.name: tool for tool in read_listed(tools)}
            cursor = page.next_cursor
            if not cursor or len(found) > MAX_LISTED:
                break
        listed = bounded(found.values())
        if [*self._listed.values()] == listed:
            return
        self._listed = {tool.name: tool for tool in listed}
        self.tools = [
            Tool(function, partial(self._call_for_model, tool.name), self._timeout_s + _LOOKING_S)
            for tool, function in zip(listed, functions_of(listed), strict=True)
        ]

    async def _call_for_model(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        return ToolAnswer(await self.call(name, arguments), for_model=True)

    def _note_trouble(self, reason: str) -> None:
        if reason != self.trouble:
            log.warning("MCP 服务器 %s 连不上，会再试：%s", self.name, reason)
        self.trouble = reason
