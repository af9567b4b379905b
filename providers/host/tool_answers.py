"""How a tool of ours answers the host."""

from __future__ import annotations

from typing import Any

from plugins_func.register import Action, ActionResponse

from xiaozhi_persona.spine import ToolAnswer


def is_awaited(names: tuple[str, ...]) -> bool:
    """Whether the code that calls a tool, which uses these names, awaits it where it gives something to await.

    The host does so from 0.9.6 on (core/providers/tools/server_plugins/plugin_executor.py).
    """
    return "iscoroutine" in names or "isawaitable" in names


def response_of(answer: ToolAnswer) -> Any:
    """Return what a tool has answered as the host takes it."""
    if answer.for_model:
        return ActionResponse(Action.REQLLM, result=answer.text, response=None)
    return ActionResponse(Action.RESPONSE, result=answer.text, response=answer.text)
