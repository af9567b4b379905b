"""POST /v1/audio/speech: a text spoken by a role, as OpenAI's API has it, streamed as it is made."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from xiaozhi_persona.audio.opus import OpusDecoder
from xiaozhi_persona.audio.written import SoundWriter
from xiaozhi_persona.bridge.http.asking import Stream, asked, role_named
from xiaozhi_persona.bridge.http.refusals import Refusal
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.speech.pipeline import SAMPLE_RATE_HZ, SpeechPipeline
from xiaozhi_persona.settings import Settings

MAX_INPUT_CHARACTERS = 4096
"""What OpenAI's API takes."""

_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class _Voice(BaseModel):
    id: Annotated[str, Field(max_length=200)]


class _Asked(BaseModel):
    input: str = Field(min_length=1, max_length=MAX_INPUT_CHARACTERS)
    voice: Annotated[str, Field(max_length=200)] | _Voice = ""
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio"] = "audio"


class Speech:
    """Answers the requests."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """Speak a text. Raises Refusal, ServiceUnavailable when no sound came of it."""
        wanted = await asked(request, _Asked)
        casting, settings = self._parts.casting, self._settings
        voice = wanted.voice if isinstance(wanted.voice, str) else wanted.voice.id
        role = await asyncio.to_thread(role_named, request, casting, voice)
        choice = self._parts.choices.of(casting.seat(role), pace=wanted.speed)
        pipeline = SpeechPipeline(self._parts.synthesizer, choice, timeout_s=settings.sentence_timeout_s)
        stream = Stream(request, _TYPES[wanted.response_format])
        decoder = OpusDecoder(SAMPLE_RATE_HZ)
        async with contextlib.aclosing(pipeline):
            pipeline.feed(wanted.input)
            pipeline.finish()
            with SoundWriter(wanted.response_format, SAMPLE_RATE_HZ) as sound:
                async for sentence in pipeline:
                    async with contextlib.aclosing(sentence.packets()) as packets:
                        async for packet in packets:
                            samples = decoder.decode(packet)
                            await stream.write(await asyncio.to_thread(sound.feed, samples))
                if not pipeline.characters:
                    raise Refusal(request, 400, tr("没有可以念的字。"), tr("在 input 里写要说的话。"))
                if not sound.samples:
                    raise ServiceUnavailable(tr("语音合成没有给出声音，原因见服务的日志。"))
                await stream.write(await asyncio.to_thread(sound.finish))
        return await stream.end()
