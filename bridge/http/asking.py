"""Reading what programs ask, and answering them: in time, or not at all."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import anyio
from aiohttp import web
from pydantic import BaseModel, ValidationError

from xiaozhi_persona.bridge.http.refusals import Refusal
from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.roles.role import Role

WRITE_TIMEOUT_S = 30.0
"""Who takes nothing of an answer for so long is gone."""

OPENAI_VOICES = frozenset(
    "alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse".split()  # noqa: SIM905
)
"""What programs ask for that have not been told of our roles: they get the role of the settings."""

_Model = TypeVar("_Model", bound=BaseModel)


async def asked(request: web.Request, kind: type[_Model]) -> _Model:
    """Return what a request with a JSON object asks. Raises Refusal."""
    try:
        fields = json.loads(await request.read())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Refusal(request, 400, tr("请求的内容不是 JSON 对象。"), tr("看 docs/api.md 里的例子。"))
    return checked(request, kind, fields)


def checked(request: web.Request, kind: type[_Model], fields: Mapping[str, Any]) -> _Model:
    """Return fields as what they are to be. Raises Refusal that names the first one that is wrong."""
    try:
        return kind.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))[:80]
        raise Refusal(
            request,
            400,
            tr("{name} 不对：{value}", name=name, value=first["msg"]),
            tr("改好 {name} 再发。", name=name),
        ) from exc


def role_named(request: web.Request, casting: Casting, name: str) -> Role:
    """Return the role of a name or id; that of the settings for none. Blocks. Raises Refusal."""
    if not name or name.lower() in OPENAI_VOICES:
        return casting.configured()
    try:
        return casting.named(name)
    except PersonaError as exc:
        raise Refusal(
            request, 404, str(exc), tr("GET /v1/models 列出现有的角色。"), code="model_not_found"
        ) from exc


class Stream:
    """An answer that is written as it is made; its head is sent with the first piece."""

    def __init__(self, request: web.Request, content_type: str) -> None:
        self.begun = False
        self._request = request
        self._response = web.StreamResponse(
            headers={"Content-Type": content_type, "Cache-Control": "no-cache"}
        )

    async def write(self, data: bytes) -> None:
        """Send a piece. A client that takes none is cut off; of one that has gone the request is cancelled."""
        if not data:
            return
        with contextlib.suppress(ConnectionError), anyio.move_on_after(WRITE_TIMEOUT_S) as waiting:
            if not self.begun:
                self.begun = True
                await self._response.prepare(self._request)
            await self._response.write(data)
        if waiting.cancelled_caught and self._request.transport:
            self._request.transport.abort()

    async def end(self) -> web.StreamResponse:
        """Return the whole answer."""
        await self._response.write_eof()
        return self._response
