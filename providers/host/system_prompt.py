"""The role's character in the host's system prompt."""

from __future__ import annotations

from typing import Any

from xiaozhi_persona.providers.host.connection import reads_config_from_console
from xiaozhi_persona.roles.role import Role


def give_character(connection: Any, role: Role, *, with_tags: bool = True) -> None:
    """Make the role the base prompt of a connection that is being set up; its template stays around it.

    The character that was typed in the console stays, and so does the prompt of the settings with the role default:
    they are only taught the emotion tags. `with_tags` is for a voice that understands them.
    """
    keeps = role.id == "default" or reads_config_from_console(connection)
    parts = [str(connection.config.get("prompt") or "") if keeps else role.character_prompt()]
    if with_tags:
        parts.append(role.tags_prompt())
    connection.config["prompt"] = "\n\n".join(part for part in parts if part)
