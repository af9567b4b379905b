"""A sound card whose time is the test's: callbacks come when the test lets time pass, at rates that are a little wrong."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from xiaozhi_persona.bridge.client.card.devices import Block, Device, NoCard, Stream
from xiaozhi_persona.bridge.client.card.sound_card import CardOptions, SoundCard

BLOCK_S = 0.02
_STEP_REAL_S = 0.0005
MICROPHONE = Device(0, "USB Mic: Audio (hw:1,0)", 1, 0, 48000.0, default_input=True)
LOUDSPEAKER = Device(1, "Headphones: bcm2835 (hw:0,0)", 0, 2, 44100.0, default_output=True)

_T = TypeVar("_T")


@dataclass
class FakeStream:
    rate_hz: float
    channels: int
    call: Callable[[int], None]
    true_rate_hz: float
    latency_s: float = 0.05
    due_s: float = 0.0
    closed: bool = False
    blocked: bool = False
    on_close: Callable[[FakeStream], None] = lambda stream: None

    def close(self) -> None:
        self.closed = True
        self.on_close(self)


@dataclass
class FakeSystem:
    """Two devices and a clock. What the loudspeaker plays is kept; what the microphone hears is `heard`."""

    present: list[Device] = field(default_factory=lambda: [MICROPHONE, LOUDSPEAKER])
    input_ppm: float = 0.0
    output_ppm: float = 0.0
    heard: Callable[[np.ndarray], np.ndarray] = lambda at: 3000 * np.sin(2 * np.pi * 440 * at)
    """Sound at these times, in seconds of the device's own clock, one value or a row a frame."""
    busy: bool = False
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        self.streams: list[FakeStream] = []
        self.played: list[np.ndarray] = []
        self.played_from_s: float | None = None
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.now_s

    def devices(self) -> list[Device]:
        assert all(stream.closed for stream in self.streams), "looked for devices with a stream open"
        return list(self.present)

    def open_input(
        self, device: Device, hear: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        frames_heard = 0

        def call(frames: int) -> None:
            nonlocal frames_heard
            sound = np.asarray(self.heard((frames_heard + np.arange(frames)) / device.rate_hz))
            frames_heard += frames
            hear(sound.reshape(frames, -1).astype(np.int16), False)

        return self._open(device, device.input_channels, call, self.input_ppm)

    def open_output(
        self, device: Device, fill: Callable[[Block, bool], None], ended: Callable[[], None]
    ) -> Stream:
        def call(frames: int) -> None:
            block = np.full((frames, device.output_channels), 99, np.int16)
            fill(block, False)
            if self.played_from_s is None:
                self.played_from_s = self.now_s
            self.played.append(block)

        return self._open(device, device.output_channels, call, self.output_ppm)

    def _open(self, device: Device, channels: int, call: Callable[[int], None], ppm: float) -> Stream:
        if self.busy or device not in self.present:
            raise NoCard("busy")
        stream = FakeStream(device.rate_hz, channels, call, device.rate_hz * (1 + ppm * 1e-6))
        stream.due_s = self.now_s + BLOCK_S
        with self._lock:
            self.streams.append(stream)
        return stream

    def run(self, seconds: float) -> None:
        """Let time pass; callbacks come in its order."""
        until = self.now_s + seconds
        while True:
            with self._lock:
                live = [stream for stream in self.streams if not stream.closed and not stream.blocked]
            due = min(live, key=lambda stream: stream.due_s, default=None)
            if due is None or due.due_s > until:
                break
            self.now_s = max(self.now_s, due.due_s)
            frames = round(due.rate_hz * BLOCK_S)
            due.due_s += frames / due.true_rate_hz
            due.call(frames)
        self.now_s = until

    def unplug(self) -> None:
        """Callbacks stop, and the devices are not listed any more."""
        self.present = []
        for stream in self.streams:
            stream.blocked = True

    async def run_while(self, waited: Awaitable[_T], step_s: float = BLOCK_S) -> _T:
        """Let time pass until `waited` is done; not so fast that what a thread does for the card takes seconds of it."""
        task = asyncio.ensure_future(waited)
        while not task.done():  # noqa: ASYNC110
            self.run(step_s)
            await asyncio.sleep(_STEP_REAL_S)
        return task.result()

    @contextlib.asynccontextmanager
    async def card(self, **options: object) -> AsyncIterator[SoundCard]:
        """An open card on these devices."""
        opening = SoundCard.open(self, CardOptions(**options), self.now)  # type: ignore[arg-type]
        card = await self.run_while(opening.__aenter__())
        try:
            yield card
        finally:
            await opening.__aexit__(None, None, None)

    def output(self, blocks: int = 0) -> np.ndarray:
        """What has been played so far, first channel; only the last `blocks` where some are named."""
        return np.concatenate([np.zeros((0, 2), np.int16), *self.played[-blocks:]])[:, 0]
