"""What is heard of one device: its listening mode, and its sound on the way to utterances."""

from __future__ import annotations

import math
import time

import numpy as np

from xiaozhi_persona.audio.opus import OpusDecoder
from xiaozhi_persona.bridge.messages import ListenMode
from xiaozhi_persona.providers.vad.detector import SAMPLE_RATE_HZ, VadStream, VoiceActivityDetector
from xiaozhi_persona.providers.vad.endpointing import Endpointer
from xiaozhi_persona.settings import VadSettings
from xiaozhi_persona.spine import Samples


class Hearing:
    """Takes the packets of one microphone. Sound is 16 kHz; times are time.monotonic."""

    def __init__(self, vad: VoiceActivityDetector, settings: VadSettings) -> None:
        self.mode: ListenMode | None = None
        """None: the microphone is closed."""
        self.active_at_s = -math.inf
        """When somebody was last heard, or the button held."""
        self.unasked_at_s = -math.inf
        """When sound last came while the microphone was closed, as that of a wake word does."""
        self._vad = vad
        self._longest = int(settings.max_utterance_s * SAMPLE_RATE_HZ)
        self._opened_at_s = -math.inf
        self._endpointer = Endpointer(settings)
        self._vad_stream = VadStream()
        self._decoder = OpusDecoder(SAMPLE_RATE_HZ)
        self._held: list[Samples] = []  # what was said while the button is held

    @property
    def speaking(self) -> bool:
        """Whether something is being said."""
        return self._endpointer.speaking

    @property
    def interrupts(self) -> bool:
        """Whether something is being said that ends an answer: the microphone is open all the time."""
        return self.mode == "realtime" and self._endpointer.confirmed

    def open(self, mode: ListenMode) -> None:
        """Listen in this mode, and begin anew."""
        self.mode, self._opened_at_s = mode, time.monotonic()
        self.begin_anew()

    def close(self) -> tuple[Samples, float] | None:
        """Listen no more. Returns what was said while the button was held and for how many seconds it was."""
        held, is_button = self._held, self.mode == "manual"
        self.mode = None
        self.begin_anew()
        if not is_button:
            return None
        sound = np.concatenate((np.zeros(0, np.int16), *held))
        return sound, max(time.monotonic() - self._opened_at_s, len(sound) / SAMPLE_RATE_HZ)

    def begin_anew(self) -> None:
        """Forget what was heard so far."""
        self._held = []
        self._endpointer.reset()
        self._vad_stream = VadStream()

    def joined(self, before: Samples, after: Samples) -> Samples:
        """Return two parts as one utterance, of which the end is kept when it is too long."""
        return np.concatenate((before, after))[-self._longest :]

    async def hear(self, packet: bytes, *, is_answering: bool) -> Samples | None:
        """Take an Opus packet; return an utterance that ended. Raises OpusError.

        `is_answering`: the device plays the answer. In auto mode its microphone is closed then; a web page may still
        send its echo.
        """
        if self.mode is None:
            self.unasked_at_s = time.monotonic()
            return None
        if self.mode == "auto" and is_answering:
            return None
        samples = self._decoder.decode(packet)
        if self.mode == "manual":
            if sum(map(len, self._held)) < self._longest:
                self._held.append(samples)
                self.active_at_s = time.monotonic()
            return None
        probabilities = await self._vad.probabilities(self._vad_stream, samples)
        utterance = self._endpointer.feed(samples, probabilities)
        if self._endpointer.speaking:
            self.active_at_s = time.monotonic()
        return utterance
