"""What the fakes of servers that speak over HTTP share: tones for voices, and misbehaviour as it is told.

::

    async with FakeXtts() as server:
        server.next_faults = ["cut_off"]        # of Fault
        ...
        pitch_hz(sound, rate) == pitch_of("/refs/calm.wav")
"""

from __future__ import annotations

import argparse
import asyncio
import io
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np
from aiohttp import web
from fakes.sovits_server import pitch_of, seconds_of, stream_header

from xiaozhi_persona.spine import Samples

Fault = Literal[
    "none",
    "refuse",  # the answer is .status and .refusal
    "json",  # .refusal under 200
    "json_as_sound",  # the same, labelled as sound
    "html",  # a page under 200, labelled as sound
    "cut_off_empty",  # 200, then cut off without a byte
    "cut_off",  # 200, cut off after the first piece
    "empty",  # 200 and a complete body without a byte: what a dead ffmpeg leaves
    "header_only",  # a WAV without samples
    "silence",  # nothing but zeros
    "wrong_rate",  # a WAV that says 1 Hz
    "hang",  # silent before the header, until .resume is set
    "hang_midway",  # silent after the first piece
    "reset",  # the connection is reset without an answer
    "reset_midway",
    "trickle",  # the sound comes a byte at a time
    "short",  # a tenth of the sound
    "endless",  # a hundred times the sound
]


@dataclass(frozen=True)
class Seen:
    """A request for speech."""

    path: str
    text: str
    voice: str
    language: str
    body: dict[str, Any]
    headers: dict[str, str]
    connection: int
    """The client's port: the same for two requests that shared a connection."""


