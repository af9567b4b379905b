"""A GPT-SoVITS server, api.py or api_v2.py, that speaks tones and misbehaves as it is told.

::

    async with FakeSovits() as server:
        server.next_faults = ["cut_off"]        # of Fault
        settings = GptSovitsSettings(servers=[server.url])
        ...
        pitch_hz(sound, rate) == pitch_of("/refs/calm.wav")

As in the real servers, the reference lies in state that all requests share: overlapping requests mix voices. A step
that is in progress when the client hangs up goes on to its end.
"""

from __future__ import annotations

import asyncio
import io
import re
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

import numpy as np
from aiohttp import web

from xiaozhi_persona.spine import Samples

Fault = Literal[
    "none",
    "refuse",  # the answer is .status and .refusal
    "json",  # .refusal under 200
    "html",  # a page under 200
    "cut_off_empty",  # 200, then cut off without a byte: what a stream does with a bad reference
    "cut_off",  # 200, cut off after the first piece
    "empty",  # 200 and a complete body without a byte: what a stream does with blanks
    "header_only",  # a WAV without samples
    "engine",  # 1 s of silence at 16000 Hz, and in a stream a cut
    "engine_old",  # the same at 32000 Hz
    "hang",  # silent before the header, until .resume is set
    "hang_midway",  # silent after the first piece
    "reset",  # the connection is reset without an answer
    "reset_midway",
    "garbled",  # bytes that are no sound after the first piece
    "trickle",  # the sound comes a byte at a time
    "short",  # a tenth of the sound
    "endless",  # a stream that does not find its end, a whole sentence of ten times the length
]

_REFUSAL: dict[str, Any] = {"message": "tts failed", "Exception": "broken"}
_V2_LANGUAGES = ("auto", "auto_yue", "en", "zh", "ja", "yue", "ko", "all_zh", "all_ja", "all_yue", "all_ko")
_V1_LANGUAGES = (
    *("中文", "粤语", "英文", "日文", "韩文", "中英混合", "粤英混合", "日英混合", "韩英混合"),
    *("多语种混合", "多语种混合(粤语)"),
    *_V2_LANGUAGES,
)


@dataclass(frozen=True)
class Seen:
    """A request for speech."""

    path: str
    body: dict[str, Any]
    connection: int
    """The client's port: the same for two requests that shared a connection."""
    gpt: str
    sovits: str
    at_s: float
    """When it came, on the event loop's clock."""

    @property
    def text(self) -> str:
        return str(self.body["text"])


