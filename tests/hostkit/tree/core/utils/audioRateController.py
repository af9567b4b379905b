"""Sends packets no faster than they play, and messages in their place between them."""

import asyncio
import time
from collections import deque

from config.logger import setup_logging
from core.hostkit_version import VERSION


class AudioRateController:
    def __init__(self, frame_duration=60):
        self.frame_duration = frame_duration
        self.logger = setup_logging()
        self.pending_send_task = None
        self.queue = deque()
        self.queue_empty_event = asyncio.Event()
        self.queue_has_data_event = asyncio.Event()
        self.reset()

    def reset(self):
        self.stop_sending()
        self.queue.clear()
        self.play_position = 0
        self.start_timestamp = None
        self._last_queue_empty_time = 0.0
        self.queue_empty_event.set()
        self.queue_has_data_event.clear()

    def add_audio(self, opus_packet):
        self._add("audio", opus_packet)

    def add_message(self, message_callback):
        self._add("message", message_callback)

    def start_sending(self, send_audio_callback):
        self.pending_send_task = asyncio.create_task(self._run(send_audio_callback), name="hostkit-pacing")
        return self.pending_send_task

    def stop_sending(self):
        if self.pending_send_task is not None and not self.pending_send_task.done():
            self.pending_send_task.cancel()

    def _add(self, kind, content):
        # A pause is not made up for by sending faster; before 0.9.3 it was.
        paused_ms = (time.monotonic() - self._last_queue_empty_time) * 1000
        if (
            VERSION >= (0, 9, 3)
            and not self.queue
            and self.play_position
            and paused_ms >= self.frame_duration
        ):
            self.start_timestamp = time.monotonic() - self.play_position / 1000
        self.queue.append((kind, content))
        self.queue_empty_event.clear()
        self.queue_has_data_event.set()

    async def _run(self, send_audio):
        try:
            while True:
                await self.queue_has_data_event.wait()
                while self.queue:
                    await self._send_next(send_audio)
                self.queue_empty_event.set()
                self.queue_has_data_event.clear()
                self._last_queue_empty_time = time.monotonic()
        except asyncio.CancelledError:
            pass
        except Exception as exc:
            self.logger.bind(tag=__name__).error(f"sending ended: {exc}")

    async def _send_next(self, send_audio):
        kind, content = self.queue[0]
        if kind == "message":
            self.queue.popleft()
            await content()
            return
        if self.start_timestamp is None:
            self.start_timestamp = time.monotonic()
        while True:
            early_ms = self.play_position - (time.monotonic() - self.start_timestamp) * 1000
            if early_ms <= 0:
                break
            await asyncio.sleep(early_ms / 1000)
        self.queue.popleft()
        self.play_position += self.frame_duration
        await send_audio(content)
