"""The tools of one device: asked for after its hello, offered to the chat model, called one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio

from xiaozhi_persona import __version__
from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.mcp.device_rpc import DeviceRpc
from xiaozhi_persona.bridge.mcp.offered import (
    MAX_LISTED,
    MAX_PAGES,
    PHOTO,
    Listed,
    bounded,
    functions_of,
    read_listed,
    safe_name,
)
from xiaozhi_persona.bridge.mcp.photos import PhotoPass
from xiaozhi_persona.bridge.mcp.results import text_of
from xiaozhi_persona.bridge.mcp.schemas import fitted
from xiaozhi_persona.bridge.tools import Tool
from xiaozhi_persona.errors import ServiceBroken, ServiceError, ServiceRejected, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.llm.vision import VisionModel
from xiaozhi_persona.spine import ToolAnswer
from xiaozhi_persona.tasks import cancel_and_wait

PROTOCOL_VERSION = "2024-11-05"
CALL_S = 10.0
CAMERA_S = 30.0
"""The device sends its picture and waits for what the vision model says."""
_OF_CAMERAS = ("photo", "camera", "screenshot")
KNOWN_S = 2.0
"""How long who needs the tools waits for a list that is on its way."""

_TRIES = 3
_SETTLE_S = 1.0
"""A list that changes is asked for again no sooner: a device may change one tool after the other."""


class DeviceTools:
    """Made for one connection; does nothing until `start`. Used on one event loop."""

    def __init__(
        self,
        link: Link,
        vision: VisionModel | None,
        photo_pass: Callable[[], Awaitable[PhotoPass | None]],
    ) -> None:
        """`photo_pass` tells where the device may send its pictures; None for nowhere."""
        self._log = link.log
        self._vision = vision
        self._photo_pass = photo_pass
        self._rpc = DeviceRpc(link, self._note_change)
        self._listed: dict[str, Listed] = {}
        self._tools: list[Tool] = []
        self._known = asyncio.Event()
        self._changed = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None
        self._was_waited_for = False

    @property
    def names(self) -> tuple[str, ...]:
        """What can be called, as the firmware names it; what is for people only, or would not work, is not in it."""
        return tuple(self._listed)

    def start(self) -> None:
        """Begin to ask the device for its tools, unless that has begun."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._keep_listed(), name="device-tools")

    def receive(self, payload: Mapping[str, Any]) -> None:
        """Take an MCP message of the device. Never waits."""
        self._rpc.receive(payload)

    async def tools(self) -> list[Tool]:
        """Return them for the chat model. Waits as `wait_until_known` does."""
        await self.wait_until_known()
        return self._tools

    async def wait_until_known(self) -> None:
        """Wait for a list that is on its way: at most 2 seconds, and once only."""
        if self._asking and not self._known.is_set() and not self._was_waited_for:
            with anyio.move_on_after(KNOWN_S):
                await self._known.wait()
            self._was_waited_for = True

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool by its name as the firmware writes it, or as the chat model does; return what it answers.

        Raises ServiceError: the device has no such tool, does not answer within 10 s (its camera: 30 s), says that it
        went wrong, or has gone.
        """
        await self.wait_until_known()
        listed = self._listed.get(name) or next(
            (one for one in self._listed.values() if safe_name(one.name) == safe_name(name)), None
        )
        if listed is None:
            raise ServiceRejected(tr("设备没有 {name} 这个工具。", name=name))
        arguments = fitted(arguments, listed.parameters)
        params = {"name": listed.name, "arguments": arguments}
        result = await self._rpc.ask("tools/call", params, _limit_s(listed))
        question = arguments.get("question")
        return await text_of(result, self._vision, question if isinstance(question, str) else "")

    async def aclose(self) -> None:
        """Note that the device has gone: calls under way end at once."""
        self._rpc.close()
        if self._asking:
            await cancel_and_wait(self._asking)

    def _note_change(self) -> None:
        self._changed.set()

    async def _keep_listed(self) -> None:
        """Ask for the tools, and again whenever the device says that they have changed."""
        photo_pass = None
        try:
            photo_pass = await self._photo_pass()
            await self._introduce(photo_pass)
            while True:
                self._changed.clear()
                self._take(await self._list(), has_photos=photo_pass is not None)
                await self._changed.wait()
                await asyncio.sleep(_SETTLE_S)
        except ServiceError as exc:
            self._log.warning("没有问到设备的工具：%s", exc)
        except Exception:
            self._log.exception("设备的工具出错")
        finally:
            self._known.set()
            if photo_pass:
                photo_pass.withdraw()

    async def _introduce(self, photo_pass: PhotoPass | None) -> None:
        seeing = {"vision": {"url": photo_pass.url, "token": photo_pass.token}} if photo_pass else {}
        params = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": seeing,
            "clientInfo": {"name": "xiaozhi-persona", "version": __version__},
        }
        for tries_left in reversed(range(_TRIES)):
            try:
                await self._rpc.ask("initialize", params, CALL_S)
                return
            except ServiceRejected:
                return  # it may have tools all the same
            except ServiceTimeout:
                if not tries_left:
                    raise

    async def _list(self) -> list[Listed]:
        """Ask page by page. A list that breaks off, or has no end, counts as far as it came."""
        found: dict[str, Listed] = {}
        cursor, cursors = "", {""}
        for _ in range(MAX_PAGES):
            try:
                params = {"cursor": cursor, "withUserTools": False}
                page = await self._rpc.ask("tools/list", params, CALL_S)
            except (ServiceRejected, ServiceBroken, ServiceTimeout) as exc:
                self._log.warning("设备的工具没有列完：%s", exc)
                return bounded(found.values()) or [*self._listed.values()]
            page = page if isinstance(page, dict) else {}
            for tool in read_listed(page.get("tools")):
                found.setdefault(tool.name, tool)
            cursor = str(page.get("nextCursor") or "")
            if cursor in cursors or len(found) > MAX_LISTED:
                break
            cursors.add(cursor)
        return bounded(found.values())

    def _take(self, listed: list[Listed], *, has_photos: bool) -> None:
        usable = [one for one in listed if has_photos or safe_name(one.name) != PHOTO]
        self._listed = {one.name: one for one in usable}
        self._tools = [
            Tool(function, partial(self._call_for_model, one.name), CAMERA_S + _limit_s(one))
            for one, function in zip(usable, functions_of(usable), strict=True)
        ]
        self._known.set()
        self._log.info("设备有 %d 个工具", len(self._tools))

    async def _call_for_model(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        return ToolAnswer(await self.call(name, arguments), for_model=True)


def _limit_s(listed: Listed) -> float:
    return CAMERA_S if any(word in listed.name for word in _OF_CAMERAS) else CALL_S
