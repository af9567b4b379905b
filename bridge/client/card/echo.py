"""Takes the loudspeaker's sound out of what the microphone hears: WebRTC's audio processing, from pywebrtc-audio.

Of the wheels that carry it, this one is 0.4 MB and needs nothing but numpy; livekit's does as well and is a hundred times
as big, pyaec names no licence.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from xiaozhi_persona.bridge.client.card.clock import TimedSamples
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.errors import PackageMissing, pip_install
from xiaozhi_persona.language import tr
from xiaozhi_persona.spine import Samples

BLOCK_SAMPLES = MIC_RATE_HZ // 100
"""WebRTC works on 10 ms."""
_KEPT_SAMPLES = 4 * MIC_RATE_HZ
MOST_DELAY_S = 1.0
_LEAD_SAMPLES = MIC_RATE_HZ // 100
"""The echo is shown to WebRTC so much later than its cause, as it would be with a loudspeaker three metres away."""
_COMPARED_S = 0.4
_AROUND_S = 0.15
_ALIKE = 0.65
"""Correlation of echo and cause from which on nobody else speaks. Somebody as loud as the reply, over an echo at -6 dB,
brings it down to 0.45."""
_MOVED_S = 0.003
USUAL_DELAY_S = 0.15
"""Until it has been measured: two buffers of a driver."""


def webrtc() -> Any:
    """Return the module pywebrtc_audio. Raises PackageMissing."""
    try:
        return importlib.import_module("pywebrtc_audio")
    except ImportError as exc:
        command = pip_install("pywebrtc-audio")
        raise PackageMissing(
            tr("实时聆听要先装回声消除：运行 {command}。或者用 --mode auto", command=command)
        ) from exc


class EchoCanceller:
    """Echo cancelling and noise suppression. `play` is called by one thread and `clean` by another."""

    def __init__(self) -> None:
        self._webrtc = webrtc()
        self._delay_s = USUAL_DELAY_S
        self._played = _Track()
        self._heard = _Track()
        self._rest: Samples = np.zeros(0, np.int16)
        self._timed: TimedSamples | None = None
        self._new_processor()

    def _new_processor(self) -> None:
        self._processor = self._webrtc.AudioProcessor(
            MIC_RATE_HZ,
            1,
            echo_cancellation=True,
            noise_suppression=True,
            high_pass_filter=True,
            stream_delay_ms=_LEAD_SAMPLES * 1000 // MIC_RATE_HZ,
        )

    @property
    def delay_s(self) -> float:
        """From the loudspeaker's callback to the microphone's."""
        return self._delay_s

    @delay_s.setter
    def delay_s(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._new_processor()  # what it has learned is of another delay, and it would take seconds to unlearn it

    def open(self, output_rate_hz: float) -> None:
        """The loudspeaker's stream begins."""
        self._timed = TimedSamples(output_rate_hz, MIC_RATE_HZ)

    def play(self, samples: Samples, at: float, rate_hz: float) -> None:
        """This is handed to the loudspeaker at `at`; `rate_hz` is its measured rate."""
        if self._timed is not None:
            converted = self._timed.feed(samples, at, rate_hz)
            self._played.put(self._timed.next - len(converted), converted)

    def clean(self, samples: Samples, first: int) -> Samples:
        """Return what was heard, without echo, in whole blocks of 10 ms; `first` is the number of its first sample."""
        self._heard.put(first, samples)
        at = first - len(self._rest)
        sound = np.concatenate((self._rest, samples))
        whole = len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES
        self._rest = sound[whole:]
        shift = _LEAD_SAMPLES - round(self._delay_s * MIC_RATE_HZ)
        far = self._played.get(at + shift, whole)
        cleaned = [
            self._processor.process(sound[i : i + BLOCK_SAMPLES], far[i : i + BLOCK_SAMPLES])
            for i in range(0, whole, BLOCK_SAMPLES)
        ]
        return np.concatenate(cleaned) if cleaned else np.zeros(0, np.int16)

    def measure(self, seconds: float) -> float | None:
        """Return the delay by the last `seconds` of sound, None where no echo stands out. Takes some milliseconds."""
        end = self._heard.end
        count = round(seconds * MIC_RATE_HZ)
        most = round(MOST_DELAY_S * MIC_RATE_HZ)
        heard = self._heard.get(end - count, count)
        played = self._played.get(end - count - most, count + most)
        delay = delay_samples(played, heard)
        return None if delay is None else (most - delay) / MIC_RATE_HZ

    def is_own_voice(self) -> bool:
        """Tell whether what was heard last is what was played, and set the delay right where that has moved.

        Where a driver has lost sound the canceller fails for a while, and then what is left of the echo is speech indeed.
        """
        count, around = round(_COMPARED_S * MIC_RATE_HZ), round(_AROUND_S * MIC_RATE_HZ)
        end = self._heard.end
        heard = self._heard.get(end - count, count).astype(np.float64)
        first = end - count - round(self._delay_s * MIC_RATE_HZ) - around
        played = self._played.get(first, count + 2 * around).astype(np.float64)
        size = 1 << (len(played) + count - 1).bit_length()
        cross = np.fft.irfft(np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size)), size)[
            : 2 * around + 1
        ]
        sums = np.concatenate(([0.0], np.cumsum(played**2)))
        powers = sums[count:] - sums[:-count]
        alike = np.abs(cross) / np.sqrt(np.maximum(powers, 1.0) * max(float(np.dot(heard, heard)), 1.0))
        best = int(np.argmax(alike))
        if alike[best] < _ALIKE:
            return False
        moved_s = (around - best) / MIC_RATE_HZ
        if abs(moved_s) > _MOVED_S:
            self.delay_s = self._delay_s + moved_s
        return True


