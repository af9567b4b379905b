"""What the tests of the GPT-SoVITS synthesizer share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from fakes.sovits_server import FakeSovits, pitch_hz

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.tts.gpt_sovits import GptSovitsSynthesizer
from xiaozhi_persona.spine import Clip, PcmChunk, Reference, Samples, SpeechSynthesizer, Voice
from xiaozhi_persona.voice_settings import GptSovitsSettings

TEXT = "今天天气很好，我们去公园吧。"
CALM, ANGRY = "/refs/calm.wav", "/refs/angry.wav"


@dataclass
class Spoken:
    """What was heard of one sentence, and how it ended."""

    chunks: list[PcmChunk]
    error: PersonaError | None

    @property
    def samples(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *[chunk.samples for chunk in self.chunks]])

    @property
    def seconds(self) -> float:
        return sum(len(chunk.samples) / chunk.sample_rate_hz for chunk in self.chunks)

    @property
    def pitch_hz(self) -> int:
        assert self.error is None, self.error
        return pitch_hz(self.samples, self.chunks[0].sample_rate_hz)


def clip(path: str = CALM, *, gpt: str = "", sovits: str = "", fixed: bool = False, **changes: Any) -> Clip:
    return Clip(
        reference=Reference(path, "参考的话。", "zh"),
        voice=Voice(weights={"gpt": gpt, "sovits": sovits}),
        fixed=fixed,
        **changes,
    )


async def say(synthesizer: SpeechSynthesizer, text: str = TEXT, how: Clip | None = None) -> Spoken:
    """Speak one sentence to its end or its error."""
    spoken = Spoken([], None)
    try:
        async with contextlib.aclosing(synthesizer.synthesize(text, how or clip())) as chunks:
            async for chunk in chunks:
                spoken.chunks.append(chunk)
    except PersonaError as exc:
        spoken.error = exc
    return spoken


@contextlib.asynccontextmanager
async def synthesizer_at(*servers: FakeSovits | str, **changes: Any) -> AsyncIterator[GptSovitsSynthesizer]:
    """Short deadlines are set by model_copy, which does not hold them to their ranges."""
    urls = [server if isinstance(server, str) else server.url for server in servers]
    cache_dir = changes.pop("cache_dir", None)
    settings = GptSovitsSettings(servers=urls).model_copy(update=changes)
    synthesizer = GptSovitsSynthesizer(settings, cache_dir)
    try:
        yield synthesizer
    finally:
        await synthesizer.aclose()
        await asyncio.sleep(0)
