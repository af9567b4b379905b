"""The tool by which a chat model switches the role of its device: what it reads of it, and what comes of a call."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.names import plain_name
from xiaozhi_persona.spine import ToolAnswer

ROLE_TOOL = "persona_role"

_BACK = frozenset(map(plain_name, ("默认", "原来", "原来的", "原来的角色", "default", "back", "original")))


def role_function() -> dict[str, Any]:
    """Return the description of the tool as chat models take it: name, description, parameters."""
    return {
        "name": ROLE_TOOL,
        "description": (
            "换角色：连人设、声音和记忆一起换。用户要你变成谁、换谁来说话、变回来，或问有哪些角色时调用；"
            "只是让你模仿一句、讲故事里的人物时不要调用。换好以后新角色自己会打招呼，你不用再说。"
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "action": {
                    "type": "string",
                    "enum": ["switch", "back", "list"],
                    "description": "switch：换成 role；back：变回原来的角色；list：有哪些角色",
                },
                "role": {"type": "string", "description": "换成谁，照用户说的名字写，不要翻译。例：小雨"},
            },
            "required": ["action"],
        },
    }


def answer_role_call(
    casting: Casting, device_id: str, arguments: Mapping[str, Any], *, is_away: bool = False
) -> ToolAnswer:
    """Do what the tool was called for. What the new role says first is said as it is. Blocks; never raises.

    `is_away`: the model plays somebody else than the device's role, which so may be switched to as well.
    """
    action = str(arguments.get("action") or "").strip().lower()
    name = str(arguments.get("role") or "").strip()
    before = casting.role(device_id)
    if action == "list" or not (name or action == "back"):
        return _told(f"能换的角色：{'、'.join(casting.role_names())}。现在是{before.name}。")
    is_role = plain_name(name) in map(plain_name, casting.spoken_names())  # one may be called 默认
    is_back = not is_role and (action == "back" or plain_name(name) in _BACK)
    try:
        role = casting.switch(device_id, None if is_back else name)
    except PersonaError as exc:
        return _told(f"没有换：{exc}")
    if role is before and not is_away:
        return _told(f"现在就是{role.name}，不用换。")
    opening = random.choice(role.openings) if role.openings else f"我是{role.name}。"
    return ToolAnswer(opening, ends_reply=True)


def _told(text: str) -> ToolAnswer:
    return ToolAnswer(text, for_model=True)
