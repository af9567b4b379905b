"""From the blocks of an input stream to 16 kHz mono, at the machine's clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

import numpy as np

from xiaozhi_persona.bridge.client.card.clock import StreamClock, TimedSamples
from xiaozhi_persona.bridge.client.card.devices import Block
from xiaozhi_persona.bridge.client.card.meter import Meter
from xiaozhi_persona.bridge.client.sound import MIC_RATE_HZ
from xiaozhi_persona.spine import Samples

KEPT_S = 10.0
"""Who listens and does not come to take it loses what is older."""

Clean = Callable[[Samples, int], Samples]
"""Takes 16 kHz sound and the number of its first sample (see TimedSamples); returns it without echo."""


class InputPath:
    """What happens in the callback of the microphone's stream, and who listens to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.meter = Meter()
        self.heard_at = now()
        """When the last block came."""
        self.clean: Clean | None = None
        self._loop = loop
        self._now = now
        self._ears: set[_Ear] = set()

    def open(self, rate_hz: float) -> None:
        """A stream of this rate begins."""
        self.clock = StreamClock(rate_hz)
        self.meter = Meter()
        self._timed = TimedSamples(rate_hz, MIC_RATE_HZ)
        self.heard_at = self._now()

    def hear(self, block: Block) -> None:
        """Take a block, in the driver's thread."""
        now = self.heard_at = self._now()
        first = self.clock.frames
        self.clock.tick(len(block), now)
        mono = _loudest(block)
        self.meter.feed(mono, self.clock.nominal_hz)
        samples = self._timed.feed(mono, self.clock.time_of(first), self.clock.rate_hz)
        if self.clean is not None:
            samples = self.clean(samples, self._timed.next - len(samples))
        if len(samples) and self._ears:
            self._loop.call_soon_threadsafe(self._deliver, samples)

    async def listen(self) -> AsyncGenerator[Samples, None]:
        """As Card.listen()."""
        ear = _Ear()
        self._ears.add(ear)
        try:
            while True:
                yield await ear.take()
        finally:
            self._ears.discard(ear)

    def _deliver(self, samples: Samples) -> None:
        for ear in self._ears:
            ear.put(samples)


class _Ear:
    def __init__(self) -> None:
        self._pieces: deque[Samples] = deque()
        self._samples = 0
        self._came = asyncio.Event()

    def put(self, samples: Samples) -> None:
        self._pieces.append(samples)
        self._samples += len(samples)
        while self._samples > KEPT_S * MIC_RATE_HZ:
            self._samples -= len(self._pieces.popleft())
        self._came.set()

    async def take(self) -> Samples:
        while not self._pieces:
            self._came.clear()
            await self._came.wait()
        samples = self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)
        self._pieces.clear()
        self._samples = 0
        return samples


def _loudest(block: Block) -> Samples:
    """Return the loudest channel: of stereo microphones some have one that is not connected, and arrays a mixed one."""
    if block.shape[1] == 1:
        return np.array(block[:, 0])  # the driver uses its memory again
    loudness = np.abs(block[::8].astype(np.int32)).sum(axis=0)
    return np.array(block[:, int(np.argmax(loudness))])
