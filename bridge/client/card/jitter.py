"""The jitter buffer: packets come as the network pleases, sound goes out without holes. No I/O and no clock.

What a server sends late is not lost, since it comes over TCP: a hole is bridged by the Opus decoder's own
concealment, and then the packet itself plays. So the sound of a reply is whole, whatever the network did.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from xiaozhi_persona.audio.opus import OpusDecoder, OpusError
from xiaozhi_persona.bridge.client.device import packet_duration_s
from xiaozhi_persona.spine import Samples

QUEUE_PACKETS = 10_000
"""Ten minutes of 60 ms packets: a server may send a whole reply at once."""

MOST_DELAY_MS = 1000.0
LEAST_DELAY_MS = 120.0
"""Between these the delay follows what the network needs."""
_RISE, _FALL = 1.5, 0.9  # per hole, per reply with sound to spare

CONCEALED_MS = 100
"""So much of a hole is concealed, fading; the rest of it is silence. Opus fades to nothing in about as long."""
_STEP_MS = 20


class PlayoutDelay:
    """How much sound is kept before a reply starts, from one reply to the next."""

    def __init__(self, start_ms: float) -> None:
        self.ms = start_ms

    def ran_dry(self) -> None:
        """There was a hole."""
        self.ms = min(self.ms * _RISE, MOST_DELAY_MS)

    def had_to_spare(self, least_ms: float) -> None:
        """A reply had no hole; `least_ms` is the least that was kept when a packet came."""
        if least_ms > self.ms / 2:
            self.ms = max(self.ms * _FALL, min(LEAST_DELAY_MS, self.ms))


class JitterBuffer:
    """One reply. `put` and `end` are called by one thread, `pull` by another."""

    def __init__(self, sample_rate_hz: int, delay: PlayoutDelay) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.holes_s: list[float] = []
        """How long the sound was out in mid-reply, concealed or silent, each time."""
        self.lost = 0
        """Packets for which there was no room, or that are no Opus."""
        self.done = False
        """Everything has been given out."""
        self.begun = False
        """The first sound has been given out."""
        self._delay = delay
        self._decoder = OpusDecoder(sample_rate_hz)
        self._packets: deque[tuple[bytes, float]] = deque()
        self._packets_s = 0.0  # written by both threads, and so only nearly right: see kept_s
        self._taken_s = 0.0
        self._ended = False
        self._filling = True
        self._filled_samples = 0
        self._concealed_samples = 0
        self._hole_s = 0.0
        self._ready: Samples = np.zeros(0, np.int16)
        self._least_ms = MOST_DELAY_MS

    @property
    def kept_s(self) -> float:
        """How much sound is still to be given out."""
        return max(self._packets_s - self._taken_s, 0.0) + len(self._ready) / self.sample_rate_hz

    def put(self, packet: bytes) -> None:
        """Take a packet of any duration; what is no Opus packet is left out."""
        duration_s = packet_duration_s(packet)
        if not duration_s or len(self._packets) >= QUEUE_PACKETS:
            self.lost += 1
            return
        if self.begun and not self._filling:
            self._least_ms = min(self._least_ms, self.kept_s * 1000)
        self._packets_s += duration_s
        self._packets.append((packet, duration_s))

    def end(self) -> None:
        """Nothing follows."""
        if not self._ended:
            self._ended = True
            if self.begun and not self.holes_s and not self._hole_s:
                self._delay.had_to_spare(self._least_ms)

    def pull(self, count: int) -> Samples:
        """Return the next `count` samples; silence where there is nothing to play."""
        pieces: list[Samples] = []
        missing = count
        while missing > 0:
            if not len(self._ready) and not self._next(missing):
                pieces.append(np.zeros(missing, np.int16))
                break
            piece, self._ready = self._ready[:missing], self._ready[missing:]
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _next(self, missing: int) -> bool:
        """Make the next sound ready; return False when there is none for `missing` samples."""
        if self._filling and not self._is_full(missing):
            if self.begun and not self._ended:
                self._hole_s += missing / self.sample_rate_hz
            self.done = self._ended and not self._packets
            return False
        if self._packets:
            packet, duration_s = self._packets.popleft()
            self._taken_s += duration_s
            if self._hole_s:  # with nothing behind it, it would have been the end
                self.holes_s.append(self._hole_s)
                self._delay.ran_dry()
            self._filling, self.begun, self._concealed_samples, self._hole_s = False, True, 0, 0.0
            try:
                self._ready = self._decoder.decode(packet)
            except OpusError:
                self.lost += 1
                self._ready = self._decoder.conceal(round(duration_s * self.sample_rate_hz))
            return True
        if self._ended:
            self._filling = self.done = True
            return False
        return self._conceal()

    def _is_full(self, missing: int) -> bool:
        if not self._packets:
            self._filled_samples = 0
            return False
        # The time counts too: a server that sends no faster than it speaks would never fill the buffer.
        waited_ms = self._filled_samples * 1000 / self.sample_rate_hz
        self._filled_samples += missing
        needed_ms = self._delay.ms / 2 if self.begun else self._delay.ms  # in mid-reply silence is what hurts
        return self._ended or max(self.kept_s * 1000, waited_ms) >= needed_ms

    def _conceal(self) -> bool:
        most = CONCEALED_MS * self.sample_rate_hz // 1000
        if self._concealed_samples >= most:
            self._filling, self._filled_samples = True, 0
            return False
        step = _STEP_MS * self.sample_rate_hz // 1000
        self._ready = self._decoder.conceal(step)
        self._concealed_samples += step
        if self._concealed_samples >= most:
            self._ready = (self._ready * np.linspace(1, 0, step)).astype(np.int16)
        self._hole_s += _STEP_MS / 1000
        return True
