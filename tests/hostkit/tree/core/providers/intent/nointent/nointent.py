import json

from ..base import IntentProviderBase


class IntentProvider(IntentProviderBase):
    async def detect_intent(self, conn, dialogue_history, text):
        return json.dumps({"function_call": {"name": "continue_chat"}})
