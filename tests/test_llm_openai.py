from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from fakes.openai_server import Mode, OpenAiServer

from xiaozhi_persona.errors import (
    ServiceBroken,
    ServiceError,
    ServiceRejected,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from xiaozhi_persona.providers.llm.openai import OpenAiChatModel, completions_url
from xiaozhi_persona.settings import LlmSettings
from xiaozhi_persona.spine import ChatModel, Message, ToolCall

QUESTION = [Message("system", "你是小智。"), Message("user", "你好")]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[OpenAiServer]:
    async with OpenAiServer() as server:
        yield server


@contextlib.asynccontextmanager
async def model_at(url: str, **changes: Any) -> AsyncIterator[OpenAiChatModel]:
    """Short deadlines are set by model_copy, which does not hold them to their ranges."""
    settings = LlmSettings(base_url=url, model="m").model_copy(update=changes)
    model = OpenAiChatModel(settings)
    before = asyncio.all_tasks()
    try:
        yield model
    finally:
        await model.aclose()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        left = [repr(task) for task in asyncio.all_tasks() - before]
        assert [task for task in left if "RequestHandler" not in task and "hold_open" not in task] == []


async def text_of(model: ChatModel, messages: Sequence[Message] = QUESTION) -> str:
    return "".join([delta.text async for delta in model.stream(messages)])


async def partly(model: ChatModel) -> tuple[str, ServiceError]:
    """What came before the error, and the error."""
    text = ""
    with pytest.raises(ServiceError) as caught:
        async for delta in model.stream(QUESTION):
            text += delta.text
    return text, caught.value


# Requests


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/"])
async def test_any_way_to_write_the_address_reaches_the_same_place(server: OpenAiServer, end: str) -> None:
    async with model_at(server.url + end) as model:
        assert await text_of(model) == "你好。我在听。"
    assert server.requests[0].path == "/v1/chat/completions"


def test_the_query_of_an_address_is_kept() -> None:
    url = completions_url("https://x.test/openai/?api-version=1")
    assert str(url) == "https://x.test/openai/chat/completions?api-version=1"


async def test_the_request_carries_messages_key_tools_and_extra_parameters(server: OpenAiServer) -> None:
    tools = [{"type": "function", "function": {"name": "volume", "parameters": {}}}]
    async with model_at(
        server.url, api_key=" key ", extra_body={"temperature": 0.7, "stream": False}
    ) as model:
        async for _ in model.stream(QUESTION, tools):
            pass
    request = server.requests[0]
    assert request.headers["Authorization"] == "Bearer key"
    assert request.body == {
        "model": "m",
        "temperature": 0.7,
        "stream": True,
        "messages": [{"role": "system", "content": "你是小智。"}, {"role": "user", "content": "你好"}],
        "tools": tools,
    }


async def test_without_a_key_there_is_no_authorization_and_without_tools_no_tools(
    server: OpenAiServer,
) -> None:
    async with model_at(server.url) as model:
        await text_of(model)
    assert "Authorization" not in server.requests[0].headers
    assert "tools" not in server.requests[0].body


async def test_the_connection_is_kept_from_one_question_to_the_next(server: OpenAiServer) -> None:
    async with model_at(server.url) as model:
        for _ in range(3):
            await text_of(model)
    assert len({request.connection for request in server.requests}) == 1


async def test_a_closed_model_can_be_asked_again(server: OpenAiServer) -> None:
    async with model_at(server.url) as model:
        await text_of(model)
        await model.aclose()
        assert await text_of(model)


async def test_a_proxy_of_the_environment_is_not_used_for_a_server_in_the_house(
    server: OpenAiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    async with model_at(server.url) as model:
        assert await text_of(model)


async def test_a_proxy_that_httpx_cannot_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://127.0.0.1:1")
    async with model_at("http://chat.test") as model:
        with pytest.raises(ServiceRejected, match="ALL_PROXY"):
            await text_of(model)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"base_url": "http://a:99999"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "http://a", "api_key": "你的密钥"}, "api_key"),
        ({"base_url": "http://a", "api_key": "a\nb"}, "api_key"),
        ({"base_url": "http://a", "extra_body": {"stop": {1}}}, "extra_body"),
    ],
)
def test_settings_that_cannot_be_sent_are_refused_at_once(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError, match=rf"llm\.{key}"):
        OpenAiChatModel(LlmSettings(**settings))


