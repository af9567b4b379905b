"""A chat model behind an OpenAI-style interface that says and misbehaves as it is told.

::

    async with OpenAiServer() as server:
        server.reply = "【高兴】你好。"       # or a list of pieces, or a function of the request
        server.mode = "break"               # one of Mode
        settings = LlmSettings(base_url=server.url)
        ...
        server.requests[-1].messages
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiohttp import web

Mode = Literal[
    "normal",
    "json",  # the whole reply in one JSON body, as servers do that cannot stream
    "refuse",  # an error status: see .status and .reason
    "drop",  # the connection is dropped without an answer
    "stall",  # silent before the headers, until .resume is set
    "stall_after_headers",
    "stall_midway",  # silent after the first piece, until .resume is set
    "keep_alive",  # comments every .keep_alive_s and nothing else, for ever
    "keep_alive_midway",
    "break_first",  # the connection is dropped after the headers
    "break",  # ... after the first piece
    "unfinished",  # a tidy end after the first piece, without finish_reason and [DONE]
    "error_first",  # an error object in the stream: see .reason and .code
    "error",  # ... after the first piece
    "empty",  # complete, but without any text
    "raw",  # the body is .raw, as it is
]

Reply = str | Sequence[str]


@dataclass(frozen=True)
class Request:
    """A request that was seen."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    connection: int
    """The client's port: the same for two requests that shared a connection."""

    @property
    def messages(self) -> list[dict[str, str]]:
        return list(self.body["messages"])

    @property
    def question(self) -> str:
        """The last message."""
        return self.messages[-1]["content"]


@dataclass
class OpenAiServer:
    """Listens on 127.0.0.1 while entered. Everything may be changed between and during requests."""

    reply: Reply | Callable[[Request], Reply] = "你好。我在听。"
    """A text is sent in pieces of 3 characters, a list as the pieces it holds."""
    tool_calls: Sequence[tuple[str, str]] = ()
    """(name, arguments as JSON text) of each tool call, sent in fragments after the text."""
    mode: Mode = "normal"
    next_modes: list[Mode] = field(default_factory=list)
    """Modes of the next requests, used up one by one before `mode` holds again."""
    status: int = 503
    reason: str = "overloaded"
    code: int | str = "server_error"
    raw: bytes | Sequence[bytes] = b""
    content_type: str = "text/event-stream"
    keep_alive_s: float = 0.02
    first_token_s: float = 0.0
    """How long the reply's first piece is waited for, as a real model reads before it writes."""
    thoughts: int = 0
    """How many pieces of reasoning come before the reply, one every `keep_alive_s`."""

    def __post_init__(self) -> None:
        self.url = ""
        """For llm.base_url."""
        self.requests: list[Request] = []
        self.arrived = asyncio.Event()
        """Set when a request has come."""
        self.stalled = asyncio.Event()
        """Set when a stalling mode has sent all it will."""
        self.resume = asyncio.Event()
        """Set it to let a stalled request go on."""
        self.disconnected = asyncio.Event()
        """Set when a client has left before its answer was complete."""

    async def __aenter__(self) -> OpenAiServer:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.resume.set()
        await self._runner.cleanup()

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        port = http.transport.get_extra_info("peername")[1] if http.transport else 0
        request = Request(http.path_qs, dict(http.headers), await http.json(), port)
        self.requests.append(request)
        self.arrived.set()
        mode = self.next_modes.pop(0) if self.next_modes else self.mode
        try:
            return await self._act(mode, http, request)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnected.set()
            raise

    async def _act(self, mode: Mode, http: web.Request, request: Request) -> web.StreamResponse:
        if mode == "refuse":
            return web.json_response(
                {"error": {"message": self.reason, "code": self.code}}, status=self.status
            )
        if mode == "drop":
            return self._hang_up(http)
        if mode == "stall":
            await self._stall()
        reply = self.reply(request) if callable(self.reply) else self.reply
        if mode == "json":
            return web.json_response(self._whole(reply))
        pieces = (
            [reply[i : i + 3] for i in range(0, len(reply), 3)] if isinstance(reply, str) else list(reply)
        )

        response = web.StreamResponse(headers={"Content-Type": self.content_type})
        await response.prepare(http)
        if mode == "raw":
            for data in [self.raw] if isinstance(self.raw, bytes) else self.raw:
                await response.write(data)
            await response.write_eof()
            return response
        if mode == "break_first":
            return self._hang_up(http)
        if mode == "stall_after_headers":
            await self._stall()
        if mode == "keep_alive":
            await self._keep_alive(response)
        if mode == "error_first":
            await response.write(_event({"error": {"message": self.reason, "code": self.code}}))
            return response
        await response.write(_event(_chunk({"role": "assistant", "content": ""})))
        await asyncio.sleep(self.first_token_s)
        for _ in range(self.thoughts):
            await response.write(_event(_chunk({"content": None, "reasoning_content": "hm"})))
            await asyncio.sleep(self.keep_alive_s)
        for number, piece in enumerate([] if mode == "empty" else pieces):
            if number == 1:
                if mode == "break":
                    return self._hang_up(http)
                if mode == "unfinished":
                    return response
                if mode == "stall_midway":
                    await self._stall()
                if mode == "keep_alive_midway":
                    await self._keep_alive(response)
                if mode == "error":
                    await response.write(_event({"error": {"message": self.reason, "code": self.code}}))
                    return response
            await response.write(_event(_chunk({"content": piece})))
        for fragment in self._fragments() if mode != "empty" else []:
            await response.write(_event(_chunk({"tool_calls": [fragment]})))
        await response.write(_event(_chunk({}, "tool_calls" if self.tool_calls else "stop")))
        await response.write(_event({"choices": [], "usage": {"total_tokens": 1}}))
        await response.write(b"data: [DONE]\n\n")
        return response

    def _hang_up(self, http: web.Request) -> web.StreamResponse:
        if http.transport:
            http.transport.abort()
        return web.Response()

    async def _stall(self) -> None:
        self.stalled.set()
        await self.resume.wait()

    async def _keep_alive(self, response: web.StreamResponse) -> None:
        self.stalled.set()
        while True:
            await response.write(b": keep-alive\n\n")
            await asyncio.sleep(self.keep_alive_s)

    def _whole(self, reply: Reply) -> dict[str, Any]:
        calls = [
            {"id": f"call-{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(self.tool_calls)
        ]
        message = {"role": "assistant", "content": "".join(reply), **({"tool_calls": calls} if calls else {})}
        return {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }

    def _fragments(self) -> list[dict[str, Any]]:
        fragments: list[dict[str, Any]] = []
        for index, (name, arguments) in enumerate(self.tool_calls):
            start = {"index": index, "id": f"call-{index}", "type": "function"}
            fragments.append({**start, "function": {"name": name, "arguments": ""}})
            middle = len(arguments) // 2
            fragments += [
                {"index": index, "function": {"arguments": part}}
                for part in (arguments[:middle], arguments[middle:])
            ]
        return fragments


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"
