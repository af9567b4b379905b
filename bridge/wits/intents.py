"""The local intents of all devices: the router, which keeps up with what is on disk, and the scheduler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.providers.intent.scheduler import Scheduler, opened, wall_clock
from xiaozhi_persona.providers.intent.watched import LOOK_EVERY_S, WatchedRouter
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)


class Intents:
    """Routes on the event loop; what is on disk is looked at in a thread. Made by `open`."""

    def __init__(
        self, router: WatchedRouter, scheduler: Scheduler | None, now: Callable[[], datetime]
    ) -> None:
        self.scheduler = scheduler
        """None where its file cannot be used."""
        self.now = now
        """The clock of timers and alarms."""
        self._router = router
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, settings: Settings, casting: Casting, now: Callable[[], datetime] = wall_clock
    ) -> Intents:
        """Read the tables and the owner's files, and look at them from then on. What is wrong in them is logged."""

        def read() -> Intents:
            router = WatchedRouter(settings.data_dir, casting.spoken_names)
            router.warm()
            return cls(router, opened(settings.memory_dir, now), now)

        intents = await asyncio.to_thread(read)
        intents._looking = asyncio.create_task(intents._go_on_looking(), name="intents-look")
        return intents

    def route(self, text: str) -> Match | None:
        """Return the intent of a sentence; None for what belongs to the chat model."""
        return self._router.route(text)

    async def aclose(self) -> None:
        """End the looking, and close the file of timers and alarms."""
        if self._looking:
            await cancel_and_wait(self._looking)
        if self.scheduler:
            await asyncio.to_thread(self.scheduler.close)

    async def _go_on_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await asyncio.to_thread(self._router.look)
            except Exception:
                log.exception("读 data/intents 时出错")
