"""The host's connection, as far as the doors look into it.

What is read here, and what it means, was seen in xiaozhi-esp32-server 0.9.1 to 0.9.6, core/connection.py.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

from xiaozhi_persona.providers.host.doors import VOICES
from xiaozhi_persona.providers.host.tool_names import INTENT_MARK, ROLE_TOOL, ROLE_TOOL_FILE, TOOL_PREFIX

_CLASS = "ConnectionHandler"


def calling_connection() -> Any | None:
    """Return the connection that is just building its components, None when nobody is.

    The host gives neither the synthesizer nor the memory the connection that it builds them for; it is the `self` of
    a frame below us (ConnectionHandler._initialize_components).
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if type(owner).__name__ == _CLASS:
            return owner
        frame = frame.f_back
    return None


def is_chatting(connection: Any) -> bool:
    """Whether one of the connection's threads is still in its chat(), which writes the reply.

    The host leaves chat() without ending the reply when its model cannot be asked. True when that cannot be seen.
    """
    threads = getattr(getattr(connection, "executor", None), "_threads", None)
    if threads is None:
        return True
    frames = sys._current_frames()
    return any(_runs_chat(frames.get(thread.ident)) for thread in tuple(threads) if _is_alive(thread))


def has_tools(connection: Any) -> bool:
    """Whether the model that writes the reply may call tools."""
    return bool(connection.intent_type == "function_call")


def reads_config_from_console(connection: Any) -> bool:
    """Whether the settings come from the host's console (manager-api) rather than from its files."""
    return bool(getattr(connection, "read_config_from_api", False))


def tts_section(connection: Any) -> Mapping[str, Any]:
    """Return the section of the voice that the connection has selected, empty when there is none."""
    return _selected(connection, "TTS")


def role_section(connection: Any) -> Mapping[str, Any]:
    """Return the section that names the role: that of our memory where it does, else that of the voice."""
    memory = _selected(connection, "Memory")
    return memory if memory.get("role") or memory.get("role_of_device") else tts_section(connection)


def has_tts_door(connection: Any) -> bool:
    """Whether the connection's voice is one of our doors."""
    return str(tts_section(connection).get("type")) in VOICES


def has_memory_tools(connection: Any) -> bool:
    """Whether the model of the connection may call our memory tools."""
    intent = _selected(connection, "Intent")
    return intent.get("type") == "function_call" and any(
        name.startswith(TOOL_PREFIX) for name in _functions(intent)
    )


def takes_intents(connection: Any) -> bool:
    """Whether what is said over the connection is looked at for intents: our door is selected, or its tool is listed."""
    intent = _selected(connection, "Intent")
    return bool(intent.get(INTENT_MARK)) or not {ROLE_TOOL, ROLE_TOOL_FILE}.isdisjoint(_functions(intent))


def texts_of_the_host(connection: Any) -> frozenset[str]:
    """Return what the host itself asks its model in the user's place: to say goodbye."""
    end_prompt = connection.config.get("end_prompt")
    text = end_prompt.get("prompt") if isinstance(end_prompt, Mapping) else None
    return frozenset({str(text).strip()} if text else ())


def _functions(intent: Mapping[str, Any]) -> list[str]:
    """Return what an Intent section lists: in the files, or as keys of a mapping where it comes from the console."""
    listed = intent.get("functions")
    return [*map(str, listed)] if isinstance(listed, Iterable) and not isinstance(listed, str) else []


def _selected(connection: Any, kind: str) -> Mapping[str, Any]:
    config = connection.config
    section = (config.get(kind) or {}).get((config.get("selected_module") or {}).get(kind))
    return section if isinstance(section, Mapping) else {}


def _is_alive(thread: threading.Thread) -> bool:
    return thread.ident is not None and thread.is_alive()


def _runs_chat(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "chat":
            return True
        frame = frame.f_back
    return False
