"""Another role over a connection that goes on: its character in the prompt, and what its voice is called."""

from __future__ import annotations

from typing import Any

from xiaozhi_persona.providers.host.connection import has_tts_door
from xiaozhi_persona.providers.host.system_prompt import give_character
from xiaozhi_persona.roles.casting import Casting


def plays_another(connection: Any) -> bool:
    """Whether the host's own change_role, or who does as it does, has put another character in the place of ours."""
    return str(connection.config.get("prompt") or "") not in str(connection.prompt or "")


def play_role(connection: Any, casting: Casting, device_id: str) -> None:
    """Have the connection's model be the role that the device has been switched to. Blocks: the template is read.

    The template, its <memory> and its context stay around the character, as at the connection's set-up, and so does what
    Home Assistant has added. Voice and memory follow by themselves.
    """
    role = casting.role(device_id)
    if has_tts_door(connection):
        connection.tts.play(role)
    is_switched = role is not casting.configured(device_id)
    give_character(connection, role, with_tags=has_tts_door(connection), is_switched=is_switched)
    prompt = connection.prompt_manager.build_enhanced_prompt(
        connection.config["prompt"],
        connection.device_id,
        connection.client_ip,
        emoji_enabled=(connection.features or {}).get("emoji", True),
    )
    if prompt:
        connection.change_system_prompt(prompt)
        add_devices = getattr(connection.func_handler, "_initialize_home_assistant", None)
        if add_devices:
            add_devices()
