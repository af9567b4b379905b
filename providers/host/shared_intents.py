"""What the intents of all connections share: the router, the timers and alarms."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from datetime import datetime
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.sections import base_settings
from xiaozhi_persona.providers.host.shared_instances import SharedInstances
from xiaozhi_persona.providers.intent.ringing import Device, Ringing
from xiaozhi_persona.providers.intent.router import Match, Router
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 2.0
"""How often the owner's files are looked at while somebody speaks."""
_LOOK_AFTER_S = 0.5
"""Not while the host begins to answer."""


def shared_intents() -> SharedIntents:
    """Return what the process has of intents. The first call reads them, which blocks. Raises SettingsError."""
    settings = base_settings(Path.cwd())
    return _shared.get(str(settings.data_dir), lambda: SharedIntents(settings))


class SharedIntents:
    """The router, the scheduler, and who is connected. The methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scheduler = _scheduler(settings)
        """None where its file cannot be used."""
        self._router = Router(settings.data_dir / "intents")
        self._roles: list[str] = []  # what may be said for them
        self._problems: list[str] = []
        self._looked_at_s = 0.0
        self._connected: weakref.WeakSet[Device] = weakref.WeakSet()
        self._refresh()
        self._work = submit(self._run())

    def route(self, text: str) -> Match | None:
        """Return the intent of a sentence, None for none."""
        now = time.monotonic()
        if now - self._looked_at_s > _LOOK_AGAIN_S:
            self._looked_at_s = now
            submit(self._look())
        return self._router.route(text, {"role": self._roles})

    async def connect(self, device: Device) -> None:
        """Ring what is due at this connection from now on. On our loop."""
        self._connected.add(device)

    async def disconnect(self, device: Device) -> None:
        """The connection has ended. On our loop."""
        self._connected.discard(device)

    async def aclose(self) -> None:
        """Stop ringing and close the file."""
        await cancel_and_wait(asyncio.wrap_future(self._work))
        if self.scheduler is not None:
            self.scheduler.close()

    async def _run(self) -> None:
        await asyncio.to_thread(self._router.warm)
        if self.scheduler is None:
            return
        first = self.settings.speak_first
        work = [Ringing(self.scheduler, self._devices, _now).run()]
        if first.enabled:
            from xiaozhi_persona.providers.intent.first_words import (
                FirstWords,  # with the memory, which takes a while
            )

            work.append(FirstWords(first, self.scheduler, self._devices, _now).run())
        await asyncio.gather(*work)

    def _devices(self) -> list[Device]:
        return list(self._connected)

    async def _look(self) -> None:
        await asyncio.sleep(_LOOK_AFTER_S)
        await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        self._roles = [*casting_of(self.settings).spoken_names()]
        problems = self._router.refresh()
        for problem in problems:
            if problem not in self._problems:
                log.error("%s", problem)
        self._problems = problems


def _scheduler(settings: Settings) -> Scheduler | None:
    try:
        return Scheduler(settings.memory_dir, _now)
    except PersonaError as exc:
        log.error("%s（现在不能定闹钟和计时）", exc)
        return None


def _now() -> datetime:
    return datetime.now().astimezone()


_shared: SharedInstances[SharedIntents] = SharedInstances(write=True)
