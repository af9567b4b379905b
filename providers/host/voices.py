"""The voices of the doors: for each set of settings one synthesizer and one cast of roles, shared by all connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import numpy as np

from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.shared_instances import SharedInstances
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.providers.tts.engine import EMBEDDED, open_synthesizer
from xiaozhi_persona.providers.tts.synthesizer import Synthesizer
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Clip, PcmChunk, SpeechSynthesizer

log = logging.getLogger(__name__)


def shared_voices(settings: Settings) -> Voices:
    """Return the voices for these settings; connections with equal settings share one server's lock and connections."""
    return _shared.get(f"{settings.data_dir} {settings.model_dump_json()}", lambda: Voices(settings))


class Voices:
    """Speaks with the roles of some settings. Made for one event loop."""

    def __init__(self, settings: Settings) -> None:
        """Never raises: settings that cannot be used are told in the log, and what can be used is."""
        self._settings = settings
        self.casting = casting_of(settings)
        self._choices = EmotionChoices(self.casting, settings)
        self._synthesizer: Synthesizer | None = None

    def pipeline(
        self,
        device_id: str,
        sample_rate_hz: int,
        respell: Callable[[str], str] = str,
        keep_as: Callable[[], str] | None = None,
        *,
        apologizes: bool = False,
    ) -> SpeechPipeline:
        """Return a pipeline for one reply; call it on the loop.

        `respell` gives the spoken form of a sentence. `keep_as` names a WAV file for each sentence that is to be kept.
        `apologizes`: for a reply that cannot be said.
        """
        if self._synthesizer is None:
            self._synthesizer = _open(self._settings)
        return SpeechPipeline(
            _Adapted(self._synthesizer, respell, keep_as),
            self._choices.of(device_id),
            timeout_s=self._settings.sentence_timeout_s,
            sample_rate_hz=sample_rate_hz,
            phrases=self._settings.phrases if apologizes else None,
        )

    async def aclose(self) -> None:
        """Close the connections to the servers."""
        if self._synthesizer is not None:
            await self._synthesizer.aclose()


_shared: SharedInstances[Voices] = SharedInstances()


class _Adapted:
    """A synthesizer with what the host's section asks for beside the voice: other spellings, kept files."""

    def __init__(
        self, inner: SpeechSynthesizer, respell: Callable[[str], str], keep_as: Callable[[], str] | None
    ) -> None:
        self._inner = inner
        self._respell = respell
        self._keep_as = keep_as

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        chunks: list[PcmChunk] = []
        async with contextlib.aclosing(self._inner.synthesize(self._respell(text), clip)) as sound:
            async for chunk in sound:
                if self._keep_as:
                    chunks.append(chunk)
                yield chunk
        if self._keep_as and chunks:
            await asyncio.to_thread(_keep, Path(self._keep_as()), chunks)


def _keep(file: Path, chunks: list[PcmChunk]) -> None:
    try:
        write_wav(file, np.concatenate([chunk.samples for chunk in chunks]), chunks[0].sample_rate_hz)
    except OSError as exc:
        log.warning("语音存不进 %s（%s）。检查 output_dir 的权限和剩余空间。", file, exc.strerror)


def _open(settings: Settings) -> Synthesizer:
    try:
        return open_synthesizer(settings)
    except PersonaError as exc:
        log.error("%s（现在用备用的声音）", exc)
        embedded = settings.tts.model_copy(update={"engine": EMBEDDED})
        return open_synthesizer(settings.model_copy(update={"tts": embedded}))
