"""A tool of the user's own: `--tool NAME=COMMAND`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from xiaozhi_persona.bridge.client.mcp import Argument, Tool
from xiaozhi_persona.bridge.client.program import run_program, words_of
from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr

OUTPUT_BYTES = 8000
_TIMEOUT_S = 9.0
"""Below mcp.CALL_TIMEOUT_S, so that the server hears what happened."""

_HEAD = re.compile(r"([A-Za-z][\w.-]{0,63})\s*(?:\(([^()]*)\))?\s*(.*)", re.ASCII | re.DOTALL)
_ARGUMENT = re.compile(r"([A-Za-z]\w{0,31})(?::(string|integer|boolean))?", re.ASCII)


def command_tool(text: str) -> Tool:
    """Return the tool that `NAME=COMMAND` describes. Raises SettingsError.

    Before the `=` the name may be followed by arguments, each with its type (string, integer, boolean; string where
    none is given), and by what the tool is for, which the chat model reads: `self.lamp.set(level:integer) 调灯的亮度=lamp`.
    The command gets an argument as an environment variable: TOOL_LEVEL. What it prints is the result; nothing: true.
    """
    head, equals, command = text.partition("=")
    match = _HEAD.fullmatch(head.strip())
    if not equals or match is None:
        raise SettingsError(
            tr(
                "--tool {text!r} 看不懂。应像 self.lamp.on=命令，或 'self.lamp.set(level:integer) 调灯的亮度=命令'",
                text=text,
            )
        )
    name, arguments, description = match.groups()
    words = words_of(command, f"--tool {name}")

    async def call(given: Mapping[str, Any]) -> str | bool:
        environment = {f"TOOL_{key.upper()}": _as_text(value) for key, value in given.items()}
        output = await run_program(
            words, environment=environment, timeout_s=_TIMEOUT_S, max_bytes=OUTPUT_BYTES
        )
        return output.decode(errors="backslashreplace").strip() or True

    return Tool(name, description.strip() or name, call, _arguments(name, arguments or ""))


def _arguments(tool: str, text: str) -> tuple[Argument, ...]:
    arguments = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        match = _ARGUMENT.fullmatch(one)
        if match is None:
            raise SettingsError(
                tr(
                    "--tool {tool} 的参数 {one!r} 看不懂。应像 level:integer，类型有 string、integer、boolean",
                    tool=tool,
                    one=one,
                )
            )
        kind = cast(Literal["boolean", "integer", "string"], match[2] or "string")
        arguments.append(Argument(match[1], kind))
    return tuple(arguments)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
