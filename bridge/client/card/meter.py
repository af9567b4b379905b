"""How loud a stream is. No I/O."""

from __future__ import annotations

import math

import numpy as np

from xiaozhi_persona.bridge.client.card.interface import SILENT_DBFS
from xiaozhi_persona.spine import Samples

_WINDOW_S = 0.1


class Meter:
    """The level of the last tenth of a second, and for how long there have been nothing but zeros."""

    def __init__(self) -> None:
        self.zeros_s = 0.0
        self.heard = False
        """Whether there was ever anything but zeros."""
        self._power = 0.0

    def feed(self, samples: Samples, rate_hz: float) -> None:
        """Take the next samples, written by one thread and read by any."""
        if not len(samples):
            return
        duration_s = len(samples) / rate_hz
        sound = samples.astype(np.float32)
        power = float(np.dot(sound, sound)) / len(samples)
        self._power += (power - self._power) * min(duration_s / _WINDOW_S, 1.0)
        self.heard = self.heard or power > 0
        self.zeros_s = 0.0 if power else self.zeros_s + duration_s

    @property
    def dbfs(self) -> float:
        """Root mean square in dB of full scale."""
        return max(10 * math.log10(self._power / 32768**2), SILENT_DBFS) if self._power else SILENT_DBFS
