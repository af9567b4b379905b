"""OTA: where a device asks at every start where to connect, and where a new one is told the code of its pairing.

Source of the answers: 78/xiaozhi-esp32 2.4, main/ota.cc; py-xiaozhi 2.1. No `mqtt` (it would win over the websocket), no
`firmware` (a version that is no number crashes the device), and within `websocket` only url, token and version.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from datetime import datetime
from typing import Any

from aiohttp import web

from xiaozhi_persona.bridge.admission.addresses import source_of
from xiaozhi_persona.bridge.admission.admission import REFUSALS, Admission, Standing, visitor_of
from xiaozhi_persona.bridge.credentials import Credentials, bare_token
from xiaozhi_persona.bridge.own_names import OwnNames
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.lan import lan_addresses
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import BridgeSettings

log = logging.getLogger(__name__)

OTA_PATH = "/xiaozhi/ota/"

_HOST = re.compile(r"([A-Za-z0-9.-]{1,253})(:\d{1,5})?")  # devices take no IPv6 literal (78/esp-ml307)
_ACTIVATION_MS = 30_000


class Ota:
    """Answers a device's questions over HTTP."""

    def __init__(
        self, settings: BridgeSettings, websocket_port: int, own_names: OwnNames, admission: Admission
    ) -> None:
        self._settings = settings
        self._websocket_port = websocket_port
        self._own_names = own_names
        self._admission = admission
        self._told_foreign_host = False

    async def check(self, request: web.Request) -> web.Response:
        """Tell where to connect and with which token; to one that is not served, the code of its pairing."""
        standing = await self._standing(request)
        if standing.refusal:
            return _refused(standing)
        offset = datetime.now().astimezone().utcoffset()
        answer: dict[str, Any] = {
            "server_time": {
                "timestamp": int(time.time() * 1000),
                "timezone_offset": int(offset.total_seconds() // 60) if offset else 0,
            },
            "websocket": {
                "url": self._settings.websocket_url or await self._websocket_url(request),
                "token": standing.token,  # an empty one clears what the device has kept
                "version": self._settings.binary_version,
            },
        }
        if standing.owner_id is None and standing.code:
            answer["activation"] = {
                "code": standing.code,
                "message": tr("请在服务器上批准\n{code}", code=standing.code),
                "challenge": secrets.token_hex(
                    16
                ),  # without one the device does not ask whether it is approved
                "timeout_ms": _ACTIVATION_MS,
            }
        return web.json_response(answer)

    async def activate(self, request: web.Request) -> web.Response:
        """Tell whether a device is approved: 200, or 202 for ask again. What it proves with its serial number is not needed."""
        standing = await self._standing(request)
        if standing.refusal:
            return _refused(standing)
        if standing.owner_id is not None:
            return web.json_response({"message": "ok"})
        return web.json_response({"message": "waiting", "code": standing.code}, status=202)

    async def _standing(self, request: web.Request) -> Standing:
        headers = request.headers
        given = Credentials(
            headers.get("Device-Id", ""),
            headers.get("Client-Id", ""),
            bare_token(headers.get("Authorization", "")),
        )
        transport = request.transport
        source = source_of(
            transport and transport.get_extra_info("peername"),
            headers.getall("X-Forwarded-For", []),
            headers.getall("Forwarded", []),
        )
        try:
            return await self._admission.receive(visitor_of(given, source), "ask")
        except PersonaError as exc:
            log.error("%s", exc)
            raise web.HTTPServiceUnavailable(text=tr("现在不能接设备，原因见日志\n")) from exc

    async def _websocket_url(self, request: web.Request) -> str:
        """Return the websocket address under the name by which the device came, where that is this machine's."""
        match = _HOST.fullmatch(request.host)
        if match and await self._own_names.is_ours(match[1]):
            return f"ws://{match[1]}:{self._websocket_port}/xiaozhi/v1/"
        transport = request.transport
        own = transport and transport.get_extra_info("sockname")
        address = str(own[0]).removeprefix("::ffff:") if own else ""
        if ":" in address or not address:
            address = next((found.ip for found in lan_addresses()), "127.0.0.1")
        url = f"ws://{address}:{self._websocket_port}/xiaozhi/v1/"
        if not self._told_foreign_host:
            self._told_foreign_host = True
            log.warning(
                "有设备用 %s 访问 OTA，这不是本机的地址，回答的是 %s。桥在代理、路由器或 Docker 后面时，"
                "请把设备能到达的地址写进 bridge.websocket_url。",
                match[0] if match else tr("一个写错的主机名"),
                url,
            )
        return url


def _refused(standing: Standing) -> web.Response:
    status, text = REFUSALS[standing.refusal]
    text = tr(text)
    return web.Response(status=status, text=text)
