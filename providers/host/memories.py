"""The memory of all devices in the host's process, and which role each device plays."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.embed.engine import open_embedder
from xiaozhi_persona.providers.host.conversation import HostConversation
from xiaozhi_persona.providers.host.roles import casting_of
from xiaozhi_persona.providers.host.sections import role_of
from xiaozhi_persona.providers.host.shared_instances import SharedInstances
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.lore import LoreBook
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Embedder, Owner

log = logging.getLogger(__name__)

_MAX_DEVICES = 10_000
_FINISH_S = 1.0


def shared_memory(settings: Settings) -> SharedMemory:
    """Return the memory that keeps its diaries where these settings say; there is one for each such folder."""
    return _shared.get(str(settings.memory_dir), lambda: SharedMemory(settings))


class SharedMemory:
    """One memory, and the roles that the devices play. Every call of the memory names its owner."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._castings: OrderedDict[str, Casting] = OrderedDict()  # by device
        self.memory = PersonaMemory(
            settings.memory, settings.memory_dir, role_of=self._role_of, embedder=_embedder(settings)
        )
        self.conversations: weakref.WeakSet[HostConversation] = weakref.WeakSet()
        """Those that go on, of all connections. Added to and gone through on our loop."""

    def cast(self, device_id: str, section: Mapping[str, Any]) -> Casting:
        """Note which roles a device plays, as the host's section tells, and return them. Never raises."""
        settings = self._settings
        try:
            settings = settings.model_copy(update=role_of(section))
        except PersonaError as exc:
            log.error("%s", exc)
        casting = casting_of(settings)
        with self._lock:
            self._castings[device_id] = casting
            self._castings.move_to_end(device_id)
            while len(self._castings) > _MAX_DEVICES:
                self._castings.popitem(last=False)
        return casting

    def read_with(self, llm: Any) -> None:
        """Have the host's chat model read for facts once more what was said; the one given last is asked."""
        if callable(getattr(llm, "response", None)):
            self.memory.asks_model = partial(_asked, llm)

    async def aclose(self) -> None:
        """Write what is left, and end the threads."""
        finishing = [asyncio.create_task(talk.finish()) for talk in self.conversations]
        if finishing:
            await asyncio.wait(finishing, timeout=_FINISH_S)
        await self.memory.aclose()

    def _role_of(self, owner: Owner) -> tuple[str, LoreBook | None]:
        casting = self._castings.get(owner.device)
        return (casting.role(owner.device).name, casting.lore(owner.device)) if casting else ("", None)


async def _asked(llm: Any, instructions: str, text: str) -> str:
    """Ask a chat model of the host, in a thread: its answer comes piece by piece, each of which blocks."""

    def ask() -> str:
        dialogue = [{"role": "system", "content": instructions}, {"role": "user", "content": text}]
        return "".join(piece for piece in llm.response("persona-memory", dialogue) if isinstance(piece, str))

    return await asyncio.to_thread(ask)


def _embedder(settings: Settings) -> Embedder | None:
    try:
        return open_embedder(settings.memory)
    except PersonaError as exc:
        log.error("%s（先按词找）", exc)
        return None


_shared: SharedInstances[SharedMemory] = SharedInstances(write=True)
