"""The spoken side of a turn: subtitles, faces and paced packets, as the device plays them."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from xiaozhi_persona.audio.opus import decoder_reset
from xiaozhi_persona.bridge.link import Link
from xiaozhi_persona.bridge.messages import Face, Tts
from xiaozhi_persona.bridge.pacing import Pacer
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.speech.pipeline import FRAME_MS, Sentence, SpeechPipeline
from xiaozhi_persona.settings import SessionSettings
from xiaozhi_persona.text.emotions import FACES


@dataclass
class TurnTimeline:
    """Where the time of a turn went: milliseconds since it began (the end of speech was found)."""

    turn_id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    began_s: float = field(default_factory=time.monotonic)
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


class Sentences(ABC):
    """Where the sentences of one reply go."""

    speaking = False
    """Whether somebody was told that speaking begins, and not yet that it ended."""

    def __init__(self) -> None:
        self.said: list[str] = []
        """The sentences of the reply that were begun, with their tags, so that the chat model goes on using them."""
        self.said_characters = 0
        """How many letters and digits they have."""
        self._label = ""

    def speaks_for_s(self) -> float:
        """Return how long ago speaking began."""
        return 0.0

    def plays_until_s(self) -> float:
        """Return when what was handed on so far is played (time.monotonic)."""
        return 0.0

    async def start(self) -> None:  # noqa: B027 - who reads needs none of these
        """Begin."""

    @abstractmethod
    async def speak(self, sentence: Sentence) -> None:
        """Hand a sentence on."""

    async def play_out(self, pipeline: SpeechPipeline) -> None:  # noqa: B027
        """Wait until all of it is played."""

    async def stop(self) -> None:  # noqa: B027
        """End, if it was begun."""

    def _note(self, sentence: Sentence) -> None:
        """Note that a sentence is said."""
        if not sentence.is_aside:
            tag = "" if sentence.clip.emotion == self._label else f"【{sentence.clip.emotion}】"
            self._label = sentence.clip.emotion
            self.said.append(tag + sentence.subtitle)
            self.said_characters += sum(map(str.isalnum, sentence.subtitle))


class Speaker(Sentences):
    """Speaks the sentences of one reply. After `start` somebody sends the `tts stop`: `stop`, or who cancels it."""

    def __init__(self, link: Link, settings: SessionSettings, timeline: TurnTimeline) -> None:
        super().__init__()
        self._link = link
        self._settings = settings
        self._timeline = timeline
        self._pacer = Pacer(FRAME_MS, settings.lead_packets)
        self._since_s = time.monotonic()
        self._packets_sent = 0
        self._face = ""

    def speaks_for_s(self) -> float:
        """Return how long ago the device was told that speaking begins."""
        return time.monotonic() - self._since_s

    def plays_until_s(self) -> float:
        """Return when what was sent so far is played (time.monotonic)."""
        return self._pacer.playback_end_s if self._packets_sent else self._since_s

    async def start(self) -> None:
        """Tell the device that speaking begins."""
        self.speaking = True  # first: cancelled while it sends, it needs its stop
        await self._link.send(Tts("start"))
        self._since_s = time.monotonic()
        self._timeline.mark("tts_start_ms")

    async def speak(self, sentence: Sentence) -> None:
        """Send a sentence: its face and subtitle just before its sound."""
        self._timeline.mark("first_sentence_ms")
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
                self._timeline.mark("first_audio_ms")
        if not announced:
            await self._announce(sentence)  # it has no sound, but it can be read

    async def play_out(self, pipeline: SpeechPipeline) -> None:
        """Wait until the device has played what it was sent: clients drop what is left at `tts stop`."""
        if self._packets_sent:
            if not pipeline.ends_quietly:  # here nobody waits for it; before the next reply somebody would
                await self._send_packet(decoder_reset(FRAME_MS))
            await _until(self._pacer.playback_end_s + self._link.stop_margin_ms / 1000)
            self._link.mid_stream = False

    async def stop(self) -> None:
        """Tell the device that speaking has ended."""
        if self.speaking:
            self.speaking = False
            await self._link.send(Tts("stop"))
            self._timeline.mark("tts_stop_ms")

    async def _announce(self, sentence: Sentence) -> None:
        if sentence.clip.face != self._face:
            self._face = sentence.clip.face
            await self._link.send(Face(self._face, FACES[self._face]))
        await self._link.send(Tts("sentence_start", sentence.subtitle))
        self._note(sentence)

    async def _send_packet(self, packet: bytes) -> None:
        await self._until_due()
        await self._link.send_packet(packet, self._packets_sent * FRAME_MS)
        self._packets_sent += 1
        self._pacer.sent(time.monotonic())

    async def _until_due(self) -> None:
        """Wait until the next packet may be sent."""
        audio_from_s = self._since_s + self._settings.start_gap_ms / 1000
        await _until(max(audio_from_s, self._pacer.due_s(time.monotonic())))


async def _until(when_s: float) -> None:
    delay_s = when_s - time.monotonic()
    if delay_s > 0:
        await asyncio.sleep(delay_s)
