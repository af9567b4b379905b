"""From the text of one reply, as it is written, to sentences of Opus packets.

The next sentence is synthesized while the current one plays. The same pipeline runs in the bridge and in the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.resample import Framer, Resampler
from xiaozhi_persona.errors import ServiceError, ServiceTimeout
from xiaozhi_persona.spine import Clip, PcmChunk, Samples, SpeechSynthesizer
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.text.emotions import EmotionNames
from xiaozhi_persona.text.reply import ReplyReader
from xiaozhi_persona.text.sentences import Segment

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 24000
FRAME_MS = 60
MAX_REPLY_CHARACTERS = 8000
"""A reply is cut off here: half an hour of speech."""

_SENTENCES_AHEAD = 2
_FIRST_FRAMES = 5  # encoded by themselves, so that speech begins before the rest is encoded
_FRAMES_PER_STEP = 50  # 14 ms of encoding: long enough for a thread, short enough to share it


@dataclass
class Sentence:
    """One sentence on its way to the ear. Iterate `packets()` once."""

    subtitle: str
    clip: Clip
    """How it is to sound; its `face` is what the device shows."""
    requested_at_s: float = 0.0
    """When its synthesis began (time.monotonic)."""
    first_audio_at_s: float = 0.0
    """When its first sound came, 0 before that."""
    _packets: asyncio.Queue[list[bytes] | None] = field(
        default_factory=asyncio.Queue
    )  # bounded by MAX_CHARACTERS

    async def packets(self) -> AsyncIterator[bytes]:
        """Yield the Opus packets as they are made; none when the synthesizer failed."""
        while (batch := await self._packets.get()) is not None:
            for packet in batch:
                yield packet


class SpeechPipeline:
    """Speaks one reply: feed() the text as it is written, finish(), and iterate the sentences.

    One pipeline a turn, on one event loop. aclose() ends everything that still runs.
    """

    def __init__(
        self,
        synthesizer: SpeechSynthesizer,
        names: EmotionNames,
        *,
        timeout_s: float,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        frame_ms: int = FRAME_MS,
    ) -> None:
        self._synthesizer = synthesizer
        self._timeout_s = timeout_s
        self._sample_rate_hz = sample_rate_hz
        self._reader = ReplyReader(names)
        self._encoder = OpusEncoder(sample_rate_hz, frame_ms)
        self._characters = 0
        self._segments: asyncio.Queue[Segment | None] = asyncio.Queue(MAX_REPLY_CHARACTERS + 1)
        self._sentences: asyncio.Queue[Sentence | None] = asyncio.Queue(_SENTENCES_AHEAD)
        self._worker = asyncio.create_task(self._synthesize_all(), name="speech-pipeline")

    def feed(self, chunk: str) -> None:
        """Take the next piece of the reply, cut anywhere."""
        room = MAX_REPLY_CHARACTERS - self._characters
        if len(chunk) > room >= 0:
            log.warning("回答超过 %d 字，后面的不说了", MAX_REPLY_CHARACTERS)
        self._characters += len(chunk)
        for segment in self._reader.feed(chunk[: max(0, room)]):
            self._segments.put_nowait(segment)

    def finish(self) -> None:
        """The reply is complete."""
        for segment in self._reader.finish():
            self._segments.put_nowait(segment)
        self._segments.put_nowait(None)

    def __aiter__(self) -> AsyncIterator[Sentence]:
        return self

    async def __anext__(self) -> Sentence:
        sentence = await self._sentences.get()
        if sentence is None:
            raise StopAsyncIteration
        return sentence

    async def aclose(self) -> None:
        """End the synthesis; the synthesizer's request is closed when this returns."""
        await cancel_and_wait(self._worker)

    async def _synthesize_all(self) -> None:
        while (segment := await self._segments.get()) is not None:
            emotion = segment.emotion
            clip = Clip(emotion.label, emotion.face) if emotion else Clip()
            sentence = Sentence(segment.text, clip, time.monotonic())
            await self._sentences.put(sentence)
            try:
                await self._synthesize(sentence)
            except ServiceError as exc:
                log.warning("这一句合成不了，跳过：%s", exc)
            except Exception:
                log.exception("合成语音时出错，跳过这一句")
            finally:
                sentence._packets.put_nowait(None)
        await self._sentences.put(None)

    async def _synthesize(self, sentence: Sentence) -> None:
        resampler, framer = Resampler(self._sample_rate_hz), Framer(self._encoder.frame_samples)
        chunks = self._synthesizer.synthesize(sentence.subtitle, sentence.clip)
        async with contextlib.aclosing(chunks):  # type: ignore[type-var]  # every synthesizer is a generator
            while (chunk := await self._next(chunks)) is not None:
                if not sentence.first_audio_at_s:
                    sentence.first_audio_at_s = time.monotonic()
                await self._encode(framer.feed(resampler.feed(chunk)), sentence)
        await self._encode(framer.feed(resampler.finish()) + framer.finish(), sentence)
        if not sentence.first_audio_at_s:
            raise ServiceError("语音合成没有给出声音")

    async def _next(self, chunks: AsyncIterator[PcmChunk]) -> PcmChunk | None:
        try:
            return await asyncio.wait_for(chunks.__anext__(), self._timeout_s)
        except StopAsyncIteration:
            return None
        except asyncio.TimeoutError as exc:
            raise ServiceTimeout(
                f"语音合成 {self._timeout_s:g} 秒没有给出声音，可调大 tts.timeout_s"
            ) from exc

    async def _encode(self, frames: list[Samples], sentence: Sentence) -> None:
        """Encode in a thread, many frames at a time: one hand-over costs more than half a frame's encoding."""
        loop = asyncio.get_running_loop()
        start = 0
        while start < len(frames):
            step = _FIRST_FRAMES if start == 0 else _FRAMES_PER_STEP
            batch = frames[start : start + step]
            sentence._packets.put_nowait(await loop.run_in_executor(None, self._encode_frames, batch))
            start += step

    def _encode_frames(self, frames: list[Samples]) -> list[bytes]:
        return [self._encoder.encode(frame) for frame in frames]
