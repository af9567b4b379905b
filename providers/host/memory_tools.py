"""The tools by which the host's chat model uses the memory (function_call mode): what it reads of them, and their calls.

The texts are for small models: when to call, when not to, and what to write.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable
from typing import Any

from plugins_func.register import Action, ActionResponse, ToolType, register_function

from xiaozhi_persona.providers.host.loop import submit
from xiaozhi_persona.providers.host.memory_requests import Answer, MemoryRequests
from xiaozhi_persona.providers.host.tool_names import TOOL_NAMES

_AWAITED_S = 10.0
_AWAITED_RECALL_S = 2.0
_BLOCKING_S = 0.05
"""Hosts before 0.9.6 call a tool on the loop of all devices and do not await it: they are held up for no longer."""
_BLOCKING_RECALL_S = 0.03

_NO_MEMORY = "现在没有用上我的记忆，这件事做不到。"
_NOT_YET = "我还在翻记忆，过一会儿再跟我说一次吧。"
_UNDER_WAY = {"note": "好，我正在记。", "off_record": "好，马上就照办。"}
"""For the tools that do as they are told and have nothing to show or to ask."""

_TEXTS: dict[str, tuple[str, dict[str, dict[str, Any]], tuple[str, ...]]] = {
    "recall": (
        "翻查以前的谈话和记下的事，按时间或话题。"
        "系统提示末尾的 memory 里已经有和这句话有关的记忆，够回答就直接回答，不要调用。"
        "只在这些时候调用：memory 里没有而用户问起以前的事；用户要再找、换个时间找；改正或忘掉以前要查编号。",
        {
            "query": {
                "type": "string",
                "description": "找什么，写成完整的问句，时间照用户的说法写。例：上周三我们聊了什么；我对什么过敏",
            }
        },
        ("query",),
    ),
    "note": (
        "用户明说“记住”“帮我记一下”时，记下一件事。谈话会自动记下，平常聊天不要调用。定闹钟、到时提醒不归它管。",
        {
            "content": {
                "type": "string",
                "description": "要记的事，一句话，用“我”指用户。例：我的车停在B2层；我妈妈的生日是3月5日",
            }
        },
        ("content",),
    ),
    "correct": (
        "用户说记错了、有变化时，改正一件记下的事。id 和 attribute 写一个就行。改的是用户的事才调用，你自己说错了不要调用。",
        {
            "value": {
                "type": "string",
                "description": "正确的内容，只写新的值。例：上海；3月5日。安排写时间和事：下周三下午三点看牙医",
            },
            "attribute": {"type": "string", "description": "改哪一样。例：住处；生日；妈妈的生日；鞋码"},
            "id": {
                "type": "string",
                "description": "persona_memory_recall 查到的编号，例：f12。没有就不写，不要编",
            },
        },
        ("value",),
    ),
    "forget": (
        "用户要你忘掉、删掉记忆里的内容时调用，忘掉就找不回来。分两步："
        "第一次只查出会忘掉什么，这时不会忘，把结果告诉用户，问他是不是确定；"
        "用户下一句同意了，再调用第二次，confirm 填 true。用户不同意就不要再调用。",
        {
            "what": {
                "type": "string",
                "description": "忘掉什么：一段时间、人或事，或编号。例：昨天下午；小丽；我的生日；刚才那句话；全部；f12",
            },
            "confirm": {
                "type": "boolean",
                "description": "第一次填 false；用户已经明确同意才填 true",
            },
        },
        ("what",),
    ),
    "off_record": (
        "用户说“这段不要记”“别记下来”时停止记录谈话；说“可以记了”时恢复。只是忘掉已经说过的，用 persona_memory_forget。",
        {
            "recording": {
                "type": "string",
                "enum": ["stop", "resume"],
                "description": "stop：从现在起不记；resume：恢复记录",
            }
        },
        ("recording",),
    ),
}


def register_tools(module: str) -> None:
    """Enter the tools in the host's register. `module` is the name of the file that does it.

    Newer hosts take the name of a file in their settings for all tools that it holds, and look for it in `__module__`.
    """
    for tool, name in TOOL_NAMES.items():
        description, properties, required = _TEXTS[tool]
        parameters = {"type": "object", "properties": properties, "required": list(required)}
        call = _tool(tool)
        call.__name__, call.__module__ = name, module
        function = {"name": name, "description": description, "parameters": parameters}
        register_function(name, {"type": "function", "function": function}, ToolType.SYSTEM_CTL)(call)


def _tool(tool: str) -> Callable[..., Any]:
    def call(conn: Any, **arguments: Any) -> Any:
        requests = getattr(getattr(conn, "memory", None), "requests", None)
        if not isinstance(requests, MemoryRequests):
            return _response(Answer(_NO_MEMORY))
        if _is_awaited(sys._getframe(1).f_code.co_names):
            return _awaited(tool, requests, arguments)
        work = submit(requests.answer(tool, arguments, _BLOCKING_RECALL_S))
        try:
            return _response(work.result(_BLOCKING_S))
        except concurrent.futures.TimeoutError:
            return _response(_late(tool, requests))

    return call


def _is_awaited(names: tuple[str, ...]) -> bool:
    """Whether the code that calls a tool, which uses these names, awaits it where it gives something to await.

    The host does so from 0.9.6 on (core/providers/tools/server_plugins/plugin_executor.py).
    """
    return "iscoroutine" in names or "isawaitable" in names


async def _awaited(tool: str, requests: MemoryRequests, arguments: dict[str, Any]) -> Any:
    """Wait for an answer on the host's loop; what takes too long goes on without it."""
    work = asyncio.wrap_future(submit(requests.answer(tool, arguments, _AWAITED_RECALL_S)))
    await asyncio.wait({work}, timeout=_AWAITED_S)
    return _response(work.result() if work.done() else _late(tool, requests))


def _late(tool: str, requests: MemoryRequests) -> Answer:
    if tool == "forget":
        requests.missed()
    return Answer(_UNDER_WAY.get(tool, _NOT_YET))


def _response(answer: Answer) -> Any:
    if answer.for_model:
        return ActionResponse(Action.REQLLM, result=answer.text, response=None)
    return ActionResponse(Action.RESPONSE, result=answer.text, response=answer.text)
