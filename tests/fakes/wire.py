"""A device as the wire sees it: raw frames, and whether the server keeps to the order that devices rely on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.spine import Samples

PATIENCE_S = 10.0


class Conversation:
    """What the server has sent, and the rules that hold of it at any time.

    Speaking begins with `tts start` and ends with `tts stop`; sound and subtitles come between the two only.
    """

    def __init__(self) -> None:
        self.speaking = False
        self.packets = self.starts = self.stops = 0
        self.subtitles: list[str] = []
        self.kinds: list[str] = []

    def take(self, frame: str | bytes) -> None:
        """Note a frame. Raises AssertionError for one that has no place here."""
        if isinstance(frame, bytes):
            assert self.speaking, "sound outside of a reply"
            self.packets += 1
            return
        message = json.loads(frame)
        kind = message.get("state", message["type"])
        self.kinds.append(kind)
        if kind == "start":
            assert not self.speaking, "a reply began within another"
            self.speaking = True
            self.starts += 1
        elif kind == "stop":
            self.speaking = False
            self.stops += 1
        elif kind == "sentence_start":
            assert self.speaking, "a subtitle outside of a reply"
            self.subtitles.append(message["text"])


class Wire:
    """One connection. A frame out of order is raised by the next wait."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.heard = Conversation()
        self.closed = False
        self.on_mcp: Callable[[dict[str, Any]], Awaitable[None]] | None = None
        """Is given what the server asks by MCP."""
        self._changed = asyncio.Event()
        self._fault: AssertionError | None = None
        self._reader = asyncio.create_task(self._read(), name="wire")

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str, device_id: str = "aa:bb:cc:dd:ee:01") -> AsyncIterator[Wire]:
        headers = {"Device-Id": device_id, "Client-Id": f"client of {device_id}"}
        async with connect(url, compression=None, additional_headers=headers, close_timeout=1) as websocket:
            wire = cls(websocket)
            try:
                yield wire
                assert wire._fault is None, wire._fault
            finally:
                websocket.transport.resume_reading()
                await websocket.close()
                await asyncio.wait({wire._reader}, timeout=PATIENCE_S)

    async def send(self, **message: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.websocket.send(json.dumps(message, ensure_ascii=False))

    async def hello(self) -> None:
        await self.send(type="hello", version=1, transport="websocket")
        await self.until(lambda: "hello" in self.heard.kinds)

    async def type(self, text: str) -> None:
        await self.send(type="listen", state="start", mode="auto")
        await self.send(type="listen", state="detect", text=text)

    async def say(self, sound: Samples) -> None:
        encoder = OpusEncoder(16000, 60)
        for start in range(0, len(sound) - 959, 960):
            await self.websocket.send(encoder.encode(sound[start : start + 960]))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is asked at every frame and at the end of the connection."""
        with anyio.fail_after(PATIENCE_S):
            while not condition():
                assert self._fault is None, self._fault
                self._changed.clear()
                await self._changed.wait()

    async def _read(self) -> None:
        try:
            async for frame in self.websocket:
                self.heard.take(frame)
                self._changed.set()
                if self.on_mcp and isinstance(frame, str) and (message := json.loads(frame))["type"] == "mcp":
                    await self.on_mcp(message["payload"])
        except ConnectionClosed:
            pass
        except AssertionError as exc:
            self._fault = exc
        finally:
            self.closed = True
            self._changed.set()


async def answer_to(websocket: ClientConnection, text: str) -> str:
    """Type a text after the hello; return the subtitles of the whole reply."""
    await websocket.send(json.dumps({"type": "listen", "state": "detect", "text": text}))
    conversation = Conversation()
    while not conversation.stops:
        with anyio.fail_after(PATIENCE_S):
            conversation.take(await websocket.recv())
    return "".join(conversation.subtitles)
