from abc import ABC, abstractmethod


class MemoryProviderBase(ABC):
    """One object for all connections; the last to connect sets role_id and llm."""

    def __init__(self, config):
        self.config = config
        self.role_id = None

    def set_llm(self, llm):
        self.llm = llm

    @abstractmethod
    async def save_memory(self, msgs, session_id=None):
        """Called once when a connection ends, in a daemon thread of its own."""

    @abstractmethod
    async def query_memory(self, query):
        """Called on the main loop before the model is asked."""

    def init_memory(self, role_id, llm, **kwargs):
        self.role_id, self.llm = role_id, llm
