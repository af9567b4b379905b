"""The body of one answer over HTTP, read into sound within its deadlines and checked for what only looks like success.

The bytes tell what it is, not the content type: an address behind a proxy, or an error, may carry any.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import cast

import anyio
import httpx
import numpy as np

from xiaozhi_persona.audio.streams import MAGIC_BYTES, AudioDecoder, decoder_for, is_sound
from xiaozhi_persona.errors import ServiceError, ServiceRejected
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.failures import LONGEST_COMPLAINT_BYTES, Failures
from xiaozhi_persona.providers.tts.length import is_plausible, longest_s
from xiaozhi_persona.spine import PcmChunk, Samples

_log = logging.getLogger(__name__)

_SHORTEST_CHUNK_S = 0.04
_MOST_BEYOND_S = 60.0  # a sentence that is held back takes no more memory than this
_PROGRESS_S = 0.25  # what each audio_timeout_s must bring: a server that trickles is not waited for
_TEXT_BYTES = 64  # so many bytes of sound are never all printable
_RATES_HZ = range(4000, 192_001)


def _nothing(seconds: float = 0.0) -> None:
    pass


class Speech:
    """One answer with a success status. Iterate chunks() once."""

    def __init__(
        self,
        response: httpx.Response,
        failures: Failures,
        *,
        name: str,
        predicted_s: float,
        deadline: float,
        audio_timeout_s: float,
        late: ServiceError,
        raw_rate_hz: int = 0,
        arrived: Callable[[], None] = _nothing,
        listener_took: Callable[[float], None] = _nothing,
    ) -> None:
        """`name` is the server's, for the log; `predicted_s` how long the text should take to say.

        `deadline` is that of the first sound, `late` the error for missing it. `raw_rate_hz` is for servers that were
        asked for samples without a header, 0 for others. `arrived` is called at each read, `listener_took` with the
        seconds that our caller took for a chunk.
        """
        self.is_over = False
        """Whether the server has ended the body, in order or not: it works at nothing any more."""
        self._response = response
        self._failures = failures
        self._name = name
        self._predicted_s = predicted_s
        self._deadline = deadline
        self._audio_timeout_s = audio_timeout_s
        self._late = late
        self._raw_rate_hz = raw_rate_hz
        self._arrived = arrived
        self._listener_took = listener_took
        self._was_cut = False
        self._is_heard = False
        self._held: list[Samples] = []
        """Not handed out yet: a piece that is too small, or silence before the first sound."""
        self._rate = 0
        self._seconds = 0.0
        self._progress_s = 0.0

    async def chunks(self, *, is_whole: bool = False) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound as it comes, in pieces of at least 40 ms; a whole sentence (`is_whole`, or a WAV that states
        its length) when it is complete and has been checked.

        Raises the errors of `failures`, and ServiceRejected for sound of no use; a stream ends quietly where
        is_plausible() ends.
        """
        # The generator of httpx, whose declared type has no aclose().
        async with contextlib.aclosing(
            cast(AsyncGenerator[bytes, None], self._response.aiter_bytes())
        ) as reads:
            async for chunk in self._decoded(reads, is_whole):
                yield chunk

    async def _decoded(self, reads: AsyncIterator[bytes], is_whole: bool) -> AsyncGenerator[PcmChunk, None]:
        data = await self._read_head(reads)
        if self._is_complaint(data):
            raise self._failures.refusal(self._response.status_code, await self._read_rest(reads, data))
        if not data:
            raise self._failures.cut_off()
        decoder = await asyncio.to_thread(decoder_for, data, self._raw_rate_hz)
        longest = longest_s(self._predicted_s)
        while data:
            await self._decode(decoder, data)
            is_whole = is_whole or decoder.states_length
            if not is_whole and self._has_enough():
                beyond_s = self._seconds - longest
                chunk = self._hand_out()
                if beyond_s > 0:
                    _log.warning("%s 停不下来，在 %.1f 秒处截断", self._name, longest)
                    # One sample more than fits, so that the sentence is told from a whole one by its length.
                    fits = len(chunk.samples) - int(beyond_s * self._rate) + 1
                    yield PcmChunk(chunk.samples[:fits], self._rate)
                    return
                given_at = anyio.current_time()
                yield chunk
                # The time that the listener takes is not the server's.
                self._deadline += anyio.current_time() - given_at
                self._listener_took(anyio.current_time() - given_at)
            if self._seconds > longest + _MOST_BEYOND_S:
                break
            data = await self._read(reads)
        await self._decode(decoder, None)
        if is_whole:
            yield self._checked()
            return
        if self._held and (self._is_heard or self._holds_sound()):
            yield self._hand_out()
        if not self._is_heard:
            raise self._nothing_heard()
        if self._was_cut:
            raise self._failures.broken_off()

    async def _read_head(self, reads: AsyncIterator[bytes]) -> bytes:
        data = b""
        while len(data) < (_TEXT_BYTES if self._raw_rate_hz else MAGIC_BYTES):
            more = await self._read(reads)
            if not more:
                break
            data += more
        return data

    async def _read_rest(self, reads: AsyncIterator[bytes], data: bytes) -> bytes:
        while len(data) < LONGEST_COMPLAINT_BYTES and (more := await self._read(reads)):
            data += more
        return data

    async def _read(self, reads: AsyncIterator[bytes]) -> bytes:
        """Return the next piece, b"" at the end and where the body was cut off."""
        try:
            with anyio.fail_after(max(0.0, self._deadline - anyio.current_time())):
                data = await anext(reads, b"")
        except TimeoutError as exc:
            if self._is_heard:
                raise self._failures.stalled(self._audio_timeout_s) from exc
            raise self._late from exc
        except httpx.TransportError:
            self._was_cut = True
            data = b""
        if data:
            self._arrived()
        else:
            self.is_over = True
        return data

    async def _decode(self, decoder: AudioDecoder, data: bytes | None) -> None:
        """Take the sound of the next piece, or of the end (None)."""

        def decode() -> list[PcmChunk]:
            return decoder.finish() if data is None else decoder.feed(data)

        try:
            for sound in await asyncio.to_thread(decode) if decoder.is_compressed else decode():
                self._take(sound)
        except ServiceError as exc:
            if self._is_heard:
                raise self._failures.broken_off() from exc
            raise

    def _is_complaint(self, head: bytes) -> bool:
        """Whether the body is JSON, a page or a line of text under a success status."""
        if not head or is_sound(head):
            return False
        kind = self._response.headers.get("content-type", "")
        if "json" in kind or kind.startswith("text/"):
            return True
        try:  # a character may be cut at the end
            text = codecs.getincrementaldecoder("utf-8-sig")().decode(head[:_TEXT_BYTES])
        except UnicodeDecodeError:
            return False
        return "".join(text.split()).isprintable()

    def _take(self, sound: PcmChunk) -> None:
        if sound.sample_rate_hz not in _RATES_HZ:
            raise ServiceRejected(
                tr(
                    "{name} 给的声音是 {rate_hz} Hz，不能播放。看它的设置，或让它给 WAV。",
                    name=self._name,
                    rate_hz=sound.sample_rate_hz,
                )
            )
        if sound.sample_rate_hz != self._rate:
            if self._held and self._is_heard:
                _log.warning("%s 的声音中途变了采样率，丢掉 %d 个采样", self._name, self._samples())
            self._held.clear()
            self._rate = sound.sample_rate_hz
        self._held.append(sound.samples)
        seconds = len(sound.samples) / sound.sample_rate_hz
        self._seconds += seconds
        self._progress_s += seconds
        if self._is_heard and self._progress_s >= _PROGRESS_S:
            self._progress_s = 0.0
            self._deadline = anyio.current_time() + self._audio_timeout_s

    def _samples(self) -> int:
        return sum(map(len, self._held))

    def _holds_sound(self) -> bool:
        return any(samples.any() for samples in self._held)

    def _has_enough(self) -> bool:
        """Whether to hand out: after a failure some servers send exact zeros, which must not count as begun."""
        is_enough = self._samples() >= _SHORTEST_CHUNK_S * self._rate > 0
        return is_enough and (self._is_heard or self._holds_sound())

    def _hand_out(self) -> PcmChunk:
        if not self._is_heard:
            self._is_heard = True
            self._progress_s = 0.0
            self._deadline = anyio.current_time() + self._audio_timeout_s
        samples = np.concatenate(self._held)
        self._held.clear()
        return PcmChunk(samples, self._rate)

    def _checked(self) -> PcmChunk:
        if self._was_cut:
            raise self._failures.cut_off()
        if not self._holds_sound():
            raise self._nothing_heard()
        sound = PcmChunk(np.concatenate(self._held), self._rate)
        seconds = without_silence_s(sound)
        if not is_plausible(seconds, self._predicted_s):
            raise self._failures.wrong_length(sound, seconds, self._predicted_s)
        return sound

    def _nothing_heard(self) -> ServiceError:
        if self._held and not self._was_cut:
            return self._failures.only_silence()
        return self._failures.cut_off()


def without_silence_s(sound: PcmChunk) -> float:
    """Return the seconds up to the last sample that is not zero: servers end a sentence with silence."""
    spoken = np.flatnonzero(sound.samples)
    return (int(spoken[-1]) + 1) / sound.sample_rate_hz if len(spoken) else 0.0
