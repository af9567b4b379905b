"""What a chat model does for one owner's memory in quiet times: it reads for facts once more, and writes the diary."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from xiaozhi_persona.memory import digests, second_reader
from xiaozhi_persona.memory.store import OwnerStore

log = logging.getLogger(__name__)

DEADLINE_S = 120.0
AsksModel = Callable[[str, str], Awaitable[str]]
"""Gives a chat model instructions and a text, and returns what it writes."""
_Change = Callable[[Callable[[OwnerStore], Any]], Awaitable[Any]]


class QuietWork:
    """Each of its methods asks the model once. They raise PersonaError, and TimeoutError of asyncio."""

    def __init__(self, asks: AsksModel, room: Callable[[], Awaitable[None]], change: _Change) -> None:
        """`room` waits until the model may be asked again, and `change` does something to the owner's memory, in the
        thread where that belongs.
        """
        self._room = room
        self._asks = asks
        self._change = change

    async def read_for_facts(self) -> bool:
        """Have what was said since the last time read for facts. Returns whether anything was read."""
        read = await self._change(lambda store: second_reader.unread(store.writer))
        if read is None:
            return False
        changes = second_reader.checked(await self._ask(*second_reader.messages(read)), read)

        def write(store: OwnerStore) -> int:
            with store.transaction() as db:
                if changes is None:
                    second_reader.put_off(db, read)
                    return 0
                return second_reader.apply(db, read, changes)

        changed = await self._change(write)
        if changes is None:
            log.warning("对话模型再读谈话时答的不是 JSON，下次安静时再读。")
            return False
        log.info("对话模型把 %d 句话再读了一遍，事实改了 %d 处。", len(read.turns), changed)
        return True

    async def write_diary(self) -> bool:
        """Have the next day or month written up. Returns whether there was one."""
        now = datetime.now()
        wanted = await self._change(lambda store: digests.next_wanted(store.writer, now))
        if wanted is None:
            return False
        written = await self._ask(wanted.instructions, wanted.material)

        def write(store: OwnerStore) -> bool:
            with store.transaction() as db:
                return digests.keep(db, wanted, written)

        if not await self._change(write):
            log.warning("对话模型写的日记用不上，这一天不写了。")
        return True

    async def _ask(self, instructions: str, text: str) -> str:
        await self._room()
        return await asyncio.wait_for(self._asks(instructions, text), DEADLINE_S)
