"""The HTTP server: OTA, where a device asks at every start where to connect, and the health check.

Source of the OTA answer: 78/xiaozhi-esp32 2.4, main/ota.cc. No `mqtt` (it would win over the websocket), no
`firmware` (a version that is no number crashes the device), and within `websocket` only url, token and version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

import ifaddr
from aiohttp import web

from xiaozhi_persona import __version__
from xiaozhi_persona.settings import Settings

OTA_PATH = "/xiaozhi/ota/"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HOST = re.compile(r"([A-Za-z0-9.-]+)(:\d+)?")  # the device's URL parser takes no IPv6 literal (78/esp-ml307)


def make_app(settings: Settings, websocket_port: int, devices: Callable[[], int]) -> web.Application:
    """Return the web application; `devices` tells how many are connected."""

    async def ota(request: web.Request) -> web.Response:
        bridge = settings.bridge
        offset = datetime.now().astimezone().utcoffset()
        answer = {
            "server_time": {
                "timestamp": int(time.time() * 1000),
                "timezone_offset": int(offset.total_seconds() // 60) if offset else 0,
            },
            "websocket": {
                "url": bridge.websocket_url or websocket_url(request.host, websocket_port),
                "token": bridge.token,
                "version": bridge.binary_version,
            },
        }
        return web.json_response(answer)

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__, "devices": devices()})

    app = web.Application(middlewares=[_cross_origin], client_max_size=64 * 1024)
    for path in (OTA_PATH, OTA_PATH.rstrip("/")):
        app.router.add_route("GET", path, ota)
        app.router.add_route("POST", path, ota)
        app.router.add_route("OPTIONS", path, _preflight)
    app.router.add_get("/health", health)
    return app


def websocket_url(host: str, port: int) -> str:
    """Return the websocket address under the host name by which the device reached the OTA address."""
    match = _HOST.fullmatch(host)
    name = match[1] if match else next((address.ip for address in lan_addresses()), "127.0.0.1")
    return f"ws://{name}:{port}/xiaozhi/v1/"


class LanAddress(NamedTuple):
    """An IPv4 address of this machine, and the adapter that has it, as the system calls it for people."""

    ip: str
    adapter: str


def lan_addresses() -> list[LanAddress]:
    """Return the addresses by which devices in the local network may reach this machine, virtual adapters' included."""
    addresses = [
        LanAddress(ip.ip, adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str)
    ]
    return [address for address in addresses if not address.ip.startswith(("127.", "169.254."))]


@web.middleware
async def _cross_origin(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Let a web page act as the device."""
    response = await handler(request)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


async def _preflight(request: web.Request) -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
            "Access-Control-Max-Age": "86400",
        },
    )
