from ..base import MemoryProviderBase


class MemoryProvider(MemoryProviderBase):
    def __init__(self, config, summary_memory=None):
        super().__init__(config)

    async def save_memory(self, msgs, session_id=None):
        return None

    async def query_memory(self, query):
        return ""
