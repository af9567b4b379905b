"""The scene of an intent in the host: see providers/intent/actions/scene.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xiaozhi_persona.providers.host.device_tools import DeviceTools
from xiaozhi_persona.providers.host.own_words import OwnWords
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting

PLAYS_ITSELF = "play_music"
"""The host's tool that puts what it plays into the open turn."""


@dataclass(frozen=True)
class HostScene:
    """One thing that was said over a connection of the host."""

    connection: Any
    device_id: str
    owner_id: str
    language: str
    casting: Casting
    scheduler: Scheduler | None
    last_said: str
    kept: MutableMapping[str, Any]
    tools: DeviceTools
    words: OwnWords

    def now(self) -> datetime:
        """Return the time, with its zone."""
        return datetime.now().astimezone()

    async def tool_names(self) -> Collection[str]:
        """Return what can be called, the device's tools first."""
        return await self.tools.names()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool; return what it answers. Raises ServiceTimeout and ServiceRejected."""
        if name == PLAYS_ITSELF and await self.words.wait_for_voice():
            self.words.begin()
        return await self.tools.call(name, arguments)

    async def obey(self, words: str) -> str:
        """Tell the memory something, where it is ours; return what it answers, "" where it is not."""
        obey = getattr(self.connection.memory, "obey", None)
        return str(await obey(words)) if obey else ""
