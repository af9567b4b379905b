"""One turn: what was heard, or typed, is answered and spoken."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from xiaozhi_persona.audio.opus import decoder_reset
from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.messages import Face, Stt, Tts
from xiaozhi_persona.bridge.pacing import Pacer
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.errors import ServiceError, ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.clock import ConversationClock
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, Sentence, SpeechPipeline
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Message, Owner, Samples, Transcript
from xiaozhi_persona.spine import Turn as Said
from xiaozhi_persona.tasks import cancel_and_wait
from xiaozhi_persona.text.emotions import FACES

MAX_TYPED_CHARACTERS = 1000
"""What is typed beyond this is not taken: nobody says as much at one go, and all of it would stand in every prompt."""

_WRITE_FIRST_S = 0.2
"""How long the chat model waits for the user's words to be written, so that it does not promise to remember what could
not be; they go on being written while it answers."""


@dataclass
class TurnTimeline:
    """Where the time of a turn went: milliseconds since it began (the end of speech was found)."""

    turn_id: str
    began_s: float
    marks_ms: dict[str, float] = field(default_factory=dict)
    outcome: str = "cancelled"
    """How it ended: done, failed, or cancelled, which may be before it did anything."""

    def mark(self, name: str) -> None:
        """Note the time of the first event of this name."""
        self.marks_ms.setdefault(name, round((time.monotonic() - self.began_s) * 1000, 1))

    def __str__(self) -> str:
        marks = tr("，").join(f"{name.removesuffix('_ms')} {ms:.0f}" for name, ms in self.marks_ms.items())
        return tr(
            "一轮 {turn_id} {outcome}（毫秒）：{marks}",
            turn_id=self.turn_id,
            outcome=self.outcome,
            marks=marks,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the timeline as one JSON object."""
        return {"turn": self.turn_id, "outcome": self.outcome, **self.marks_ms}


