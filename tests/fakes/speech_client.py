"""How the tests open a synthesizer at a fake server, one function an engine, and what they have it say."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from fakes.openai_speech_server import FakeOpenAiSpeech
from fakes.speech_server import FakeSpeechServer
from fakes.xtts_server import FakeXtts

from xiaozhi_persona.providers.tts import openai_speech, xtts
from xiaozhi_persona.providers.tts.http_synthesizer import HttpSynthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, Reference, Voice
from xiaozhi_persona.voice_settings import OpenAiSpeechSettings, XttsSettings

Opened = contextlib.AbstractAsyncContextManager[HttpSynthesizer]

CALM, ANGRY = "/refs/calm.wav", "/refs/angry.wav"


def clip(path: str = "", name: str = "", language: str = "", **changes: Any) -> Clip:
    reference = Reference(path, "参考的话。", "zh") if path else None
    return Clip(reference=reference, voice=Voice(language=language, name=name), **changes)


@contextlib.asynccontextmanager
async def openai_speech_at(
    server: FakeSpeechServer | str, folder: Path | None = None, **changes: Any
) -> AsyncIterator[HttpSynthesizer]:
    """Short deadlines are set by model_copy, which does not hold them to their ranges."""
    url = server if isinstance(server, str) else server.url
    section = OpenAiSpeechSettings(base_url=url, voice="nova").model_copy(update=changes)
    settings = Settings(openai_speech=section).at(folder or Path("/nonexistent"))
    async with contextlib.aclosing(openai_speech.open_engine(settings)) as engine:
        yield engine


@contextlib.asynccontextmanager
async def xtts_at(
    server: FakeSpeechServer | str, folder: Path | None = None, **changes: Any
) -> AsyncIterator[HttpSynthesizer]:
    url = server if isinstance(server, str) else server.url
    section = XttsSettings(base_url=url, voice="nova").model_copy(update=changes)
    settings = Settings(xtts=section).at(folder or Path("/nonexistent"))
    async with contextlib.aclosing(xtts.open_engine(settings)) as engine:
        yield engine


def coqui_at(server: FakeSpeechServer | str, folder: Path | None = None, **changes: Any) -> Opened:
    return openai_speech_at(server, folder, api="coqui", **changes)


ENGINES: dict[str, tuple[Callable[..., FakeSpeechServer], Callable[..., Opened]]] = {
    "openai_speech": (FakeOpenAiSpeech, openai_speech_at),
    "coqui": (lambda **changes: FakeOpenAiSpeech(coqui=True, **changes), coqui_at),
    "xtts": (FakeXtts, xtts_at),
}
"""Each engine's fake and how to open the engine at it."""
