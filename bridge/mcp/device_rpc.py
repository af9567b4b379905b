"""Questions to a device by MCP: JSON-RPC 2.0 within the messages of its connection, one at a time.

Source: 78/xiaozhi-esp32 2.4, main/mcp_server.cc: the device is the MCP server, ids are numbers, errors have no code.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.messages import Mcp
from xiaozhi_persona.errors import ServiceBroken, ServiceRejected, ServiceTimeout, ServiceUnavailable
from xiaozhi_persona.language import tr

_MAX_COMPLAINT = 300
LIST_CHANGED = "notifications/tools/list_changed"


class DeviceRpc:
    """Asks one device. Who asks awaits the answer in a task of his own: the one that receives never waits."""

    def __init__(self, link: Link, on_list_changed: Callable[[], None]) -> None:
        self._link = link
        self._on_list_changed = on_list_changed
        self._numbers = itertools.count(1)
        self._one_at_a_time = asyncio.Lock()
        self._asked: tuple[int, asyncio.Future[Any]] | None = None
        self._silent_at_s = float("-inf")  # when a question last went unanswered
        self._is_gone = False

    async def ask(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Return the result. `timeout_s` counts from when the questions before this one are answered.

        Raises ServiceRejected (the device says that it went wrong), ServiceTimeout, ServiceBroken (no JSON-RPC) and
        ServiceUnavailable (the device has gone).
        """
        came_at_s = time.monotonic()
        async with self._one_at_a_time:
            if self._is_gone:
                raise _gone()
            if (
                self._silent_at_s > came_at_s
            ):  # as it did not answer the one before: it is not waited for again
                raise _silent(timeout_s)
            number = next(self._numbers)
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._asked = number, answer
            question = {"jsonrpc": "2.0", "id": number, "method": method, "params": dict(params)}
            try:
                with anyio.fail_after(timeout_s):
                    await self._link.send(Mcp(question))
                    return await answer
            except TimeoutError as exc:
                self._silent_at_s = time.monotonic()
                raise _silent(timeout_s) from exc
            finally:
                self._asked = None

    def receive(self, payload: Mapping[str, Any]) -> None:
        """Take a message of the device. What nobody waits for is left out: answers that come late, its own requests."""
        if payload.get("method") == LIST_CHANGED:
            self._on_list_changed()
            return
        number = payload.get("id")
        if self._asked is None or isinstance(number, bool) or number != self._asked[0]:
            self._link.log.debug("一条没有等着的 MCP 消息")
            return
        answer = self._asked[1]
        if answer.done():
            return
        error = payload.get("error")
        if error is not None:
            said = error.get("message") if isinstance(error, dict) else error
            said = said[:_MAX_COMPLAINT] if isinstance(said, str) else ""
            answer.set_exception(ServiceRejected(tr("设备说：{said}", said=said)))
        elif "result" in payload:
            answer.set_result(payload["result"])
        else:
            answer.set_exception(ServiceBroken(tr("设备的回答不合 JSON-RPC。")))

    def close(self) -> None:
        """Answer that the device has gone to who waits and who asks from now on."""
        self._is_gone = True
        if self._asked and not self._asked[1].done():
            self._asked[1].set_exception(_gone())


def _gone() -> ServiceUnavailable:
    return ServiceUnavailable(tr("设备断开了，没有办成。"))


def _silent(timeout_s: float) -> ServiceTimeout:
    return ServiceTimeout(tr("设备 {timeout_s:g} 秒没有回答，不知道办成没有。", timeout_s=timeout_s))