class Turn:
    """Owns all that one answer needs. Cancelling the task that runs it ends all of it.

    A turn that is cancelled sends nothing more; who cancels it sends the `tts stop`.
    """

    def __init__(
        self,
        link: Link,
        owner: Owner,
        parts: Parts,
        settings: Settings,
        clock: ConversationClock,
        *,
        tells_unheard: bool = False,
    ) -> None:
        """`tells_unheard`: sound without words is answered too, where the user waits for an answer."""
        self.timeline = TurnTimeline(uuid.uuid4().hex[:8], time.monotonic())
        self.speaking = False
        """Whether the device was told that speaking begins, and not yet that it ended."""
        self.answered = False
        """Whether it came to an answer: there were words to answer."""
        self._link = link
        self._log = link.log
        self._owner = owner
        self._parts = parts
        self._settings = settings
        self._clock = clock
        self._tells_unheard = tells_unheard
        self._pacer = Pacer(FRAME_MS, settings.session.lead_packets)
        self._speaking_since_s = time.monotonic()
        self._packets_sent = 0
        self._is_cut = False  # whether what was typed was too long
        self._face = ""
        self._label = ""
        self._said: list[str] = []
        self._writing: asyncio.Task[str] | None = None  # the user's words
        self._off_record = False  # what is said is no part of the conversation: the memory's answer

    async def run(self, heard: Samples | str) -> None:
        """Answer an utterance (16 kHz) or a typed text. Never raises but when it is cancelled."""
        try:
            await self._answer(heard)
            self.timeline.outcome = "done"
        except Exception:
            self.timeline.outcome = "failed"
            self._log.exception("这一轮出错了")
            await self._stop_speaking()
        finally:
            if self._writing:
                await self._writing
            if self._said and not self._off_record:
                said = Said("assistant", "".join(self._said), self._clock.now())
                await self._parts.memory.remember(self._owner, [said])

    def speaks_for_s(self) -> float:
        """Return how long ago the device was told that speaking begins."""
        return time.monotonic() - self._speaking_since_s

    async def _answer(self, heard: Samples | str) -> None:
        try:
            transcript = (
                self._typed(heard)
                if isinstance(heard, str)
                else await self._parts.recognizer.transcribe(heard)
            )
        except ServiceError as exc:
            self._log.warning("%s", exc)
            transcript = None
        except Exception:
            self._log.exception("语音识别出错")
            transcript = None
        self.timeline.mark("stt_ms")
        self._log.debug("听到：%s", transcript)
        if transcript and not transcript.text:
            self._log.info("一轮 %s：没有识别出文字", self.timeline.turn_id)
            if self._link.wants_no_words:
                await self._link.send(Stt(""))
            if not self._tells_unheard:
                return  # the device goes on listening
        elif transcript:
            await self._link.send(Stt(transcript.text))
        self.speaking = self.answered = True  # first: cancelled while it sends, it needs its stop
        await self._link.send(Tts("start"))
        self._speaking_since_s = time.monotonic()
        self.timeline.mark("tts_start_ms")
        pipeline = SpeechPipeline(
            self._parts.synthesizer,
            self._parts.choices.of(self._link.device_id),
            timeout_s=self._settings.sentence_timeout_s,
            phrases=self._settings.phrases,
        )
        async with contextlib.aclosing(pipeline):
            writer = asyncio.create_task(
                self._write(transcript, pipeline), name=f"reply-{self.timeline.turn_id}"
            )
            try:
                async for sentence in pipeline:
                    await self._speak(sentence)
            finally:
                await cancel_and_wait(writer)
        await self._play_out(pipeline)
        await self._stop_speaking()

    def _typed(self, text: str) -> Transcript:
        """Return what is taken of a typed text; that it was cut is said before the answer."""
        self._is_cut = len(text) > MAX_TYPED_CHARACTERS
        return Transcript(text[:MAX_TYPED_CHARACTERS])

    async def _write(self, transcript: Transcript | None, pipeline: SpeechPipeline) -> None:
        """Feed the pipeline with the reply; where nothing comes of it, the pipeline apologizes."""
        phrases = self._settings.phrases
        try:
            if transcript is None or not transcript.text:
                pipeline.aside(phrases.not_understood if transcript is None else phrases.not_heard)
            else:
                await self._reply(transcript, pipeline)
        except ServiceError as exc:
            self._log.warning("%s", exc)
        except Exception:
            self._log.exception("对话模型出错")
        finally:
            pipeline.finish(may_be_silent=not (transcript and transcript.text))

    async def _reply(self, transcript: Transcript, pipeline: SpeechPipeline) -> None:
        parts, now = self._parts, self._clock.now()
        if answer := await parts.memory.obey(self._owner, transcript.text, now):
            self._off_record = True
            pipeline.feed(answer)
            return
        remembered = await parts.memory.recall(self._owner, transcript.text, now)
        said = Said("user", transcript.text, now, transcript.speaker)
        self._writing = asyncio.create_task(
            parts.memory.remember(self._owner, [said]), name=f"remember-{self.timeline.turn_id}"
        )
        await asyncio.wait({self._writing}, timeout=_WRITE_FIRST_S)
        if self._writing.done():
            remembered = replace(remembered, notice=self._writing.result())
        messages = [
            Message("system", parts.casting.role(self._link.device_id).system_prompt(now, remembered)),
            *(Message(item.who, item.text) for item in remembered.items),
            Message("user", transcript.text),
        ]
        if self._is_cut:
            pipeline.aside(self._settings.phrases.too_long)
        limit_s = self._settings.llm.speech_timeout_s
        try:
            with anyio.fail_after(limit_s) as waiting:
                async with contextlib.aclosing(parts.chat_model.stream(messages)) as deltas:
                    async for delta in deltas:
                        if not delta.text:
                            continue
                        self.timeline.mark("first_token_ms")
                        before = pipeline.characters
                        pipeline.feed(delta.text)
                        if pipeline.full:
                            break  # a model that repeats itself without end
                        if pipeline.characters > before:
                            waiting.deadline = anyio.current_time() + limit_s
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr(
                    "对话模型 {limit_s:g} 秒没有写出能说的话。"
                    "在 llm.extra_body 里关掉思考，常有时调大 llm.speech_timeout_s。",
                    limit_s=limit_s,
                )
            ) from exc
        await asyncio.wait({self._writing}, timeout=_WRITE_FIRST_S)
        if not remembered.notice and self._writing.done() and self._writing.result():
            # It was not known, and the answer may promise to remember.
            pipeline.feed("\n")  # what is written so far comes first
            pipeline.aside(self._settings.phrases.not_kept)

    async def _speak(self, sentence: Sentence) -> None:
        self.timeline.mark("first_sentence_ms")
        announced = False
        async with contextlib.aclosing(sentence.packets()) as packets:
            async for packet in packets:
                await self._until_due()
                if not announced:
                    announced = True
                    await self._announce(sentence)
                if self._link.mid_stream and not self._packets_sent:
                    await self._send_packet(decoder_reset(FRAME_MS))
                await self._send_packet(packet)
                self.timeline.mark("first_audio_ms")
        if not announced:
            await self._announce(sentence)  # it has no sound, but it can be read

    async def _send_packet(self, packet: bytes) -> None:
        await self._until_due()
        await self._link.send_packet(packet, self._packets_sent * FRAME_MS)
        self._packets_sent += 1
        self._pacer.sent(time.monotonic())

    async def _announce(self, sentence: Sentence) -> None:
        """Show the face and the subtitle of a sentence just before its sound."""
        if sentence.clip.face != self._face:
            self._face = sentence.clip.face
            await self._link.send(Face(self._face, FACES[self._face]))
        await self._link.send(Tts("sentence_start", sentence.subtitle))
        if sentence.is_aside:
            return
        tag = "" if sentence.clip.emotion == self._label else f"【{sentence.clip.emotion}】"
        self._label = sentence.clip.emotion
        self._said.append(tag + sentence.subtitle)  # with its tags, so that the chat model goes on using them

    async def _play_out(self, pipeline: SpeechPipeline) -> None:
        """Wait until the device has played what it was sent: clients drop what is left at `tts stop`."""
        if self._packets_sent:
            if not pipeline.ends_quietly:  # here nobody waits for it; before the next reply somebody would
                await self._send_packet(decoder_reset(FRAME_MS))
            await self._until(self._pacer.playback_end_s + self._link.stop_margin_ms / 1000)
            self._link.mid_stream = False

    async def _stop_speaking(self) -> None:
        if self.speaking:
            self.speaking = False
            await self._link.send(Tts("stop"))
            self.timeline.mark("tts_stop_ms")

    async def _until_due(self) -> None:
        """Wait until the next packet may be sent."""
        audio_from_s = self._speaking_since_s + self._settings.session.start_gap_ms / 1000
        await self._until(max(audio_from_s, self._pacer.due_s(time.monotonic())))

    @staticmethod
    async def _until(when_s: float) -> None:
        delay_s = when_s - time.monotonic()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
