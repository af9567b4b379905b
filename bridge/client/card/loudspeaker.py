"""From a reply's packets, and sounds of the client's own, to the blocks of an output stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.audio.resample import resample
from xiaozhi_persona.bridge.client.card.clock import FollowingResampler, StreamClock
from xiaozhi_persona.bridge.client.card.devices import Block
from xiaozhi_persona.bridge.client.card.jitter import QUEUE_PACKETS, JitterBuffer, PlayoutDelay
from xiaozhi_persona.bridge.client.card.meter import Meter
from xiaozhi_persona.bridge.client.sound import DEFAULT_RATE_HZ, OPUS_RATES_HZ
from xiaozhi_persona.spine import Samples

_PIECE_MS = 10
_SOUNDS = 8
_RESAMPLER_S = 0.012
"""What FollowingResampler holds back."""

Played = Callable[[Samples, float, float], None]
"""Gets what is played, mono at the device's rate, when it was handed to the device, and the rate as measured."""


class OutputPath:
    """What happens in the callback of the loudspeaker's stream. It is a ReplyPlayer too."""

    queue_packets = QUEUE_PACKETS

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float], buffer_ms: float) -> None:
        self.gain = 1.0
        self.meter = Meter()
        self.filled_at = now()
        """When the last block was asked for."""
        self.played: Played | None = None
        self.on_begin: Callable[[float], None] = lambda at: None
        self.delay = PlayoutDelay(buffer_ms)
        self._loop = loop
        self._now = now
        self._rate_hz = 0.0
        self._latency_s = 0.0
        self._voice: _Voice | None = None
        self._sounds: deque[_Sound] = deque(maxlen=_SOUNDS)
        self._silent_from = 0.0

    def open(self, rate_hz: float, latency_s: float) -> None:
        """A stream of this rate begins; what was to play goes on there."""
        self.clock = StreamClock(rate_hz)
        self._latency_s = latency_s
        self._rate_hz = rate_hz
        if self._voice is not None:
            self._voice = _Voice(self._voice.buffer, rate_hz)
        self._sounds.clear()
        self.filled_at = self._now()

    def fill(self, block: Block) -> None:
        """Write a block, in the driver's thread."""
        now = self.filled_at = self._now()
        frames, first = len(block), self.clock.frames
        self.clock.tick(frames, now)
        at = self.clock.time_of(first)
        samples = self._mix(frames, at)
        if samples is None:
            samples = np.zeros(frames, np.int16)
        else:
            self._silent_from = at + frames / self._rate_hz
        self.meter.feed(samples, self._rate_hz)
        block[:] = samples[:, None]
        if self.played is not None:
            self.played(samples, at, self.clock.rate_hz)

    def _mix(self, frames: int, at: float) -> Samples | None:
        """Return what is to be heard, None for nothing."""
        voice = self._voice
        mixed: NDArray[np.float32] | None = None
        if voice is not None and not voice.done:
            begun = voice.buffer.begun
            taken = voice.take(frames, self.clock.rate_hz)
            if voice.buffer.begun:
                mixed = taken.astype(np.float32)
                if not begun:
                    self._loop.call_soon_threadsafe(self.on_begin, at + self._latency_s)
        if self._sounds:
            mixed = np.zeros(frames, np.float32) if mixed is None else mixed
            for sound in list(self._sounds):
                sound.add_to(mixed)
            while self._sounds and self._sounds[0].done:
                self._sounds.popleft()
        if mixed is None:
            return None
        played: Samples = np.clip(mixed * self.gain, -32768, 32767).astype(np.int16)
        return played

    def sound(self, samples: Samples, sample_rate_hz: int) -> None:
        """As Card.sound()."""
        self._sounds.append(_Sound(resample(samples, sample_rate_hz, round(self._rate_hz))))

    def sounds_until(self) -> float:
        """As Card.sounds_until()."""
        until = self._silent_from
        next_at = self.clock.time_of(self.clock.frames)
        voice = self._voice
        if voice is not None and not voice.done:
            until = max(until, next_at + voice.buffer.kept_s + len(voice.rest) / self._rate_hz + _RESAMPLER_S)
        left = max((sound.left for sound in list(self._sounds)), default=0)
        if left:
            until = max(until, next_at + left / self._rate_hz)
        return until + self._latency_s

    # A ReplyPlayer.

    def begin(self, sample_rate_hz: int, at: float) -> None:
        """A reply of this rate begins."""
        rate_hz = sample_rate_hz if sample_rate_hz in OPUS_RATES_HZ else DEFAULT_RATE_HZ
        if (
            self._rate_hz in OPUS_RATES_HZ
        ):  # the decoder can do without a resampler behind it, which takes 10 ms
            rate_hz = round(self._rate_hz)
        self._voice = _Voice(JitterBuffer(rate_hz, self.delay), self._rate_hz)

    def play(self, packet: bytes, at: float) -> None:
        """Take a packet into the jitter buffer."""
        if self._voice is not None:
            self._voice.buffer.put(packet)

    def end(self) -> None:
        """What has come plays out."""
        if self._voice is not None:
            self._voice.buffer.end()

    def stop(self) -> None:
        """Silence, at the next block."""
        self._voice = None

    def ends_at(self) -> float:
        """When the reply will have left the loudspeaker."""
        return self.sounds_until()

    def holes_s(self) -> list[float]:
        """The holes of this reply, concealed or silent."""
        return [] if self._voice is None else list(self._voice.buffer.holes_s)


class _Voice:
    """A reply on its way to the device's rate."""

    def __init__(self, buffer: JitterBuffer, rate_hz: float) -> None:
        self.buffer = buffer
        self.rest: Samples = np.zeros(0, np.int16)
        self.done = False
        self._resampler = (
            None if buffer.sample_rate_hz == rate_hz else FollowingResampler(buffer.sample_rate_hz, rate_hz)
        )
        self._piece = buffer.sample_rate_hz * _PIECE_MS // 1000

    def take(self, frames: int, rate_hz: float) -> Samples:
        if self._resampler is not None:
            self._resampler.follow(self.buffer.sample_rate_hz, rate_hz)
        while len(self.rest) < frames:
            was_done = self.buffer.done
            piece = self.buffer.pull(self._piece)
            if self._resampler is not None:
                piece = self._resampler.feed(piece)
            self.rest = np.concatenate((self.rest, piece))
            self.done = was_done  # one more piece of silence pushes the rest out of the resampler
        taken, self.rest = self.rest[:frames], self.rest[frames:]
        return taken


class _Sound:
    """A short sound at the device's rate."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._samples) - self._at

    @property
    def done(self) -> bool:
        return self.left <= 0

    def add_to(self, mixed: NDArray[np.float32]) -> None:
        piece = self._samples[self._at : self._at + len(mixed)]
        mixed[: len(piece)] += piece
        self._at += len(mixed)
