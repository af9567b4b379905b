"""One reply of a chat model, with the tools that it calls meanwhile, on its way into the speech pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence

import anyio

from xiaozhi_persona.bridge.speaking import TurnTimeline
from xiaozhi_persona.bridge.tools import Toolbox
from xiaozhi_persona.bridge.unrepeated import Unrepeated
from xiaozhi_persona.bridge.written_calls import WrittenCalls
from xiaozhi_persona.errors import ServiceTimeout
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.speech.pipeline import SpeechPipeline
from xiaozhi_persona.spine import ChatModel, Message, ToolAnswer, ToolCall
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

MAX_ROUNDS = 5
"""How often the chat model may call tools before it has to answer."""

FILL_AFTER_S = 1.5
"""After so much silence while tools work, the role says that it takes a moment."""

_NO_MORE = "（不能再调用工具了，用已有的结果直接回答。）"


class Reply:
    """Writes one reply. Cancelling `write` ends all that it has begun."""

    def __init__(
        self,
        chat_model: ChatModel,
        tools: Toolbox,
        pipeline: SpeechPipeline,
        timeline: TurnTimeline,
        *,
        plays_until_s: Callable[[], float],
        speech_timeout_s: float,
        waiting: Sequence[str] = (),
        on_answers: Callable[[], None] = lambda: None,
    ) -> None:
        """`plays_until_s` tells when what is to be heard so far has been played (time.monotonic), `waiting` is what may
        be said while tools work, and `on_answers` is called when they have answered.
        """
        self._chat_model = chat_model
        self._tools = tools
        self._pipeline = pipeline
        self._plays_until_s = plays_until_s
        self._timeline = timeline
        self._speech_timeout_s = speech_timeout_s
        self._waiting = waiting
        self._on_answers = on_answers
        self._written: list[str] = []  # the text of each round
        self._fed_at_s = 0.0

    async def write(self, messages: Sequence[Message]) -> None:
        """Write the reply to the last message. Raises ServiceError."""
        messages, filler = list(messages), None
        try:
            for rounds_left in reversed(range(MAX_ROUNDS + 1)):
                calls = await self._ask(messages)
                if not calls or not rounds_left or self._pipeline.full:
                    return
                self._timeline.mark("tools_ms")
                self._fed_at_s = time.monotonic()
                self._pipeline.end_part()  # what was written is said while they work
                filler = filler or asyncio.create_task(self._fill_silence(), name="reply-filler")
                answered = await self._tools.call_all(calls)
                self._on_answers()
                answers = [answer for _, answer in answered]
                last = [answer for answer in answers if answer.ends_reply][-1:]
                if last or not any(answer.for_model for answer in answers):
                    self._say([a for a in answers if not a.for_model and not a.ends_reply] + last)
                    return
                messages.append(Message("assistant", self._written[-1], tuple(call for call, _ in answered)))
                end = _NO_MORE if rounds_left == 1 else ""
                messages += [Message("tool", answer.text + end, tool_call_id=c.id) for c, answer in answered]
        finally:
            if filler:
                await cancel_and_wait(filler)

    async def _ask(self, messages: Sequence[Message]) -> list[ToolCall]:
        """Have one round written, and return the tools that are called in it."""
        calls: list[ToolCall] = []
        text = ""
        reader, unrepeated = WrittenCalls(self._tools.names), Unrepeated(self._written)
        try:
            with anyio.fail_after(self._speech_timeout_s) as waiting:
                stream = self._chat_model.stream(messages, self._tools.offered)
                async with contextlib.aclosing(stream) as deltas:
                    async for delta in deltas:
                        if delta.tool_call:
                            calls.append(delta.tool_call)
                        if not delta.text:
                            continue
                        self._timeline.mark("first_token_ms")
                        before = self._pipeline.characters
                        piece = reader.feed(delta.text)
                        text += piece
                        self._feed(unrepeated.feed(piece))
                        if self._pipeline.full:
                            break  # a model that repeats itself without end
                        if self._pipeline.characters > before:
                            waiting.deadline = anyio.current_time() + self._speech_timeout_s
        except TimeoutError as exc:
            raise ServiceTimeout(
                tr(
                    "对话模型 {limit_s:g} 秒没有写出能说的话。"
                    "在 llm.extra_body 里关掉思考，常有时调大 llm.speech_timeout_s。",
                    limit_s=self._speech_timeout_s,
                )
            ) from exc
        rest = reader.finish()
        self._feed(unrepeated.feed(rest) + unrepeated.finish())
        self._written.append(text + rest)
        return calls + reader.calls

    def _say(self, answers: Sequence[ToolAnswer]) -> None:
        """Say what tools answered as it is, each answer once."""
        for text in dict.fromkeys(answer.text for answer in answers):
            if not any(text in written for written in self._written):
                self._feed(f"{text}\n")

    def _feed(self, text: str) -> None:
        if text:
            self._fed_at_s = time.monotonic()
            self._pipeline.feed(text)

    async def _fill_silence(self) -> None:
        """Say each of the phrases for waiting once at most, when nothing was heard for a while."""
        for phrase in random.sample(self._waiting, len(self._waiting)):
            while (rest_s := self._silent_since_s() + FILL_AFTER_S - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(rest_s)
            self._pipeline.aside(phrase)

    def _silent_since_s(self) -> float:
        if not self._pipeline.is_idle:
            return time.monotonic()
        return max(self._fed_at_s, self._plays_until_s())
