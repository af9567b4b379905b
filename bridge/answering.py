"""One turn: what was heard, or typed, is answered and spoken."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from xiaozhi_persona.bridge.link import DeviceLog
from xiaozhi_persona.bridge.messages import Stt
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.reply import FILL_AFTER_S, Reply
from xiaozhi_persona.bridge.speaking import Sentences, TurnTimeline
from xiaozhi_persona.bridge.tools import Toolbox
from xiaozhi_persona.bridge.wits.wits import Doing, Wits
from xiaozhi_persona.errors import ServiceError
from xiaozhi_persona.memory.conversation import Conversation, Exchange
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Message, Samples, Transcript
from xiaozhi_persona.tasks import cancel_and_wait

MAX_TYPED_CHARACTERS = 1000
"""What is typed beyond this is not taken: nobody says as much at one go, and all of it would stand in every prompt."""


@dataclass(frozen=True)
class Unasked:
    """What is said without a question: a timer that rings, or the first word."""

    text: str
    is_aside: bool = False
    """Whether it is not to be shown to the chat model as a part of the conversation."""


class Asker(Protocol):
    """Who has asked, as far as a turn needs to know: a bridge.link.Link, or who reads the answer."""

    device_id: str
    wants_no_words: bool
    log: DeviceLog

    async def send(self, message: Stt) -> None:
        """Tell what was heard."""
        ...


class Answering:
    """Owns all that one answer needs. Cancelling the task that runs it ends all of it.

    One that is cancelled sends nothing more; who cancels it sends the `tts stop`.
    """

    def __init__(
        self,
        link: Asker,
        conversation: Conversation,
        tools: Callable[[], Awaitable[Toolbox]],
        wits: Wits | None,
        parts: Parts,
        settings: Settings,
        speaker: Callable[[TurnTimeline], Sentences],
        *,
        tells_unheard: bool = False,
    ) -> None:
        """`tools` tells what the chat model may call in this turn; without `wits` all is asked of it. `speaker` makes
        what hands the sentences on. `tells_unheard`: sound without words is answered too, where the user waits for an
        answer.
        """
        self.timeline = TurnTimeline()
        self.speaker = speaker(self.timeline)
        self.answered = False
        """Whether it came to an answer: there were words to answer."""
        self.ends_connection = False
        """Whether it is a goodbye, after which the connection is closed."""
        self._link = link
        self._log = link.log
        self._conversation = conversation
        self._tools = tools
        self._wits = wits
        self._parts = parts
        self._settings = settings
        self._tells_unheard = tells_unheard
        self._is_too_long = False  # whether what was typed was
        self._is_over = False
        self._may_be_silent = True
        self._doing: Doing | None = None
        self._command = ""  # what is said to the memory, without what stands around it
        self._exchange: Exchange | None = None
        self._asked_at: int | None = None  # how many characters were written when the memory last answered

    async def run(self, heard: Samples | str | Unasked) -> None:
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
            said = "".join(self.speaker.said)
            if self._wits:
                self._wits.last_said = said or self._wits.last_said
            if self._exchange:
                if self._doing and not self._exchange.is_kept:  # its answer was cut before it came
                    self._conversation.carried_out(self._exchange)
                if said:
                    self._conversation.answered(self._exchange, said)
                if self._asked_at is not None and self.speaker.said_characters <= self._asked_at:
                    self._conversation.unheard()

    async def _answer(self, heard: Samples | str | Unasked) -> None:
        if isinstance(heard, Unasked):
            self.answered = True
            self._exchange = Exchange(aside=heard.is_aside)
            await self._speak(partial(self._write_unasked, heard.text))
            return
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
        if transcript and transcript.text:
            self._begin_intent(transcript)
        if self._doing:  # a role that it switches to is to speak itself
            await asyncio.wait({self._doing.task}, timeout=FILL_AFTER_S)
        await self._speak(partial(self._write, transcript))

    def _begin_intent(self, transcript: Transcript) -> None:
        """Have it carried out at once, if it is one."""
        intents = self._parts.intents if self._wits else None
        match = intents.route(transcript.text) if intents else None
        if intents is None or self._wits is None or match is None:
            return
        if match.command:
            self._command = match.words
            return
        talk = self._conversation
        self._exchange = talk.hear(transcript.text, transcript.speaker)
        self._exchange.off_record = match.tells_memory
        self._doing = self._wits.begin(match, transcript.text, intents, talk)

    async def _speak(self, write: Callable[[SpeechPipeline], Coroutine[Any, Any, None]]) -> None:
        """Speak what `write` feeds the pipeline with."""
        await self.speaker.start()
        pipeline = SpeechPipeline(
            self._parts.synthesizer,
            self._parts.choices.of(self._link.device_id),
            timeout_s=self._settings.sentence_timeout_s,
            phrases=self._settings.phrases,
        )
        async with contextlib.aclosing(pipeline):
            writer = asyncio.create_task(write(pipeline), name=f"reply-{self.timeline.turn_id}")
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

    async def _write_unasked(self, text: str, pipeline: SpeechPipeline) -> None:
        pipeline.feed(text)
        pipeline.finish(may_be_silent=True)

    async def _write(self, transcript: Transcript | None, pipeline: SpeechPipeline) -> None:
        """Feed the pipeline with the reply; where nothing comes of it, the pipeline apologizes."""
        phrases = self._settings.phrases
        try:
            if transcript and transcript.text:
                self._may_be_silent = False
                if not await self._carry_out(pipeline):
                    await self._reply(transcript, pipeline)
            else:
                pipeline.aside(phrases.not_understood if transcript is None else phrases.not_heard)
        except ServiceError as exc:
            self._log.warning("%s", exc)
        except Exception:
            self._log.exception("对话模型出错")
        finally:
            pipeline.finish(may_be_silent=self._may_be_silent)

    async def _carry_out(self, pipeline: SpeechPipeline) -> bool:
        """Answer what was carried out; return False for what belongs to the chat model."""
        doing = self._doing
        if doing is None or self._exchange is None:
            return False
        waiting = self._parts.casting.role(self._link.device_id).waiting
        if not doing.task.done() and waiting:
            pipeline.aside(random.choice(waiting))
        await asyncio.wait({doing.task})  # which goes on when this is cancelled
        done = doing.task.result()
        if done is None:
            self._doing = None
            return False
        self.timeline.mark("intent_ms")
        self._log.info("一轮 %s：本地意图 %s", self.timeline.turn_id, doing.intent)
        self._conversation.carried_out(self._exchange)
        self._may_be_silent, self.ends_connection = True, done.ends_connection
        pipeline.feed(done.say)
        return True

    async def _reply(self, transcript: Transcript, pipeline: SpeechPipeline) -> None:
        talk, phrases = self._conversation, self._settings.phrases
        exchange = self._exchange = self._exchange or talk.hear(transcript.text, transcript.speaker)
        consulted = await talk.consult(exchange, lambda: self._is_over, command=self._command)
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

        tools = await self._tools()
        self._log.info("一轮 %s：对话模型，%d 个工具", self.timeline.turn_id, len(tools.names))
        reply = Reply(
            self._parts.chat_model,
            tools,
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
