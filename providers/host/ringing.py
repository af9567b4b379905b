"""Timers and alarms ring over the connections of the host: while they are open and quiet, else at the next one."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from xiaozhi_persona.providers.intent.actions.alarms import ring
from xiaozhi_persona.providers.intent.scheduler import Entry, Scheduler
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

_TICK_S = 0.5


class Device(Protocol):
    """A connection, as far as something can ring there. May be asked from any thread."""

    device_id: str

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is speaking."""
        ...

    async def say_unasked(self, text: str) -> bool:
        """Say something; return whether it could be."""
        ...


class Ringing:
    """Rings for as long as `run` runs. All of it belongs on our loop."""

    def __init__(self, scheduler: Scheduler, now: Callable[[], datetime]) -> None:
        self.connected: weakref.WeakSet[Device] = weakref.WeakSet()
        self._scheduler = scheduler
        self._now = now
        self._ringing: dict[str, asyncio.Task[None]] = {}  # by device

    async def run(self) -> None:
        """Ring until it is cancelled. Leaves nothing running."""
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                try:
                    await self._look()
                except Exception:
                    log.exception("看有没有闹钟要响时出错")
        finally:
            for task in list(self._ringing.values()):
                await cancel_and_wait(task)

    async def _look(self) -> None:
        quiet = {one.device_id: one for one in self.connected if one.device_id and one.is_quiet}
        free = {device_id: one for device_id, one in quiet.items() if device_id not in self._ringing}
        if not free:
            return
        due = await asyncio.to_thread(self._scheduler.due, free.keys())
        for device_id, device in free.items():
            if here := [entry for entry in due if entry.device == device_id]:
                task = asyncio.create_task(self._ring_at(device, here), name="host-ring")
                self._ringing[device_id] = task
                task.add_done_callback(partial(self._rung, device_id))

    async def _ring_at(self, device: Device, entries: Sequence[Entry]) -> None:
        if await device.say_unasked(ring(entries, self._now())):
            for entry in entries:
                await asyncio.to_thread(self._scheduler.rung, entry)

    def _rung(self, device_id: str, task: asyncio.Task[None]) -> None:
        del self._ringing[device_id]
        if not task.cancelled() and (exc := task.exception()):
            log.error("闹钟没有响成：%s", exc)
