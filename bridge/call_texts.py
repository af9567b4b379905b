"""The forms in which chat models write a tool call as text, and the calls that a text is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xiaozhi_persona.bridge.tools import parsed
from xiaozhi_persona.spine import ToolCall

_FUNCTION = re.compile(r"<function=([^>\s]+)>(.*?)(?:</function>|$)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)(?:</parameter>|$)", re.DOTALL)
_MARKED = re.compile(  # functions.name:0 <mark> {...}, name <mark> ```json {...}```
    r"(?<![\w.-])(?:functions\.)?([\w-]{1,64})(?::\d{1,4})?\s{0,8}(?:<\|tool_call_argument_begin\|>|\n?```json)"
)
_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action")
_ARGUMENT_KEYS = ("arguments", "parameters", "args", "params", "action_input", "tool_input", "input")
_WRAPPERS = ("tool_calls", "tool_call", "function_call", "function")
_FIRST_KEYS = frozenset((*_NAME_KEYS, *_ARGUMENT_KEYS, *_WRAPPERS, "id", "type"))
_OBJECT_BEGUN = re.compile(r"(?:\[\s{0,20})?(?:\{\s{0,20}(?:[\"'](\w{0,16})([\"']?))?)?")
_ARGUMENTS_BEGUN = re.compile(r"\(\s{0,20}(?:\w{1,40}\s{0,3})?")


def calls_in(text: str, names: Sequence[str]) -> list[ToolCall]:
    """Return the calls that a text is, [] when it is none."""
    text = text.strip().strip("`").strip()
    if functions := _FUNCTION.findall(text):
        return [_call(name, _parameters(body) or body) for name, body in functions]
    _, *marked = _MARKED.split(text)
    if marked:
        bodies = (body[: body.rfind("}") + 1].strip() for body in marked[1::2])
        return [_call(name, body) for name, body in zip(marked[::2], bodies, strict=True) if body[:1] == "{"]
    name = text.partition("(")[0].strip()
    if name in names:
        keywords = _keywords(text)
        keywords = _keywords(f"{text})") if keywords is None else keywords
        return [] if keywords is None else [_call(name, keywords)]
    value = parsed(text.removeprefix("json").strip())
    return [
        call for item in (value if isinstance(value, list) else [value]) for call in _calls_of(item, names)
    ]


def may_be_object(text: str) -> bool | None:
    """Whether a text begins as a call in JSON, by its first key; None where that is not known yet."""
    begun = _OBJECT_BEGUN.match(text)
    if not begun or begun[1] is None:
        return None if begun and begun.end() == len(text) else False
    if begun[2]:
        return begun[1] in _FIRST_KEYS
    goes_on = begun.end() == len(text) and any(key.startswith(begun[1]) for key in _FIRST_KEYS)
    return None if goes_on else False


def may_be_arguments(text: str) -> bool | None:
    """Whether a bracket opens the arguments of a call, and no words of prose; None where that is not known yet."""
    begun = _ARGUMENTS_BEGUN.match(text)
    if not begun:
        return False
    if begun.end() == len(text):
        return None
    has_word = begun[0][1:].strip() != ""
    return text[begun.end()] in ("=" if has_word else ")\"'{")


def _parameters(body: str) -> dict[str, str]:
    return {name: value.strip() for name, value in _PARAMETER.findall(body)}


def _calls_of(item: Any, names: Sequence[str]) -> Iterator[ToolCall]:
    if not isinstance(item, Mapping):
        return
    for key in _WRAPPERS:
        inner = item.get(key)
        if isinstance(inner, (Mapping, list)):
            for one in inner if isinstance(inner, list) else [inner]:
                yield from _calls_of(one, names)
            return
    name = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), "")
    key = next((key for key in _ARGUMENT_KEYS if key in item), "")
    if name and (key or name in names):
        rest = {other: value for other, value in item.items() if value != name}
        yield _call(name, item[key] if key else rest)


def _call(name: str, arguments: Any) -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall("", name, text)


def _keywords(text: str) -> dict[str, Any] | None:
    """Return the arguments of a call that is written as in Python, None when it is prose: `play(ball)`."""
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or any(isinstance(value, ast.Name) for value in call.args):
            return None
        return {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
