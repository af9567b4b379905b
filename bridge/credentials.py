"""What a connection says of itself when it opens: which device it is, and the token it shows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from xiaozhi_persona.language import tr

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """Unchecked. "" stands for what was not said."""

    device_id: str = ""
    client_id: str = ""
    token: str = ""
    binary_version: int = 1


class CredentialsReader:
    """Reads the headers, and where the settings allow it the address: a browser cannot set headers of a websocket."""

    def __init__(self, ids_in_url: bool) -> None:
        self._ids_in_url = ids_in_url
        self._told = False

    def read(self, request: Request) -> Credentials:
        """Return what a handshake says."""
        query = parse_qs(urlsplit(request.path).query)
        given = {name: _header(request, name) for name in ("Device-Id", "Client-Id", "Authorization")}
        in_url = {name: query[name.lower()][0] for name in given if not given[name] and name.lower() in query}
        if self._ids_in_url:
            given |= {name: _whole_characters(text) for name, text in in_url.items()}
        elif in_url and not self._told:
            self._told = True
            names = tr("、").join(in_url).lower()
            log.warning("有客户端把 %s 写在地址里，没有认。要认，把 bridge.ids_in_url 设为 true。", names)
        version = _header(request, "Protocol-Version") or query.get("protocol-version", [""])[0]
        return Credentials(
            device_id=given["Device-Id"],
            client_id=given["Client-Id"],
            token=bare_token(given["Authorization"]),
            binary_version=int(version) if version.isdecimal() and len(version) < 4 else 1,
        )


def bare_token(text: str) -> str:
    """Return a token without its scheme, which may be written in any case (RFC 9110, section 11.1)."""
    scheme, _, rest = text.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text.strip()


def _header(request: Request, name: str) -> str:
    values = request.headers.get_all(name)
    return _whole_characters(values[0]) if values else ""


def _whole_characters(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
