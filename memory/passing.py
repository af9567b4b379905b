"""The memory of a device that does not say which one it is: the running conversation, gone with the connection."""

from __future__ import annotations

from datetime import datetime

from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.memory.spoken import parse_command
from xiaozhi_persona.spine import Owner


class PassingMemory(RecentMemory):
    """A spine.Memory for one connection. Nobody else hears what was told to it, and nothing is written."""

    def __init__(
        self, max_turns: int, answer: str = "我不知道这是哪台设备，所以没有记忆，什么也没有记下。"
    ) -> None:
        """`answer` is said to what tells the memory itself to do something; "" takes it for words like others."""
        super().__init__(max_turns)
        self._answer = answer

    async def open(self, owner: Owner) -> None:
        """Nothing to open."""

    async def obey(self, owner: Owner, text: str, now: datetime) -> str:
        """Say that nothing can be kept."""
        return "" if parse_command(text) is None else self._answer
