"""Timers and alarms ring: at devices that are connected, after what is being said; what was missed, once they are again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.intent.actions.alarms import ring
from xiaozhi_persona.providers.intent.scheduler import Entry, Scheduler
from xiaozhi_persona.spine import Owner
from xiaozhi_persona.tasks import cancel_and_wait

if TYPE_CHECKING:  # it takes a while to load, and the host asks for this before a memory
    from xiaozhi_persona.memory.persona_memory import PersonaMemory

log = logging.getLogger(__name__)

QUIET_S = 2.0
"""Nothing rings sooner after somebody has spoken: he may go on, or has just woken the device to say something."""
TICK_S = 0.5
AFTER_FAILURE_S = 60.0


class Device(Protocol):
    """A connected device, as far as something can be said there unasked."""

    @property
    def device_id(self) -> str:
        """Which device it is; "" for one that does not say, or cannot prove it."""
        ...

    @property
    def owner_id(self) -> str:
        """Whose timers and alarms ring there."""
        ...

    @property
    def quiet_s(self) -> float:
        """For how long nobody has spoken, neither side; 0 or less while somebody does, or nothing may be said."""
        ...

    @property
    def mind(self) -> tuple[PersonaMemory, Owner] | None:
        """The memory that it uses, and whose that is; None for none of ours."""
        ...

    async def say_unasked(self, text: str, *, aside: bool) -> bool:
        """Say something, unless somebody speaks; return whether it was begun to be said.

        `aside`: it is not to be shown to the chat model as a part of the conversation.
        """
        ...


class Ringing:
    """Rings for as long as `run` runs."""

    def __init__(
        self, scheduler: Scheduler, connected: Callable[[], Iterable[Device]], now: Callable[[], datetime]
    ) -> None:
        """`connected` gives the devices of the moment, the one that came last at the end."""
        self._scheduler = scheduler
        self._connected = connected
        self._now = now
        self._ringing: dict[str, asyncio.Task[None]] = {}  # by device

    async def run(self) -> None:
        """Ring until it is cancelled. Leaves nothing running."""
        try:
            while True:
                await asyncio.sleep(TICK_S)
                try:
                    await self._look()
                except PersonaError as exc:
                    log.error("%s", exc)
                    await asyncio.sleep(AFTER_FAILURE_S)
                except Exception:
                    log.exception("看有没有闹钟要响时出错")
                    await asyncio.sleep(AFTER_FAILURE_S)
        finally:
            for task in list(self._ringing.values()):
                await cancel_and_wait(task)

    async def _look(self) -> None:
        quiet = {one.device_id: one for one in self._connected() if one.device_id and one.quiet_s >= QUIET_S}
        free = {device_id: one for device_id, one in quiet.items() if device_id not in self._ringing}
        if not free:
            return
        due = await asyncio.to_thread(self._scheduler.due, free.keys())
        for device_id, device in free.items():
            # Somebody else may come under an id that has timers: they are not for him.
            here = [entry for entry in due if entry.device == device_id and entry.owner == device.owner_id]
            if here:
                task = asyncio.create_task(self._ring_at(device, here), name="ring")
                self._ringing[device_id] = task
                task.add_done_callback(partial(self._rung, device_id))

    async def _ring_at(self, device: Device, entries: Sequence[Entry]) -> None:
        if await device.say_unasked(ring(entries, self._now()), aside=True):
            for entry in entries:
                await asyncio.to_thread(self._scheduler.rung, entry)

    def _rung(self, device_id: str, task: asyncio.Task[None]) -> None:
        del self._ringing[device_id]
        if not task.cancelled() and (exc := task.exception()):
            log.error("闹钟没有响成：%s", exc)
