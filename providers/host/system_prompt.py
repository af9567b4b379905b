"""The role's character in the host's system prompt."""

from __future__ import annotations

from typing import Any

from xiaozhi_persona.providers.host.connection import reads_config_from_console
from xiaozhi_persona.roles.role import Role

_TYPED = "xiaozhi-persona prompt"
"""Where the connection's settings keep the prompt that was typed."""


def give_character(connection: Any, role: Role, *, with_tags: bool = True, is_switched: bool = False) -> None:
    """Make the role the base prompt of a connection, around which its template is put.

    The character that was typed in the console stays, and so does the prompt of the settings with the role default:
    they are only taught the emotion tags. `with_tags` is for a voice that understands them, `is_switched` for a role
    that the user has asked for, which is played whatever was typed.
    """
    typed = str(connection.config.setdefault(_TYPED, connection.config.get("prompt") or ""))
    keeps = not is_switched and (role.id == "default" or reads_config_from_console(connection))
    parts = [typed if keeps else role.character_prompt()]
    if with_tags:
        parts.append(role.tags_prompt())
    connection.config["prompt"] = "\n\n".join(part for part in parts if part)


def voice_name(role: Role) -> str:
    """Return what a role's voice is called in the host's cache of the answers to wake words."""
    return f"{role.id}-{role.sheet.default_emotion or '中性'}"
