"""One turn: what was heard, or typed, is answered and spoken."""

from __future__ import annotations

import asyncio
import contextlib

from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.messages import Stt
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.reply import Reply
from xiaozhi_persona.bridge.speaking import Speaker, TurnTimeline
from xiaozhi_persona.bridge.tools import Toolbox
from xiaozhi_persona.errors import ServiceError
from xiaozhi_persona.memory.conversation import Conversation, Exchange
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Message, Samples, Transcript
from xiaozhi_persona.tasks import cancel_and_wait

MAX_TYPED_CHARACTERS = 1000
"""What is typed beyond this is not taken: nobody says as much at one go, and all of it would stand in every prompt."""


class Answering:
    """Owns all that one answer needs. Cancelling the task that runs it ends all of it.

    One that is cancelled sends nothing more; who cancels it sends the `tts stop`.
    """

    def __init__(
        self,
        link: Link,
        conversation: Conversation,
        tools: Toolbox,
        parts: Parts,
        settings: Settings,
        *,
        tells_unheard: bool = False,
    ) -> None:
        """`tells_unheard`: sound without words is answered too, where the user waits for an answer."""
        self.timeline = TurnTimeline()
        self.speaker = Speaker(link, settings.session, self.timeline)
        self.answered = False
        """Whether it came to an answer: there were words to answer."""
        self._link = link
        self._log = link.log
        self._conversation = conversation
        self._tools = tools
        self._parts = parts
        self._settings = settings
        self._tells_unheard = tells_unheard
        self._is_too_long = False  # whether what was typed was
        self._is_over = False
        self._exchange: Exchange | None = None
        self._asked_at: int | None = None  # how many characters were written when the memory last answered

    async def run(self, heard: Samples | str) -> None:
        """Answer an utterance (16 kHz) or a typed text. Never raises but when it is cancelled."""
        try:
            await self._answer(heard)
            self.timeline.outcome = "done"
        except Exception:
            self.timeline.outcome = "failed"
            self._log.exception("这一轮出错了")
            await self.speaker.stop()
        finally:
            self._is_over = True
            if self._exchange:
                if self.speaker.said:
                    self._conversation.answered(self._exchange, "".join(self.speaker.said))
                if self._asked_at is not None and self.speaker.said_characters <= self._asked_at:
                    self._conversation.unheard()

    async def _answer(self, heard: Samples | str) -> None:
        transcript = await self._transcribe(heard)
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
        self.answered = True
        await self.speaker.start()
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
                    await self.speaker.speak(sentence)
            finally:
                await cancel_and_wait(writer)
        await self.speaker.play_out(pipeline)
        await self.speaker.stop()

    async def _transcribe(self, heard: Samples | str) -> Transcript | None:
        """Return the words, of a typed text as many as are taken; None when the recognizer failed."""
        if isinstance(heard, str):
            self._is_too_long = len(heard) > MAX_TYPED_CHARACTERS
            return Transcript(heard[:MAX_TYPED_CHARACTERS])
        try:
            return await self._parts.recognizer.transcribe(heard)
        except ServiceError as exc:
            self._log.warning("%s", exc)
        except Exception:
            self._log.exception("语音识别出错")
        return None

    async def _write(self, transcript: Transcript | None, pipeline: SpeechPipeline) -> None:
        """Feed the pipeline with the reply; where nothing comes of it, the pipeline apologizes."""
        phrases = self._settings.phrases
        is_spoken = bool(transcript and transcript.text)
        try:
            if transcript and transcript.text:
                await self._reply(transcript, pipeline)
            else:
                pipeline.aside(phrases.not_understood if transcript is None else phrases.not_heard)
        except ServiceError as exc:
            self._log.warning("%s", exc)
        except Exception:
            self._log.exception("对话模型出错")
        finally:
            pipeline.finish(may_be_silent=not is_spoken)

    async def _reply(self, transcript: Transcript, pipeline: SpeechPipeline) -> None:
        talk, phrases = self._conversation, self._settings.phrases
        exchange = self._exchange = talk.hear(transcript.text, transcript.speaker)
        consulted = await talk.consult(exchange, lambda: self._is_over)
        if consulted.answer:
            self._asked_at = pipeline.characters
            pipeline.feed(consulted.answer)
            return
        found = consulted.found
        role = self._parts.casting.role(self._link.device_id)
        messages = [
            Message("system", role.system_prompt(exchange.turns[0].at, found)),
            *(Message(item.who, item.text) for item in found.items),
            Message("user", transcript.text),
        ]
        if self._is_too_long:
            pipeline.aside(phrases.too_long)

        def note_asked() -> None:
            self._asked_at = pipeline.characters  # what asks back is written behind these

        reply = Reply(
            self._parts.chat_model,
            self._tools,
            pipeline,
            self.timeline,
            plays_until_s=self.speaker.plays_until_s,
            speech_timeout_s=self._settings.llm.speech_timeout_s,
            waiting=role.waiting,
            on_answers=note_asked,
        )
        await reply.write(messages)
        if not found.notice and await talk.is_unkept(exchange):
            # It was not known, and the answer may promise to remember.
            pipeline.feed("\n")
            pipeline.aside(phrases.not_kept)
