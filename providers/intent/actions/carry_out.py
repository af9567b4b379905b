"""The table of actions: what each intent does, and the one place where it is done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from xiaozhi_persona.errors import PersonaError, ServiceTimeout
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.wording import said
from xiaozhi_persona.providers.intent.router import Match

log = logging.getLogger(__name__)

Action = Callable[[Scene, Mapping[str, Any]], Awaitable[Done | None]]
"""Takes the slots of the intent. None hands the sentence to the chat model. Raises PersonaError."""

ACTIONS: Mapping[str, Action] = {}


async def carry_out(match: Match, scene: Scene) -> Done | None:
    """Do what was asked for; a failure is answered, never raised.

    None hands the sentence to the chat model as if it had been no intent: what is said to the memory, which has its own
    way, and what the device cannot do but the chat model may.
    """
    action = ACTIONS.get(match.intent)
    if action is None:
        return None
    try:
        return await action(scene, match.slots)
    except ServiceTimeout as exc:
        log.warning("%s：%s", match.intent, exc)
        return Done(said(scene.language, "no_answer"))
    except PersonaError as exc:
        log.warning("%s：%s", match.intent, exc)
        return Done(said(scene.language, "failed"))
