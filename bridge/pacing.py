"""When may the next packet be sent? Kept by a model of the device's playback, with times passed in. No I/O.

The device has no jitter buffer and a queue of 40 packets (78/xiaozhi-esp32, main/audio/audio_service.h), so packets
are sent a few ahead of playback and never many.
"""

from __future__ import annotations

_RESTORE = 1.1
"""After a delay of ours the lead is won back at this multiple of real time: a burst would fill a slow network."""


class Pacer:
    """Paces the packets of one reply."""

    def __init__(self, frame_ms: int, lead_packets: int) -> None:
        self._frame_s = frame_ms / 1000
        self._lead = lead_packets
        self._burst = 0
        self._last_s = 0.0
        self.playback_end_s = 0.0
        """When the device will have played all that was sent."""

    def due_s(self, now_s: float) -> float:
        """Return when the next packet may be sent: now or later."""
        if now_s >= self.playback_end_s:
            self._burst = self._lead  # nothing left to play: the reply begins, or begins again after a gap
        if self._burst > 0:
            return now_s
        on_schedule = self.playback_end_s - (self._lead - 1) * self._frame_s
        return max(now_s, on_schedule, self._last_s + self._frame_s / _RESTORE)

    def sent(self, now_s: float) -> None:
        """A packet was sent."""
        self._burst = max(0, self._burst - 1)
        self._last_s = now_s
        self.playback_end_s = max(self.playback_end_s, now_s) + self._frame_s
