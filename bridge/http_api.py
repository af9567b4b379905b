"""The HTTP server: OTA, photos, the health check and what other programs ask, also for web pages that may ask."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from xiaozhi_persona import __version__
from xiaozhi_persona.bridge.http.api import Api
from xiaozhi_persona.bridge.http_server import request_key
from xiaozhi_persona.bridge.mcp.photos import PHOTO_PATH, Photos
from xiaozhi_persona.bridge.origins import REFUSAL, Origins
from xiaozhi_persona.bridge.ota import OTA_PATH, Ota
from xiaozhi_persona.language import tr

_PAGE_HEADERS = request_key("page headers", dict)


def make_app(
    origins: Origins, ota: Ota, photos: Photos, api: Api, devices: Callable[[], int]
) -> web.Application:
    """Return the web application; `devices` tells how many are connected."""

    async def health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "version": __version__, "devices": devices()})

    app = web.Application(middlewares=[_pages(origins)], client_max_size=64 * 1024)
    for path in (OTA_PATH, OTA_PATH.rstrip("/")):
        app.router.add_route("GET", path, ota.check)
        app.router.add_route("POST", path, ota.check)
    app.router.add_post(f"{OTA_PATH}activate", ota.activate)
    app.router.add_post(PHOTO_PATH, photos.explain)
    app.router.add_get("/health", health)
    api.add_to(app)
    app.on_response_prepare.append(_tell_page)
    return app


def _pages(origins: Origins) -> Middleware:
    """Return what answers the web pages that may ask, and refuses the others before anything is done."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        pages = request.headers.getall("Origin", [])
        if not origins.allow(pages):
            return web.Response(status=403, text=tr(REFUSAL), headers={"Vary": "Origin"})
        headers = request[_PAGE_HEADERS] = {"Vary": "Origin"}
        if pages:
            headers["Access-Control-Allow-Origin"] = pages[0]
        if request.method == "OPTIONS" and pages:
            asked = request.headers.get("Access-Control-Request-Headers", "")
            headers["Access-Control-Allow-Methods"] = "GET, POST"
            headers["Access-Control-Allow-Headers"] = asked
            headers["Access-Control-Max-Age"] = "600"
            return web.Response(status=204)
        return await handler(request)

    return answer


async def _tell_page(request: web.Request, response: web.StreamResponse) -> None:
    """Tell a page that may ask that it may, before anything of an answer is sent."""
    response.headers.update(request.get(_PAGE_HEADERS, {}))
