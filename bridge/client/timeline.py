"""When what happened in one turn, in milliseconds from the end of speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from xiaozhi_persona.bridge.client.device import Playback
from xiaozhi_persona.language import tr


@dataclass(frozen=True)
class SpokenSentence:
    """A sentence of the reply, by its subtitle."""

    text: str
    emotion: str
    """The face that was set when the subtitle came; "" when none was."""
    at_ms: float


@dataclass(frozen=True)
class Timeline:
    """One turn. Times are milliseconds from the last spoken sample sent, for typed text from its sending.

    None stands for what did not happen.
    """

    asked: str
    """What was typed, or the name of the recording."""
    typed: bool
    heard: str | None
    """What the server understood."""
    stt_ms: float | None
    tts_start_ms: float | None
    first_audio_ms: float | None
    """When the first packet played, as the device plays it at once."""
    sentences: tuple[SpokenSentence, ...]
    tts_stop_ms: float | None
    playback_end_ms: float | None
    gaps: int
    gaps_ms: float
    """Silence between the packets, in all."""
    dropped_full: int
    """Packets that were lost because the device's queue was full."""
    dropped_not_speaking: int
    """Packets that were lost because they came before `tts start` or after `tts stop`."""

    @property
    def dropped(self) -> int:
        """Packets lost in all."""
        return self.dropped_full + self.dropped_not_speaking

    def to_json(self) -> dict[str, Any]:
        """Return the turn as JSON values; times are rounded to 0.1 ms."""
        return {
            "asked": self.asked,
            "typed": self.typed,
            "heard": self.heard,
            "stt_ms": _rounded(self.stt_ms),
            "tts_start_ms": _rounded(self.tts_start_ms),
            "first_audio_ms": _rounded(self.first_audio_ms),
            "sentences": [
                {"text": s.text, "emotion": s.emotion, "at_ms": _rounded(s.at_ms)} for s in self.sentences
            ],
            "tts_stop_ms": _rounded(self.tts_stop_ms),
            "playback_end_ms": _rounded(self.playback_end_ms),
            "gaps": self.gaps,
            "gaps_ms": _rounded(self.gaps_ms),
            "dropped": self.dropped,
            "dropped_full": self.dropped_full,
            "dropped_not_speaking": self.dropped_not_speaking,
        }

    def sound(self) -> str:
        """Say how the reply sounded: gaps and lost packets."""
        if self.first_audio_ms is None:
            sound = tr("没有收到能播放的声音")
        else:
            sound = (
                tr("断音 {gaps} 次，共 {gaps_ms:.0f} 毫秒", gaps=self.gaps, gaps_ms=self.gaps_ms)
                if self.gaps
                else tr("没有断音")
            )
        if not self.dropped:
            return tr("{sound}；没有丢包", sound=sound)
        return tr(
            "{sound}；丢包 {dropped} 个（队列满 {dropped_full}，不在播放时 {dropped_not_speaking}）",
            sound=sound,
            dropped=self.dropped,
            dropped_full=self.dropped_full,
            dropped_not_speaking=self.dropped_not_speaking,
        )


EventKind = Literal[
    "woken",
    "speaking",
    "spoken",
    "typed",
    "heard",
    "no_words",
    "waiting",
    "start",
    "first_audio",
    "sentence",
    "stop",
    "played",
]


@dataclass(frozen=True)
class TurnEvent:
    """What happened in a turn, told when it happens.

    woken: by the wake word, which is its text, or by a button; speaking: a recording begins; spoken: it has been sent; typed: a text was sent; heard: the server understood it;
    no_words: it understood none; waiting: it has been silent for long; start, first_audio, sentence, stop: of the
    reply; played: its sound has ended.
    """

    kind: EventKind
    at_ms: float
    """As in Timeline."""
    text: str = ""
    emotion: str = ""
    """Of a sentence."""


