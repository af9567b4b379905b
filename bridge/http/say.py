"""POST /api/say: has a connected device say something, as soon as nobody speaks there."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Collection

import anyio
from aiohttp import web
from pydantic import BaseModel, Field

from xiaozhi_persona.bridge.answering import MAX_TYPED_CHARACTERS, Unasked
from xiaozhi_persona.bridge.http.asking import asked
from xiaozhi_persona.bridge.http.refusals import Refusal
from xiaozhi_persona.bridge.wits.spoken_to import Session
from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import own_command
from xiaozhi_persona.language import tr

WAIT_S = 60.0
"""So long a text waits for its turn."""
MAX_WAITING = 8
"""So many texts wait for one device."""

_LOOK_EVERY_S = 0.2


class _Asked(BaseModel):
    device: str = Field(min_length=1, max_length=256)
    text: str = Field(min_length=1, max_length=MAX_TYPED_CHARACTERS, pattern=r"\S")


class Say:
    """Answers the requests, for one device one after the other."""

    def __init__(self, sessions: Callable[[], Collection[Session]]) -> None:
        self._sessions = sessions
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: Counter[str] = Counter()

    async def say(self, request: web.Request) -> web.Response:
        """Say a text; answers when it was said. Raises Refusal.

        One that has begun goes on when the program that asked has gone: it is the device's turn by then.
        """
        wanted = await asked(request, _Asked)
        device = normal_id(wanted.device)
        if not self._connected(device):
            raise Refusal(
                request,
                404,
                tr("设备 {device} 没有连着，或没有证明它是谁。", device=device),
                tr("打开它，说一句话；{command} 列出有哪些设备。", command=own_command("devices list")),
            )
        if self._waiting[device] >= MAX_WAITING:
            raise Refusal(
                request, 429, tr("这台设备还有 {count} 句没有说完。", count=MAX_WAITING), tr("过一会儿再试。")
            )
        lock = self._locks.setdefault(device, asyncio.Lock())
        self._waiting[device] += 1
        try:
            await self._say_in_order(request, lock, device, wanted.text)
        finally:
            self._waiting[device] -= 1
            if not self._waiting[device]:
                del self._waiting[device], self._locks[device]
        return web.json_response({"said": True, "device": device})

    async def _say_in_order(self, request: web.Request, lock: asyncio.Lock, device: str, text: str) -> None:
        until_s = time.monotonic() + WAIT_S
        try:
            with anyio.fail_after(WAIT_S):
                await lock.acquire()
        except TimeoutError as exc:
            raise _busy(request, device) from exc
        try:
            while sessions := self._connected(device):
                for session in sessions:
                    if session.quiet_since_s < math.inf and await session.say(Unasked(text, is_aside=True)):
                        return
                if time.monotonic() > until_s:
                    raise _busy(request, device)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            lock.release()
        raise Refusal(
            request, 404, tr("设备 {device} 断开了，没有说。", device=device), tr("等它连上来再试。")
        )

    def _connected(self, device: str) -> list[Session]:
        return [session for session in self._sessions() if device and session.device[0] == device]


def _busy(request: web.Request, device: str) -> Refusal:
    return Refusal(
        request,
        409,
        tr("设备 {device} 一直在说话或在听，{seconds:g} 秒里没有轮到。", device=device, seconds=WAIT_S),
        tr("过一会儿再试。"),
    )