@dataclass
class FakeSpeechServer:
    """Listens on 127.0.0.1 while entered. Everything may be changed between and during requests."""

    rate_hz: int = 24000
    streams: bool = True
    """Whether sound is sent as it is made; else whole, with its length."""
    piece_s: float = 0.5
    rtf: float = 0.0
    fault: Fault = "none"
    next_faults: list[Fault] = field(default_factory=list)
    """Faults of the next requests, used up one by one before `fault` holds again."""
    status: int = 400
    refusal: Any = field(default_factory=lambda: {"error": {"message": "broken", "code": 1}})
    port: int = 0

    def __post_init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.disconnects = 0
        self.arrived = asyncio.Event()
        self.stalled = asyncio.Event()
        """Set when a hanging fault has sent all it will."""
        self.resume = asyncio.Event()
        self.disconnected = asyncio.Event()

    async def __aenter__(self) -> FakeSpeechServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, after stop() on the same port."""
        app = web.Application()
        app.router.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Be dead: connections end and new ones are refused."""
        self.resume.set()
        await self._runner.cleanup()
        self.resume = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """What the server answers."""
        raise NotImplementedError

    async def speak(self, http: web.Request, seen: Seen, media: str) -> web.StreamResponse:
        """Answer a request that the server takes; `media` is wav, pcm, mp3 or opus."""
        self.requests.append(seen)
        self.arrived.set()
        fault = self.next_faults.pop(0) if self.next_faults else self.fault
        try:
            return await self._answer(http, seen, media, fault)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            self.disconnected.set()
            raise

    def content_type(self, media: str) -> str:
        """How the server labels its sound."""
        return CONTENT_TYPES[media]

    def cut(self, http: web.Request) -> None:
        """End the connection amid a body."""
        if http.transport:
            http.transport.close()

    async def _answer(self, http: web.Request, seen: Seen, media: str, fault: Fault) -> web.StreamResponse:
        kind = CONTENT_TYPES[media]
        if fault == "refuse":
            if isinstance(self.refusal, str):
                return web.Response(text=self.refusal, status=self.status, content_type="text/html")
            return web.json_response(self.refusal, status=self.status)
        if fault == "json":
            return web.json_response(self.refusal)
        if fault == "json_as_sound":
            page = web.json_response(self.refusal).body
            return web.Response(body=page, content_type=kind)
        if fault == "html":
            return web.Response(
                body=b"<!DOCTYPE html>\n<html><body>A page of a proxy</body></html>", content_type=kind
            )
        if fault == "hang":
            await self._hang()
        if fault == "reset":
            if http.transport:
                http.transport.abort()
            return web.Response()
        if fault == "empty":
            return web.Response(content_type=kind)
        return await self._sound(http, seen, media, fault)

    async def _sound(self, http: web.Request, seen: Seen, media: str, fault: Fault) -> web.StreamResponse:
        samples = self._tone(seen, fault)
        pieces = self._pieces(samples, media, fault)
        step_s = self.rtf * len(samples) / self.rate_hz / len(pieces)
        headers = {"Content-Type": self.content_type(media)}
        if not self.streams:
            await asyncio.sleep(step_s * len(pieces))
            headers["Content-Length"] = str(sum(map(len, pieces)))
        response = web.StreamResponse(headers=headers)
        await response.prepare(http)
        if fault == "cut_off_empty":
            self.cut(http)
            return response
        for piece in pieces:
            if self.streams:
                await asyncio.sleep(step_s)
            if fault == "trickle":
                for at in range(len(piece)):
                    await response.write(piece[at : at + 1])
                    self.stalled.set()
                    await asyncio.sleep(0.005)
            await response.write(piece)
            if fault == "cut_off":
                self.cut(http)
                return response
            if fault == "reset_midway" and http.transport:
                http.transport.abort()
                return response
            if fault == "hang_midway":
                await self._hang()
        return response

    def _pieces(self, samples: Samples, media: str, fault: Fault) -> list[bytes]:
        """Cut the sound as a server sends it; a WAV's header comes with the first piece."""
        if media in ("wav", "pcm"):
            data, size = samples.astype("<i2").tobytes(), 2 * max(1, round(self.piece_s * self.rate_hz))
            rate = 1 if fault == "wrong_rate" else self.rate_hz
            head = stream_header(rate, data_bytes=0 if self.streams else len(data)) if media == "wav" else b""
        else:
            data, size, head = packed(samples, self.rate_hz, media), 8000, b""
        return [head + data[:size], *(data[at : at + size] for at in range(size, len(data), size))]

    def _tone(self, seen: Seen, fault: Fault) -> Samples:
        if fault == "header_only":
            return np.zeros(0, np.int16)
        factor = {"short": 0.1, "endless": 100}.get(fault, 1) / float(seen.body.get("speed") or 1)
        at = np.arange(round(seconds_of(seen.text) * factor * self.rate_hz))
        if fault == "silence":
            return np.zeros(len(at), np.int16)
        tone = 8000 * np.sin(2 * np.pi * pitch_of(seen.voice) * at / self.rate_hz) + 100
        return tone.astype(np.int16)

    async def _hang(self) -> None:
        self.stalled.set()
        await self.resume.wait()


CONTENT_TYPES = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
}


def packed(samples: Samples, rate_hz: int, media: str) -> bytes:
    """Return a whole MP3, Ogg Opus or FLAC file; of AAC something that begins like it."""
    import soundfile

    if media == "aac":
        return b"\xff\xf1\x50\x80" * 1000
    kind = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS"), "flac": ("FLAC", "PCM_16")}[media]
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind[0], subtype=kind[1])
    return file.getvalue()


def port_of(http: web.Request) -> int:
    """Return the client's port."""
    return int(http.transport.get_extra_info("peername")[1]) if http.transport else 0


def run_forever(server: FakeSpeechServer) -> None:
    """Be a process: `--port` is where it listens, 0 for any; the address is printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rtf", type=float, default=0.2)
    arguments = parser.parse_args()
    server.port, server.rtf = arguments.port, arguments.rtf

    async def serve() -> None:
        async with server:
            print(server.url, flush=True)
            await asyncio.Event().wait()

    asyncio.run(serve())
