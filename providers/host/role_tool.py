"""The tool by which the host's chat model changes the role, in the host's register.

Its file is imported by every host, whatever its settings select. So it also has the host ask us first, for connections
whose agent lists the tool in the console, where the kinds of intents are the console's own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from typing import Any

import anyio
from plugins_func.register import Action, ActionResponse, ToolType, register_function

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.intent_hooks import hook_in, intents_of
from xiaozhi_persona.providers.host.logs import log_through_host
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.memory_tools import is_awaited
from xiaozhi_persona.providers.host.role_change import play_role
from xiaozhi_persona.providers.host.tool_names import ROLE_TOOL

log_through_host()

_AWAITED_S = 5.0
_BLOCKING_S = 0.2
"""Hosts before 0.9.6 call a tool on the loop of all devices and do not await it: they are held up for no longer."""

_FUNCTION = {
    "name": ROLE_TOOL,
    "description": "换成另一个角色来说话。用户要换角色、换人说话、变成某某，或者要变回来时调用；只是谈到某个角色时不要调用。",
    "parameters": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "角色的名字；要变回原来的角色时写空的字符串"},
        },
        "required": ["name"],
    },
}
_DONE = "已经换成{name}。从这一句起就用{name}的身份和语气回答，先打个招呼。"
_SLOW = "角色正在换，下一句起生效。"


def register_role_tool(module: str) -> None:
    """Enter the tool in the host's register, and have the host ask us first. `module` is the file that does it."""
    persona_role.__module__ = module
    register_function(ROLE_TOOL, {"type": "function", "function": _FUNCTION}, ToolType.SYSTEM_CTL)(
        persona_role
    )
    hook_in()


def persona_role(conn: Any, name: str = "") -> Any:
    """Switch the device of a connection to another role; what comes of it is for the model to say."""
    work = submit(asyncio.to_thread(_switch, conn, name))
    if is_awaited(sys._getframe(1).f_code.co_names):
        return _awaited(work)
    try:
        return _response(work.result(_BLOCKING_S))
    except concurrent.futures.TimeoutError:
        return _response(_SLOW)


async def _awaited(work: concurrent.futures.Future[str]) -> Any:
    try:
        with anyio.fail_after(_AWAITED_S):
            return _response(await asyncio.shield(asyncio.wrap_future(work)))
    except TimeoutError:
        return _response(_SLOW)


def _switch(connection: Any, name: str) -> str:
    try:
        intents = intents_of(connection)
        role = intents.casting.switch(intents.device_id, name.strip() or None)
        play_role(connection, intents.casting, intents.device_id)
    except PersonaError as exc:
        return f"没有换成：{exc}"
    return _DONE.format(name=role.name)


def _response(told: str) -> Any:
    return ActionResponse(Action.REQLLM, result=told, response=None)
