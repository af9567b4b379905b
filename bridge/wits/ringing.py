"""Timers and alarms ring: at devices that are connected, after what is being said; what was missed, once they are again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

import anyio

from xiaozhi_persona.bridge.answering import Unasked
from xiaozhi_persona.providers.intent.actions.alarms import ring
from xiaozhi_persona.providers.intent.scheduler import Entry, Scheduler
from xiaozhi_persona.spine import Owner
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

QUIET_S = 2.0
"""Nothing rings sooner after somebody has spoken: he may go on, or has just woken the device to say something."""
_AGAIN_S = 0.5
_LONGEST_WAIT_S = 60.0  # the wall clock may be set meanwhile


class Device(Protocol):
    """A connection, as far as something can ring there."""

    @property
    def device(self) -> tuple[str, Owner]:
        """Which device it is, "" for one that cannot prove it, and whose memory it uses."""
        ...

    @property
    def quiet_since_s(self) -> float:
        """Since when nobody has spoken (time.monotonic); inf while somebody does."""
        ...

    async def say(self, unasked: Unasked) -> bool:
        """Say something; return whether it was begun to be said."""
        ...


class Ringing:
    """Rings for as long as `run` runs."""

    def __init__(
        self,
        scheduler: Scheduler,
        connected: Callable[[], Iterable[Device]],
        owner_of: Callable[[str], str],
        now: Callable[[], datetime],
    ) -> None:
        """`connected` gives the connections of the moment, `owner_of` whose timers those of a memory's owner are."""
        self._scheduler = scheduler
        self._connected = connected
        self._owner_of = owner_of
        self._now = now
        self._nudged = asyncio.Event()
        self._ringing: dict[str, asyncio.Task[None]] = {}

    def nudge(self) -> None:
        """Note that a device has connected, something was said, or set."""
        self._nudged.set()

    async def run(self) -> None:
        """Ring until it is cancelled. Leaves nothing running."""
        try:
            while True:
                self._nudged.clear()
                wait_s = _LONGEST_WAIT_S
                try:
                    wait_s = await self._ring()
                except Exception:
                    log.exception("看有没有闹钟要响时出错")
                with anyio.move_on_after(wait_s):
                    await self._nudged.wait()
        finally:
            for task in list(self._ringing.values()):
                await cancel_and_wait(task)

    async def _ring(self) -> float:
        """Ring what is due where that can be done; return how long to wait for the next time."""
        devices = {one.device[0]: one for one in self._connected() if one.device[0]}
        if not devices:
            return _LONGEST_WAIT_S
        due = await asyncio.to_thread(self._scheduler.due, devices.keys())
        is_waiting = False
        for device_id, device in devices.items():
            owner = self._owner_of(device.device[1].device)
            here = [entry for entry in due if entry.device == device_id and entry.owner == owner]
            if not here or device_id in self._ringing:
                continue
            if time.monotonic() - device.quiet_since_s < QUIET_S:
                is_waiting = True
                continue
            task = asyncio.create_task(self._ring_at(device, here), name="ring")
            self._ringing[device_id] = task
            task.add_done_callback(partial(self._rung, device_id))
        if is_waiting:
            return _AGAIN_S
        after = await asyncio.to_thread(self._scheduler.next_due, devices.keys())
        if after is None or after <= self._now():  # what is due is ringing, or not for who is there
            return _LONGEST_WAIT_S
        return min((after - self._now()).total_seconds(), _LONGEST_WAIT_S)

    async def _ring_at(self, device: Device, entries: Sequence[Entry]) -> None:
        text = ring(entries, self._now())
        if await device.say(Unasked(text, is_aside=True)):
            for entry in entries:
                await asyncio.to_thread(self._scheduler.rung, entry)

    def _rung(self, device_id: str, task: asyncio.Task[None]) -> None:
        del self._ringing[device_id]
        if not task.cancelled() and (exc := task.exception()):
            log.error("闹钟没有响成：%s", exc)
        self.nudge()
