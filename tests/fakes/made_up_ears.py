"""A recognizer that nobody has heard of, as a module of providers/asr/engine.py: it hears what `asr.model` says."""

from __future__ import annotations

from collections.abc import AsyncIterator

from xiaozhi_persona.checks import Check
from xiaozhi_persona.providers.asr.checks import check_hearing
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Samples, Transcript

PACKAGES = ("made-up",)
NAMED_BY = "model"

opened: list[MadeUpRecognizer] = []


def open_engine(settings: Settings, hotwords: tuple[str, ...]) -> MadeUpRecognizer:
    opened.append(MadeUpRecognizer(settings.asr.model, hotwords))
    return opened[-1]


async def check(settings: Settings) -> AsyncIterator[Check]:
    yield Check("ok", "编出来的", "都在")
    async for check in check_hearing(settings, open_engine):
        yield check


class MadeUpRecognizer:
    name = "编出来的耳朵"
    advice = "换成真的"

    def __init__(self, text: str, hotwords: tuple[str, ...]) -> None:
        self.is_closed = False
        self.hotwords = hotwords
        self.loads = 0
        self._text = text

    async def load(self) -> None:
        self.loads += 1

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        return Transcript(self._text)

    async def aclose(self) -> None:
        self.is_closed = True
