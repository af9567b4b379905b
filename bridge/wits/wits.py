"""What is said over one connection and needs no chat model, carried out one thing after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import anyio

from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.providers.intent.actions.carry_out import carry_out
from xiaozhi_persona.providers.intent.actions.scene import Done, language_of
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.router import Match
from xiaozhi_persona.providers.intent.scheduler import Scheduler
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

LONGEST_S = 45.0
"""No action takes longer: a photo may take 30 s."""
MAX_WAITING = 8
"""Of what is said while the device does not answer, more is refused."""


class Tools(Protocol):
    """What can be called over one connection: the tools of the device, then the server's."""

    async def names(self) -> Collection[str]:
        """Return their names, as the device writes them; waits for a list that is on its way."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call one of them. Raises PersonaError."""
        ...


@dataclass(frozen=True)
class Doing:
    """Something that is being carried out."""

    intent: str
    task: asyncio.Task[Done | None]
    """None: it belongs to the chat model after all."""


class Wits:
    """Carries out what is said. What has begun goes on when the answer to it is interrupted: the device has been asked."""

    def __init__(self, casting: Casting, settings: Settings, tools: Tools) -> None:
        self.tools = tools
        self.device_id = ""
        """Which device it is; "" for one that does not say, or cannot prove it."""
        self.last_said = ""
        """What was answered last, with its tags."""
        self._casting = casting
        self._settings = settings
        self._kept: dict[str, Any] = {}
        self._order = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, match: Match, text: str, intents: Intents, conversation: Conversation) -> Doing:
        """Begin to carry out the intent of a text."""
        owner_id = self._settings.memory.owner_of(conversation.owner.device)
        scene = _Scene(
            language_of(text), self.device_id, owner_id, self._casting, intents.scheduler, self.last_said,
            self._kept, self.tools, conversation, intents.now,
        )  # fmt: skip
        work = self._do(match, scene) if len(self._tasks) < MAX_WAITING else _refuse(scene)
        task = asyncio.get_running_loop().create_task(work, name=f"intent-{match.intent}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Doing(match.intent, task)

    async def aclose(self) -> None:
        """End what is being carried out."""
        for task in list(self._tasks):
            await cancel_and_wait(task)

    async def _do(self, match: Match, scene: _Scene) -> Done | None:
        """Never raises but when it is cancelled."""
        async with self._order:
            with anyio.move_on_after(LONGEST_S):
                return await carry_out(match, scene)
        log.warning("%s：%g 秒没有办完", match.intent, LONGEST_S)
        return Done(said(scene.language, "no_answer"), worked=False)


async def _refuse(scene: _Scene) -> Done:
    return Done(said(scene.language, "failed"), worked=False)


@dataclass
class _Scene:
    language: str
    device_id: str
    owner_id: str
    casting: Casting
    scheduler: Scheduler | None
    last_said: str
    kept: dict[str, Any]
    _tools: Tools
    _conversation: Conversation
    now: Callable[[], datetime]
    _names: Collection[str] | None = field(default=None, init=False)

    async def tool_names(self) -> Collection[str]:
        if self._names is None:
            self._names = await self._tools.names()
        return self._names

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        return await self._tools.call(name, arguments)

    async def obey(self, words: str) -> str:
        talk = self._conversation
        return await talk.memory.obey(talk.owner, words, talk.now())
