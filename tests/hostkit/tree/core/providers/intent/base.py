from abc import ABC, abstractmethod


class IntentProviderBase(ABC):
    def __init__(self, config):
        self.config = config

    def set_llm(self, llm):
        self.llm = llm

    @abstractmethod
    async def detect_intent(self, conn, dialogue_history, text):
        """Return JSON text with a function_call, or nothing."""
