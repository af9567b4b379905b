"""From the text of one reply, as it is written, to sentences of Opus packets.

The next sentence is synthesized while the current one plays. The same pipeline runs in the bridge and in the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace

import anyio
import numpy as np

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.resample import Framer, Resampler
from xiaozhi_persona.errors import PersonaError, ServiceError, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.speech.choices import ReplyChoice
from xiaozhi_persona.providers.speech.emotion_choice import FIRST_SENTENCE_WAIT_S
from xiaozhi_persona.settings import PhraseSettings
from xiaozhi_persona.spine import Clip, PcmChunk, Samples, SpeechSynthesizer
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.text.reply import ReplyReader, read_reply
from xiaozhi_persona.text.sentences import Segment

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 24000
FRAME_MS = 60
MAX_REPLY_CHARACTERS = 8000
"""A reply is cut off at the sentence that would go beyond this: half an hour of speech."""

_SENTENCES_AHEAD = 2
_MOST_ASIDES = 100
# How a stream must end so that a decoder is ready for the next one. Measured: after 20 ms, or at 1,000, not always.
_QUIET_MS = 40
_QUIET_LEVEL = 300
_FRAMES_PER_STEP = 50  # 35 ms of encoding: long enough for a thread, short enough to share it
_STEP_GROWTH = 4  # each step plays for long enough to encode the next, where one frame takes up to 15 ms


@dataclass
class Sentence:
    """One sentence on its way to the ear. Iterate `packets()` once."""

    subtitle: str
    clip: Clip
    """How it is to sound; its `face` is what the device shows."""
    requested_at_s: float = 0.0
    """When its synthesis began (time.monotonic), 0 before that."""
    first_audio_at_s: float = 0.0
    """When its first sound came, 0 before that."""
    source: str = ""
    """Who made its sound, as the synthesizer says."""
    is_aside: bool = False
    """Whether it is a phrase of ours, said beside the reply or in its place, and no part of it."""
    _packets: asyncio.Queue[list[bytes] | None] = field(
        default_factory=asyncio.Queue
    )  # bounded by MAX_CHARACTERS

    async def packets(self) -> AsyncGenerator[bytes, None]:
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
        choice: ReplyChoice,
        *,
        timeout_s: float,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        frame_ms: int = FRAME_MS,
        phrases: PhraseSettings | None = None,
    ) -> None:
        """With `phrases`, a reply of which nothing could be heard is followed by an apology."""
        self._synthesizer = synthesizer
        self._choice = choice
        self._timeout_s = timeout_s
        self._sample_rate_hz = sample_rate_hz
        self._reader = ReplyReader(choice.names)
        self._encoder = OpusEncoder(sample_rate_hz, frame_ms)
        self._phrases = phrases
        self._may_be_silent = False
        self._has_sound = False  # whether there was anything to hear
        self.characters = 0
        """How many characters that can be spoken were fed. Those of a sentence count once it is whole."""
        self._tail: Samples = np.zeros(1, np.int16)  # the end of what was encoded
        self._plays_until_s = 0.0  # when all that was synthesized so far has been played, if it plays at once
        self._segments: asyncio.Queue[Segment | None] = asyncio.Queue(MAX_REPLY_CHARACTERS + _MOST_ASIDES)
        self._put_back: list[Segment | None] = []  # what was taken from the queue too early
        self._unheard: anyio.CancelScope | None = None  # of the synthesis that has given no sound yet
        self._is_saying = False
        self._sentences: asyncio.Queue[Sentence | None] = asyncio.Queue(_SENTENCES_AHEAD)
        self._worker = asyncio.create_task(self._work(), name="speech-pipeline")

    def feed(self, chunk: str) -> None:
        """Take the next piece of the reply, cut anywhere."""
        self._follow_role()
        self._take(self._reader.feed(chunk))

    def end_part(self) -> None:
        """A part of the reply is complete: it is said, and what it leaves open hides nothing of the next."""
        self._take(self._reader.end_part())

    def aside(self, phrase: str) -> None:
        """Say a phrase of ours next, which is no part of the reply."""
        self._follow_role()
        for segment in self._aside(phrase):
            self._put(segment)

    def finish(self, *, may_be_silent: bool = False) -> None:
        """The reply is complete. `may_be_silent`: one without a word needs no apology."""
        self._may_be_silent = may_be_silent
        try:
            self._take(self._reader.finish())
        finally:
            self._segments.put_nowait(None)

    @property
    def full(self) -> bool:
        """Whether the reply is as long as it may be: what is fed now is not spoken."""
        return self.characters > MAX_REPLY_CHARACTERS

    @property
    def is_idle(self) -> bool:
        """Whether all that was fed and could be spoken is synthesized."""
        return self._segments.empty() and not self._put_back and not self._is_saying

    @property
    def ends_quietly(self) -> bool:
        """Whether what was encoded last is silence, after which a decoder takes any other stream as it is."""
        return max(int(self._tail.max()), -int(self._tail.min())) < _QUIET_LEVEL

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
        await self._choice.aclose()

    def _follow_role(self) -> None:
        """What is fed from here on is the present role's; what is whole already is that of the role before."""
        if not self._choice.is_outdated:
            return
        if (
            self._reader.is_open
        ):  # a sentence that is begun is said by one, and read with the tags that it began with
            self._choice.follow()
            return
        self._take(self._reader.end_part())
        self._choice.follow()
        self._reader.begin_part(self._choice.names)

    def _take(self, segments: list[Segment]) -> None:
        """Hand on what is to be spoken. Only that counts: a model may think for longer than it speaks."""
        for segment in segments:
            if segment.is_restart:
                self._restart()
            was_full = self.full
            self.characters += len(segment.text)
            if not self.full:
                self._put(segment)
            elif not was_full:
                log.warning("回答超过 %d 字，后面的不说了", MAX_REPLY_CHARACTERS)

    def _put(self, segment: Segment) -> None:
        self._choice.begin(segment)
        self._segments.put_nowait(segment)

    def _aside(self, phrase: str) -> list[Segment]:
        return [replace(segment, is_aside=True) for segment in read_reply([phrase], self._choice.names)]

    def _restart(self) -> None:
        """Leave unsaid what came so far of the reply, but for the sentence that is being heard."""
        waiting, self._put_back = self._put_back, []
        while not self._segments.empty():
            waiting.append(self._segments.get_nowait())
        for segment in waiting:
            if segment and segment.is_aside:
                self._segments.put_nowait(segment)
        if self._unheard:
            self._unheard.cancel()

    async def _work(self) -> None:
        for say in (self._say_reply, self._apologize):
            try:
                await say()
            except Exception:
                log.exception("这个回答说不下去了")
        await self._sentences.put(None)  # whatever happened: who iterates waits for it

    async def _say_reply(self) -> None:
        while (segment := await self._next_segment()) is not None:
            await self._say(segment)

    async def _next_segment(self) -> Segment | None:
        """Return the next piece; a short one with those that are there already, so that nothing waits for it."""
        segment = self._put_back.pop() if self._put_back else await self._segments.get()
        while segment and segment.is_short and not self._segments.empty():
            following = self._segments.get_nowait()
            joined = self._choice.joined(segment, following) if following else None
            if joined is None:
                self._put_back.append(following)
                break
            segment = joined
        return segment

    async def _apologize(self) -> None:
        if self._phrases is None or self._has_sound or (self._may_be_silent and not self.characters):
            return
        phrase = self._phrases.voice_failed if self.characters else self._phrases.chat_failed
        for segment in self._aside(phrase):
            self._choice.begin(segment)
            await self._say(segment)

    async def _say(self, segment: Segment) -> None:
        self._is_saying = True
        playing_s = self._plays_until_s - time.monotonic()
        clip = await self._choice.clip(segment, max(FIRST_SENTENCE_WAIT_S, playing_s))
        sentence = Sentence(segment.text, clip, is_aside=segment.is_aside)
        await self._sentences.put(sentence)
        sentence.requested_at_s = time.monotonic()
        try:
            with anyio.CancelScope() as scope:
                self._unheard = None if segment.is_aside else scope
                await self._synthesize(sentence)
        except PersonaError as exc:
            log.warning("这一句合成不了，跳过：%s", exc)
        except Exception:
            log.exception("合成语音时出错，跳过这一句")
        finally:
            self._unheard = None
            self._is_saying = False
            sentence._packets.put_nowait(None)

    async def _synthesize(self, sentence: Sentence) -> None:
        resampler, framer = Resampler(self._sample_rate_hz), Framer(self._encoder.frame_samples)
        chunks = self._synthesizer.synthesize(sentence.subtitle, sentence.clip)
        async with contextlib.aclosing(chunks):
            while (chunk := await self._next(chunks)) is not None:
                if not sentence.first_audio_at_s:
                    sentence.first_audio_at_s, sentence.source = time.monotonic(), chunk.source
                    self._unheard = None
                self._has_sound = self._has_sound or (not sentence.is_aside and bool(chunk.samples.any()))
                await self._encode(framer.feed(resampler.feed(chunk)), sentence)
        await self._encode(framer.feed(resampler.finish()) + framer.finish(), sentence)
        if not sentence.first_audio_at_s:
            raise ServiceError(tr("语音合成没有给出声音"))

    async def _next(self, chunks: AsyncIterator[PcmChunk]) -> PcmChunk | None:
        try:
            with anyio.fail_after(self._timeout_s):
                return await chunks.__anext__()
        except StopAsyncIteration:
            return None
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr("语音合成 {timeout_s:g} 秒没有给出声音，可调大 tts.timeout_s", timeout_s=self._timeout_s)
            ) from exc

    async def _encode(self, frames: list[Samples], sentence: Sentence) -> None:
        """Encode in a thread, many frames at a time: one hand-over costs more than half a frame's encoding."""
        loop = asyncio.get_running_loop()
        is_awaited = self._plays_until_s < time.monotonic()
        start, step = 0, 1 if is_awaited else _FRAMES_PER_STEP
        while start < len(frames):
            batch = frames[start : start + step]
            sentence._packets.put_nowait(await loop.run_in_executor(None, self._encode_frames, batch))
            played_s = len(batch) * self._encoder.frame_samples / self._sample_rate_hz
            self._plays_until_s = max(self._plays_until_s, time.monotonic()) + played_s
            start, step = start + step, min(step * _STEP_GROWTH, _FRAMES_PER_STEP)

    def _encode_frames(self, frames: list[Samples]) -> list[bytes]:
        self._tail = frames[-1][-self._sample_rate_hz * _QUIET_MS // 1000 :]
        return [self._encoder.encode(frame) for frame in frames]
