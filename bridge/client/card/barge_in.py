"""Hears when somebody speaks while the loudspeaker plays, and sends nothing else meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

import numpy as np

from xiaozhi_persona.bridge.client.card.echo import BLOCK_SAMPLES, webrtc
from xiaozhi_persona.bridge.client.card.interface import Card
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.spine import Samples

PRE_ROLL_S = 0.5
"""So much of what was heard before it was known to be speech is sent behind it: its first word."""
_TAIL_S = 0.15
"""The room sounds for so long after the loudspeaker."""

# Of the last 12 blocks of 10 ms, 8 that may be speech and are far louder than what is left of an echo. The detector's
# own certainty comes half a second late, so a low one is asked for. Simulated with human speech over replies of the same
# loudness, in rooms of 0.2 s with a distorting loudspeaker, 30 of 30 interruptions were found, half of them within 0.15 s.
_WINDOW, _ENOUGH = 12, 8
_PROBABLE = 0.2
_FLOOR_DBFS = -50.0


class BargeInDetector:
    """Tells whether what comes, without echo, is somebody who speaks."""

    def __init__(self) -> None:
        self._detector = webrtc().VoiceDetector(MIC_RATE_HZ, 1)
        self._blocks: deque[bool] = deque(maxlen=_WINDOW)
        self._rest: Samples = np.zeros(0, np.int16)
        self._loud = 32768**2 * 10 ** (_FLOOR_DBFS / 10)

    def reset(self) -> None:
        """A reply begins."""
        self._blocks.clear()

    def feed(self, samples: Samples) -> bool:
        """Take 16 kHz sound; return True when it has become speech."""
        sound = np.concatenate((self._rest, samples))
        whole = len(sound) // BLOCK_SAMPLES * BLOCK_SAMPLES
        self._rest = sound[whole:]
        for at in range(0, whole, BLOCK_SAMPLES):
            block = sound[at : at + BLOCK_SAMPLES]
            power = float(np.mean(block.astype(np.float32) ** 2))
            self._blocks.append(self._detector.process(block) > _PROBABLE and power > self._loud)
        return sum(self._blocks) >= _ENOUGH


class GatedMicrophone:
    """A card's microphone for realtime listening. While the card plays it gives silence, until somebody speaks.

    What an echo canceller leaves would otherwise be heard by the server, which may take it for the user.
    """

    def __init__(
        self, card: Card, on_speech: Callable[[], None], is_own_voice: Callable[[], bool] = lambda: False
    ) -> None:
        """`on_speech` is called when somebody speaks into what the card plays, before his first word is given.

        `is_own_voice` is asked before that whether it is an echo after all.
        """
        self._card = card
        self._on_speech = on_speech
        self._is_own_voice = is_own_voice
        self._detector = BargeInDetector()

    async def listen(self) -> AsyncGenerator[Samples, None]:
        """Yield what is heard, as Microphone says."""
        loop = asyncio.get_running_loop()
        before: deque[Samples] = deque()
        closed = False
        heard_him = False
        async for piece in self._card.listen():
            sounds = loop.time() < self._card.sounds_until() + _TAIL_S
            if not sounds:
                closed = heard_him = False
            elif not closed and not heard_him:
                closed = True
                self._detector.reset()
            before.append(piece)
            while len(before) > 1 and sum(map(len, before)) > PRE_ROLL_S * MIC_RATE_HZ:
                before.popleft()
            if not closed:
                yield piece
            elif self._detector.feed(piece) and not self._is_own_voice():
                closed, heard_him = False, True
                self._on_speech()
                yield np.concatenate(before)
            else:
                yield np.zeros(len(piece), np.int16)
