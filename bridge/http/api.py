"""The interfaces for other programs, put together: what is asked where, and what goes wrong as JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from xiaozhi_persona.bridge.http.asking import role_named
from xiaozhi_persona.bridge.http.chat import Chat
from xiaozhi_persona.bridge.http.doors import caller_of
from xiaozhi_persona.bridge.http.refusals import API_PATHS, Refusal
from xiaozhi_persona.bridge.http.say import Say
from xiaozhi_persona.bridge.http.speech import Speech
from xiaozhi_persona.bridge.http.transcriptions import Transcriptions
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.bridge.wits.spoken_to import Session
from xiaozhi_persona.errors import PersonaError, ServiceTimeout, SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.settings import Settings

MAX_AT_ONCE = 64
"""So many requests are answered at the same time, of all programs together."""

_OWNED_BY = "xiaozhi-persona"

log = logging.getLogger(__name__)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Adds the interfaces to a web application whose requests were let in by `Doors.room`."""

    def __init__(self, parts: Parts, settings: Settings, sessions: Callable[[], Collection[Session]]) -> None:
        """`sessions` are those of the connected devices."""
        self._casting = parts.casting
        self._speech = Speech(parts, settings)
        self._chat = Chat(parts, settings)
        self._transcriptions = Transcriptions(parts, settings)
        self._say = Say(sessions)
        self._running = 0

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        routes = (
            ("POST", "/v1/audio/speech", self._speech.speak),
            ("POST", "/v1/audio/transcriptions", self._transcriptions.transcribe),
            ("POST", "/v1/chat/completions", self._chat.complete),
            ("POST", "/api/say", self._say.say),
            ("GET", "/v1/models", self._models),
            ("GET", "/v1/models/{name}", self._model),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, self._answering(handler))
        for path in API_PATHS:
            app.router.add_route("*", path + "{rest:.*}", _unknown)

    def _answering(self, handler: _Handler) -> _Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self._running >= MAX_AT_ONCE:
                raise Refusal(
                    request, 503, tr("正在回答的太多。"), tr("过一会儿再试。"), headers={"Retry-After": "5"}
                )
            self._running += 1
            try:
                caller_of(request)  # nobody comes here who was not let in
                return await handler(request)
            except PersonaError as exc:
                log.warning("%s", exc)
                raise _refusal(request, exc) from exc
            except (web.HTTPException, ConnectionError):
                raise
            except Exception as exc:
                log.exception("回答 %s 时出错", request.path)
                raise Refusal(request, 500, tr("这个请求出错了。"), tr("看服务的日志。")) from exc
            finally:
                self._running -= 1

        return answer

    async def _models(self, request: web.Request) -> web.Response:
        roles = await asyncio.to_thread(self._casting.roles)
        first = self._casting.configured().id
        ids = sorted(roles, key=lambda role_id: (role_id != first, role_id))
        return web.json_response({"object": "list", "data": [_told(one, roles[one]) for one in ids]})

    async def _model(self, request: web.Request) -> web.Response:
        role = await asyncio.to_thread(role_named, request, self._casting, request.match_info["name"][:200])
        return web.json_response(_told(role.id, role.name))


def _told(role_id: str, name: str) -> dict[str, object]:
    return {"id": role_id, "object": "model", "created": 0, "owned_by": _OWNED_BY, "name": name}


def _refusal(request: web.Request, exc: PersonaError) -> Refusal:
    status = 400 if isinstance(exc, SettingsError) else 504 if isinstance(exc, ServiceTimeout) else 503
    return Refusal(request, status, str(exc), tr("运行 {command} 找原因。", command=own_command("doctor")))


async def _unknown(request: web.Request) -> web.StreamResponse:
    raise Refusal(request, 404, tr("没有这个接口，或不能这样用它。"), tr("有哪些接口见 docs/api.md。"))
