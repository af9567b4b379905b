"""A second voice for the sentences that the first one cannot speak."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.spine import Clip, PcmChunk, SpeechSynthesizer

_log = logging.getLogger(__name__)


class FallbackSynthesizer:
    """A SpeechSynthesizer of two: where `primary` fails before its first sound, `fallback` speaks the sentence."""

    def __init__(self, primary: SpeechSynthesizer, fallback: SpeechSynthesizer) -> None:
        self._primary = primary
        self._fallback = fallback

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of one of the two; a failure after the first sound is raised as it is."""
        is_heard = False
        try:
            sound = self._primary.synthesize(text, clip)
            async with contextlib.aclosing(sound):
                async for chunk in sound:
                    is_heard = True
                    yield chunk
            return
        except PersonaError as exc:  # a role's wrong parameter must not make it mute either
            if is_heard:
                raise
            _log.warning("这一句改由备用的声音来说：%s", exc)
        sound = self._fallback.synthesize(text, clip)
        async with contextlib.aclosing(sound):
            async for chunk in sound:
                yield chunk
