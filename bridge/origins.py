"""Which web pages may talk to the bridge: a browser names the page with every request that a script makes.

Devices send no Origin. Source: RFC 6454, and the Fetch standard for the answers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence

from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.language import later

log = logging.getLogger(__name__)

REFUSAL = later("不让这个网页连接。要让它连，把它的地址写进 data/.config.yaml 的 bridge.allowed_origins\n")

_MAX_TOLD = 20
_PAGE = re.compile(r"(https?)://(\[[0-9a-f:]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origins:
    """Knows our own page and those of the settings."""

    def __init__(self, allowed: Iterable[str], own_names: OwnNames) -> None:
        self._allowed = {_plain(origin) for origin in allowed}
        self._own_names = own_names
        self._told: set[str] = set()
        self.own_ports: set[int] = set()
        """Those that we listen on. On the websocket's there is no page, but clients of some libraries name it."""

    def allow(self, origins: Sequence[str]) -> bool:
        """Whether a request with these Origin headers may be answered. None is no web page."""
        for origin in origins:
            if _plain(origin) not in self._allowed and not self._is_own(_plain(origin)):
                self._tell(origin)
                return False
        return True

    def _tell(self, origin: str) -> None:
        """Log each page that is refused once, since libraries of devices name one too."""
        if origin not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(origin)
            log.warning("不让网页 %.100r 连接。要让它连，把它写进 bridge.allowed_origins。", origin)

    def _is_own(self, origin: str) -> bool:
        match = _PAGE.fullmatch(origin)
        if match is None:
            return False
        port = int(match[3] or _DEFAULT_PORTS[match[1]])
        return port in self.own_ports and self._own_names.is_certain(match[2].strip("[]"))


def _plain(origin: str) -> str:
    return origin.lower().rstrip("/")
