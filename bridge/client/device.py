"""What the firmware does with what it gets: states, listen modes and the playback queue. No I/O and no clock.

Every call carries its time in seconds of any one clock, never earlier than the call before. Nothing ticks: when
a packet plays follows from when it came, and what falls due later is done by the next call.

Source: 78/xiaozhi-esp32 2.4.2, main/application.cc, main/device_state_machine.cc and main/audio/audio_service.cc.

================== ========== ============= =========== ===================
state              microphone audio         tts start   tts stop
================== ========== ============= =========== ===================
idle               closed     dropped       -> speaking ignored
connecting         closed     dropped       refused     ignored
listening          open       dropped       -> speaking ignored
speaking           closed     played        no change   -> listening / idle
speaking, realtime open       played        no change   -> listening
================== ========== ============= =========== ===================
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from xiaozhi_persona.audio.opus import MAX_PACKET_MS
from xiaozhi_persona.bridge.messages import Abort, Listen, ListenMode

DeviceState = Literal["idle", "connecting", "listening", "speaking"]

QUEUE_PACKETS = 40
"""How many packets the device holds, whatever their duration; the one that plays is counted here as well."""

WAKE_WORD = "wake_word_detected"
"""The reason of an abort by the wake word, after which the device does not wait for `tts stop`."""


@dataclass(frozen=True)
class PlayedPacket:
    """An Opus packet and when it plays."""

    packet: bytes
    at: float
    duration_s: float

    @property
    def ends_at(self) -> float:
        """When its sound ends."""
        return self.at + self.duration_s


@dataclass(frozen=True)
class Gap:
    """A time without sound between two packets of one reply."""

    at: float
    duration_s: float


@dataclass
class Playback:
    """What was played of one reply."""

    packets: list[PlayedPacket] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    dropped: int = 0
    """Packets for which the queue had no room."""
    sounds_until: float = -math.inf
    """When the loudspeaker falls silent, where that is later than the packets say."""

    @property
    def ends_at(self) -> float | None:
        """When the last sound so far ends; None without packets."""
        return max(self.packets[-1].ends_at, self.sounds_until) if self.packets else None


class DeviceModel:
    """One device and its connection."""

    def __init__(self, mode: ListenMode = "auto", queue_packets: int = QUEUE_PACKETS) -> None:
        self.mode: ListenMode = mode
        self.queue_packets = queue_packets
        self.state: DeviceState = "idle"
        self.mic_open = False
        self.playback = Playback()
        """The present reply, or the last one."""
        self.dropped_not_speaking = 0
        """Packets that came while the device did not speak."""
        self.drained_at: float | None = None
        """When the queue will have run dry after `tts stop` (auto); None when it is not draining.

        Till then `state` is speaking, but audio is dropped already and `tts start` begins a new reply, since the
        firmware counts this as listening with the start held back.
        """
        self._queued_until: deque[float] = deque()
        self._silent_from = -math.inf
        self._to_send: list[Listen | Abort] = []

    def take_messages(self) -> list[Listen | Abort]:
        """Return what the device sends because of the calls since the last time, in order."""
        messages, self._to_send = self._to_send, []
        return messages

    def advance(self, at: float) -> None:
        """Do what has fallen due: listening begins once the queue has run dry."""
        if self.drained_at is not None and at >= self.drained_at:
            drained_at, self.drained_at = self.drained_at, None
            self._listen(drained_at)

    # What its user and the network do.

    def connect(self, at: float) -> None:
        """idle -> connecting. Raises RuntimeError in any other state."""
        self.advance(at)
        if self.state != "idle":
            raise RuntimeError(f"cannot connect while {self.state}")
        self.state = "connecting"

    def disconnect(self, at: float) -> None:
        """The connection is gone or did not come about: any state -> idle. What is queued plays on."""
        self.advance(at)
        self.drained_at = None
        self.state, self.mic_open = "idle", False

    def start_listening(self, at: float) -> None:
        """idle or connecting -> listening, with `listen start`; nothing new in listening.

        Raises RuntimeError in speaking: a button then aborts, and the device waits for `tts stop`.
        """
        self.advance(at)
        if self.state == "speaking":
            raise RuntimeError("the device speaks: abort first, or wait for the end of the reply")
        self._listen(at)

    def stop_listening(self, at: float) -> None:
        """listening -> idle, with `listen stop` (push to talk released); nothing in any other state."""
        self.advance(at)
        if self.state == "listening":
            self._to_send.append(Listen("stop"))
            self.state, self.mic_open = "idle", False

    def press_to_talk(self, at: float, reason: str = "") -> None:
        """The button goes down, or with a `reason` the wake word is heard: any state -> listening, whatever is being said."""
        self.advance(at)
        if self.state == "speaking":
            self._to_send.append(Abort(reason))
            self.drained_at = None
            self.mic_open = False  # it is opened anew in realtime too, and `listen start` sent
        self._listen(at)

    def stand_by(self, at: float) -> None:
        """connecting -> idle: connected before anybody has pressed the button."""
        self.advance(at)
        if self.state == "connecting":
            self.state = "idle"

    def silence(self, at: float) -> None:
        """What is being played stops."""
        self._empty_queue(at)
        self.playback.sounds_until = self._silent_from = min(self._silent_from, at)

    def sounds_until(self, at: float) -> None:
        """The loudspeaker will have sound until then, later than the packets say: buffers and the device take time."""
        self._silent_from = max(self._silent_from, at)
        self.playback.sounds_until = at
        if self.drained_at is not None:
            self.drained_at = max(self.drained_at, at)

    def abort(self, at: float, reason: str = "") -> None:
        """Ask the server to stop speaking. Raises RuntimeError when the device does not speak.

        By a button (no reason) the device goes on speaking until `tts stop`. By the wake word it goes to listening
        by itself, in auto mode when its queue has run dry, and drops what still comes.
        """
        self.advance(at)
        if self.state != "speaking" or self.drained_at is not None:
            raise RuntimeError("the device does not speak")
        self._to_send.append(Abort(reason))
        if reason == WAKE_WORD:
            self.mic_open = False  # it is opened anew in realtime too, and `listen start` sent
            self._drain(at)

    # What the server sends.

    def tts_start(self, at: float) -> bool:
        """`tts start`: idle or listening -> speaking, with an empty queue. Return whether it had that effect."""
        self.advance(at)
        draining, self.drained_at = self.drained_at is not None, None
        if self.state == "connecting" or (self.state == "speaking" and not draining):
            return False
        self.state = "speaking"
        if self.mode != "realtime":
            self.mic_open = False
        self._empty_queue(at)
        self.playback = Playback()
        return True

    def audio(self, at: float, packet: bytes, duration_s: float) -> PlayedPacket | None:
        """A packet: return when it plays, or None when it is dropped."""
        self.advance(at)
        if self.state != "speaking" or self.drained_at is not None:
            self.dropped_not_speaking += 1
            return None
        while self._queued_until and self._queued_until[0] <= at:
            self._queued_until.popleft()
        if len(self._queued_until) >= self.queue_packets:
            self.playback.dropped += 1
            return None
        if self.playback.packets and at > self._silent_from:
            self.playback.gaps.append(Gap(self._silent_from, at - self._silent_from))
        played = PlayedPacket(packet, max(at, self._silent_from), duration_s)
        self.playback.packets.append(played)
        self._silent_from = played.ends_at
        self._queued_until.append(played.ends_at)
        return played

    def tts_stop(self, at: float) -> bool:
        """`tts stop`: speaking -> idle (manual) or listening, in auto mode after draining.

        Return whether it had an effect.
        """
        self.advance(at)
        if self.state != "speaking" or self.drained_at is not None:
            return False
        if self.mode == "manual":
            self.state = "idle"
        else:
            self._drain(at)
        return True

    def _drain(self, at: float) -> None:
        if self.mode == "auto" and self._silent_from > at:
            self.drained_at = self._silent_from
        else:
            self._listen(at)

    def _listen(self, at: float) -> None:
        self.state = "listening"
        if not self.mic_open:
            self.mic_open = True
            self._empty_queue(at)  # opening the microphone resets the decoder
            self._to_send.append(Listen("start", self.mode))

    def _empty_queue(self, at: float) -> None:
        """Take back what has not begun to play."""
        packets = self.playback.packets
        while packets and packets[-1].at >= at:
            packets.pop()
        self._queued_until.clear()
        if self._silent_from > at:
            self._silent_from = max(at, self.playback.ends_at or at)


def packet_duration_s(packet: bytes) -> float:
    """Return how long the sound of an Opus packet lasts, 0.0 for what is none (RFC 6716, section 3.1)."""
    if not packet:
        return 0.0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # SILK
        frame_ms = (10.0, 20.0, 40.0, 60.0)[config % 4]
    elif config < 16:  # hybrid
        frame_ms = (10.0, 20.0)[config % 2]
    else:  # CELT
        frame_ms = (2.5, 5.0, 10.0, 20.0)[config % 4]
    if code == 3:
        frames = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        frames = (1, 2, 2)[code]
    duration_ms = frame_ms * frames
    return duration_ms / 1000 if duration_ms <= MAX_PACKET_MS else 0.0
