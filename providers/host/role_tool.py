"""The tool by which the host's chat model changes the role, in the host's register.

Its file is imported by every host, whatever its settings select. So it also has the host ask us first, for connections
whose agent lists the tool in the console, where the kinds of intents are the console's own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections.abc import Mapping
from typing import Any

from plugins_func.register import ToolType, register_function

from xiaozhi_persona.providers.host.intent_hooks import hook_in, intents_of
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.role_change import plays_another
from xiaozhi_persona.providers.host.tool_answers import is_awaited, response_of
from xiaozhi_persona.roles.role_tool import ROLE_TOOL, answer_role_call, role_function
from xiaozhi_persona.spine import ToolAnswer

log_through_host()

_AWAITED_S = 5.0
_BLOCKING_S = 0.2
"""Hosts before 0.9.6 call a tool on the loop of all devices and do not await it: they are held up for no longer."""

_SLOW = ToolAnswer("角色正在换，下一句起生效。", for_model=True)
_order = threading.Lock()
"""A model may call it twice at a time: the last one counts."""


def register_role_tool(module: str) -> None:
    """Enter the tool in the host's register, and have the host ask us first. `module` is the file that does it."""
    persona_role.__module__ = module
    description = {"type": "function", "function": role_function()}
    register_function(ROLE_TOOL, description, ToolType.SYSTEM_CTL)(persona_role)
    hook_in()


def persona_role(conn: Any, **arguments: Any) -> Any:
    """Switch the device of a connection to another role, or tell which there are."""
    work = submit(asyncio.to_thread(_call, conn, arguments))
    if is_awaited(sys._getframe(1).f_code.co_names):
        return _awaited(work)
    try:
        return response_of(work.result(_BLOCKING_S))
    except concurrent.futures.TimeoutError:
        return response_of(_SLOW)


async def _awaited(work: concurrent.futures.Future[ToolAnswer]) -> Any:
    waiting = asyncio.wrap_future(work)
    await asyncio.wait({waiting}, timeout=_AWAITED_S)
    return response_of(waiting.result() if waiting.done() else _SLOW)


def _call(connection: Any, arguments: Mapping[str, Any]) -> ToolAnswer:
    intents = intents_of(connection)
    with _order:
        is_away = plays_another(connection)
        answer = answer_role_call(intents.casting, intents.device_id, arguments, is_away=is_away)
        intents.follow_role(again=answer.ends_reply)
    return answer
