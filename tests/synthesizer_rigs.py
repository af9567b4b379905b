"""Every synthesizer with the server that it asks, if any, for the tests that all of them must pass."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal

from fakes.openai_speech_server import FakeOpenAiSpeech
from fakes.sovits_server import FakeSovits
from fakes.xtts_server import FakeXtts

from xiaozhi_persona.providers.tts.engine import engine_of
from xiaozhi_persona.providers.tts.synthesizer import Synthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.voice_settings import VoiceServerSettings

Trouble = Literal["refused", "page", "nothing", "silence", "cut", "hang", "hang_midway", "gone"]
"""What a server does: it says no; answers with a page of a proxy under 200; with nothing under 200; with silence;
breaks off after the first sound; never answers; stops after the first sound; is not there."""


@dataclass
class Rig:
    """A synthesizer and its server."""

    synthesizer: Synthesizer
    settings: Settings
    server: Any = None
    """The fake, None for an engine that asks none. It has .requests, .arrived and .stalled."""


@dataclass(frozen=True)
class Kind:
    """One engine in one way of being set up."""

    engine: str
    make_server: Callable[[], Any] | None = None
    """Makes a fake that is entered with `async with` and has .url and .fault."""
    section: Callable[[str], Mapping[str, Any]] = lambda url: {}
    """The engine's section of the settings for a server at this address."""
    faults: Mapping[Trouble, str] | None = None
    """What the fake calls each trouble; "gone" is the same for all."""

    @contextlib.asynccontextmanager
    async def open(self, trouble: Trouble | None = None, **changes: Any) -> AsyncIterator[Rig]:
        """Open it. `changes` are settings of the engine's section, of which deadlines may be below their ranges."""
        if self.make_server is None:
            async with self._opened(Settings(), None, changes) as rig:
                yield rig
            return
        async with self.make_server() as server:
            data = {"tts": {"engine": self.engine}, self.engine: dict(self.section(server.url))}
            if trouble == "gone":
                await server.stop()
            elif trouble:
                assert self.faults
                server.fault = self.faults[trouble]
            async with self._opened(Settings.model_validate(data), server, changes) as rig:
                yield rig

    def _opened(
        self, settings: Settings, server: Any, changes: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Rig]:
        section = getattr(settings, self.engine)
        if isinstance(section, VoiceServerSettings):
            section = section.model_copy(update={"cache_mb": 0, **changes})
        settings = settings.model_copy(update={self.engine: section})

        @contextlib.asynccontextmanager
        async def opened() -> AsyncIterator[Rig]:
            synthesizer = engine_of(self.engine).open_engine(settings)
            try:
                yield Rig(synthesizer, settings, server)
            finally:
                await synthesizer.aclose()

        return opened()


_SOVITS: Mapping[Trouble, str] = {
    "refused": "refuse",
    "page": "html",
    "nothing": "empty",
    "silence": "engine",
    "cut": "cut_off",
    "hang": "hang",
    "hang_midway": "hang_midway",
}

_HTTP: Mapping[Trouble, str] = {**_SOVITS, "silence": "silence"}

KINDS = {
    "espeak": Kind("espeak"),
    "gpt_sovits v2": Kind("gpt_sovits", FakeSovits, lambda url: {"servers": [url]}, _SOVITS),
    "gpt_sovits v1": Kind(
        "gpt_sovits",
        lambda: FakeSovits(api="v1", streams=True, media="ogg"),
        lambda url: {"servers": [url]},
        _SOVITS,
    ),
    "openai_speech": Kind(
        "openai_speech",
        FakeOpenAiSpeech,
        lambda url: {"base_url": url, "voice": "nova", "cloning": True, "response_format": "pcm"},
        _HTTP,
    ),
    "openai_speech, coqui": Kind(
        "openai_speech",
        lambda: FakeOpenAiSpeech(coqui=True),
        lambda url: {"base_url": url, "api": "coqui", "voice": "nova", "cloning": True},
        _HTTP,
    ),
    "xtts": Kind("xtts", FakeXtts, lambda url: {"base_url": url, "voice": "nova"}, _HTTP),
}
