"""The tools of a device: which of several it has, what it says of itself, and whether a call did what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from xiaozhi_persona.errors import ServiceRejected
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.wording import undone

STATUS = "self.get_device_status"
"""The firmware's: a JSON object of audio_speaker, screen, battery and more, each where the board has it."""

_SEPARATORS = re.compile(r"\W+")
_NO = frozenset(("false", "error", "failed", "null", "none"))


def found(names: Collection[str], *wanted: str) -> str | None:
    """Return the first of the wanted tools that there is, under the name that it has here; `_` stands for a dot."""
    by_form = {_form(name): name for name in names}
    return next((by_form[form] for name in wanted if (form := _form(name)) in by_form), None)


def cannot(scene: Scene, names: Collection[str], *about: str) -> Done | None:
    """Return what is to be done without the right tool: nothing where one of another name may do it, for the chat model.

    `about` are words that the name of such a tool has, with `_` behind one that must end there. Where there is none, the
    chat model could only claim to have done it.
    """
    if any(word in f"{_form(name)}_" for name in names for word in about):
        return None
    return undone(scene, "cannot")


async def call(scene: Scene, name: str, arguments: Mapping[str, Any]) -> str:
    """Call a tool; return what it answers. Raises PersonaError, also where the answer says that it did not work."""
    text = await scene.call(name, arguments)
    answer = json_of(text)
    refused = text.strip().lower() in _NO or answer is False
    if isinstance(answer, dict):
        states = [answer.get(key) for key in ("success", "ok", "available")]
        refused = any(state is False for state in states) or answer.get("status") in ("error", "failed")
    if refused:
        raise ServiceRejected(tr("工具 {name} 说没有办成", name=name))  # its words may repeat what was said
    return text


async def status(scene: Scene, names: Collection[str]) -> Mapping[str, Any]:
    """Return what the device says of itself; {} for one that does not. Raises PersonaError."""
    name = found(names, STATUS)
    answer = json_of(await scene.call(name, {})) if name else None
    return answer if isinstance(answer, dict) else {}


def json_of(text: str) -> Any:
    """Return what a text says in JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def number_in(value: Any, *keys: str) -> int | None:
    """Return a whole number that stands under keys of JSON objects in one another; None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
    return round(value) if is_number else None


def _form(name: str) -> str:
    return _SEPARATORS.sub("_", name).lower()
