"""A sound card for a conversation: what the test says is heard at once, and what would be played is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
from fakes.xiaozhi_server import tone

from xiaozhi_persona.spine import Samples

LATENCY_S = 0.3


class FakePlayer:
    """A loudspeaker with a buffer and a device behind it, which take `LATENCY_S`."""

    queue_packets = 1000

    def __init__(self) -> None:
        self.on_begin = lambda at: None
        self.packets: list[bytes] = []
        self.played = 0
        """Packets of all replies."""
        self.log: list[str] = []
        self._ends_at = 0.0

    def begin(self, sample_rate_hz: int, at: float) -> None:
        self.log.append("begin")
        self.packets.clear()

    def play(self, packet: bytes, at: float) -> None:
        if not self.packets:
            self.on_begin(at + LATENCY_S)
        self.packets.append(packet)
        self.played += 1
        self._ends_at = max(self._ends_at, at + LATENCY_S) + 0.06

    def end(self) -> None:
        self.log.append("end")

    def stop(self) -> None:
        self.log.append("stop")
        self._ends_at = asyncio.get_running_loop().time()

    def ends_at(self) -> float:
        return self._ends_at

    def holes_s(self) -> list[float]:
        return [0.25]


class FakeSound:
    """What the test says, for each that listens; before anybody does it waits for the first."""

    def __init__(self) -> None:
        self._ears: list[asyncio.Queue[Samples]] = [asyncio.Queue()]
        self.ears = 0

    def put_nowait(self, samples: Samples) -> None:
        for ear in self._ears:
            ear.put_nowait(samples)

    async def join(self) -> None:
        for ear in self._ears:
            await ear.join()

    def ear(self) -> asyncio.Queue[Samples]:
        if self.ears:
            self._ears.append(asyncio.Queue())
        self.ears += 1
        return self._ears[-1]

    def leave(self, ear: asyncio.Queue[Samples]) -> None:
        self.ears -= 1
        if self.ears:
            self._ears.remove(ear)


class FakeCard:
    """A microphone that hears what the test says, in pieces as they come."""

    def __init__(self) -> None:
        self.player = FakePlayer()
        self.heard = FakeSound()

    async def listen(self) -> AsyncGenerator[Samples, None]:
        ear = self.heard.ear()
        try:
            while True:
                yield await ear.get()
                ear.task_done()
        finally:
            self.heard.leave(ear)

    def sounds_until(self) -> float:
        return 0.0

    def speak(self, seconds: float = 0.6) -> None:
        """Sound, with the beginning that is left out while the microphone opens, and silence behind it."""
        self.heard.put_nowait(
            np.concatenate((np.zeros(1920, np.int16), tone(seconds), np.zeros(4800, np.int16)))
        )
