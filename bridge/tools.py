"""The tools that the chat model may call in a conversation, and their calls: whatever it writes, each is answered."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tool_calls import WAIT_S, MemoryTools
from xiaozhi_persona.memory.tools import TOOL_NAMES, function_of
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role_tool import answer_role_call, role_function
from xiaozhi_persona.spine import ToolAnswer, ToolCall
from xiaozhi_persona.tasks import cancel_and_wait

log = logging.getLogger(__name__)

ROLE_TIMEOUT_S = 5.0
MAX_CALLS = 8
"""So many calls of one round are carried out."""
MAX_ARGUMENT_CHARACTERS = 10_000
MAX_ANSWER_CHARACTERS = 8000
_MAX_REPAIRED = 2000
"""Repairing takes the longer the worse a text is: a second for 10,000 characters of nothing but braces."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNREADABLE = "unreadable"
"""Stands for a name that servers would refuse."""


@dataclass(frozen=True)
class Tool:
    """Something that the chat model may call."""

    function: Mapping[str, Any]
    """Name, description and parameters, as chat models take them."""
    call: Callable[[Mapping[str, Any]], Awaitable[ToolAnswer]]
    timeout_s: float
    """After this the call is cancelled, and the chat model told so."""

    @property
    def name(self) -> str:
        """By what it is called."""
        return str(self.function["name"])


class Toolbox:
    """The tools of one conversation."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._numbers = itertools.count(1)
        self.offered = [{"type": "function", "function": tool.function} for tool in self._tools.values()]
        """For ChatModel.stream."""

    @property
    def names(self) -> tuple[str, ...]:
        """By what they are called."""
        return tuple(self._tools)

    async def call_all(self, calls: Sequence[ToolCall]) -> list[tuple[ToolCall, ToolAnswer]]:
        """Carry out calls at the same time. Returns each in a form that every server takes, with its answer.

        A call that comes twice is carried out once. Nothing runs any more when this returns or is cancelled.
        """
        ids = {""}
        read = [self._read(call, ids) for call in calls]
        tasks: dict[tuple[str, str], asyncio.Task[ToolAnswer]] = {}
        try:
            for one in read:
                if one.key not in tasks:
                    work = self._answer(one) if len(tasks) < MAX_CALLS else _too_many()
                    tasks[one.key] = asyncio.create_task(work, name=f"tool-{one.call.name}")
            await asyncio.wait(tasks.values())
        finally:
            await asyncio.gather(*map(cancel_and_wait, tasks.values()))
        return [(one.call, tasks[one.key].result()) for one in read]

    def _read(self, call: ToolCall, ids: set[str]) -> _ReadCall:
        tool = self._find(call.name.strip())
        name = tool.name if tool else call.name.strip()
        arguments = arguments_of(call.arguments)
        text = json.dumps(arguments or {}, ensure_ascii=False)
        # The form of what we make up is the strictest that is asked for anywhere: nine letters and digits (Mistral).
        call_id = f"call{next(self._numbers):05}" if call.id in ids else call.id
        ids.add(call_id)
        plain = ToolCall(call_id, name if _NAME.fullmatch(name) else _UNREADABLE, text)
        return _ReadCall(plain, tool, arguments)

    def _find(self, name: str) -> Tool | None:
        """Return the tool of this name; small models leave out the beginning of a name, or change its case."""
        if name in self._tools:
            return self._tools[name]
        likely = [tool for tool in self._tools.values() if name and _ends_with(tool.name, name)]
        return likely[0] if len(likely) == 1 else None

    async def _answer(self, read: _ReadCall) -> ToolAnswer:
        """Carry out one call. Never raises: what went wrong is told to the chat model."""
        if read.tool is None:
            return _told(f"没有叫 {read.call.name} 的工具。能用的有：{'、'.join(self._tools)}。")
        if read.arguments is None:
            return _told("参数读不懂，什么也没有做。参数要写成一个 JSON 对象。")
        name, limit_s = read.tool.name, read.tool.timeout_s
        try:
            with anyio.fail_after(limit_s):
                answer = await read.tool.call(read.arguments)
        except TimeoutError:
            log.warning("工具 %s %g 秒没有回答", name, limit_s)
            return _told(f"工具 {limit_s:g} 秒没有回答，不知道办成没有。照实告诉用户，不要说办好了。")
        except PersonaError as exc:
            log.warning("工具 %s：%s", name, exc)
            return _told(f"没有办成：{exc}")
        except Exception as exc:
            log.exception("工具 %s 出错：%s", name, type(exc).__name__)
            return _told("工具出错了，没有办成。照实告诉用户，不要说办好了。")
        return replace(answer, text=answer.text[:MAX_ANSWER_CHARACTERS])


@dataclass(frozen=True)
class _ReadCall:
    call: ToolCall
    tool: Tool | None
    arguments: dict[str, Any] | None

    @property
    def key(self) -> tuple[str, str]:
        return self.call.name, self.call.arguments


def memory_tools(conversation: Conversation) -> list[Tool]:
    """Return the tools of the conversation's memory; there are none for a memory that nothing is written to."""
    if not isinstance(conversation.memory, PersonaMemory):
        return []
    tools = MemoryTools(conversation, conversation.memory)
    return [Tool(function_of(tool), partial(tools.call, tool), WAIT_S + 1) for tool in TOOL_NAMES]


def role_tools(casting: Casting, device_id: str) -> list[Tool]:
    """Return the tool that switches the role of a device; there is none for one that does not say its id."""

    order = asyncio.Lock()  # a model may call it twice at a time: the last one counts

    async def call(arguments: Mapping[str, Any]) -> ToolAnswer:
        async with order:
            return await asyncio.to_thread(answer_role_call, casting, device_id, arguments)

    return [Tool(role_function(), call, ROLE_TIMEOUT_S)] if device_id else []


def arguments_of(text: str) -> dict[str, Any] | None:
    """Return the arguments that a chat model wrote, repaired where they are no JSON; None when they are no object."""
    if len(text) > MAX_ARGUMENT_CHARACTERS:
        return None
    value = parsed(text.strip() or "{}")
    if isinstance(value, str):  # written as JSON twice
        value = parsed(value)
    return value if isinstance(value, dict) else None


def parsed(text: str) -> Any:
    """Return what a JSON text says, repaired where it is broken; None where there is nothing to repair."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    except RecursionError:
        return None
    if len(text) > _MAX_REPAIRED:
        return None
    import json_repair  # seldom needed

    try:
        return json_repair.loads(text)
    except (ValueError, RecursionError):
        return None


def _ends_with(whole: str, name: str) -> bool:
    whole, name = whole.lower(), name.lower()
    return whole == name or whole.endswith(f"_{name}")


def _told(text: str) -> ToolAnswer:
    return ToolAnswer(text, for_model=True)


async def _too_many() -> ToolAnswer:
    return _told(f"一次最多 {MAX_CALLS} 个，这一个没有做。还需要就再调用。")