@dataclass
class TurnLog:
    """Collects one turn as it happens, and tells it; times are seconds of any one clock."""

    asked: str
    typed: bool
    zero_at: float
    """End of speech, or when the text was sent."""
    tell: Callable[[TurnEvent], None] = lambda event: None
    interrupts: bool = False
    """The device was still speaking: up to `tts stop`, what is spoken belongs to the turn before."""
    stopped_at: float | None = None
    """When the reply ended with `tts stop`."""
    dropped_not_speaking: int = 0
    told: bool = False
    """The turn is over, and has been told."""
    no_words: bool = False
    """The server has said that it heard no words; more of the recording may be on its way."""
    _playback: Playback = field(default_factory=Playback)
    _sounds_from: float | None = None
    _spoken: bool = False
    _heard: tuple[float, str] | None = None
    _started_at: float | None = None
    _emotion: str = ""
    _sentences: list[tuple[float, str, str]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether the server reacted in any way."""
        return (self._heard or self._started_at or self.stopped_at) is not None

    @property
    def unspoken(self) -> bool:
        """Whether the server has heard something and says nothing so far: a `tts stop` then ends the turn, as that of a
        command which needs no answer.
        """
        return (
            self._heard is not None and (self._started_at or self.stopped_at) is None and not self.interrupts
        )

    @property
    def ends_at(self) -> float | None:
        """When the last sound of the stopped reply ends, or the stop came if that was later; None before the stop."""
        if self.stopped_at is None:
            return None
        return max(self.stopped_at, self._playback.ends_at or self.stopped_at)

    def event(self, kind: EventKind, at: float, text: str = "", emotion: str = "") -> None:
        """Tell an event."""
        if kind not in ("speaking", "typed"):
            self.spoken()
        self.tell(TurnEvent(kind, (at - self.zero_at) * 1000, text, emotion))

    def spoken(self) -> None:
        """Tell that the recording has been spoken: when it has been sent, or the server reacts to it before, since
        its end is silence.
        """
        if not self.typed and not self._spoken:
            self._spoken = True
            self.tell(TurnEvent("spoken", 0.0, self.asked))

    def stt(self, at: float, text: str) -> None:
        """The server says what it heard; what it sends later under that name are its tools."""
        if self._heard is not None:
            return
        if text:
            self._heard = (at, text)
            self.event("heard", at, text)
        else:
            self.no_words = True

    def face(self, emotion: str) -> None:
        """The face changes."""
        if not self.interrupts:
            self._emotion = emotion

    def tts_start(self, at: float) -> None:
        """The device begins to speak."""
        if self._started_at is None:
            self._started_at = at
            self.event("start", at)

    def audio(self, at: float) -> None:
        """A packet of the reply plays."""
        if not self.interrupts and self._sounds_from is None:
            self._sounds_from = at
            self.event("first_audio", at)

    def sentence(self, at: float, text: str) -> None:
        """A subtitle came."""
        if not self.interrupts and text:
            self._sentences.append((at, text, self._emotion))
            self.event("sentence", at, text, self._emotion)

    def tts_stop(self, at: float, playback: Playback | None = None) -> None:
        """The reply ends; `playback` is what the device makes of it, None where nothing was said."""
        if self.interrupts:
            self.interrupts = False
        elif self.stopped_at is None:
            self.stopped_at, self._playback = at, playback or Playback()
            self.event("stop", at)

    def timeline(self) -> Timeline:
        """Return the turn so far."""
        gaps = self._playback.gaps
        return Timeline(
            asked=self.asked,
            typed=self.typed,
            heard=self._heard[1] if self._heard else None,
            stt_ms=self._ms(self._heard[0] if self._heard else None),
            tts_start_ms=self._ms(self._started_at),
            first_audio_ms=self._ms(self._sounds_from),
            sentences=tuple(
                SpokenSentence(text, emotion, (at - self.zero_at) * 1000)
                for at, text, emotion in self._sentences
            ),
            tts_stop_ms=self._ms(self.stopped_at),
            playback_end_ms=self._ms(self._playback.ends_at),
            gaps=len(gaps),
            gaps_ms=sum(gap.duration_s for gap in gaps) * 1000,
            dropped_full=self._playback.dropped,
            dropped_not_speaking=self.dropped_not_speaking,
        )

    def _ms(self, at: float | None) -> float | None:
        return None if at is None else (at - self.zero_at) * 1000


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
