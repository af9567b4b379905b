"""What a sound card's clock says against the machine's, and resampling that follows it. No I/O."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import soxr

from xiaozhi_persona.spine import Samples

MOST_DRIFT = 0.002
"""Cards are within 200 ppm of what they claim; ten times that is taken for a broken measurement."""

_POINT_S = 1.0
_POINTS = 60
_ENOUGH_POINTS = 10
_JUMP_S = 0.1
_SLEW_SAMPLES = 1000
_STEER_S = 20.0
_STEERED_S = 0.02
"""What is more than this off is set right at once, as in the first second: sound was lost."""


class StreamClock:
    """When which frame of a stream passed, by the machine's clock.

    A callback may come late and never early, so of each second the earliest counts; a line through those of the last
    minute is the stream's clock: at 200 ppm and callbacks that are up to 20 ms late it is right to some ppm.
    """

    def __init__(self, rate_hz: float) -> None:
        self.nominal_hz = rate_hz
        self.frames = 0
        self._restart()

    def _restart(self) -> None:
        self._points: deque[tuple[float, int]] = deque(maxlen=_POINTS)
        self._best: tuple[float, int, float] | None = None  # lateness, frame, time
        self._second_ends_at = 0.0
        self._rate_hz = self.nominal_hz
        self._offset_s: float | None = None  # time of frame 0, by the line

    @property
    def rate_hz(self) -> float:
        """Frames per second of the machine's clock: measured after ten seconds, till then what the card claims."""
        return self._rate_hz

    def tick(self, frames: int, at: float) -> bool:
        """`frames` passed, the callback came at `at`. Return False where the stream has been interrupted.

        After an interruption (frames lost, the machine slept) the line begins anew.
        """
        whole = (
            self._offset_s is None or abs(at - self.time_of(self.frames)) < _JUMP_S + frames / self.nominal_hz
        )
        if not whole:
            self._restart()
        lateness = at - self.frames / self._rate_hz
        if self._offset_s is None:
            self._offset_s = lateness
            self._second_ends_at = at + _POINT_S
        self._offset_s = min(self._offset_s, lateness)  # a stream begins with a burst: buffers are filled
        if self._best is None or lateness < self._best[0]:
            self._best = lateness, self.frames, at
        if at >= self._second_ends_at:
            self._points.append((self._best[2], self._best[1]))
            self._best, self._second_ends_at = None, at + _POINT_S
            self._fit()
        self.frames += frames
        return whole

    def time_of(self, frame: int) -> float:
        """Return when a frame passed or will pass."""
        return (self._offset_s or 0.0) + frame / self._rate_hz

    def _fit(self) -> None:
        times, frames = np.array(self._points, dtype=float).T
        if len(times) >= _ENOUGH_POINTS:
            slope = float(np.polyfit(times - times[0], frames - frames[0], 1)[0])
            if abs(slope / self.nominal_hz - 1) < MOST_DRIFT:
                self._rate_hz = slope
        self._offset_s = float(np.min(times - frames / self._rate_hz))


class FollowingResampler:
    """Brings one stream to another's rate, and follows when their ratio turns out to be a little different.

    soxr's variable rate holds back about 12 ms, its fixed rate in the same quality 33 ms (measured, 48 to 16 kHz).
    """

    def __init__(self, in_rate_hz: float, out_rate_hz: float) -> None:
        self._ratio = in_rate_hz / out_rate_hz
        self._out_rate_hz = out_rate_hz
        self._stream = soxr.ResampleStream(
            in_rate_hz * (1 + MOST_DRIFT), out_rate_hz, 1, dtype="int16", vr=True
        )
        self._stream.set_io_ratio(in_rate_hz, out_rate_hz, 0)

    def feed(self, samples: Samples) -> Samples:
        """Return what can be given out so far."""
        converted: Samples = self._stream.resample_chunk(samples)
        return converted

    def follow(self, in_rate_hz: float, out_rate_hz: float) -> None:
        """From here on the rates are these; the pitch slides there unheard."""
        ratio = in_rate_hz / out_rate_hz
        if ratio != self._ratio:
            self._ratio = ratio
            self._stream.set_io_ratio(in_rate_hz, out_rate_hz, _SLEW_SAMPLES)


class TimedSamples:
    """Brings a stream to a rate of the machine's clock, so that the number of a sample tells its time.

    Sample n belongs to the time n / rate; what the measured rate leaves over is steered away, and a jump is told.
    """

    def __init__(self, in_rate_hz: float, out_rate_hz: int) -> None:
        self.next = 0
        """The number of the sample that comes next."""
        self._out_rate_hz = out_rate_hz
        self._resampler = FollowingResampler(in_rate_hz, out_rate_hz)
        self._began_at: float | None = None
        self._steered_at = -math.inf

    def feed(self, samples: Samples, at: float, in_rate_hz: float) -> Samples:
        """Take what passed at `at` from a stream of that measured rate; `next` moves by what is returned."""
        due = round(at * self._out_rate_hz)
        if self._began_at is None:
            self._began_at = at
        steered = at - self._began_at > _POINT_S
        if not steered or abs(due - self.next) > _STEERED_S * self._out_rate_hz:
            self.next = due
        if at - self._steered_at > _POINT_S:
            self._steered_at = at
            error_s = (due - self.next) / self._out_rate_hz
            self._resampler.follow(in_rate_hz * (1 - error_s / _STEER_S), self._out_rate_hz)
        converted = self._resampler.feed(samples)
        self.next += len(converted)
        return converted
