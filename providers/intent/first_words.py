"""It speaks first, where the settings allow it: to a device that is connected, while nobody speaks, and not often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from xiaozhi_persona.memory.facts.kinds import SELF
from xiaozhi_persona.memory.occasions import Occasion, occasions
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.providers.intent.actions.scene import language_of
from xiaozhi_persona.providers.intent.actions.times import clock_said
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.ringing import Device
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.settings import SpeakFirstSettings
from xiaozhi_persona.spine import Owner

log = logging.getLogger(__name__)

LOOK_EVERY_S = 15.0
QUIET_S = 20.0
"""It begins nothing sooner after somebody has spoken: that is still a conversation."""


class FirstWords:
    """Looks for something to bring up for as long as `run` runs."""

    def __init__(
        self,
        settings: SpeakFirstSettings,
        scheduler: Scheduler,
        connected: Callable[[], Iterable[Device]],
        now: Callable[[], datetime],
    ) -> None:
        """`scheduler` keeps what was brought up."""
        self._settings = settings
        self._scheduler = scheduler
        self._connected = connected
        self._now = now

    async def run(self) -> None:
        """Go on until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except Exception:
                log.exception("想主动说话时出错")

    async def look(self) -> None:
        """Say something at each device where there is something to say."""
        for device in list(self._connected()):
            now, mind = self._now(), device.mind
            may_speak = device.device_id and device.quiet_s >= QUIET_S and self._settings.allows(now.hour)
            if not may_speak or mind is None:
                continue
            memory, owner = mind
            occasion = await self._next(memory, owner, now)
            if occasion and await device.say_unasked(words_of(occasion), aside=False):
                await asyncio.to_thread(self._scheduler.brought_up, memory.owner_id(owner), occasion.key)

    async def _next(self, memory: PersonaMemory, owner: Owner, now: datetime) -> Occasion | None:
        """Return what is to be brought up now, unless it was, or enough was today."""
        known = await asyncio.to_thread(self._scheduler.brought_up_lately, memory.owner_id(owner))
        today = sum(at.date() == now.date() for at in known.values())
        if today >= self._settings.per_day:
            return None

        def find(store: OwnerStore) -> Occasion | None:
            return next((one for one in occasions(store.writer, now) if one.key not in known), None)

        return await memory.change(owner, find)


def words_of(occasion: Occasion) -> str:
    """Return what is said on an occasion, in the language in which that was told."""
    language, what = language_of(occasion.what), occasion.what
    if occasion.kind == "birthday":
        if what == SELF:
            return said("zh", "your_birthday")
        return said(language, "birthday", who=what)
    if occasion.kind == "plan":
        when = clock_said(occasion.at, language) if occasion.at else ""
        return said(language, "plan_at" if when else "plan", what=what, time=when)
    return said(language, "long_away")
