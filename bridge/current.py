"""The running conversation of one connection, and the tools that the chat model has in it."""

from __future__ import annotations

from xiaozhi_persona.bridge.tools import Toolbox, memory_tools
from xiaozhi_persona.memory.clock import ConversationClock
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.spine import Memory, Owner


class CurrentConversation:
    """Goes on for as long as the connection has the same memory."""

    def __init__(self) -> None:
        self._clock = ConversationClock()
        self._conversation: Conversation | None = None
        self._tools = Toolbox()

    async def with_memory(self, owner: Owner, memory: Memory) -> tuple[Conversation, Toolbox]:
        """Return the conversation; another one begins when the device has been given another memory."""
        talk = self._conversation
        if talk is None or talk.owner != owner or talk.memory is not memory:
            await self.aclose()
            talk = self._conversation = Conversation(memory, owner, clock=self._clock)
            self._tools = Toolbox(memory_tools(talk))
        return talk, self._tools

    async def aclose(self) -> None:
        """Finish what was begun."""
        if self._conversation:
            await self._conversation.aclose()