# Replies


@pytest.mark.parametrize(
    "pieces", [["你好。我在听。"], list("你好。我在听。"), ["", "你好", "", "。我在听。"]]
)
async def test_text_comes_in_the_pieces_of_the_server(server: OpenAiServer, pieces: list[str]) -> None:
    server.reply = pieces
    async with model_at(server.url) as model:
        assert [delta.text async for delta in model.stream(QUESTION)] == [piece for piece in pieces if piece]


async def test_text_is_handed_on_before_the_reply_is_complete(server: OpenAiServer) -> None:
    server.mode, server.reply = "stall_midway", ["你好", "。"]
    async with model_at(server.url) as model, contextlib.aclosing(model.stream(QUESTION)) as deltas:
        assert (await anext(deltas)).text == "你好"
        server.resume.set()
        assert (await anext(deltas)).text == "。"


async def test_tool_calls_come_whole_after_the_text(server: OpenAiServer) -> None:
    server.reply = "好。"
    server.tool_calls = [("set_volume", '{"volume": 80}'), ("get_status", "")]
    async with model_at(server.url) as model:
        deltas = [delta async for delta in model.stream(QUESTION)]
    assert [delta.text for delta in deltas] == ["好。", "", ""]
    assert [delta.tool_call for delta in deltas[1:]] == [
        ToolCall("call-0", "set_volume", '{"volume": 80}'),
        ToolCall("call-1", "get_status", "{}"),
    ]


async def test_a_tool_call_without_text_is_a_reply(server: OpenAiServer) -> None:
    server.reply, server.tool_calls = "", [("stop", "{}")]
    async with model_at(server.url) as model:
        deltas = [delta async for delta in model.stream(QUESTION)]
    assert [delta.tool_call for delta in deltas] == [ToolCall("call-0", "stop", "{}")]


async def test_a_server_that_cannot_stream_is_understood(server: OpenAiServer) -> None:
    server.mode, server.tool_calls = "json", [("stop", "{}")]
    async with model_at(server.url) as model:
        deltas = [delta async for delta in model.stream(QUESTION)]
    assert deltas[0].text == "你好。我在听。"
    assert deltas[1].tool_call == ToolCall("call-0", "stop", "{}")


async def test_the_end_is_not_waited_for_once_the_reply_is_complete(server: OpenAiServer) -> None:
    async def hold_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            b'data: {"choices":[{"delta":{"content":"ok"}}]}\n\ndata: [DONE]\n\n'
        )
        await reader.read()
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(hold_open, "127.0.0.1", 0)
    async with listener, model_at(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as model:
        assert await asyncio.wait_for(text_of(model), 5) == "ok"


# Errors


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, ServiceRejected, "llm.model"),
        (401, ServiceRejected, "llm.api_key"),
        (402, ServiceRejected, "充值"),
        (403, ServiceRejected, "llm.api_key"),
        (404, ServiceRejected, "llm.base_url"),
        (413, ServiceRejected, "llm.history_chars"),
        (418, ServiceRejected, "llm.extra_body"),
        (408, ServiceTimeout, "稍后再试"),
        (429, ServiceUnavailable, "额度"),
        (500, ServiceUnavailable, "稍后再试"),
        (504, ServiceTimeout, "稍后再试"),
    ],
)
async def test_a_status_says_why_and_what_to_do_and_is_not_tried_again(
    server: OpenAiServer, status: int, kind: type[ServiceError], hint: str
) -> None:
    server.mode, server.status, server.reason = "refuse", status, "no such thing: secret-key"
    async with model_at(server.url, api_key="secret-key") as model:
        _, error = await partly(model)
    assert type(error) is kind
    assert f"（{status}）：no such thing: ***。" in str(error)
    assert hint in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 503])
