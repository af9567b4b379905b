"""Which web pages may talk to the bridge: a browser names the page with every request that a script makes.

Devices send no Origin. Source: RFC 6454, and the Fetch standard for the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from xiaozhi_persona.bridge.own_names import OwnNames

REFUSAL = "不让这个网页连接。要让它连，把它的地址写进 config.yaml 的 bridge.allowed_origins\n"

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origins:
    """Knows our own page and those of the settings."""

    def __init__(self, allowed: Iterable[str], own_names: OwnNames) -> None:
        self._allowed = {origin.rstrip("/").lower() for origin in allowed}
        self._own_names = own_names
        self.http_port = 0
        """Where our own page is served from; 0 while nothing is."""

    def allow(self, origins: Sequence[str]) -> bool:
        """Whether a request with these Origin headers may be answered. None is no web page."""
        return all(origin.lower() in self._allowed or self._is_own_page(origin) for origin in origins)

    def _is_own_page(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        except ValueError:
            return False
        if (
            parts.scheme not in _DEFAULT_PORTS
            or port != self.http_port
            or parts.netloc != origin[len(parts.scheme) + 3 :]
        ):
            return False
        return (
            "@" not in parts.netloc
            and bool(parts.hostname)
            and self._own_names.is_certain(str(parts.hostname))
        )
