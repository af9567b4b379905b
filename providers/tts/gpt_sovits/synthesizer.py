"""A synthesizer that speaks with the voice of a reference recording, through GPT-SoVITS servers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio

from xiaozhi_persona.errors import ServiceError, ServiceUnavailable
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import CutOff, WrongLength
from xiaozhi_persona.providers.tts.gpt_sovits.pool import ServerPool, addresses
from xiaozhi_persona.providers.tts.gpt_sovits.probe import look_at
from xiaozhi_persona.providers.tts.gpt_sovits.server import Server
from xiaozhi_persona.providers.tts.gpt_sovits.utterance import Utterance, utterance_key, utterance_of
from xiaozhi_persona.providers.tts.http_speech import without_silence_s
from xiaozhi_persona.providers.tts.length import is_plausible, longest_s, misfit
from xiaozhi_persona.providers.tts.sound_cache import SoundCache
from xiaozhi_persona.roles.voice_parameters import read_parameters
from xiaozhi_persona.spine import Clip, PcmChunk
from xiaozhi_persona.voice_settings import GptSovitsSettings

_log = logging.getLogger(__name__)

RETRY_PAUSE_S = 0.3


class GptSovitsSynthesizer:
    """A SpeechSynthesizer. Shared by all devices; made for one event loop."""

    def __init__(self, settings: GptSovitsSettings, cache_dir: Path | None = None) -> None:
        """`cache_dir` takes the sound of fixed phrases, up to settings.cache_mb; without it nothing goes to disk.

        Raises SettingsError for addresses and parameters that cannot be used.
        """
        self._settings = settings
        self._defaults = read_parameters(settings.parameters, "gpt_sovits.parameters")
        self._addresses = addresses(settings)
        self._pool = ServerPool(settings)
        self._cache = SoundCache(cache_dir, settings.cache_mb * 1024 * 1024)
        self.name = tr("GPT-SoVITS（{servers}）", servers=tr("、").join(self._addresses))
        self.advice = ""

    async def load(self) -> None:
        """See whether a program listens at any of the addresses. Raises ServiceUnavailable where none does."""
        wait_s = self._settings.connect_timeout_s
        found = await asyncio.gather(*(look_at(url, wait_s) for url in self._addresses))
        if not any(server.is_reached for server in found):
            raise ServiceUnavailable(tr("连不上 {urls}", urls=tr("、").join(self._addresses)))

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of `text` as it is made; closing the iterator closes the request.

        Its server speaks for nobody else until the end: take the sound as it comes, and queue it for playing.
        `first_audio_timeout_s` counts from the call: waiting for other sentences and a retry are in it. A failed request
        is made once more, before the first sound only, at another server where there is one.

        Raises SettingsError for parameters of the clip that do not exist; before the first sound ServiceUnavailable,
        ServiceTimeout and ServiceRejected; after it ServiceBroken.
        """
        utterance = utterance_of(text, clip, self._settings, self._defaults)
        key = await asyncio.to_thread(utterance_key, utterance, self._addresses)
        known = await self._cache.get(key, fixed=clip.fixed)
        if known:
            yield dataclasses.replace(known, source=tr("缓存"))
            return
        chunks: list[PcmChunk] = []
        async with contextlib.aclosing(self._speak(utterance)) as sound:
            async for chunk in sound:
                chunks.append(chunk)
                yield chunk
        seconds = sum(len(chunk.samples) / chunk.sample_rate_hz for chunk in chunks)
        if is_plausible(seconds, utterance.predicted_s):
            await self._cache.put(key, chunks, fixed=clip.fixed)

    async def clear_cache(self) -> None:
        """Forget all sound that was kept, in memory and on disk."""
        await self._cache.clear()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _speak(self, utterance: Utterance) -> AsyncGenerator[PcmChunk, None]:
        deadline = anyio.current_time() + self._settings.first_audio_timeout_s
        server = self._pool.choose(utterance.weights)
        try:
            async with contextlib.aclosing(self._ask(server, utterance, deadline)) as sound:
                async for chunk in sound:
                    yield chunk
            return
        except ServiceError as exc:
            first = exc
            if not exc.retryable:
                raise
        pause_s, again = 0.0, self._pool.choose(utterance.weights, avoid=server)
        if isinstance(first, WrongLength):
            again, utterance = server, utterance.with_another_seed()
        elif again is server:
            pause_s = RETRY_PAUSE_S
        if isinstance(first, CutOff):
            # A stream does not tell what was wrong with the request; asked as a whole, api_v2.py says it.
            utterance = dataclasses.replace(utterance, streaming_mode=0)
        if deadline - anyio.current_time() <= pause_s:
            if isinstance(first, WrongLength):
                yield _cut(first.sound, utterance)
                return
            raise first
        _log.info("再试一次：%s", first)
        await anyio.sleep(pause_s)
        async with contextlib.aclosing(self._retried(first, again, utterance, deadline)) as sound:
            async for chunk in sound:
                yield chunk

    async def _retried(
        self, first: ServiceError, server: Server, utterance: Utterance, deadline: float
    ) -> AsyncGenerator[PcmChunk, None]:
        """Ask once more; of two sounds of a wrong length the better one is spoken."""
        is_heard = False
        try:
            async with contextlib.aclosing(self._ask(server, utterance, deadline)) as sound:
                async for chunk in sound:
                    is_heard = True
                    yield chunk
        except ServiceError as exc:
            sounds = [failure.sound for failure in (first, exc) if isinstance(failure, WrongLength)]
            if is_heard or not sounds:
                raise
            better = min(sounds, key=lambda sound: misfit(without_silence_s(sound), utterance.predicted_s))
            yield _cut(better, utterance)

    async def _ask(
        self, server: Server, utterance: Utterance, deadline: float
    ) -> AsyncGenerator[PcmChunk, None]:
        try:
            async with contextlib.aclosing(server.speak(utterance, deadline)) as sound:
                async for chunk in sound:
                    yield dataclasses.replace(chunk, source=server.place)
        except WrongLength:
            self._pool.worked(server)
            raise
        except ServiceError as exc:
            self._pool.failed(server, exc)
            raise
        self._pool.worked(server)


def _cut(sound: PcmChunk, utterance: Utterance) -> PcmChunk:
    """Return no more of a sound than the text can take."""
    most = int(longest_s(utterance.predicted_s) * sound.sample_rate_hz)
    return PcmChunk(sound.samples[:most], sound.sample_rate_hz, sound.source)
