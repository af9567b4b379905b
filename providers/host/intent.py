"""The intent door: local intents before the host's own ways, and the model's tools as with function_call.

The host asks a kind of intent of its own before each question, and then gives its chat model no tools. So the section
goes on as function_call, or as nointent where it lists no tools for the model, and what is said is looked at one call
earlier: see intent_hooks.py.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from core.providers.intent.base import IntentProviderBase

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.intent_hooks import hook_in
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.shared_intents import shared_intents
from xiaozhi_persona.providers.host.tool_names import INTENT_MARK

log = logging.getLogger(__name__)
log_through_host()


class PersonaIntentProvider(IntentProviderBase):  # type: ignore[misc]
    """What the host builds, once for all devices: it holds nothing of any of them."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Change the section, which the host passes as it stands in its settings, and have the host ask us first.

        Never raises. Reads the intents: it is called before the host listens.
        """
        super().__init__(config)
        config["type"] = "function_call" if "functions" in config else "nointent"
        config[INTENT_MARK] = True
        hook_in()
        try:
            shared_intents()
        except PersonaError as exc:
            log.error("%s（改好之前没有本地意图）", exc)

    async def detect_intent(self, conn: Any, dialogue_history: Any, text: str) -> str:
        """Nothing: whatever was an intent has not come this far."""
        return json.dumps({"function_call": {"name": "continue_chat"}})
