"""POST /v1/audio/transcriptions: what is said in a recording, as OpenAI's API has it, with times where they are asked for."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from aiohttp import web
from pydantic import BaseModel

from xiaozhi_persona.audio.recordings import open_recording
from xiaozhi_persona.audio.resample import Resampler
from xiaozhi_persona.bridge.forms import form_parts
from xiaozhi_persona.bridge.http.asking import checked
from xiaozhi_persona.bridge.http.refusals import Refusal
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.asr.transcripts import join_transcripts
from xiaozhi_persona.providers.vad.detector import SAMPLE_RATE_HZ, WINDOW_SAMPLES, VadStream
from xiaozhi_persona.providers.vad.endpointing import Endpointer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import PcmChunk, Samples, Transcript

LONGEST_S = 20 * 60
"""Of sound. A small file can hold days of silence."""
MAX_AT_ONCE = 4
"""So many recordings are in memory."""

_MAX_FIELDS = 16
_MAX_CHANNELS = 8
_RATES_HZ = range(4000, 400_001)
_STEP_SAMPLES = 32 * WINDOW_SAMPLES
"""A second at a time: the devices' sound is judged in between."""
_WORD = "word"


class _Asked(BaseModel):
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"


@dataclass(frozen=True)
class Cue:
    """Something that is said in a recording, and when, in seconds."""

    start_s: float
    end_s: float
    heard: Transcript


class Transcriptions:
    """Answers the requests."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._running = 0

    async def transcribe(self, request: web.Request) -> web.Response:
        """Recognize a recording. Raises Refusal, ServiceError."""
        if self._running >= MAX_AT_ONCE:
            raise Refusal(
                request, 503, tr("正在听别的录音。"), tr("过一会儿再试。"), headers={"Retry-After": "5"}
            )
        self._running += 1
        try:
            recording, fields = _form(request, await request.read())
            form = checked(request, _Asked, fields).response_format
            sound = await asyncio.to_thread(_decoded, request, recording)
            if form in ("json", "text"):
                heard = await self._parts.recognizer.transcribe(sound)
                if form == "json":
                    return _json({"text": heard.text})
                return web.Response(text=heard.text + "\n")
            cues = await self._cues(sound)
        finally:
            self._running -= 1
        if form == "srt":
            return web.Response(text=srt(cues), content_type="application/x-subrip")
        if form == "vtt":
            return web.Response(text=vtt(cues), content_type="text/vtt")
        return _json(_verbose(cues, len(sound) / SAMPLE_RATE_HZ))

    async def _cues(self, sound: Samples) -> list[Cue]:
        """Recognize a recording piece by piece, as it would be heard from a device."""
        endpointer, stream, cues = Endpointer(self._settings.vad), VadStream(), []
        for begin in range(0, len(sound), _STEP_SAMPLES):
            step = sound[begin : begin + _STEP_SAMPLES]
            judged = await self._parts.vad.probabilities(stream, step)
            for number, probability in enumerate(judged):
                at = begin + number * WINDOW_SAMPLES
                window = sound[at : at + WINDOW_SAMPLES]
                if (utterance := endpointer.feed(window, [probability])) is not None:
                    cues.append(await self._cue(utterance, at + len(window)))
        if endpointer.confirmed:
            whole = len(sound) // WINDOW_SAMPLES * WINDOW_SAMPLES
            cues.append(await self._cue(endpointer.finish(), whole))
        return [cue for cue in cues if cue.heard.text]

    async def _cue(self, utterance: Samples, end: int) -> Cue:
        heard = await self._parts.recognizer.transcribe(utterance)
        return Cue((end - len(utterance)) / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ, heard)


def srt(cues: Iterable[Cue]) -> str:
    """Return subtitles as SubRip has them."""
    return "".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{cue.heard.text}\n\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """Return subtitles as WebVTT (W3C), in which `&` and `<` are written as in HTML."""
    blocks = ["WEBVTT\n\n"]
    for cue in cues:
        text = cue.heard.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{text}\n\n")
    return "".join(blocks)


def _verbose(cues: list[Cue], seconds: float) -> dict[str, Any]:
    whole = join_transcripts([cue.heard for cue in cues]) if cues else Transcript("")
    segments = [
        {"id": number, "start": round(cue.start_s, 3), "end": round(cue.end_s, 3), "text": cue.heard.text}
        for number, cue in enumerate(cues)
    ]
    return {
        "task": "transcribe",
        "language": whole.language,
        "duration": round(seconds, 3),
        "text": whole.text,
        "segments": segments,
    }


def _clock(seconds: float, point: str) -> str:
    """Return hours, minutes, seconds and milliseconds."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _json(value: dict[str, Any]) -> web.Response:
    return web.Response(text=json.dumps(value, ensure_ascii=False), content_type="application/json")


def _form(request: web.Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the recording and the other fields. Raises Refusal."""
    recording, fields = b"", {}
    try:
        for part in form_parts(body, request.headers.get("Content-Type", ""), _MAX_FIELDS):
            if part.is_file and part.name == "file":
                recording = part.content
            elif part.name:
                fields[part.name] = part.content[:1000].decode("utf-8", "replace")
    except ValueError:
        pass
    if not recording:
        raise Refusal(
            request, 400, tr("没有录音。"), tr("用表单（multipart/form-data）发，录音的一栏叫 file。")
        )
    if fields.get("timestamp_granularities[]") == _WORD:
        raise Refusal(
            request, 400, tr("没有每个词的时间。"), tr("用 segment，或去掉 timestamp_granularities。")
        )
    return recording, fields


def _decoded(request: web.Request, recording: bytes) -> Samples:
    """Return the sound at 16 kHz. Blocks. Raises Refusal."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording"
        file.write_bytes(recording)
        try:
            opened = open_recording(file)
            rate_hz = opened.sample_rate_hz
            if rate_hz not in _RATES_HZ or opened.channels > _MAX_CHANNELS:
                raise SettingsError(tr("录音的采样率或声道数不寻常。"))
            resampler, samples = Resampler(SAMPLE_RATE_HZ), [np.zeros(0, np.int16)]
            left = LONGEST_S * rate_hz
            for piece in opened.pieces():
                left -= len(piece)
                if left < 0:
                    raise Refusal(
                        request,
                        413,
                        tr("录音超过 {minutes} 分钟。", minutes=LONGEST_S // 60),
                        tr("分成几次发，或缩短它。"),
                    )
                sound = (np.clip(piece, -1.0, 1.0) * 32767).astype(np.int16)
                samples.append(resampler.feed(PcmChunk(sound, rate_hz)))
        except SettingsError as exc:
            told = str(exc).replace(str(file), tr("录音"))
            raise Refusal(request, 400, told, tr("发 WAV、MP3、FLAC 或 Ogg。")) from exc
    return np.concatenate([*samples, resampler.finish()])
