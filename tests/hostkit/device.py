"""A small device: says a text or sends sound, and keeps all that comes back, with times."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hostkit.device_tools import DeviceTools
from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder
from xiaozhi_persona.bridge.client.handshake import open_websocket
from xiaozhi_persona.spine import Samples

FRAME_MS = 60
MIC_RATE_HZ = 16000
_WAIT_S = 20.0


@dataclass(frozen=True)
class Received:
    """What came, and when: seconds after the turn began."""

    at_s: float
    content: dict[str, Any] | bytes


@dataclass
class Reply:
    """All that came after a text or sound was sent, up to the next one. It goes on filling itself."""

    asked: str
    rate_hz: int
    sent_at: float
    closed: bool = False
    """The host ended the connection."""
    received: list[Received] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [r.content for r in self.received if not isinstance(r.content, bytes)]

    @property
    def packets(self) -> list[bytes]:
        return [r.content for r in self.received if isinstance(r.content, bytes)]

    @property
    def packets_at_s(self) -> list[float]:
        return [r.at_s for r in self.received if isinstance(r.content, bytes)]

    @property
    def sentences(self) -> list[str]:
        """The subtitles."""
        return [m["text"] for m in self.messages if m.get("state") == "sentence_start"]

    @property
    def faces(self) -> list[str]:
        return [m["emotion"] for m in self.messages if m["type"] == "llm"]

    @property
    def heard(self) -> str | None:
        """What the host says it understood."""
        return next((m["text"] for m in self.messages if m["type"] == "stt"), None)

    @property
    def events(self) -> list[str]:
        """Type and state or text of each message, packets as one "audio" for each run of them."""
        names: list[str] = []
        for received in self.received:
            if isinstance(received.content, bytes):
                name = "audio"
            else:
                message = received.content
                shown = message.get("emotion") if message["type"] == "llm" else message.get("text")
                name = " ".join(filter(None, (message["type"], message.get("state"), shown)))
            if name != "audio" or names[-1:] != ["audio"]:
                names.append(name)
        return names

    @property
    def sound(self) -> Samples:
        """All packets decoded, at `rate_hz`."""
        decoder = OpusDecoder(self.rate_hz)
        return np.concatenate([np.zeros(0, np.int16), *(decoder.decode(packet) for packet in self.packets)])

    @property
    def duration_s(self) -> float:
        return len(self.packets) * FRAME_MS / 1000

    @property
    def started_at_s(self) -> float | None:
        return self._first(lambda m: m.get("state") == "start")

    @property
    def stopped_at_s(self) -> float | None:
        """When `tts stop` came. A stop before this turn's stt or start ends the turn before."""
        begun = False
        for received in self.received:
            if isinstance(received.content, bytes):
                continue
            kind = received.content["type"], received.content.get("state")
            if kind == ("tts", "stop") and begun:
                return received.at_s
            begun = begun or kind[0] == "stt" or kind == ("tts", "start")
        return None

    @property
    def stopped(self) -> bool:
        return self.stopped_at_s is not None

    @property
    def first_audio_s(self) -> float | None:
        return self.packets_at_s[0] if self.packets else None

    async def until(self, condition: Callable[[], Any], timeout_s: float = _WAIT_S) -> None:
        """Wait until `condition` holds; it is asked after everything that comes. Raises TimeoutError."""
        if not await self._wait(condition, timeout_s):
            raise TimeoutError(f"waited {timeout_s:g} s; came: {self.events}")

    async def finished(self, timeout_s: float = _WAIT_S) -> Reply:
        """Wait for `tts stop`; without one the reply is returned all the same, not `stopped`."""
        await self._wait(lambda: self.stopped, timeout_s)
        return self

    async def _wait(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not condition():
            if self.closed:
                return False
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), deadline - loop.time())
            except asyncio.TimeoutError:
                return bool(condition())
        return True

    def _first(self, matches: Callable[[dict[str, Any]], bool]) -> float | None:
        return next(
            (r.at_s for r in self.received if not isinstance(r.content, bytes) and matches(r.content)), None
        )

    def _take(self, at: float, content: dict[str, Any] | bytes) -> None:
        self.received.append(Received(at - self.sent_at, content))
        self._changed.set()

    def _close(self) -> None:
        self.closed = True
        self._changed.set()


