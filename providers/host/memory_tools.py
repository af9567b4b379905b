"""The tools by which the host's chat model uses the memory (function_call mode), in the host's register."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable
from typing import Any

from plugins_func.register import ToolType, register_function

from xiaozhi_persona.memory.tool_calls import RECALL_S, WAIT_S, MemoryTools
from xiaozhi_persona.memory.tools import TOOL_NAMES, function_of
from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.tool_answers import is_awaited, response_of
from xiaozhi_persona.spine import ToolAnswer

_AWAITED_S = WAIT_S
_BLOCKING_S = 0.05
"""Hosts before 0.9.6 call a tool on the loop of all devices and do not await it: they are held up for no longer."""
_BLOCKING_RECALL_S = 0.03

_NO_MEMORY = "现在没有用上我的记忆，这件事做不到。"


def register_tools(module: str) -> None:
    """Enter the tools in the host's register. `module` is the name of the file that does it.

    Newer hosts take the name of a file in their settings for all tools that it holds, and look for it in `__module__`.
    """
    for tool, name in TOOL_NAMES.items():
        call = _tool(tool)
        call.__name__, call.__module__ = name, module
        description = {"type": "function", "function": function_of(tool)}
        register_function(name, description, ToolType.SYSTEM_CTL)(call)


def _tool(tool: str) -> Callable[..., Any]:
    def call(conn: Any, **arguments: Any) -> Any:
        tools = getattr(getattr(conn, "memory", None), "tools", None)
        if not isinstance(tools, MemoryTools):
            return response_of(ToolAnswer(_NO_MEMORY))
        if is_awaited(sys._getframe(1).f_code.co_names):
            return _awaited(tool, tools, arguments)
        work = submit(tools.answer(tool, arguments, _BLOCKING_RECALL_S))
        try:
            return response_of(work.result(_BLOCKING_S))
        except concurrent.futures.TimeoutError:
            return response_of(tools.late(tool))

    return call


async def _awaited(tool: str, tools: MemoryTools, arguments: dict[str, Any]) -> Any:
    """Wait for an answer on the host's loop; what takes too long goes on without it."""
    work = asyncio.wrap_future(submit(tools.answer(tool, arguments, RECALL_S)))
    await asyncio.wait({work}, timeout=_AWAITED_S)
    return response_of(work.result() if work.done() else tools.late(tool))
