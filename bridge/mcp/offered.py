"""What an MCP server says of its tools, and how the chat model is told. No I/O.

Source: 78/xiaozhi-esp32 2.4, main/mcp_server.cc; the MCP specification's tools/list.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xiaozhi_persona.bridge.mcp.schemas import parameters_of
from xiaozhi_persona.bridge.tools import Tool

log = logging.getLogger(__name__)

MAX_OFFERED = 128
"""So many tools a chat model is offered: OpenAI takes no more."""
MAX_LISTED = 64
"""So many tools of one server are offered,"""
MAX_CHARACTERS = 64_000
"""and so many characters of what it says of them: they stand in every question."""
MAX_PAGES = 20
MAX_NAME = 64
_MAX_LISTED_NAME = 200
_MAX_DESCRIPTION = 1024
_MAX_PARAMETERS = 8000
"""Characters, as JSON."""

USER_ONLY = frozenset(
    {
        "self_get_system_info",
        "self_reboot",
        "self_upgrade_firmware",
        "self_screen_get_info",
        "self_screen_snapshot",
        "self_screen_preview_image",
        "self_assets_set_download_url",
    }
)
"""The safe names of what the firmware keeps for people: it lists them only to who asks for them, others may by mistake."""

PHOTO = "self_camera_take_photo"
"""The safe name of the camera's tool, which sends its picture to the address that was told to the device."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Listed:
    """A tool as its server lists it."""

    name: str
    description: str
    parameters: dict[str, Any]


def read_listed(tools: object) -> Iterator[Listed]:
    """Yield the tools of one page of a list that a chat model may be offered; what is no tool is left out."""
    for tool in tools if isinstance(tools, list) else ():
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not 0 < len(name) <= _MAX_LISTED_NAME or _is_for_users(name, tool):
            continue
        description, parameters = tool.get("description"), parameters_of(tool.get("inputSchema"))
        if len(json.dumps(parameters, ensure_ascii=False)) > _MAX_PARAMETERS:
            log.warning("工具 %s 的参数太长，没有给对话模型", safe_name(name))
            continue
        description = description.strip()[:_MAX_DESCRIPTION] if isinstance(description, str) else ""
        yield Listed(name, description, parameters)


def bounded(listed: Iterable[Listed]) -> list[Listed]:
    """Return as many tools of one server as may be offered."""
    kept: list[Listed] = []
    characters = 0
    for tool in listed:
        parameters = json.dumps(tool.parameters, ensure_ascii=False)
        characters += len(tool.name) + len(tool.description) + len(parameters)
        if len(kept) == MAX_LISTED or characters > MAX_CHARACTERS:
            log.warning("一个设备或服务器的工具太多，从 %s 起没有给对话模型", safe_name(tool.name))
            break
        kept.append(tool)
    return kept


def functions_of(listed: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the tools as functions for chat models; a description names other tools as the chat model calls them."""
    functions = []
    names = sorted(
        (tool.name for tool in listed), key=len, reverse=True
    )  # one may be the beginning of another
    for tool in listed:
        description = tool.description or tool.name
        for name in names:
            description = description.replace(name, safe_name(name))
        described = {"name": safe_name(tool.name), "description": description[:_MAX_DESCRIPTION]}
        functions.append({**described, "parameters": tool.parameters})
    return functions


def safe_name(name: str) -> str:
    """Return a name with the letters and the length that every server takes; two names may become the same."""
    safe = _UNSAFE.sub("_", name)[:MAX_NAME]
    return safe if safe.strip("_-") else "tool"


def distinct(tools: Iterable[Tool]) -> list[Tool]:
    """Return the tools with a name of its own for each, and no more than a chat model may be offered."""
    named: dict[str, Tool] = {}
    for tool in tools:
        name, number = tool.name, 1
        while name in named:
            number += 1
            name = f"{tool.name[: MAX_NAME - 4]}_{number}"
        if len(named) == MAX_OFFERED:
            log.warning("工具超过 %d 个，后面的没有给对话模型", MAX_OFFERED)
            break
        named[name] = tool if name == tool.name else replace(tool, function={**tool.function, "name": name})
    return [*named.values()]


def _is_for_users(name: str, tool: dict[str, Any]) -> bool:
    annotations = tool.get("annotations")
    audience = annotations.get("audience") if isinstance(annotations, dict) else None
    return audience == ["user"] or safe_name(name) in USER_ONLY
