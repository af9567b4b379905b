"""Where the host is made to ask us first: two of its functions, each wrapped once for the process.

`handle_user_intent` has one caller, for whatever was said, in every release from 0.9.1 on. `update_context_info` is
called once for each connection, when its parts have been made.
"""

from __future__ import annotations

import functools
import importlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.providers.host.connection import takes_intents
from xiaozhi_persona.providers.host.intent_turns import Intents
from xiaozhi_persona.providers.host.shared_intents import shared_intents

log = logging.getLogger(__name__)

_HOOKED = "xiaozhi_persona_hooked"
_ATTRIBUTE = "xiaozhi_persona_intents"
"""Where a connection keeps what is ours, so that it goes with it."""

_lock = threading.Lock()


def hook_in() -> None:
    """Have the host ask us first; another call changes nothing. Its connection need not be importable yet."""
    _wrap(importlib.import_module("core.handle.receiveAudioHandle"), "handle_user_intent", _asked_first)
    _wrap(importlib.import_module("core.utils.prompt_manager").PromptManager, "update_context_info", _set_up)


def _asked_first(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def handle_user_intent(conn: Any, text: str) -> Any:
        try:
            intents = intents_of(conn) if takes_intents(conn) else None
            is_done = intents is not None and await intents.take(text, original)
        except PersonaError as exc:
            log.error("%s（改好之前没有本地意图）", exc)
            is_done = False
        except Exception:
            log.exception("看意图时出错，这一句交给对话模型")
            is_done = False
        return True if is_done else await original(conn, text)

    return handle_user_intent


def _set_up(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def update_context_info(manager: Any, conn: Any, *more: Any, **named: Any) -> Any:
        try:
            if takes_intents(conn):
                intents_of(conn)
        except Exception:
            log.exception("这次连接没有本地意图")
        return original(manager, conn, *more, **named)

    return update_context_info


def intents_of(connection: Any) -> Intents:
    """Return those of a connection, which end with it. Raises SettingsError."""
    with _lock:
        if not hasattr(connection, _ATTRIBUTE):
            intents = Intents(connection, shared_intents())
            setattr(connection, _ATTRIBUTE, intents)
            connection.close = _closing_with(intents, connection.close)
    found: Intents = getattr(connection, _ATTRIBUTE)
    return found


def _closing_with(intents: Intents, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def close(*arguments: Any, **named: Any) -> Any:
        intents.close()
        return await original(*arguments, **named)

    return close


def _wrap(place: Any, name: str, wrapping: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(place, name)
    if not hasattr(original, _HOOKED):
        wrapped = wrapping(original)
        setattr(wrapped, _HOOKED, True)
        setattr(place, name, wrapped)
