"""The running conversation of one connection, and the tools that the chat model has in it."""

from __future__ import annotations

from collections.abc import Iterable

from xiaozhi_persona.bridge.mcp.device_tools import DeviceTools
from xiaozhi_persona.bridge.mcp.offered import distinct
from xiaozhi_persona.bridge.mcp.own_servers import OwnServers
from xiaozhi_persona.bridge.tools import Tool, Toolbox, memory_tools
from xiaozhi_persona.memory.clock import ConversationClock
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.spine import Memory, Owner


class CurrentConversation:
    """Goes on for as long as the connection has the same memory."""

    def __init__(self, device: DeviceTools, servers: OwnServers) -> None:
        self._device = device
        self._servers = servers
        self._clock = ConversationClock()
        self._conversation: Conversation | None = None
        self._more: list[Tool] = []

    async def with_memory(self, owner: Owner, memory: Memory, tools: Iterable[Tool] = ()) -> Conversation:
        """Return the conversation, where the chat model has `tools` beside those of the memory, the device and the servers.

        Another one begins when the device has been given another memory.
        """
        talk = self._conversation
        if talk is None or talk.owner != owner or talk.memory is not memory:
            await self.aclose()
            talk = self._conversation = Conversation(memory, owner, clock=self._clock)
        self._more = list(tools)
        return talk

    async def toolbox(self) -> Toolbox:
        """Return the tools as they are for a turn that begins. Waits a little for those of a device that is new."""
        memory = memory_tools(self._conversation) if self._conversation else []
        return Toolbox(distinct([*memory, *self._more, *await self._device.tools(), *self._servers.tools()]))

    async def aclose(self) -> None:
        """Finish what was begun."""
        if self._conversation:
            await self._conversation.aclose()
