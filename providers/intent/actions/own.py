"""What an owner's file says that is to be done: a tool, a sentence, the memory, a role, or a request to his server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import anyio

from xiaozhi_persona.errors import (
    PersonaError,
    ServiceBroken,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
    first_line,
)
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent.actions.roles import switched
from xiaozhi_persona.providers.intent.actions.scene import Done, Scene
from xiaozhi_persona.providers.intent.actions.tools import call, found, json_of
from xiaozhi_persona.providers.intent.actions.wording import said, undone
from xiaozhi_persona.providers.intent.own_files import ANSWER, filled
from xiaozhi_persona.providers.intent.router import Match

HTTP_TIMEOUT_S = 8.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_SAID_CHARACTERS = 500


async def do_own(scene: Scene, match: Match) -> Done:
    """Do it, and say what the file says, or that it is done. `{answer}` is what came of it. Raises PersonaError."""
    own: Any = match.template and match.template.action
    do, slots = own.do, dict(match.slots)
    if do is None or do.say is not None:
        return Done(str(filled(do.say if do else own.say, slots)))
    if do.role is not None:
        done = await switched(scene, str(filled(do.role, slots)))
        return Done(str(filled(own.say, slots))) if own.say else done
    if do.memory is not None:
        answer = await scene.obey(str(filled(do.memory, slots)))
        if not answer:
            raise ServiceRejected(tr("记忆没有照 {text!r} 做", text=do.memory))
        return Done(str(filled(own.say, slots)) if own.say else answer)
    if do.tool is not None:
        name = found(await scene.tool_names(), do.tool)
        if name is None:
            return undone(scene, "no_tool", name=do.tool)
        answer = await call(scene, name, {key: filled(value, slots) for key, value in do.arguments.items()})
    else:
        answer = await _request(do.http, slots)
    text = str(filled(own.say, {**slots, ANSWER: _told(answer)})) if own.say else ""
    return Done(text.strip()[:MAX_SAID_CHARACTERS] or said(scene.language, "done"))


def _told(answer: str) -> str:
    """Return what an answer says: the only text or number of a small JSON object, else all of it."""
    value = json_of(answer)
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    plain = value if isinstance(value, str | int | float) and not isinstance(value, bool) else answer
    return str(plain).strip()[:MAX_SAID_CHARACTERS]


async def _request(http: Any, slots: Mapping[str, Any]) -> str:
    """Ask the server that the file names, and no other: nothing that is said can change which one it is."""
    address = str(filled(http.url, {name: quote(str(value), safe="") for name, value in slots.items()}))
    host = urlsplit(address).hostname or ""
    body = {key: filled(value, slots) for key, value in http.body.items()}
    request = {"params" if http.method == "GET" else "json": body} if body else {}
    try:
        with anyio.fail_after(HTTP_TIMEOUT_S):
            client = await asyncio.to_thread(_client, host)
            async with client, client.stream(http.method, address, **request) as response:
                if not response.is_success:
                    raise ServiceRejected(
                        tr("{address} 回答 {status}", address=host, status=response.status_code)
                    )
                return await _read(response)
    except TimeoutError as exc:
        raise ServiceTimeout(
            tr("{address} {limit_s:g} 秒没有回答", address=host, limit_s=HTTP_TIMEOUT_S)
        ) from exc
    except PersonaError:
        raise
    except Exception as exc:  # httpx's, of which there are many: a broken address, a broken answer, no server
        raise ServiceUnavailable(tr("请求 {address} 失败：{exc}", address=host, exc=first_line(exc))) from exc


def _client(host: str) -> Any:
    """Return a client. Blocks: httpx and certificates take a while to load, and few owners have such an intent."""
    import httpx

    from xiaozhi_persona.providers.local_hosts import is_local

    return httpx.AsyncClient(timeout=None, trust_env=not is_local(host), follow_redirects=False)


async def _read(response: Any) -> str:
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ServiceBroken(tr("回答太长：最多 {count} KB", count=MAX_ANSWER_BYTES // 1024))
    return body.decode(response.encoding or "utf-8", "replace")