async def test_a_gateway_without_a_model_behind_it_is_tried_once_more(
    server: OpenAiServer, status: int
) -> None:
    server.status, server.next_modes = status, ["refuse"]
    async with model_at(server.url) as model:
        assert await text_of(model) == "你好。我在听。"
        server.next_modes = ["refuse", "refuse"]
        _, error = await partly(model)
    assert isinstance(error, ServiceUnavailable)
    assert error.retryable
    assert len(server.requests) == 4


@pytest.mark.parametrize("mode", ["drop", "break_first"])
async def test_a_connection_lost_before_the_first_token_is_tried_once_more(
    server: OpenAiServer, mode: Mode
) -> None:
    server.next_modes = [mode]
    async with model_at(server.url) as model:
        assert await text_of(model) == "你好。我在听。"
        server.next_modes = [mode, mode]
        _, error = await partly(model)
    assert type(error) is ServiceUnavailable
    assert len(server.requests) == 4


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}"
        async with model_at(f"http://{place}/v1") as model:
            _, error = await partly(model)
    assert type(error) is ServiceUnavailable
    assert place in str(error)
    assert "llm.base_url" in str(error)


@pytest.mark.parametrize("mode", ["stall", "stall_after_headers", "keep_alive"])
async def test_silence_and_keep_alives_before_the_first_token_time_out(
    server: OpenAiServer, mode: Mode
) -> None:
    server.mode = mode
    async with model_at(server.url, first_token_timeout_s=0.5) as model:
        _, error = await partly(model)
        assert type(error) is ServiceTimeout
        assert "llm.first_token_timeout_s" in str(error)
        await asyncio.wait_for(server.disconnected.wait(), 5)
    assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["stall_midway", "keep_alive_midway"])
async def test_silence_and_keep_alives_between_tokens_break_the_reply(
    server: OpenAiServer, mode: Mode
) -> None:
    server.mode = mode
    async with model_at(server.url, token_timeout_s=0.1) as model:
        text, error = await partly(model)
        assert text == "你好。"
        assert type(error) is ServiceBroken
        assert "llm.token_timeout_s" in str(error)
        await asyncio.wait_for(server.disconnected.wait(), 5)


async def test_who_reasons_longer_than_the_first_token_may_take_is_waited_for(server: OpenAiServer) -> None:
    server.thoughts, server.keep_alive_s = 8, 0.1
    async with model_at(server.url, first_token_timeout_s=0.4, token_timeout_s=0.4) as model:
        assert await text_of(model) == "你好。我在听。"


async def test_reasoning_alone_has_its_limit(server: OpenAiServer) -> None:
    server.thoughts = 10_000
    async with model_at(server.url, speech_timeout_s=0.3) as model:
        _, error = await partly(model)
        assert type(error) is ServiceTimeout
        assert "llm.speech_timeout_s" in str(error)
        await asyncio.wait_for(server.disconnected.wait(), 5)


async def test_who_stops_reasoning_is_silent(server: OpenAiServer) -> None:
    server.thoughts, server.mode, server.reply = 1, "stall_midway", ["", ""]
    async with model_at(server.url, first_token_timeout_s=0.2, token_timeout_s=0.2) as model:
        _, error = await partly(model)
    assert type(error) is ServiceTimeout


async def test_time_that_the_caller_takes_is_not_counted(server: OpenAiServer) -> None:
    server.reply = ["一", "二"]
    async with model_at(server.url, token_timeout_s=0.2) as model:
        text = ""
        async for delta in model.stream(QUESTION):
            text += delta.text
            await asyncio.sleep(0.25)
    assert text == "一二"


@pytest.mark.parametrize("mode", ["break", "unfinished", "error"])
async def test_a_reply_that_breaks_off_is_broken_and_not_asked_for_again(
    server: OpenAiServer, mode: Mode
) -> None:
    server.mode = mode
    async with model_at(server.url) as model:
        text, error = await partly(model)
    assert text == "你好。"
    assert type(error) is ServiceBroken
    assert not error.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [("server_error", ServiceUnavailable), (401, ServiceRejected), ("429", ServiceUnavailable)],
)
async def test_an_error_in_a_stream_that_began_well_is_told(
    server: OpenAiServer, code: int | str, kind: type[ServiceError]
) -> None:
    server.mode, server.code = "error_first", code
    async with model_at(server.url) as model:
        _, error = await partly(model)
    assert type(error) is kind
    assert "overloaded" in str(error)


