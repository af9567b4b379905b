"""POST /v1/chat/completions: a role answers with its memory, as OpenAI's API has it, streamed or whole."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from xiaozhi_persona.bridge.http.asking import Stream, asked, role_named
from xiaozhi_persona.bridge.http.doors import caller_of
from xiaozhi_persona.bridge.http.rates import Rates
from xiaozhi_persona.bridge.http.reading import Reader, answer_in_writing
from xiaozhi_persona.bridge.http.refusals import Refusal
from xiaozhi_persona.bridge.parts import Parts
from xiaozhi_persona.device_ids import HTTP_OWNER
from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.spellings import is_remembered
from xiaozhi_persona.roles.role import Role
from xiaozhi_persona.settings import Settings
from xiaozhi_persona.spine import Owner

MAX_MESSAGES = 2000
MAX_INSTRUCTIONS_CHARACTERS = 8000
"""Of what the program itself tells the chat model, more is not taken."""
NEW_OWNERS_A_MINUTE = 60
"""So many memories are made for names that come without the token."""

_LOG_NAME = "HTTP"


class _Part(BaseModel):
    type: str = Field(max_length=40)
    text: str = ""


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None

    def words(self) -> str:
        """Return its text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""

    def shows(self) -> bool:
        """Whether there is something else than text in it."""
        return isinstance(self.content, list) and any(part.type != "text" for part in self.content)


class _Asked(BaseModel):
    messages: list[_Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    model: str = Field("", max_length=200)
    user: str | None = Field("", max_length=1000)
    stream: bool | None = False
    n: Literal[1] | None = 1


class Chat:
    """Answers the requests."""

    def __init__(self, parts: Parts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._new_owners = Rates()

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer the last message; what stands before it the memory knows by itself.

        Raises Refusal, ServiceUnavailable when the chat model did not answer.
        """
        wanted = await asked(request, _Asked)
        last = wanted.messages[-1]
        if last.role != "user" or last.shows() or not last.words().strip():
            raise Refusal(
                request,
                400,
                tr("最后一条消息要是用户说的话，只有文字。"),
                tr("去掉图片和别的内容，把要说的话放在 messages 的最后。"),
            )
        casting = self._parts.casting
        role = await asyncio.to_thread(role_named, request, casting, wanted.model)
        told = [one.words() for one in wanted.messages if one.role in ("system", "developer")]
        answer = _Answer(role.id)
        stream = Stream(request, "text/event-stream; charset=utf-8") if wanted.stream else None

        async def hand_on(text: str, face: str) -> None:
            if stream is None:
                answer.texts.append(text)
            else:
                await stream.write(answer.chunk({"role": "assistant", "content": text, "emotion": face}))

        reader = Reader(_LOG_NAME, casting.seat(role), hand_on)
        await answer_in_writing(
            last.words(),
            reader,
            role,
            await self._owner_id(request, role, wanted.user or ""),
            self._parts,
            self._settings,
            "\n".join(told).strip()[:MAX_INSTRUCTIONS_CHARACTERS],
        )
        if not reader.said:
            raise ServiceUnavailable(reader.apology or tr("没有回答，原因见服务的日志。"))
        if stream is None:
            return web.json_response(answer.whole(), dumps=_json)
        await stream.write(answer.chunk({}, "stop") + b"data: [DONE]\n\n")
        return await stream.end()

    async def _owner_id(self, request: web.Request, role: Role, user: str) -> str:
        """Return whose memory is used. Raises Refusal where too many are made for names that anybody can make up."""
        caller = caller_of(request)
        owner_id = caller.owner_id(user)
        if not (caller.has_token or owner_id == HTTP_OWNER):
            whose = self._settings.memory.owner_of(role.memory_of(Owner(owner_id)).id)
            folder = self._settings.memory_dir
            is_new = not await asyncio.to_thread(is_remembered, folder, whose)
            if is_new and self._new_owners.count("") > NEW_OWNERS_A_MINUTE:
                raise Refusal(
                    request,
                    429,
                    tr("一分钟里新的名字太多。"),
                    tr("过一分钟再试，或带上令牌。"),
                    headers={"Retry-After": "60"},
                )
        return owner_id


class _Answer:
    """One answer in the form of the API."""

    def __init__(self, model: str) -> None:
        self.texts: list[str] = []
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        """Return one event of a stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return f"data: {_json({**self._head, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n".encode()

    def whole(self) -> dict[str, Any]:
        """Return all of it."""
        message = {"role": "assistant", "content": "".join(self.texts)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**self._head, "object": "chat.completion", "choices": [choice]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
