"""Where the client's sound comes from and goes to, and WAV files in both places."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from xiaozhi_persona.audio.opus import OpusDecoder, OpusError
from xiaozhi_persona.audio.wav import write_wav
from xiaozhi_persona.bridge.client.device import QUEUE_PACKETS
from xiaozhi_persona.spine import Samples

MIC_RATE_HZ = 16000
FRAME_MS = 60
FRAME_SAMPLES = MIC_RATE_HZ * FRAME_MS // 1000
DEFAULT_RATE_HZ = 24000
"""Of replies, where the server names no rate that Opus has."""
OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)

SPEECH_DBFS = -45.0
"""What is louder counts as speech when the end of speech is looked for."""
_SPEECH_LEVEL = 32768 * 10 ** (SPEECH_DBFS / 20)


class Microphone(Protocol):
    """Gives what is to be sent to the server."""

    def listen(self) -> AsyncGenerator[Samples, None]:
        """Yield 16 kHz mono sound in pieces of any length, at once or as it is heard.

        When it ends, silence follows for as long as the device listens.
        """
        ...


class Speaker(Protocol):
    """Takes what the server says. Times are seconds of one clock."""

    def begin(self, sample_rate_hz: int, at: float) -> None:
        """A reply begins; what has not begun to play is thrown away."""
        ...

    def play(self, samples: Samples, at: float) -> None:
        """Play the next packet of the reply; `at` is when an ESP32 would."""
        ...


class WavMicrophone:
    """Speaks a recording."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    async def listen(self) -> AsyncGenerator[Samples, None]:
        """Yield the recording second by second."""
        for start in range(0, len(self.samples), MIC_RATE_HZ):
            yield self.samples[start : start + MIC_RATE_HZ]


class WavSpeaker:
    """Keeps what is played: the replies one behind the other, the gaps inside a reply as silence."""

    def __init__(self) -> None:
        self.sample_rate_hz = DEFAULT_RATE_HZ
        self._pieces: list[tuple[float, Samples]] = []
        self._silent_from: float | None = None

    def begin(self, sample_rate_hz: int, at: float) -> None:
        """Take back what has not begun to play; what follows adjoins without silence."""
        while self._pieces and self._pieces[-1][0] >= at:
            self._pieces.pop()
        self.sample_rate_hz = sample_rate_hz
        self._silent_from = None

    def play(self, samples: Samples, at: float) -> None:
        """Keep a packet's sound, with silence before it when it did not follow at once."""
        if self._silent_from is not None:
            gap = round((at - self._silent_from) * self.sample_rate_hz)
            if gap > 0:
                self._pieces.append((self._silent_from, np.zeros(gap, np.int16)))
        self._pieces.append((at, samples))
        self._silent_from = at + len(samples) / self.sample_rate_hz

    def recorded(self) -> Samples:
        """Return everything that was played."""
        return np.concatenate([np.zeros(0, np.int16), *(samples for _, samples in self._pieces)])

    def save(self, path: Path) -> None:
        """Write everything that was played as a WAV file."""
        write_wav(path, self.recorded(), self.sample_rate_hz)


class ReplyPlayer(Protocol):
    """Takes a reply's packets as they come. Times are seconds of the event loop's clock."""

    queue_packets: int
    """How many packets it holds; what comes on top of them is lost."""

    on_begin: Callable[[float], None]
    """Called from the event loop with the time at which the first sound of a reply leaves the loudspeaker."""

    def begin(self, sample_rate_hz: int, at: float) -> None:
        """A reply of this rate begins; what has not begun to play is thrown away."""
        ...

    def play(self, packet: bytes, at: float) -> None:
        """Play a packet; `at` is when an ESP32 would."""
        ...

    def end(self) -> None:
        """Nothing follows: what has come plays out."""
        ...

    def stop(self) -> None:
        """Be silent at once."""
        ...

    def ends_at(self) -> float | None:
        """Return when the last sound so far will have left the loudspeaker; None for when an ESP32's would."""
        ...

    def holes_s(self) -> list[float] | None:
        """Return how long each hole in this reply was, in seconds; None for those that an ESP32 has."""
        ...


class PacketPlayer:
    """Plays a reply's Opus packets on a speaker, when an ESP32 would."""

    queue_packets = QUEUE_PACKETS

    def __init__(self, speaker: Speaker) -> None:
        self.on_begin: Callable[[float], None] = lambda at: None
        self._speaker = speaker
        self._decoder = OpusDecoder(DEFAULT_RATE_HZ)
        self._begun = False

    def begin(self, sample_rate_hz: int, at: float) -> None:
        """A reply of this rate begins."""
        self._begun = False
        rate_hz = sample_rate_hz if sample_rate_hz in OPUS_RATES_HZ else DEFAULT_RATE_HZ
        self._decoder = OpusDecoder(rate_hz)
        self._speaker.begin(rate_hz, at)

    def play(self, packet: bytes, at: float) -> None:
        """Play a packet; one that is no Opus is left out."""
        if not self._begun:
            self._begun = True
            self.on_begin(at)
        with contextlib.suppress(OpusError):
            self._speaker.play(self._decoder.decode(packet), at)

    def end(self) -> None:
        """What has come is kept already."""

    def stop(self) -> None:
        """What has come is kept, as an ESP32 plays on until `tts stop`."""

    def ends_at(self) -> None:
        """An ESP32's time counts."""

    def holes_s(self) -> None:
        """An ESP32's holes count."""


def is_speech(samples: Samples) -> bool:
    """Tell whether any sample is louder than SPEECH_DBFS."""
    return bool(np.any(np.abs(samples.astype(np.int32)) > _SPEECH_LEVEL))