async def test_an_empty_reply_is_an_error(server: OpenAiServer) -> None:
    server.mode = "empty"
    async with model_at(server.url) as model:
        _, error = await partly(model)
    assert type(error) is ServiceUnavailable
    assert "空" in str(error)


@pytest.mark.parametrize("body", [b"<html><body>Welcome</body></html>", b'{"status": "ok"}', b"[1, 2]", b"{"])
async def test_a_body_of_something_else_names_the_address(server: OpenAiServer, body: bytes) -> None:
    server.mode, server.raw, server.content_type = "raw", body, "text/html"
    async with model_at(server.url) as model:
        with pytest.raises(ServiceRejected, match=r"llm\.base_url"):
            await text_of(model)


async def test_an_error_object_as_the_whole_body_is_told(server: OpenAiServer) -> None:
    server.mode, server.raw = "raw", b'{\n "error": {\n "message": "no such model"\n }\n}\n'
    async with model_at(server.url) as model:
        with pytest.raises(ServiceUnavailable, match="no such model"):
            await text_of(model)


# Leaving early


async def test_closing_the_iterator_ends_the_request(server: OpenAiServer) -> None:
    server.mode = "stall_midway"
    async with model_at(server.url) as model:
        async with contextlib.aclosing(model.stream(QUESTION)) as deltas:
            assert (await anext(deltas)).text == "你好。"
        await asyncio.wait_for(server.disconnected.wait(), 5)


@pytest.mark.parametrize("mode", ["stall", "stall_midway"])
async def test_cancelling_ends_the_request(server: OpenAiServer, mode: Mode) -> None:
    server.mode = mode
    async with model_at(server.url) as model:
        asking = asyncio.create_task(text_of(model))
        await asyncio.wait_for(server.stalled.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.disconnected.wait(), 5)


async def test_one_model_answers_many_at_once(server: OpenAiServer) -> None:
    server.reply = lambda request: f"答{request.question}"
    async with model_at(server.url) as model:
        answers = await asyncio.gather(*(text_of(model, [Message("user", str(n))]) for n in range(20)))
    assert answers == [f"答{n}" for n in range(20)]


async def test_a_tool_conversation_is_sent_as_it_was(server: OpenAiServer) -> None:
    calls = (ToolCall("a", "clock", '{"zone": "东京"}'),)
    async with model_at(server.url) as model:
        told = Message("tool", "三点", tool_call_id="a")
        await text_of(model, [*QUESTION, Message("assistant", "", calls), told])
    assert server.requests[0].messages[2:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "clock", "arguments": '{"zone": "东京"}'},
                }
            ],
        },
        {"role": "tool", "content": "三点", "tool_call_id": "a"},
    ]
    assert server.requests[0].messages[:2] == [
        {"role": "system", "content": "你是小智。"},
        {"role": "user", "content": "你好"},
    ]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "registry/gemma does not support tools"),
        (500, "tools param requires --jinja flag"),
        (404, "No endpoints found that support tool use"),
        (400, "This model does not support Function Calling"),
    ],
)
async def test_a_server_that_takes_no_tools_is_asked_without_and_offered_none_again(
    server: OpenAiServer, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.next_modes, server.status, server.reason = ["refuse"], status, reason
    async with model_at(server.url) as model:
        for _ in range(2):
            tools = [{"type": "function", "function": {"name": "x"}}]
            assert "".join([delta.text async for delta in model.stream(QUESTION, tools)]) == "你好。我在听。"
    assert ["tools" in request.body for request in server.requests] == [True, False, False]
    assert caplog.text.count(reason) == 1


async def test_another_refusal_is_no_matter_of_tools(server: OpenAiServer) -> None:
    server.mode, server.status, server.reason = "refuse", 400, "too long"
    async with model_at(server.url) as model:
        with pytest.raises(ServiceRejected, match="too long"):
            async for _ in model.stream(QUESTION, [{"type": "function", "function": {"name": "x"}}]):
                pass
    assert len(server.requests) == 1
