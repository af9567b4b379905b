"""The local intents of all devices: the router with the owner's files and the role names of the moment, and the scheduler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.intent.router import Match, Router
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.providers.intent.slots import Lists
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""How often the owner's files and the role packs are looked at."""


def wall_clock() -> datetime:
    """Return the time, with its zone."""
    return datetime.now().astimezone()


class Intents:
    """Routes at once, on the event loop; what is on disk is looked at in a thread. Made by `open`."""

    def __init__(
        self, router: Router, casting: Casting, scheduler: Scheduler | None, now: Callable[[], datetime]
    ) -> None:
        self.now = now
        """The clock of timers and alarms."""
        self.scheduler = scheduler
        """None where its file cannot be used."""
        self._casting = casting
        self._router = router
        self._lists: Lists = {}
        self._told: list[str] = []  # what is wrong in the owner's files
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, settings: Settings, casting: Casting, now: Callable[[], datetime] = wall_clock
    ) -> Intents:
        """Read the tables and the owner's files, and look at them from then on. What is wrong in them is logged."""

        def read() -> Intents:
            router = Router(settings.data_dir / "intents")
            intents = cls(router, casting, _scheduler(settings, now), now)
            intents._look()
            router.warm()
            return intents

        intents = await asyncio.to_thread(read)
        intents._looking = asyncio.create_task(intents._go_on_looking(), name="intents-look")
        return intents

    def route(self, text: str) -> Match | None:
        """Return the intent of a sentence; None for what belongs to the chat model. Takes some tens of microseconds."""
        return self._router.route(text, self._lists)

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
                await asyncio.to_thread(self._look)
            except Exception:
                log.exception("读 data/intents 时出错")

    def _look(self) -> None:
        problems = self._router.refresh()
        for problem in problems:
            if problem not in self._told:
                log.error("%s", problem)
        self._told = problems
        self._lists = {"role": list(self._casting.spoken_names())}


def _scheduler(settings: Settings, now: Callable[[], datetime]) -> Scheduler | None:
    try:
        return Scheduler(settings.memory_dir, now)
    except PersonaError as exc:
        log.error("%s", exc)
        return None
