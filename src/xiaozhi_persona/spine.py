"""The types that the parts hand to each other: what is heard, said, spoken and remembered.

A recognizer, a chat model, a synthesizer and a memory are anything that has the one method named here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.device_ids import ROLE_MARK
from xiaozhi_persona.text.emotions import Emotion

Samples = NDArray[np.int16]
"""Mono sound: signed 16-bit samples, shape (n,)."""


@dataclass(frozen=True)
class Owner:
    """Whose memory this is."""

    id: str
    """A device's or person's; with a role behind it, the memory that this role alone has of him."""
    seat: str = field(default="", compare=False)
    """Where he talks with a role, if not on the device: an id for which a casting knows the role."""

    @property
    def device(self) -> str:
        """The id without a role."""
        return self.id.partition(ROLE_MARK)[0]

    @property
    def talks_at(self) -> str:
        """The id for which a casting knows the role that he talks with."""
        return self.seat or self.device

    def as_role(self, role_id: str) -> Owner:
        """Return the owner of the memory that a role has for itself."""
        return Owner(f"{self.id}{ROLE_MARK}{role_id}", self.seat)


@dataclass(frozen=True)
class Transcript:
    """What a recognizer heard. Tags of the model are in their fields, never in the text."""

    text: str
    language: str = ""
    """Language code as the model gives it (zh, en, yue, ja, ko), "" when it gives none."""
    emotion: str = ""
    """How the speaker sounded: one of the 21 device emotions, "" when unknown."""
    event: str = ""
    """Other sound that was heard (speech, bgm, laughter, applause ...), "" when unknown."""
    speaker: str = ""


class Embedder(Protocol):
    """Turns texts into vectors that lie near each other where they mean the same. Blocks; one call at a time."""

    @property
    def name(self) -> str:
        """Of the model: vectors of different names are not compared."""
        ...

    def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a vector, a row, for each text that may be found. Raises PersonaError."""
        ...

    def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question. Raises PersonaError."""
        ...

    def close(self) -> None:
        """Let go of models and connections."""
        ...


class SpeechRecognizer(Protocol):
    """Turns one utterance into text."""

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        """Recognize one utterance of 16 kHz mono sound. Raises ServiceError."""
        ...


@dataclass(frozen=True)
class Reference:
    """A recording that shows a synthesizer whose voice to take, and with which feeling."""

    path: str
    """As the synthesizer's machine sees it."""
    text: str = ""
    """What is said in it."""
    language: str = ""
    """The language of `text`, as a code or a Chinese name; "" for the synthesizer's default."""
    aux_paths: tuple[str, ...] = ()
    """More recordings of the same voice, which average its timbre."""


@dataclass(frozen=True)
class Voice:
    """What a role asks of a synthesizer beside the reference. "" and missing keys stand for the settings' defaults."""

    language: str = ""
    """The language of what is spoken, as a code or a Chinese name."""
    name: str = ""
    """One of the voices that the synthesizer has by name."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """Trained files of this voice as the synthesizer's machine sees them, by their kind, as the synthesizer names it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of the synthesis, under the names that the synthesizer reads."""


@dataclass(frozen=True)
class Clip:
    """How a sentence is to sound."""

    emotion: str = ""
    """Label of the emotion (高兴, 悲伤 ...), "" for the voice's own neutral way."""
    face: str = "neutral"
    """The same emotion as one of the 21 device emotions."""
    reference: Reference | None = None
    voice: Voice = field(default_factory=Voice)
    speed: float = 1.0
    fixed: bool = False
    """Whether the text is a fixed phrase of the role or the settings, whose sound may be kept on disk."""


@dataclass(frozen=True)
class PcmChunk:
    """A piece of synthesized speech."""

    samples: Samples
    sample_rate_hz: int
    source: str = ""
    """Who made it: the address of a server, or the name of an engine."""


class EmotionClassifier(Protocol):
    """Judges the feeling of a sentence."""

    async def feeling_of(self, text: str) -> Emotion | None:
        """Return the emotion of a sentence, None when it is not sure. Never raises."""
        ...


class SpeechSynthesizer(Protocol):
    """Turns one sentence into sound."""

    def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        """Yield the sound of `text` as it is made; closing the iterator ends the request.

        Raises ServiceError while iterating.
        """
        ...


@dataclass(frozen=True)
class Message:
    """One message of a conversation, as chat models take them."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: Sequence[ToolCall] = ()
    """Of an assistant: the tools that it wanted to be called."""
    tool_call_id: str = ""
    """Of a tool: which call it answers."""
    pictures: Sequence[str] = ()
    """Of a user: what he shows beside it, as data URLs; for models that see."""


@dataclass(frozen=True)
class ToolCall:
    """A tool that the chat model wants to be called, with its whole arguments."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


@dataclass(frozen=True)
class ToolAnswer:
    """What came of a tool call."""

    text: str
    for_model: bool = False
    """Whether the chat model puts it in its own words; else it is said as it is."""
    ends_reply: bool = False
    """Whether nothing is written behind it: the role that was writing has handed over to another one."""


@dataclass(frozen=True)
class ChatDelta:
    """A piece of a reply: text as it is written, or a complete tool call."""

    text: str = ""
    tool_call: ToolCall | None = None


class ChatModel(Protocol):
    """Writes the reply."""

    def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        """Yield the reply as it is written; closing the iterator ends the request. Raises ServiceError."""
        ...


@dataclass(frozen=True)
class Turn:
    """What one side said, and when."""

    who: Literal["user", "assistant"]
    text: str
    at: datetime
    """Time zone aware."""
    speaker: str = ""
    """Who of the people at the device, where that is known."""
    aside: bool = False
    """Whether no chat model had a part in it: it is kept, and not shown to one as something that it said or was asked."""


@dataclass(frozen=True)
class Recollection:
    """What a memory found for a question: `text` goes into the prompt, `items` stand before the question."""

    text: str = ""
    items: Sequence[Turn] = ()
    notice: str = ""
    """What the chat model is to know of the memory itself, such as that nothing can be written."""


class Memory(Protocol):
    """Remembers what was said. Every call names the owner; none raises."""

    async def open(self, owner: Owner) -> None:
        """Make ready for an owner whose device has connected."""
        ...

    async def obey(self, owner: Owner, text: str, now: datetime) -> str:
        """Do what the user tells the memory itself to do, and return what to answer; "" for any other text.

        Neither such a text nor the answer is to be remembered.
        """
        ...

    def ask_no_more(self, owner: Owner) -> None:
        """Note that what was asked back was not heard: a yes that comes next is for something else."""
        ...

    async def remember(self, owner: Owner, turns: Sequence[Turn]) -> str:
        """Keep the turns. Returns what the chat model is to know when they could not be kept, else ""."""
        ...

    async def recall(self, owner: Owner, question: str, now: datetime) -> Recollection:
        """Return what helps to answer `question` asked at `now`; empty when nothing does."""
        ...