@dataclass
class FakeSovits:
    """Listens on 127.0.0.1 while entered. Everything may be changed between and during requests."""

    api: Literal["v1", "v2"] = "v2"
    path: str = ""
    """Where speech is made; "" for the API's own place. "/" with v2 is one of the packs."""
    is_old: bool = False
    """Release 20240821v2: streaming_mode true or false only, and a fixed header at once."""
    describes_itself: bool = True
    streams: bool = False
    """v1 only: started with -sm n."""
    media: str = "wav"
    """v1 only: started with -mt."""
    rate_hz: int = 32000
    rtf: float = 0.0
    load_s: float = 0.0
    """How long a change of weights takes."""
    piece_bytes: int = 0
    """Writes are cut into pieces of this size; 0 leaves them whole."""
    fault: Fault = "none"
    next_faults: list[Fault] = field(default_factory=list)
    """Faults of the next requests, used up one by one before `fault` holds again."""
    status: int = 400
    refusal: Any = field(default_factory=lambda: dict(_REFUSAL))
    missing: set[str] = field(default_factory=set)
    """Files that are not on the server."""
    default_reference: str = ""
    """v1 only: started with -dr."""
    keeps_weights: bool = False
    """v2: whether weights outlive a restart, as those in its settings do."""

    def __post_init__(self) -> None:
        self.url = ""
        self.requests: list[Seen] = []
        self.probes = 0
        self.loads: list[str] = []
        """Weight files in the order in which they were asked for."""
        self.overlaps = 0
        """Requests that began while a step of another one was in progress."""
        self.disconnects = 0
        self.arrived = asyncio.Event()
        self.stalled = asyncio.Event()
        """Set when a hanging fault has sent all it will."""
        self.resume = asyncio.Event()
        self.disconnected = asyncio.Event()
        self._port = 0
        self._gpt = self._sovits = "base"
        self._reference = ""
        self._steps: set[asyncio.Task[None]] = set()
        self._event_loop_is_free = asyncio.Lock()

    async def __aenter__(self) -> FakeSovits:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, after stop() on the same port, with the weights of a fresh start."""
        if not self.keeps_weights:
            self._gpt = self._sovits = "base"
        app = web.Application()
        self._path = self.path or ("/tts" if self.api == "v2" else "/")
        app.router.add_post(self._path, self._speak)
        app.router.add_get("/openapi.json", self._openapi)
        if self.api == "v2":
            app.router.add_get("/set_gpt_weights", self._set_weights)
            app.router.add_get("/set_sovits_weights", self._set_weights)
        else:
            app.router.add_post("/set_model", self._set_model)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Be dead: connections end and new ones are refused."""
        self.resume.set()
        for step in self._steps:
            step.cancel()
        await self._runner.cleanup()
        await asyncio.gather(*self._steps, return_exceptions=True)
        self.resume = asyncio.Event()

    # ------------------------------------------------------------------ endpoints
    async def _openapi(self, http: web.Request) -> web.StreamResponse:
        self.probes += 1
        if self.fault == "hang":
            await self._hang()
        if not self.describes_itself:
            return web.json_response({"detail": "Not Found"}, status=404)
        if self.api == "v1":
            root = {
                "get": {"parameters": [{"name": "refer_wav_path"}, {"name": "text_language"}]},
                "post": {},
            }
            return web.json_response({"paths": {"/set_model": {}, "/change_refer": {}, "/": root}})
        mode = {"type": "boolean"} if self.is_old else {"anyOf": [{"type": "boolean"}, {"type": "integer"}]}
        fields = {"text_lang": {"type": "string"}, "streaming_mode": mode}
        if not self.is_old:
            fields["overlap_length"] = {"type": "integer"}
        schema = {"schema": {"$ref": "#/components/schemas/TTS_Request"}}
        post = {"requestBody": {"content": {"application/json": schema}}}
        components = {"schemas": {"TTS_Request": {"properties": fields}}}
        return web.json_response({"paths": {self._path: {"post": post}}, "components": components})

    async def _set_weights(self, http: web.Request) -> web.StreamResponse:
        path, kind = http.query["weights_path"], "gpt" if "gpt" in http.path else "sovits"
        self.loads.append(path)
        self.arrived.set()
        await self._load()
        if path in self.missing:
            data = {"message": f"change {kind} weight failed", "Exception": f"No such file: {path}"}
            return web.json_response(data, status=400)
        if kind == "gpt":
            self._gpt = path
        else:
            self._sovits = path
        return web.json_response({"message": "success"})

    async def _set_model(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        gpt, sovits = body["gpt_model_path"], body["sovits_model_path"]
        self.loads += [gpt, sovits]
        await self._load()
        if {gpt, sovits} & self.missing:
            return web.json_response({"code": 400, "message": "No such file"}, status=400)
        self._gpt, self._sovits = gpt, sovits
        return web.json_response({"code": 0, "message": "Success"})

    async def _load(self) -> None:
        async with self._event_loop_is_free:  # the real servers serve nothing while they load
            await self._step(self.load_s)

    async def _speak(self, http: web.Request) -> web.StreamResponse:
        port = http.transport.get_extra_info("peername")[1] if http.transport else 0
        body = await http.json()
        at_s = asyncio.get_running_loop().time()
        seen = Seen(http.path, body, port, self._gpt, self._sovits, at_s)
        self.requests.append(seen)
        self.arrived.set()
        fault = self.next_faults.pop(0) if self.next_faults else self.fault
        is_whole = self.api == "v2" and body.get("streaming_mode") in (0, False)
        self.overlaps += bool(self._steps) and not is_whole
        try:
            if is_whole:
                async with self._event_loop_is_free:
                    return await self._answer(http, seen, fault)
            return await self._answer(http, seen, fault)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnects += 1
            self.disconnected.set()
            raise

    # ------------------------------------------------------------------ answers
    async def _answer(self, http: web.Request, seen: Seen, fault: Fault) -> web.StreamResponse:
        if fault == "refuse":
            if isinstance(self.refusal, str):
                return web.Response(text=self.refusal, status=self.status)
            return web.json_response(self.refusal, status=self.status)
        if fault == "json":
            return web.json_response(self.refusal)
        if fault == "html":
            return web.Response(text="<html><body>A page</body></html>", content_type="text/html")
        if fault == "hang":
            await self._hang()
        if fault == "reset":
            return self._reset(http)
        refused, reference = (self._check_v2 if self.api == "v2" else self._check_v1)(seen.body)
        if refused:
            return refused
        self._reference = reference
        is_late = reference in self.missing or self._has_bad_language(seen.body)
        if self.api == "v2":
            return await self._answer_v2(http, seen.body, "cut_off_empty" if is_late else fault)
        return await self._answer_v1(http, seen.body, "cut_off_empty" if is_late else fault)

    def _check_v2(self, body: dict[str, Any]) -> tuple[web.Response | None, str]:
        mode = body.get("streaming_mode", False)
        is_wrong = not isinstance(mode, bool) if self.is_old else mode not in (0, 1, 2, 3)
        if is_wrong:
            detail = [
                {"type": "bool_parsing", "loc": ["body", "streaming_mode"], "msg": "a boolean", "input": mode}
            ]
            return web.json_response({"detail": detail}, status=422), ""
        for name in ("ref_audio_path", "text", "text_lang", "prompt_lang"):
            if not body.get(name):
                return web.json_response({"message": f"{name} is required"}, status=400), ""
        for name in ("text_lang", "prompt_lang"):
            if body[name] not in _V2_LANGUAGES:
                message = f"{name}: {body[name]} is not supported in version v2"
                return web.json_response({"message": message}, status=400), ""
        if not mode and body["ref_audio_path"] in self.missing:
            data = {"message": "tts failed", "Exception": f"{body['ref_audio_path']} not exists"}
            return web.json_response(data, status=400), ""
        return None, str(body["ref_audio_path"])

    def _check_v1(self, body: dict[str, Any]) -> tuple[web.Response | None, str]:
        if all(body.get(name) for name in ("refer_wav_path", "prompt_text", "prompt_language")):
            return None, str(body["refer_wav_path"])
        if self.default_reference:
            return None, self.default_reference
        return web.json_response({"code": 400, "message": "未指定参考音频且接口无预设"}, status=400), ""

    def _has_bad_language(self, body: dict[str, Any]) -> bool:
        return self.api == "v1" and body.get("text_language") not in _V1_LANGUAGES

    async def _answer_v2(self, http: web.Request, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        mode = int(body.get("streaming_mode", False))
        media, rate = body.get("media_type", "wav"), self.rate_hz
        if fault in ("engine", "engine_old"):
            rate = 32000 if fault == "engine_old" else 16000
        if mode == 0:
            if fault == "cut_off_empty":
                return web.json_response(self.refusal, status=400)
            parts = [part async for part in self._parts(body, 0, fault)]
            sound = np.concatenate(parts) if parts else np.zeros(0, np.int16)
            return await self._send_whole(http, _packed(sound, rate, media), f"audio/{media}", fault)
        response = web.StreamResponse(headers={"Content-Type": f"audio/{media}"})
        await response.prepare(http)
        header_is_due = media == "wav" and fault != "empty"
        if header_is_due and self.is_old:
            await response.write(stream_header(32000))
            header_is_due = False
        async for samples in self._parts(body, mode, fault):
            if header_is_due:
                await response.write(stream_header(rate))
                header_is_due = False
            data = _packed(samples, rate, media) if media == "ogg" else samples.tobytes()
            if await self._send_piece(http, response, data, fault):
                return response
        if header_is_due and fault == "header_only":
            await response.write(stream_header(rate))
        if fault in ("cut_off_empty", "engine", "engine_old"):
            return self._cut(http, response)
        return response

    async def _answer_v1(self, http: web.Request, body: dict[str, Any], fault: Fault) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": f"audio/{self.media}"})
        await response.prepare(http)
        sounds = []
        async for samples in self._parts(body, 1, fault):
            if self.streams:
                if await self._send_piece(http, response, _packed(samples, self.rate_hz, "ogg"), fault):
                    return response
            else:
                sounds.append(samples)
        if fault in ("cut_off_empty", "engine"):
            return self._cut(http, response)
        if not self.streams and fault != "empty":
            if self.media == "ogg":
                data = b"".join(_packed(samples, self.rate_hz, "ogg") for samples in sounds)
            elif self.media == "aac":
                data = b"\xff\xf1\x50\x80" * 100
            else:
                whole = np.concatenate(sounds) if sounds else np.zeros(0, np.int16)
                data = _packed(whole, self.rate_hz, "wav")
            if await self._send_piece(http, response, data, fault):
                return response
        return response

    async def _send_whole(
        self, http: web.Request, data: bytes, content_type: str, fault: Fault
    ) -> web.StreamResponse:
        if fault not in ("cut_off", "reset_midway", "hang_midway", "garbled", "trickle", "empty"):
            return web.Response(body=data, content_type=content_type)
        response = web.StreamResponse(
            headers={"Content-Type": content_type, "Content-Length": str(len(data))}
        )
        if fault == "empty":
            return web.Response(content_type=content_type)
        await response.prepare(http)
        await self._send_piece(http, response, data[: len(data) // 2], fault)
        return response

    async def _send_piece(
        self, http: web.Request, response: web.StreamResponse, data: bytes, fault: Fault
    ) -> bool:
        """Send one piece of sound; return whether it was the last one."""
        size = self.piece_bytes or len(data)
        if fault == "trickle":
            size = 1
        for start in range(0, len(data), max(1, size)):
            await response.write(data[start : start + size])
            if fault == "trickle":
                self.stalled.set()
                await asyncio.sleep(0.005)
            elif self.piece_bytes:
                await asyncio.sleep(0)
        if fault == "cut_off":
            self._cut(http, response)
            return True
        if fault == "reset_midway":
            self._reset(http)
            return True
        if fault == "hang_midway":
            await self._hang()
        if fault == "garbled":
            await response.write(b"OggS" + b"\x00" * 22 + b"\x01\x05hello" + b"junk" * 20)
            return True
        return False

    # ------------------------------------------------------------------ the engine
    async def _parts(self, body: dict[str, Any], mode: int, fault: Fault) -> AsyncIterator[Samples]:
        """Make the sound of a text piece by piece, as the mode does."""
        if fault in ("engine", "engine_old"):
            await self._step(0.0)
            yield np.zeros(32000 if fault == "engine_old" else 16000, np.int16)
            return
        if fault in ("cut_off_empty", "empty", "header_only"):
            return
        speed = float(body.get("speed_factor") or body.get("speed") or 1.0)
        sentences = [part for part in re.split(r"(?<=[，。！？,.!?])", body["text"]) if part.strip()]
        if mode >= 2 and body.get("batch_size", 1) > 1:
            sentences = sentences[:: body["batch_size"]]
        at = 0
        for sentence in sentences:
            left = round(seconds_of(sentence) / speed * self.rate_hz)
            if fault == "short":
                left //= 10
            elif fault == "endless":
                left *= 10 if mode == 0 or not (self.streams or self.api == "v2") else 10_000
            is_first = True
            while left > 0:
                chunk_s = (0.56 if is_first else 0.64) if mode >= 2 else (2.0 if fault == "endless" else 1e9)
                count = min(left, round(chunk_s * self.rate_hz))
                await self._step(self.rtf * count / self.rate_hz)
                yield self._tone(at, count)
                at, left, is_first = at + count, left - count, False
            pause_s = float(body.get("fragment_interval", 0.3))
            yield np.zeros(round(pause_s * self.rate_hz), np.int16)

    def _tone(self, at: int, count: int) -> Samples:
        phase = 2 * np.pi * pitch_of(self._reference) * np.arange(at, at + count) / self.rate_hz
        return (8000 * np.sin(phase) + 100).astype(np.int16)

    async def _step(self, seconds: float) -> None:
        """Work that goes on when nobody waits for it any more."""
        step = asyncio.create_task(asyncio.sleep(seconds), name="fake-sovits-step")
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        await asyncio.shield(step)

    async def _hang(self) -> None:
        self.stalled.set()
        await self.resume.wait()

    def _cut(self, http: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if http.transport:
            http.transport.close()
        return response

    def _reset(self, http: web.Request) -> web.StreamResponse:
        if http.transport:
            http.transport.abort()
        return web.Response()


def seconds_of(text: str) -> float:
    """How long the fake takes to say a text: 200 ms a Chinese character, 60 ms a letter."""
    return sum(0.2 if character > "\u2e80" else 0.06 for character in text if not character.isspace())


def pitch_of(reference: str) -> int:
    """The tone in Hz that stands for this reference."""
    return 200 + 25 * (zlib.crc32(reference.encode()) % 40)


def pitch_hz(samples: Samples, rate_hz: int) -> int:
    """The loudest tone, to 25 Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    spectrum[: int(100 * len(samples) / rate_hz)] = 0
    return round(int(spectrum.argmax()) * rate_hz / len(samples) / 25) * 25


def stream_header(rate_hz: int, *, data_bytes: int = 0) -> bytes:
    """The header of a streamed WAV as the servers send it: RIFF size 36, data size 0."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(
            b"RIFF",
            36 + data_bytes,
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            rate_hz,
            2 * rate_hz,
            2,
            16,
            b"data",
            data_bytes,
        ),
    )


def ogg_of(samples: Samples, rate_hz: int) -> bytes:
    """One Ogg Vorbis file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="OGG", subtype="VORBIS")
    return file.getvalue()


def _packed(samples: Samples, rate_hz: int, media: str) -> bytes:
    if media == "ogg":
        return ogg_of(samples, rate_hz)
    data = samples.astype("<i2").tobytes()
    return data if media == "raw" else stream_header(rate_hz, data_bytes=len(data)) + data
