"""A server that a client under test talks to: real websockets, real Opus, and replies that a script decides.

Its frames are laid out here once more, so that a mistake in the package's own layout does not cancel itself out.
"""

from __future__ import annotations

import asyncio
import http
import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from xiaozhi_persona.audio.opus import OpusDecoder, OpusEncoder
from xiaozhi_persona.spine import Samples

PATH = "/xiaozhi/v1/"
RATE_HZ = 24000
FRAME_MS = 60
HELLO = {
    "type": "hello",
    "transport": "websocket",
    "session_id": "s-1",
    "audio_params": {"format": "opus", "sample_rate": RATE_HZ, "channels": 1, "frame_duration": FRAME_MS},
}

_QUIET_FRAMES = 2  # that many quiet frames behind a loud one end an utterance
_LOUD = 1000
_WAIT_S = 10.0


def tone(seconds: float, sample_rate_hz: int = 16000, hz: float = 500.0) -> Samples:
    """Sound that is loud from its first to its last sample."""
    at = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    samples: Samples = (8000 * np.cos(2 * np.pi * hz * at)).astype(np.int16)
    return samples


def pitch_hz(samples: Samples, sample_rate_hz: int) -> float:
    """The frequency that is strongest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * sample_rate_hz / len(samples))


@dataclass
class Session:
    """One connection, as a script sees it."""

    websocket: ServerConnection
    version: int
    at: list[float] = field(default_factory=list)
    """When each audio frame came."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    """What came in which order: the type (and state) of a message, or "audio"."""
    heard: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    """The sound of the utterance so far, at 16 kHz."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _decoder: OpusDecoder = field(default_factory=OpusDecoder)
    _turns: list[str] = field(default_factory=list)
    _loud = False
    _quiet_frames = 0

    async def turn(self) -> str:
        """Wait for the end of what the user says or types; return the typed text, "" for speech."""
        await self.until(lambda: bool(self._turns))
        self.heard_last, self.heard = self.heard, np.zeros(0, np.int16)
        return self._turns.pop(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; it is asked after every frame from the client."""
        deadline = asyncio.get_running_loop().time() + _WAIT_S
        while not condition():
            self._changed.clear()
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait_for(self._changed.wait(), left)

    async def send(self, type: str, **fields: Any) -> None:
        await self.websocket.send(json.dumps({"type": type, **fields}, ensure_ascii=False))

    async def send_audio(self, samples: Samples, rate_hz: int = RATE_HZ, frame_ms: int = FRAME_MS) -> None:
        """Send whole frames of sound, all at once."""
        encoder = OpusEncoder(rate_hz, frame_ms)
        for start in range(0, len(samples), encoder.frame_samples):
            packet = encoder.encode(samples[start : start + encoder.frame_samples])
            await self.websocket.send(self.frame(packet))

    def frame(self, packet: bytes) -> bytes:
        if self.version == 2:
            return struct.pack(">HHIII", 2, 0, 0, 0, len(packet)) + packet
        if self.version == 3:
            return struct.pack(">BBH", 0, 0, len(packet)) + packet
        return packet

    async def answer(
        self,
        heard: str = "你好",
        sentences: Sequence[tuple[str, str]] = (("happy", "你好呀。"),),
        frames: int = 3,
    ) -> None:
        """A reply as it should be; its sound fits into the device's queue, and `tts stop` comes at its end."""
        await self.send("stt", text=heard)
        await self.send("tts", state="start")
        loop = asyncio.get_running_loop()
        end = loop.time()
        for emotion, text in sentences:
            await self.send("llm", emotion=emotion, text="🙂")
            await self.send("tts", state="sentence_start", text=text)
            await self.send_audio(tone(frames * FRAME_MS / 1000, RATE_HZ))
            end += frames * FRAME_MS / 1000
        await asyncio.sleep(end - loop.time())
        await self.send("tts", state="stop")

    def take(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            message = json.loads(frame)
            self.messages.append(message)
            self.events.append(" ".join(filter(None, (message["type"], message.get("state")))))
            if message.get("state") == "detect":
                self._turns.append(message["text"])
            elif message.get("state") == "stop":
                self._turns.append("")
        else:
            self.at.append(asyncio.get_running_loop().time())
            self.events.append("audio")
            packet = self._packet(frame)
            self.packets.append(packet)
            self._listen(self._decoder.decode(packet))
        self._changed.set()

    def _packet(self, frame: bytes) -> bytes:
        if self.version == 2:
            version, kind, _, _, size = struct.unpack_from(">HHIII", frame)
            assert (version, kind, size) == (2, 0, len(frame) - 16)
            return frame[16:]
        if self.version == 3:
            kind, _, size = struct.unpack_from(">BBH", frame)
            assert (kind, size) == (0, len(frame) - 4)
            return frame[4:]
        return frame

    def _listen(self, samples: Samples) -> None:
        self.heard = np.concatenate((self.heard, samples))
        if np.abs(samples.astype(np.int32)).max() > _LOUD:
            self._loud, self._quiet_frames = True, 0
        elif self._loud:
            self._quiet_frames += 1
            if self._quiet_frames == _QUIET_FRAMES:
                self._loud = False
                if self.mode != "manual":
                    self._turns.append("")

    @property
    def mode(self) -> str:
        modes = [message["mode"] for message in self.messages if message.get("state") == "start"]
        return modes[-1] if modes else ""


async def answer_every_turn(session: Session) -> None:
    while True:
        text = await session.turn()
        await session.answer(heard=text or "你好")


@dataclass
class FakeXiaozhi:
    """Serves on 127.0.0.1 while its block is open. `script` runs once for each connection, after the hellos."""

    script: Callable[[Session], Awaitable[None]] = answer_every_turn
    hello: dict[str, Any] | None = field(default_factory=lambda: dict(HELLO))
    hello_delay_s: float = 0.0
    token: str = ""
    port: int = 0
    """0 for a free one."""
    sessions: list[Session] = field(default_factory=list)
    closings: list[int | None] = field(default_factory=list)
    """The close code of each connection that ended."""
    failures: list[BaseException] = field(default_factory=list)
    """What scripts and checks of frames raised, other than by the connection's end."""
    _server: Server | None = None
    _connected: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> FakeXiaozhi:
        self._server = await serve(
            self._connection,
            "127.0.0.1",
            self.port,
            process_request=self._request,
            compression=None,
            close_timeout=1,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.wait_for(self._server.wait_closed(), _WAIT_S)
        if self.failures:
            raise self.failures[0]

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{PATH}"

    @property
    def session(self) -> Session:
        """The only connection so far."""
        (session,) = self.sessions
        return session

    async def connected(self) -> Session:
        """Wait for the first connection."""
        await asyncio.wait_for(self._connected.wait(), _WAIT_S)
        return self.session

    async def until_closed(self) -> None:
        """Wait until a connection has ended."""
        await asyncio.wait_for(self._closed.wait(), _WAIT_S)

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != PATH:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no such path\n")
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "wrong token\n")
        return None

    async def _connection(self, websocket: ServerConnection) -> None:
        assert websocket.request is not None
        session = Session(websocket, int(websocket.request.headers["Protocol-Version"]))
        self.sessions.append(session)
        self._connected.set()
        scripted = asyncio.create_task(self._play(session), name="fake-xiaozhi-script")
        try:
            async for frame in websocket:
                session.take(frame)
        except ConnectionClosed:
            pass
        except Exception as exc:
            self.failures.append(exc)
        finally:
            scripted.cancel()
            await asyncio.wait({scripted})
            self.closings.append(websocket.close_code)
            self._closed.set()

    async def _play(self, session: Session) -> None:
        try:
            await session.until(lambda: session.events[:1] == ["hello"])
            if self.hello is None:
                return
            await asyncio.sleep(self.hello_delay_s)
            await session.websocket.send(json.dumps(self.hello))
            await self.script(session)
        except ConnectionClosed:
            pass
        except Exception as exc:
            self.failures.append(exc)