def delay_samples(played: Samples, heard: Samples) -> int | None:
    """Return where in `played` what was heard begins, None where nothing stands out (GCC-PHAT: Knapp, Carter 1976)."""
    if np.abs(played).max(initial=0) < 300 or np.abs(heard).max(initial=0) < 30:
        return None
    size = 1 << (len(played) + len(heard) - 1).bit_length()
    cross = np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size))
    strength = np.abs(cross)
    correlation = np.fft.irfft(cross / np.maximum(strength, strength.max() * 1e-4), size)
    lags = np.abs(correlation[: len(played) - len(heard) + 1])
    best = int(np.argmax(lags))
    others = np.delete(lags, np.arange(max(best - 80, 0), min(best + 80, len(lags))))
    if lags[best] < 4 * others.max(initial=0.0):
        return None
    return best


def chirp() -> Samples:
    """Return a third of a second that rises from 300 to 5,000 Hz, at 16 kHz: what the delay is measured by at first."""
    at = np.arange(MIC_RATE_HZ // 3) / MIC_RATE_HZ
    phase = 2 * np.pi * (300 * at + (5000 - 300) / 2 * at**2 * 3)
    fade = np.minimum(1, np.minimum(at, at[-1] - at) * 50)
    sound: Samples = (6000 * fade * np.sin(phase)).astype(np.int16)
    return sound


class _Track:
    """The last seconds of a stream, by the numbers of its samples; silence where there were none."""

    def __init__(self) -> None:
        self.end = 0
        self._kept = np.zeros(_KEPT_SAMPLES, np.int16)

    def put(self, first: int, samples: Samples) -> None:
        if first != self.end:  # a jump: what was is not next to what comes
            self._kept[:] = 0
        samples = samples[-_KEPT_SAMPLES:]
        self._kept[np.arange(first, first + len(samples)) % _KEPT_SAMPLES] = samples
        self.end = first + len(samples)

    def get(self, first: int, count: int) -> Samples:
        end = self.end
        numbers = np.arange(first, first + count)
        sound = self._kept[numbers % _KEPT_SAMPLES]
        return np.where((numbers < end) & (numbers >= end - _KEPT_SAMPLES), sound, 0).astype(np.int16)
