"""Engines that do as the test says, behind the real bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.errors import PersonaError, ServiceUnavailable
from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.providers.vad.detector import VadStream, VoiceActivityDetector
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import ChatDelta, Clip, Message, Owner, PcmChunk, Samples, ToolCall, Transcript


class LoudnessModel:
    """A voice activity model for tests: what is loud is speech."""

    name = "loudness"

    def judge(self, streams: list[VadStream], windows: Any) -> Any:
        return np.where(np.abs(windows).max(axis=1) > 0.05, 0.99, 0.01).astype(np.float32)


class FakeRecognizer:
    """Hears what it is told to hear; keeps what it was given."""

    def __init__(self, text: str = "你好", error: PersonaError | None = None) -> None:
        self.text = text
        self.error = error
        self.hold: asyncio.Event | None = None
        self.heard: list[Samples] = []
        self.asked = asyncio.Event()

    async def transcribe(self, pcm16k: Samples) -> Transcript:
        self.heard.append(pcm16k)
        self.asked.set()
        if self.hold:
            await self.hold.wait()
        if self.error:
            raise self.error
        return Transcript(self.text)


class FakeChatModel:
    """Writes the chunks it is given; an exception among them is raised, an Event is waited for."""

    def __init__(self, *chunks: str | Exception | asyncio.Event) -> None:
        self.chunks = chunks
        self.asked: list[Sequence[Message]] = []
        self.began = asyncio.Event()
        self.closed = 0

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        self.asked.append(messages)
        self.began.set()
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                if isinstance(chunk, asyncio.Event):
                    await chunk.wait()
                else:
                    yield ChatDelta(chunk)
        finally:
            self.closed += 1


class ToolModel:
    """Writes one round after the other, the last one for ever; a ToolCall is a call, an Event is waited for."""

    def __init__(self, *rounds: Sequence[str | ToolCall | Exception | asyncio.Event]) -> None:
        self.rounds = [*rounds]
        self.asked: list[list[Message]] = []
        self.offered: list[list[str]] = []
        self.closed = 0

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        self.asked.append([*messages])
        self.offered.append([tool["function"]["name"] for tool in tools])
        pieces = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        try:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, asyncio.Event):
                    await piece.wait()
                else:
                    yield ChatDelta(piece) if isinstance(piece, str) else ChatDelta(tool_call=piece)
        finally:
            self.closed += 1

    @property
    def told(self) -> list[str]:
        """What tools have answered, as the last round was told."""
        return [message.content for message in self.asked[-1] if message.role == "tool"]


class FakeSynthesizer:
    """A tone of 60 ms for each character; fails on sentences that hold `fails_on`."""

    def __init__(self, fails_on: str = "", sample_rate_hz: int = 24000) -> None:
        self.fails_on = fails_on
        self.sample_rate_hz = sample_rate_hz
        self.hold: asyncio.Event | None = None
        self.asked: list[tuple[str, Clip]] = []
        self.running = 0

    async def synthesize(self, text: str, clip: Clip) -> AsyncGenerator[PcmChunk, None]:
        self.asked.append((text, clip))
        self.running += 1
        try:
            if self.fails_on and self.fails_on in text:
                raise ServiceUnavailable("合成坏了")
            if self.hold:
                await self.hold.wait()
            samples = self.sample_rate_hz * 60 * len(text) // 1000
            wave = np.sin(np.arange(samples) * 2 * np.pi * 440 / self.sample_rate_hz)
            yield PcmChunk((wave * 8000).astype(np.int16), self.sample_rate_hz)
        finally:
            self.running -= 1


class FakeMemory(RecentMemory):
    """The last turns, in RAM; obeys what is in `commands`."""

    commands: dict[str, str] = {}

    async def open(self, owner: Owner) -> None:
        """Nothing to open."""

    async def obey(self, owner: Owner, text: str, now: datetime) -> str:
        return self.commands.get(text, "")


def speech(seconds: float) -> Samples:
    """Something loud at 16 kHz."""
    wave = np.sin(np.arange(int(16000 * seconds)) * 2 * np.pi * 300 / 16000)
    return (wave * 9000).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(16000 * seconds), np.int16)


def make_parts(
    chat: FakeChatModel | Any = None, recognizer: Any = None, synthesizer: Any = None, memory: Any = None
) -> Parts:
    vad = VoiceActivityDetector(LoudnessModel())
    return Parts(
        casting=(casting := Casting(Settings())),
        choices=EmotionChoices(casting, Settings()),
        vad=vad,
        recognizer=recognizer or FakeRecognizer(),
        chat_model=chat or FakeChatModel("【高兴】你好呀。", "今天真好！"),
        synthesizer=synthesizer or FakeSynthesizer(),
        memory=memory or FakeMemory(max_turns=20),
        described=[],
        closers=[vad.aclose],
    )
