"""A turn whose answer is read and not heard: the same turn as a device's, without a voice."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xiaozhi_persona.bridge.answering import Answering
from xiaozhi_persona.bridge.link import DeviceLog
from xiaozhi_persona.bridge.mcp.offered import distinct
from xiaozhi_persona.bridge.messages import Stt
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.speaking import Sentences
from xiaozhi_persona.bridge.tools import Toolbox, memory_tools
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.providers.speech.pipeline import SAMPLE_RATE_HZ, Sentence
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatDelta, ChatModel, Clip, Message, Owner, PcmChunk

log = logging.getLogger(__name__)


class Reader(Sentences):
    """Who has asked in writing: is handed the text of each sentence with its face, as devices show them.

    Phrases of ours come with the sentence of the reply that follows them; where none does, they are its `apology`.
    """

    wants_no_words = False

    def __init__(self, name: str, seat: str, on_text: Callable[[str, str], Awaitable[None]]) -> None:
        """`name` is written into the log, and `seat` is the id for which the role is known."""
        super().__init__()
        self.device_id = seat
        self.log = DeviceLog(log, name)
        self._on_text = on_text
        self._phrases: list[str] = []
        self._last = ""

    @property
    def apology(self) -> str:
        """What was said in place of a reply."""
        return " ".join(self._phrases)

    async def send(self, message: Stt) -> None:
        """What was heard is what was written."""

    async def speak(self, sentence: Sentence) -> None:
        """Hand on the text."""
        async with contextlib.aclosing(sentence.packets()) as packets:
            async for _ in packets:
                pass
        if sentence.is_aside and not self.said:
            self._phrases.append(sentence.subtitle)
            return
        phrases, self._phrases = self._phrases, []
        self._note(sentence)
        for text in (*phrases, sentence.subtitle):
            gap = " " if self._last.isascii() and self._last and text[:1].isascii() else ""
            self._last = text[-1:]
            await self._on_text(gap + text, sentence.clip.face)


async def answer_in_writing(
    text: str,
    reader: Reader,
    role: Role,
    owner_id: str,
    parts: Parts,
    settings: Settings,
    instructions: str = "",
) -> None:
    """Answer as a role, with an owner's memory. `instructions` are put behind what the role's prompt says.

    What needs no chat model on a device (volume, timers) is left to it here. Cancelling ends all of it; what was
    answered until then is kept.
    """
    owner = role.memory_of(Owner(owner_id, reader.device_id))
    conversation = Conversation(parts.memory, owner)

    async def tools() -> Toolbox:
        return Toolbox(distinct([*memory_tools(conversation), *parts.servers.tools()]))

    model = _Instructed(parts.chat_model, instructions) if instructions else parts.chat_model
    silent = dataclasses.replace(parts, synthesizer=_NoVoice(), chat_model=model)
    turn = Answering(reader, conversation, tools, None, silent, settings, lambda _: reader)
    try:
        await turn.run(text)
    finally:
        reader.log.info("%s", turn.timeline)
        await conversation.aclose()


class _NoVoice:
    """Makes so little sound of a sentence that it costs nothing: the pipeline takes it for spoken."""

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        yield PcmChunk(np.ones(1, np.int16), SAMPLE_RATE_HZ)


class _Instructed:
    """A chat model that is told something more by who asks."""

    def __init__(self, model: ChatModel, instructions: str) -> None:
        self._model = model
        self._instructions = instructions

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        first = dataclasses.replace(messages[0], content=f"{messages[0].content}\n\n{self._instructions}")
        async with contextlib.aclosing(self._model.stream([first, *messages[1:]], tools)) as deltas:
            async for delta in deltas:
                yield delta