class Device:
    """A device that is connected. Made by `connect`."""

    def __init__(self, websocket: ClientConnection, rate_hz: int, tools: DeviceTools | None = None) -> None:
        self.hello: dict[str, Any] | None = None
        self.replies: list[Reply] = []
        self.rate_hz = rate_hz
        """The rate of the host's packets; its hello tells back what the device asked for."""
        self.tools = tools
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self._reply = Reply("", rate_hz, self._loop.time())
        self._encoder = OpusEncoder(MIC_RATE_HZ, FRAME_MS)
        self._reader = asyncio.create_task(self._read(), name="hostkit-device")

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls,
        url: str,
        device_id: str,
        rate_hz: int = 24000,
        features: dict[str, Any] | None = None,
        tools: DeviceTools | None = None,
    ) -> AsyncIterator[Device]:
        client_id = str(uuid.uuid5(uuid.NAMESPACE_OID, device_id))
        device = cls(await open_websocket(url, 1, device_id, client_id, ""), rate_hz, tools)
        features = {**(features or {}), "mcp": True} if tools else features
        try:
            audio = {"format": "opus", "sample_rate": MIC_RATE_HZ, "channels": 1, "frame_duration": FRAME_MS}
            hello = {"type": "hello", "version": 1, "transport": "websocket", "audio_params": audio}
            await device.send(**hello, features=features or {})
            await device._reply.until(lambda: device.hello)
            yield device
        finally:
            await device.close()

    @property
    def session_id(self) -> str:
        return str(self.hello["session_id"]) if self.hello else ""

    async def send(self, **message: Any) -> None:
        """Send any message."""
        await self._websocket.send(json.dumps(message, ensure_ascii=False))

    async def ask(self, text: str) -> Reply:
        """Send a text as after a wake word; the reply fills itself from now on."""
        self._begin(text)
        await self.send(type="listen", state="detect", text=text, session_id=self.session_id)
        return self._reply

    async def say(self, text: str, timeout_s: float = _WAIT_S) -> Reply:
        """Send a text and wait for the end of the reply."""
        return await (await self.ask(text)).finished(timeout_s)

    async def speak(self, samples: Samples, mode: str = "manual", timeout_s: float = _WAIT_S) -> Reply:
        """Send 16 kHz sound in real time and wait for the end of the reply.

        Manual mode ends it with `listen stop`, the others with a second of silence.
        """
        self._begin("")
        await self.send(type="listen", state="start", mode=mode, session_id=self.session_id)
        step = self._encoder.frame_samples
        quiet = 0 if mode == "manual" else MIC_RATE_HZ
        samples = np.pad(samples, (0, quiet + -(len(samples) + quiet) % step))
        due = self._loop.time()
        for start in range(0, len(samples), step):
            await self._websocket.send(self._encoder.encode(samples[start : start + step]))
            due += FRAME_MS / 1000
            await asyncio.sleep(due - self._loop.time())
        if mode == "manual":
            await self.send(type="listen", state="stop", session_id=self.session_id)
        return await self._reply.finished(timeout_s)

    async def abort(self) -> None:
        await self.send(type="abort", session_id=self.session_id)

    async def close(self) -> None:
        if self.tools:
            self.tools.close()
        await self._websocket.close()
        await asyncio.wait({self._reader}, timeout=5)
        self._reader.cancel()

    async def _answer_mcp(self, payload: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.send(type="mcp", payload=payload, session_id=self.session_id)

    def _begin(self, asked: str) -> None:
        self._reply = Reply(asked, self.rate_hz, self._loop.time())
        self.replies.append(self._reply)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._websocket:
                at = self._loop.time()
                content = frame if isinstance(frame, bytes) else json.loads(frame)
                if isinstance(content, dict) and content.get("type") == "hello":
                    self.hello = content
                if isinstance(content, dict) and content.get("type") == "mcp":
                    if self.tools:
                        self.tools.take(content["payload"], self._answer_mcp)
                    continue
                self._reply._take(at, content)
        self._reply._close()
