"""A model that says what it is told, behind a socket: the host's side is both/core/providers/llm/hostkit_llm.

The answer to a request is one JSON object a line: {"text": ...}, {"tool": {...}} or {"fail": ...}.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class ToolCall:
    """A tool call; its arguments are sent as JSON text in pieces of `piece_chars` characters."""

    name: str
    arguments: dict[str, Any] | str = "{}"
    piece_chars: int = 3

    def fragments(self, index: int) -> list[dict[str, Any]]:
        text = (
            self.arguments
            if isinstance(self.arguments, str)
            else json.dumps(self.arguments, ensure_ascii=False)
        )
        pieces = [text[i : i + self.piece_chars] for i in range(0, len(text), self.piece_chars)]
        first = {"index": index, "id": f"call-{index}", "name": self.name, "arguments": ""}
        return [first, *({"index": index, "id": None, "name": None, "arguments": piece} for piece in pieces)]


@dataclass(frozen=True)
class Fail:
    """The model fails: as the first piece and "before", the call itself raises, else the stream does."""

    when: str = "within"
    reason: str = "the model is out of order"


Piece = str | float | asyncio.Event | ToolCall | Fail
Answer = str | Sequence[Piece]


@dataclass(frozen=True)
class Request:
    """What the host asked."""

    session_id: str
    dialogue: list[dict[str, Any]]
    functions: list[dict[str, Any]] | None
    """None when it was asked without tools."""
    at_s: float = 0.0
    """When it came, on the event loop's clock."""

    @property
    def system(self) -> str:
        return next((m["content"] for m in self.dialogue if m["role"] == "system"), "")

    @property
    def question(self) -> str:
        """What the user said last."""
        return next((m["content"] for m in reversed(self.dialogue) if m["role"] == "user"), "")


@dataclass
class Llm:
    """The model. Everything may be changed between requests."""

    reply: Answer | Callable[[Request], Answer] = "你好，我在听。"
    piece_chars: int = 3
    """Length of the pieces of a reply that is one text."""
    first_s: float = 0.0
    piece_s: float = 0.0
    """Pause before the first piece, and before each further one."""
    next: list[Answer] = field(default_factory=list)
    """Replies used up one by one before `reply` holds again."""
    requests: list[Request] = field(default_factory=list)
    broken_off: int = 0
    """Replies the host did not listen to till the end."""

    async def __aenter__(self) -> Llm:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/chat", self._chat)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        return int(self._runner.addresses[0][1])

    async def _chat(self, http: web.Request) -> web.StreamResponse:
        request = Request(**await http.json(), at_s=asyncio.get_running_loop().time())
        self.requests.append(request)
        answer = self.next.pop(0) if self.next else self.reply
        if callable(answer):
            answer = answer(request)
        pieces = list(answer) if not isinstance(answer, str) else self._cut(answer)
        response = web.StreamResponse()
        await response.prepare(http)
        try:
            await self._say(response, pieces)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.broken_off += 1
            raise
        return response

    async def _say(self, response: web.StreamResponse, pieces: list[Piece]) -> None:
        if pieces[:1] == [Fail("before")] or (
            pieces and isinstance(pieces[0], Fail) and pieces[0].when == "before"
        ):
            await _line(response, {"fail": pieces[0].reason})
            return
        await _line(response, {"began": True})
        await asyncio.sleep(self.first_s)
        tools = said = 0
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            if isinstance(piece, (int, float)):
                await asyncio.sleep(piece)
                continue
            if isinstance(piece, Fail):
                await _line(response, {"fail": piece.reason})
                return
            if isinstance(piece, ToolCall):
                lines = [{"tool": fragment} for fragment in piece.fragments(tools)]
                tools += 1
            else:
                lines = [{"text": piece}]
            for line in lines:
                await asyncio.sleep(self.piece_s if said else 0)
                said += 1
                await _line(response, line)

    def _cut(self, text: str) -> list[Piece]:
        return [text[i : i + self.piece_chars] for i in range(0, len(text), self.piece_chars)]


async def _line(response: web.StreamResponse, content: dict[str, Any]) -> None:
    await response.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
