"""Sends what the microphone hears, frame by frame in real time."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

import numpy as np

from xiaozhi_persona.audio.opus import OpusEncoder
from xiaozhi_persona.audio.resample import Framer
from xiaozhi_persona.bridge.client.sound import FRAME_MS, FRAME_SAMPLES, MIC_RATE_HZ, Microphone, is_speech
from xiaozhi_persona.spine import Samples

_COMPLEXITY = 3
"""A microphone that is open all day costs a third of what libopus takes by itself (measured: 244 µs a frame, 694 µs)."""
_SILENT_PACKETS = 10  # the encoder needs some frames to settle after speech; the last one is repeated


class Uplink:
    """One utterance: what the microphone gives, then silence.

    Frame n goes out at the time of the first plus n × 60 ms, so that delays do not add up. Encoding runs ahead in
    a thread, by as much as the microphone gives at once.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        is_open: Callable[[], bool],
        on_speech: Callable[[], None],
        frame_ms: int = FRAME_MS,
        kept_s: float = 0.0,
    ) -> None:
        """`send` takes Opus packets, as long as `is_open`; `on_speech` is told of each frame sent that holds speech.
        So much of what is streamed while it is closed is kept for `send_kept`.
        """
        self._send = send
        self._is_open = is_open
        self._on_speech = on_speech
        self._encoder = OpusEncoder(MIC_RATE_HZ, frame_ms, _COMPLEXITY)
        self._due_at: float | None = None
        self._kept: deque[Samples] = deque()
        self._kept_samples = round(kept_s * MIC_RATE_HZ)
        self._framer = Framer(self._encoder.frame_samples)
        self._unsettled = 0

    async def speak(self, microphone: Microphone) -> bool:
        """Send everything that the microphone gives; return False when it was closed before the end."""
        framer = Framer(FRAME_SAMPLES)
        async with contextlib.aclosing(microphone.listen()) as pieces:
            async for piece in pieces:
                if not await self._send_frames(framer.feed(piece)):
                    return False
        return await self._send_frames(framer.finish())

    async def stay_silent(self) -> None:
        """Send silence until the microphone is closed."""
        packets = await self._encode([np.zeros(FRAME_SAMPLES, np.int16)] * _SILENT_PACKETS)
        for packet in packets:
            if not await self._send_when_due(packet):
                return
        while await self._send_when_due(packets[-1]):
            pass

    async def stream(self, microphone: Microphone, settle_ms: int) -> None:
        """Send what is heard as long as the microphone is open, as it is heard, until it ends.

        What is heard while it is closed is left out, and `settle_ms` after it opens: that was heard before.
        """
        async with contextlib.aclosing(microphone.listen()) as pieces:
            async for piece in pieces:
                if not self._is_open():
                    self._framer = Framer(self._encoder.frame_samples)
                    self._unsettled = settle_ms * MIC_RATE_HZ // 1000
                    self._keep(piece)
                    continue
                self._kept.clear()
                settled = piece[self._unsettled :]
                self._unsettled -= len(piece) - len(settled)
                for frame in self._framer.feed(settled):
                    if self._is_open():
                        # A short frame takes 90 µs, less than to hand it to a thread and back.
                        self._send(self._encoder.encode(frame))
                        if is_speech(frame):
                            self._on_speech()

    def send_kept(self) -> None:
        """Send at once what was heard before the microphone opens; what is streamed from then on adjoins."""
        kept, self._unsettled = list(self._kept), 0
        self._kept.clear()
        for piece in kept:
            for frame in self._framer.feed(piece):
                self._send(self._encoder.encode(frame))

    def _keep(self, piece: Samples) -> None:
        self._kept.append(piece)
        while self._kept and sum(map(len, self._kept)) > self._kept_samples:
            self._kept.popleft()

    async def _send_frames(self, frames: list[Samples]) -> bool:
        for frame, packet in zip(frames, await self._encode(frames), strict=True):
            if not await self._send_when_due(packet):
                return False
            if is_speech(frame):
                self._on_speech()
        return self._is_open()

    async def _encode(self, frames: list[Samples]) -> list[bytes]:
        return await asyncio.to_thread(lambda: [self._encoder.encode(frame) for frame in frames])

    async def _send_when_due(self, packet: bytes) -> bool:
        now = asyncio.get_running_loop().time()
        due_at = now if self._due_at is None else self._due_at
        if due_at > now:
            await asyncio.sleep(due_at - now)
        self._due_at = due_at + FRAME_MS / 1000
        if not self._is_open():
            return False
        self._send(packet)
        return True
