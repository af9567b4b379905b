"""What the intents of all connections share: the router, the timers and alarms."""

from __future__ import annotations

import asyncio
import time
import weakref
from concurrent.futures import Future
from pathlib import Path

from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.sections import base_settings
from xiaozhi_persona.providers.host.shared_instances import SharedInstances
from xiaozhi_persona.providers.intent.ringing import Device, Ringing
from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.providers.intent.scheduler import opened, wall_clock
from xiaozhi_persona.providers.intent.watched import LOOK_EVERY_S, WatchedRouter
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

_LOOK_AFTER_S = 0.5
"""What is looked at after something was said waits so long: the host begins to answer."""


def shared_intents() -> SharedIntents:
    """Return what the process has of intents. The first call reads them, which blocks. Raises SettingsError."""
    settings = base_settings(Path.cwd())
    return _shared.get(str(settings.data_dir), lambda: SharedIntents(settings))


class SharedIntents:
    """The router, the scheduler, and who is connected. The methods may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scheduler = opened(settings.memory_dir, wall_clock)
        """None where its file cannot be used."""
        self._router = WatchedRouter(settings.data_dir, lambda: casting_of(settings).spoken_names())
        self._looked_at_s = time.monotonic()
        self._looking: Future[None] | None = None
        self._connected: weakref.WeakSet[Device] = weakref.WeakSet()
        self._work = submit(self._run())

    def route(self, text: str) -> Match | None:
        """Return the intent of a sentence, None for none."""
        now = time.monotonic()
        if now - self._looked_at_s > LOOK_EVERY_S:
            self._looked_at_s = now
            self._looking = submit(self._look())
        return self._router.route(text)

    async def connect(self, device: Device) -> None:
        """Ring what is due at this connection from now on. On our loop."""
        self._connected.add(device)

    async def disconnect(self, device: Device) -> None:
        """The connection has ended. On our loop."""
        self._connected.discard(device)

    async def aclose(self) -> None:
        """Stop ringing and close the file."""
        for work in (self._looking, self._work):
            if work is not None:
                await cancel_and_wait(asyncio.wrap_future(work))
        if self.scheduler is not None:
            self.scheduler.close()

    async def _run(self) -> None:
        await asyncio.to_thread(self._router.warm)
        if self.scheduler is None:
            return
        first = self.settings.speak_first
        work = [Ringing(self.scheduler, self._devices, wall_clock).run()]
        if first.enabled:
            # With the memory, which takes a while to load.
            from xiaozhi_persona.providers.intent.first_words import FirstWords

            work.append(FirstWords(first, self.scheduler, self._devices, wall_clock).run())
        await asyncio.gather(*work)

    async def _look(self) -> None:
        await asyncio.sleep(_LOOK_AFTER_S)
        await asyncio.to_thread(self._router.look)

    def _devices(self) -> list[Device]:
        return list(self._connected)


_shared: SharedInstances[SharedIntents] = SharedInstances(write=True)
