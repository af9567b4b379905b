"""Streaming sample rate conversion with soxr, and cutting into frames."""

from __future__ import annotations

import numpy as np
import soxr

from xiaozhi_persona.spine import PcmChunk, Samples


class Resampler:
    """Brings the chunks of one stream to `out_rate_hz`; the rate of the first chunk holds for all."""

    def __init__(self, out_rate_hz: int) -> None:
        self.out_rate_hz = out_rate_hz
        self._stream: soxr.ResampleStream | None = None

    def feed(self, chunk: PcmChunk) -> Samples:
        """Return what can be given out so far; the filter holds back a few milliseconds."""
        if chunk.sample_rate_hz == self.out_rate_hz:
            return chunk.samples
        if self._stream is None:
            self._stream = soxr.ResampleStream(chunk.sample_rate_hz, self.out_rate_hz, 1, dtype="int16")
        return self._convert(chunk.samples, last=False)

    def finish(self) -> Samples:
        """Return the rest."""
        return (
            np.zeros(0, np.int16) if self._stream is None else self._convert(np.zeros(0, np.int16), last=True)
        )

    def _convert(self, samples: Samples, last: bool) -> Samples:
        assert self._stream is not None
        converted: Samples = self._stream.resample_chunk(samples, last=last)
        return converted


def resample(samples: Samples, in_rate_hz: int, out_rate_hz: int) -> Samples:
    """Convert a whole recording."""
    if in_rate_hz == out_rate_hz:
        return samples
    converted: Samples = soxr.resample(samples, in_rate_hz, out_rate_hz)
    return converted


class Framer:
    """Cuts a stream of samples into frames of equal length."""

    def __init__(self, frame_samples: int) -> None:
        self.frame_samples = frame_samples
        self._rest = np.zeros(0, np.int16)

    def feed(self, samples: Samples) -> list[Samples]:
        """Return the frames that are whole now; the rest waits for more."""
        joined = np.concatenate((self._rest, samples))
        whole = len(joined) // self.frame_samples * self.frame_samples
        self._rest = joined[whole:]
        return [joined[i : i + self.frame_samples] for i in range(0, whole, self.frame_samples)]

    def finish(self) -> list[Samples]:
        """Return the last frame, filled up with silence, or nothing."""
        rest, self._rest = self._rest, np.zeros(0, np.int16)
        return [np.pad(rest, (0, self.frame_samples - len(rest)))] if len(rest) else []
