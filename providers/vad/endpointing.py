"""When does an utterance begin and end? Decided from the probabilities of speech, without I/O and without a clock."""

from __future__ import annotations

from collections import deque

import numpy as np

from xiaozhi_persona.providers.vad.detector import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from xiaozhi_persona.settings import VadSettings
from xiaozhi_persona.spine import Samples

_WINDOW_MS = WINDOW_SAMPLES * 1000 / SAMPLE_RATE_HZ
_HYSTERESIS = 0.15
"""Once in speech a window counts as speech down to this much below the threshold (as Silero's own iterator)."""


class Endpointer:
    """Collects the sound of one microphone into utterances."""

    def __init__(self, settings: VadSettings) -> None:
        self._settings = settings
        self._pre_roll: deque[Samples] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard so far."""
        self._pre_roll.clear()
        self._sound: list[Samples] = []
        self._speech_windows = 0
        self._silent_windows = 0
        self.speaking = False

    @property
    def confirmed(self) -> bool:
        """Whether enough speech was heard to be an utterance, not a click."""
        return self.speaking and self._speech_windows * _WINDOW_MS >= self._settings.min_speech_ms

    def feed(self, samples: Samples, probabilities: list[float]) -> Samples | None:
        """Take sound and the probabilities of the windows that it completed; return an utterance that ended.

        The utterance carries the pre-roll and the silence up to its end; what is too short is dropped.
        """
        started = self.speaking
        ended = False
        for probability in probabilities:
            ended = self._judge(probability) or ended
        if self.speaking or started:
            self._sound.append(samples)
        else:
            self._keep_pre_roll(samples)
        if self.speaking and not started:
            self._sound[:0] = self._pre_roll
            self._pre_roll.clear()
        length_s = sum(map(len, self._sound)) / SAMPLE_RATE_HZ
        if not ended and length_s < self._settings.max_utterance_s:
            return None
        if self.confirmed:
            return self.finish()
        self._drop()
        return None

    def finish(self) -> Samples:
        """Return all the sound collected, speech or not, and begin anew (push to talk ends so)."""
        sound = [*self._pre_roll, *self._sound]
        self.reset()
        return np.concatenate(sound) if sound else np.zeros(0, np.int16)

    def _drop(self) -> None:
        """A click: it becomes the pre-roll of what may follow."""
        sound = self._sound
        self.reset()
        for samples in sound:
            self._keep_pre_roll(samples)

    def _judge(self, probability: float) -> bool:
        """Return whether the utterance ends with this window."""
        threshold = self._settings.threshold
        if probability >= (max(threshold - _HYSTERESIS, 0.01) if self.speaking else threshold):
            self.speaking = True
            self._speech_windows += 1
            self._silent_windows = 0
        elif self.speaking:
            self._silent_windows += 1
        return self.speaking and self._silent_windows * _WINDOW_MS >= self._settings.silence_ms

    def _keep_pre_roll(self, samples: Samples) -> None:
        self._pre_roll.append(samples)
        room = self._settings.pre_roll_ms * SAMPLE_RATE_HZ // 1000
        while len(self._pre_roll) > 1 and sum(map(len, self._pre_roll)) - len(self._pre_roll[0]) >= room:
            self._pre_roll.popleft()
