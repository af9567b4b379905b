"""The memory door: what the host takes for its own memory, with our diary behind it.

Where the settings are in files, the host shares one memory object among all devices and gives it no device with a
question. So the shared object holds nothing: at each connection it puts one in its place that belongs to it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from core.providers.memory.base import MemoryProviderBase

from xiaozhi_persona.device_ids import normal_id
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tool_calls import MemoryTools
from xiaozhi_persona.providers.host.connection import (
    calling_connection,
    has_memory_tools,
    has_tts_door,
    role_section,
    texts_of_the_host,
)
from xiaozhi_persona.providers.host.conversation import HostConversation, safe_for_template
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.loop import background_loop, submit
from xiaozhi_persona.providers.host.memories import shared_memory
from xiaozhi_persona.providers.host.sections import base_settings
from xiaozhi_persona.providers.host.system_prompt import give_character
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.spine import Owner

log = logging.getLogger(__name__)
log_through_host()

_ANSWER_S = 0.5
"""When a question is given up. The recall's own deadline is a setting; this is for a process that stands still."""

_SAVE_S = 10.0


class PersonaMemoryProvider(MemoryProviderBase):  # type: ignore[misc]
    """What the host builds. It answers for nobody."""

    def __init__(self, config: Mapping[str, Any], summary_memory: object = None) -> None:
        """Never raises. The memory gets ready from now on, before a device asks."""
        super().__init__(config)
        try:
            shared_memory(base_settings(Path.cwd()))
        except PersonaError as exc:
            log.error("%s（改好之前没有记忆）", exc)

    def init_memory(self, role_id: str | None, llm: object, **kwargs: object) -> None:
        """Give the connection that is being set up a memory of its own. Never raises."""
        connection = calling_connection()
        device_id = normal_id(str(role_id or ""))
        if connection is None or not device_id:
            log.error("不知道是哪台设备，这次连接没有记忆。设备要带 device-id 连接。")
            return
        try:
            connection.memory = ConnectionMemory(self.config, connection, device_id, llm)
        except Exception:
            log.exception("这次连接没有记忆")

    async def query_memory(self, query: str) -> str:
        """Nothing: a connection with a device has a memory of its own."""
        return ""

    async def save_memory(self, msgs: Sequence[Any], session_id: str | None = None) -> None:
        """Nothing, for the same reason."""


class ConnectionMemory(MemoryProviderBase):  # type: ignore[misc]
    """The memory of one connection. None of its methods raises: the host would leave the device waiting."""

    def __init__(
        self, section: Mapping[str, Any], connection: Any, device_id: str, llm: object = None
    ) -> None:
        super().__init__(section)
        self.role_id = device_id
        shared = shared_memory(base_settings(Path.cwd()))
        shared.read_with(llm)
        self._shared, self._casting = shared, shared.cast(device_id, role_section(connection))
        self._role = role = self._casting.role(device_id)
        is_switched = role is not self._casting.configured(device_id)
        if (section.get("role") or is_switched) and not has_tts_door(connection):
            give_character(connection, role, with_tags=False, is_switched=is_switched)
        self._found = ""
        self._written: dict[int, Any] = {}
        self._obeys = not has_memory_tools(connection)
        self._ignored = texts_of_the_host(connection)
        self._conversation = self._converse(role)
        self.tools = MemoryTools(self._conversation, shared.memory)
        """What the tools of the connection's model ask of it."""
        self._follow(connection.dialogue)
        submit(shared.memory.open(self._conversation.owner))

    @property
    def mind(self) -> tuple[PersonaMemory, Owner]:
        """The memory that is asked, and whose it is."""
        return self._shared.memory, self._conversation.owner

    async def query_memory(self, query: str | None) -> str:
        """Keep the user's words; return what helps to answer them, made safe for the host's template.

        Hosts before 0.9.3 ask without words when a tool was called: they get what they had.
        """
        if not query:
            return self._found
        self._found = ""
        given_up = threading.Event()
        try:
            with anyio.fail_after(_ANSWER_S):
                # What is too slow goes on: the words are kept all the same, and a command is carried out.
                found = asyncio.wrap_future(submit(self._conversation.ask(query, given_up.is_set)))
                self._found = safe_for_template(await asyncio.shield(found))
        except TimeoutError:
            given_up.set()
            log.warning("记忆 %g 秒没有回答，这一轮没有回忆。", _ANSWER_S)
        except Exception:
            log.exception("回忆时出错，这一轮没有回忆")
        return self._found

    async def obey(self, words: str) -> str:
        """Tell the memory something (记住…), whoever else obeys here; return what it answers, "" for any other words."""
        talk = self._conversation
        return await asyncio.wrap_future(submit(talk.memory.obey(talk.owner, words, talk.now())))

    def carried_out(self, words: str, speaker: str, answer: str) -> None:
        """Keep what the device has done without the chat model, which is told of it with the next question."""
        background_loop().call_soon_threadsafe(self._conversation.keep_aside, words, speaker, answer)

    async def save_memory(self, msgs: Sequence[Any], session_id: str | None = None) -> None:
        """Write what is not written yet: little, since all was written when it was said."""
        try:
            for message in list(msgs):
                self._heard(message)
            with anyio.fail_after(_SAVE_S):
                await asyncio.wrap_future(submit(self._conversation.finish()))
        except TimeoutError:
            log.warning("记忆写得很慢：%g 秒还没有写完。", _SAVE_S)
        except Exception:
            log.exception("写记忆时出错")

    def _converse(self, role: Role) -> HostConversation:
        """Begin a conversation with the memory that a role has."""
        talk = HostConversation(
            self._shared.memory,
            role.memory_of(Owner(self.role_id)),
            background_loop(),
            role.emotion_names,
            obeys=self._obeys,
            ignored=self._ignored,
        )
        background_loop().call_soon_threadsafe(self._shared.conversations.add, talk)
        return talk

    def _follow_role(self, dialogue: Any) -> None:
        """What the user says next is for the role that the device plays now, and for the memory that this has.

        To one who has another memory nothing of what was said stands in the dialogue either.
        """
        role = self._casting.role(self.role_id)
        if role is self._role:
            return
        self._role, talk = role, self._conversation
        talk.names = role.emotion_names
        if role.memory_of(Owner(self.role_id)) != talk.owner:
            self._conversation = self._converse(role)
            self.tools = MemoryTools(self._conversation, self._shared.memory)
            submit(talk.finish())
            stays = [m for m in dialogue.dialogue if m.role == "system" or getattr(m, "is_temporary", False)]
            dialogue.dialogue[:] = stays

    def _follow(self, dialogue: Any) -> None:
        """Hear every message as the host puts it into the dialogue."""
        put = dialogue.put

        def heard(message: Any) -> None:
            if message.role == "user":
                self._follow_role(dialogue)
            put(message)
            self._heard(message)

        dialogue.put = heard

    def _heard(self, message: Any) -> None:
        """Take a message once; examples (few-shot) are not part of the conversation."""
        if id(message) in self._written:
            return
        self._written[id(message)] = message  # held, since 0.9.3 drops some, and an id might come twice
        if not getattr(message, "is_temporary", False):
            self._conversation.heard(message.role, message.content)
