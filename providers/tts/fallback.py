"""A second voice for the sentences that the first one cannot speak."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.tts.synthesizer import Synthesizer
from xiaozhi_persona.spine import Clip, PcmChunk

_log = logging.getLogger(__name__)


class FallbackSynthesizer:
    """A Synthesizer of two: where `primary` fails before its first sound, `fallback` speaks the sentence."""

    def __init__(self, primary: Synthesizer, fallback: Synthesizer) -> None:
        self._primary = primary
        self._fallback = fallback
        self.name = primary.name
        self.advice = primary.advice

    async def load(self) -> None:
        """Load both. Raises what the first one raises; the lack of the second goes into the log."""
        try:
            await self._fallback.load()
        except PersonaError as exc:
            _log.warning("备用的声音用不了：%s（或把 tts.fallback 设为 none）", exc)
        await self._primary.load()

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of one of the two; a failure after the first sound is raised as it is."""
        is_heard = False
        try:
            async with contextlib.aclosing(self._primary.synthesize(text, clip)) as sound:
                async for chunk in sound:
                    is_heard = True
                    yield chunk
            return
        except PersonaError as exc:  # a role's wrong parameter must not make it mute either
            if is_heard:
                raise
            _log.warning("这一句改由备用的声音来说：%s", exc)
        async with contextlib.aclosing(self._fallback.synthesize(text, clip)) as sound:
            async for chunk in sound:
                yield chunk

    async def clear_cache(self) -> None:
        """Forget what both have kept."""
        await self._primary.clear_cache()
        await self._fallback.clear_cache()

    async def aclose(self) -> None:
        """Close both."""
        await self._primary.aclose()
        await self._fallback.aclose()
