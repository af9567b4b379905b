"""The HTTP server: OTA, where a device asks at every start where to connect, and the health check.

Source of the OTA answer: 78/xiaozhi-esp32 2.4, main/ota.cc. No `mqtt` (it would win over the websocket), no
`firmware` (a version that is no number crashes the device), and within `websocket` only url, token and version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from xiaozhi_persona import __version__
from xiaozhi_persona.bridge.origins import REFUSAL, Origins
from xiaozhi_persona.bridge.own_names import lan_addresses
from xiaozhi_persona.settings import Settings

OTA_PATH = "/xiaozhi/ota/"

_HOST = re.compile(r"([A-Za-z0-9.-]+)(:\d+)?")  # the device's URL parser takes no IPv6 literal (78/esp-ml307)


def make_app(
    settings: Settings, websocket_port: int, origins: Origins, devices: Callable[[], int]
) -> web.Application:
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

    app = web.Application(middlewares=[_pages(origins)], client_max_size=64 * 1024)
    for path in (OTA_PATH, OTA_PATH.rstrip("/")):
        app.router.add_route("GET", path, ota)
        app.router.add_route("POST", path, ota)
    app.router.add_get("/health", health)
    return app


def websocket_url(host: str, port: int) -> str:
    """Return the websocket address under the host name by which the device reached the OTA address."""
    match = _HOST.fullmatch(host)
    name = match[1] if match else next((address.ip for address in lan_addresses()), "127.0.0.1")
    return f"ws://{name}:{port}/xiaozhi/v1/"


def _pages(origins: Origins) -> Middleware:
    """Return what answers the web pages that may ask, and refuses the others before anything is done."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        pages = request.headers.getall("Origin", [])
        if not origins.allow(pages):
            return web.Response(status=403, text=REFUSAL, headers={"Vary": "Origin"})
        headers = {"Vary": "Origin"}
        if pages:
            headers["Access-Control-Allow-Origin"] = pages[0]
        if request.method == "OPTIONS" and pages:
            headers["Access-Control-Allow-Methods"] = "GET, POST"
            headers["Access-Control-Allow-Headers"] = request.headers.get(
                "Access-Control-Request-Headers", ""
            )
            headers["Access-Control-Max-Age"] = "600"
            return web.Response(status=204, headers=headers)
        try:
            response = await handler(request)
        except web.HTTPException as exc:
            exc.headers.update(headers)
            raise
        response.headers.update(headers)
        return response

    return answer
