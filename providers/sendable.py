"""Whether what the owner set can be sent to a server at all: told when it is opened, and not at the first request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from xiaozhi_persona.errors import SettingsError
from xiaozhi_persona.language import tr


def sendable_key(name: str, key: str) -> str:
    """Return the key that stands under a setting's name, without the space around it. Raises SettingsError."""
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise SettingsError(
            tr("{name} 里有密钥不会有的字（中文、换行等）。请把服务商给的密钥原样填入。", name=name)
        )
    return key


def check_sendable(name: str, parameters: Mapping[str, Any]) -> None:
    """Raise SettingsError where the parameters under a setting's name are no JSON, as dates are in YAML."""
    try:
        json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise SettingsError(
            tr("{name} 不能写成 JSON：{exc}。日期等请加上引号。", name=name, exc=exc)
        ) from exc
