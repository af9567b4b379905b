"""Chat models behind an OpenAI-compatible interface: streaming chat completions over HTTP."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
import httpx

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from xiaozhi_persona.language import later, tr
from xiaozhi_persona.providers.llm.openai_reply import Complaint, CompletionReader, complaint_in
from xiaozhi_persona.providers.local_hosts import is_local
from xiaozhi_persona.providers.sendable import check_sendable, sendable_key
from xiaozhi_persona.settings import LlmSettings
from xiaozhi_persona.spine import ChatDelta, Message

_log = logging.getLogger(__name__)

KEEP_ALIVE_S = 60.0
"""How long an unused connection is kept: longer than the pause between two questions."""

TAIL_S = 0.5
"""How long to wait for the body's end once the reply is complete, so that its connection can be kept."""

RETRY_PAUSE_S = 0.3

LONGEST_ERROR_BYTES = 64 * 1024


class OpenAiChatModel:
    """A ChatModel. Made for one event loop: the HTTP client is made at the first question and kept."""

    def __init__(self, settings: LlmSettings) -> None:
        """Raises SettingsError for an address, a key or extra parameters that cannot be sent."""
        self._settings = settings
        self._url = completions_url(settings.base_url)
        self._place = self._url.netloc.decode("ascii")
        self._key = sendable_key("llm.api_key", settings.api_key)
        check_sendable("llm.extra_body", settings.extra_body)
        self._client: httpx.AsyncClient | None = None
        self._takes_tools = True

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()
    ) -> AsyncGenerator[ChatDelta, None]:
        """Yield the reply's text as it comes, then the tool calls, each whole. Reasoning is left out.

        `tools` are in OpenAI's form. `first_token_timeout_s` counts from the call to the first text, tool call or
        reasoning, a retry included, and `token_timeout_s` from one to the next: keep-alives do not count. Reasoning
        alone goes on for `speech_timeout_s` at most. A refused or dropped connection and the statuses 502 and 503 are
        tried once more, before the first token only. A server that refuses tools is not offered any again.

        Raises ServiceUnavailable (not reached, failed before the first token, empty reply), ServiceTimeout (nothing
        before the first token), ServiceRejected, and ServiceBroken: it broke off, fell silent or failed after the
        first token, or ended without saying that the reply is complete.
        """
        tools = tools if self._takes_tools else ()
        try:
            async with contextlib.aclosing(self._tried_twice(messages, tools)) as deltas:
                async for delta in deltas:
                    yield delta
            return
        except _ToolsRefused as exc:
            if not tools:
                raise
            self._takes_tools = False
            _log.warning("对话模型 %s 不收工具，以后不给它：%s", self._place, exc)
        async with contextlib.aclosing(self._tried_twice(messages, ())) as deltas:
            async for delta in deltas:
                yield delta

    async def _tried_twice(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[ChatDelta, None]:
        body = request_body(self._settings, messages, tools)
        deadline = anyio.current_time() + self._settings.first_token_timeout_s
        for is_last_try in (False, True):
            reader = CompletionReader()
            try:
                async with contextlib.aclosing(self._attempt(body, deadline, reader)) as deltas:
                    async for delta in deltas:
                        yield delta
                return
            except _GatewayError:
                if is_last_try:
                    raise
                pause_s = RETRY_PAUSE_S
            except httpx.RequestError as exc:
                if is_last_try or reader.pieces or isinstance(exc, httpx.TimeoutException):
                    raise self._lost(exc, reader) from exc
                # A kept connection that the server has dropped meanwhile: a new one works at once.
                dropped = isinstance(exc, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)
                pause_s = 0.0 if dropped else RETRY_PAUSE_S
            _log.warning("对话模型 %s 没有接上，再试一次", self._place)
            await anyio.sleep(pause_s)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.aclose()

    async def _attempt(
        self, body: Mapping[str, Any], deadline: float, reader: CompletionReader
    ) -> AsyncGenerator[ChatDelta, None]:
        headers = {"Accept": "text/event-stream"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        client = self._connected()
        request = client.build_request("POST", self._url, json=body, headers=headers)
        try:
            with _until(deadline):
                response = await client.send(request, stream=True)
        except TimeoutError as exc:
            raise self._silent(reader) from exc
        async with contextlib.aclosing(response):
            chunks = response.aiter_bytes()
            reasons_until = anyio.current_time() + self._settings.speech_timeout_s
            if not response.is_success:
                raise await self._refusal(response, chunks, deadline)
            at_end = False
            while not at_end:
                try:
                    with _until(deadline):
                        data = await anext(chunks, b"")
                except TimeoutError as exc:
                    if reader.finished:
                        break
                    raise self._silent(reader) from exc
                except httpx.RequestError:
                    if not reader.finished:
                        raise
                    break
                at_end, before, thoughts = not data, (reader.pieces, reader.finished), reader.thoughts
                for text in reader.end() if at_end else reader.feed(data):
                    yield ChatDelta(text=text)
                if reader.complaint:
                    raise self._failure(reader.complaint, reader)
                now = anyio.current_time()
                if (reader.pieces, reader.finished) != before:
                    deadline = now + (TAIL_S if reader.finished else self._settings.token_timeout_s)
                    reasons_until = now + self._settings.speech_timeout_s
                elif reader.thoughts != thoughts:
                    deadline = min(max(deadline, now + self._settings.token_timeout_s), reasons_until)
        if not reader.finished or not reader.pieces:
            raise self._incomplete(reader)
        for call in reader.tool_calls():
            yield ChatDelta(tool_call=call)

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            connect_s = self._settings.connect_timeout_s
            try:
                self._client = httpx.AsyncClient(
                    # Reading has its deadline in _attempt, since one per read would let keep-alives go on forever.
                    timeout=httpx.Timeout(connect_s, read=None),
                    limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
                    # The proxy of the environment is for the internet, not for a server in the house.
                    trust_env=not is_local(self._url.host),
                )
            except (ImportError, ValueError) as exc:
                raise ServiceRejected(
                    tr(
                        "用不了环境变量里的代理：{exc}。检查 ALL_PROXY、HTTPS_PROXY，或改用 http:// 的代理。",
                        exc=exc,
                    )
                ) from exc
        return self._client

    async def _refusal(
        self, response: httpx.Response, chunks: AsyncIterator[bytes], deadline: float
    ) -> ServiceError:
        data = b""
        with contextlib.suppress(TimeoutError, httpx.RequestError), _until(deadline):
            while len(data) < LONGEST_ERROR_BYTES and (chunk := await anext(chunks, b"")):
                data += chunk
        reason = complaint_in(data).reason
        if response.has_redirect_location:
            reason = tr("地址转到了 {value}", value=response.headers["location"])
        return self._refused(response.status_code, reason)

    def _refused(self, status: int, reason: str) -> ServiceError:
        kind, advice = _STATUS.get(status) or (_SERVER_FAILED if status >= 500 else _REFUSED)
        if _OF_TOOLS.search(reason):
            kind = _ToolsRefused
        did = tr("拒绝了请求") if issubclass(kind, ServiceRejected) else tr("没有回答")
        said = tr("：{masked}", masked=self._masked(reason)) if reason else ""
        return kind(
            tr(
                "对话模型 {place} {did}（{status}）{said}。{advice}",
                place=self._place,
                did=did,
                status=status,
                said=said,
                advice=tr(advice),
            )
        )

    def _failure(self, complaint: Complaint, reader: CompletionReader) -> ServiceError:
        """Return the error for a complaint in an answer that began as a success."""
        reason = self._masked(complaint.reason)
        if reader.pieces:
            return ServiceBroken(
                tr("对话模型 {place} 答到一半出错：{reason}。请再问一次。", place=self._place, reason=reason)
            )
        if complaint.status:
            return self._refused(complaint.status, complaint.reason)
        return ServiceUnavailable(
            tr(
                "对话模型 {place} 出错：{reason}。稍后再试，再不行就检查 llm.model。",
                place=self._place,
                reason=reason,
            )
        )

    def _lost(self, exc: httpx.RequestError, reader: CompletionReader) -> ServiceError:
        reason = str(exc) or type(exc).__name__
        if reader.pieces:
            return ServiceBroken(
                tr("对话模型 {place} 答到一半断开：{reason}。请再问一次。", place=self._place, reason=reason)
            )
        if isinstance(exc, httpx.ConnectTimeout):
            reason = tr(
                "{connect_timeout_s:g} 秒没有接通", connect_timeout_s=self._settings.connect_timeout_s
            )
        return ServiceUnavailable(
            tr(
                "连不上对话模型 {place}：{reason}。检查网络和 llm.base_url。",
                place=self._place,
                reason=reason,
            )
        )

    def _silent(self, reader: CompletionReader) -> ServiceError:
        if reader.pieces:
            return ServiceBroken(
                tr(
                    "对话模型 {place} 停了 {token_timeout_s:g} 秒没有说下去。"
                    "请再问一次，常有时调大 llm.token_timeout_s。",
                    place=self._place,
                    token_timeout_s=self._settings.token_timeout_s,
                )
            )
        if reader.thoughts:
            return ServiceTimeout(
                tr(
                    "对话模型 {place} 只思考，没有开口。"
                    "在 llm.extra_body 里关掉思考，或调大 llm.speech_timeout_s 和 llm.token_timeout_s。",
                    place=self._place,
                )
            )
        return ServiceTimeout(
            tr(
                "对话模型 {place} 在 {first_token_timeout_s:g} 秒内没有回答。"
                "稍后再试，或调大 llm.first_token_timeout_s。",
                place=self._place,
                first_token_timeout_s=self._settings.first_token_timeout_s,
            )
        )

    def _incomplete(self, reader: CompletionReader) -> ServiceError:
        if reader.pieces:
            return ServiceBroken(tr("对话模型 {place} 没有说完就结束了。请再问一次。", place=self._place))
        if reader.is_foreign:
            return ServiceRejected(
                tr(
                    "{place} 返回的不是对话接口的数据。检查 llm.base_url（一般以 /v1 结尾）。",
                    place=self._place,
                )
            )
        if reader.finish_reason == "content_filter":
            return ServiceRejected(
                tr("对话模型 {place} 的内容审查拦下了这句话。换一种说法再问。", place=self._place)
            )
        advice = (
            tr("在 llm.extra_body 里关掉思考或调大 max_tokens") if reader.thoughts else tr("检查 llm.model")
        )
        return ServiceUnavailable(
            tr(
                "对话模型 {place} 的回答是空的。再试一次，再不行就{advice}。",
                place=self._place,
                advice=advice,
            )
        )

    def _masked(self, reason: str) -> str:
        # Some servers repeat the key that they refuse.
        return (reason.replace(self._key, "***") if self._key else reason).rstrip("。. ")


def completions_url(base_url: str) -> httpx.URL:
    """Return the address to post to, for a base address with or without /chat/completions. Raises SettingsError."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as exc:
        raise SettingsError(
            tr("llm.base_url 不是有效的地址：{exc}。应如 https://api.deepseek.com/v1", exc=exc)
        ) from exc
    if not url.host or (url.port or 0) > 65535:
        raise SettingsError(tr("llm.base_url 的主机名或端口不对。应如 https://api.deepseek.com/v1"))
    path = url.path.rstrip("/")
    return url.copy_with(path=path if path.endswith("/chat/completions") else path + "/chat/completions")


def request_body(
    settings: LlmSettings, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what is posted; extra_body may set anything but the messages and streaming."""
    body: dict[str, Any] = {"model": settings.model} if settings.model else {}
    if tools:  # some servers refuse an empty list
        body["tools"] = [dict(tool) for tool in tools]
    return {**body, **settings.extra_body, "messages": [*map(_as_json, messages)], "stream": True}


def _as_json(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.pictures:
        shown = [{"type": "image_url", "image_url": {"url": url}} for url in message.pictures]
        body["content"] = [*shown, {"type": "text", "text": message.content}]
    if message.tool_calls:
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    return body


class _GatewayError(ServiceUnavailable):
    """A status with which a gateway says that the model did not begin, so that trying again is safe."""


class _ToolsRefused(ServiceRejected):
    """The model, or its server as it was started, cannot do with tools."""


_OF_TOOLS = re.compile(r"\btools?\b|function.?call", re.IGNORECASE)
_REFUSED = (ServiceRejected, later("检查 llm.model 和 llm.extra_body。"))
_SERVER_FAILED = (ServiceUnavailable, later("稍后再试。"))
_STATUS: Mapping[int, tuple[type[ServiceError], str]] = {
    **dict.fromkeys((301, 302, 303, 307, 308), (ServiceRejected, later("把正确的地址填入 llm.base_url。"))),
    401: (ServiceRejected, later("检查 llm.api_key。")),
    402: (ServiceRejected, later("给账户充值，或换一个 llm.api_key。")),
    403: (ServiceRejected, later("检查 llm.api_key。账户也要有权使用 llm.model。")),
    404: (ServiceRejected, later("检查 llm.base_url（一般以 /v1 结尾）和 llm.model。")),
    405: (ServiceRejected, later("检查 llm.base_url（一般以 /v1 结尾）。")),
    408: (ServiceTimeout, later("稍后再试。")),
    413: (ServiceRejected, later("对话太长了，调小 llm.history_chars。")),
    429: (ServiceUnavailable, later("问得太快或额度用完了，稍后再试，并查看账户的额度。")),
    502: (_GatewayError, later("稍后再试。")),
    503: (_GatewayError, later("服务正忙，稍后再试。")),
    504: (ServiceTimeout, later("稍后再试。")),
}


def _until(deadline: float) -> contextlib.AbstractContextManager[Any]:
    # Not asyncio.wait_for: before Python 3.12 it can swallow a cancellation that comes together with the result.
    return anyio.fail_after(max(0.0, deadline - anyio.current_time()))
