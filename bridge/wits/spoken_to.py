"""A session, as far as something can be said there unasked: a timer that rings, the first word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from xiaozhi_persona.bridge.answering import Unasked
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.spine import Memory, Owner


class Session(Protocol):
    """What is needed of one."""

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


class SpokenTo:
    """A providers.intent.ringing.Device."""

    def __init__(self, session: Session, memory: Memory, owner_of: Callable[[str], str]) -> None:
        """`owner_of` tells whose timers those of a memory's owner are."""
        self._session = session
        self.device_id, owner = session.device
        self.owner_id = owner_of(owner.device)
        self.mind = (memory, owner) if isinstance(memory, PersonaMemory) else None

    @property
    def quiet_s(self) -> float:
        """For how long nobody has spoken."""
        return time.monotonic() - self._session.quiet_since_s

    async def say_unasked(self, text: str, *, aside: bool) -> bool:
        """Say something, unless somebody speaks; return whether it was begun to be said."""
        return await self._session.say(Unasked(text, aside))
