"""The device's tools: what the server is told of them, and how its calls are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from fakes.xiaozhi_server import FakeXiaozhi, Session, tone

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.bridge.client.mcp import MAX_CALLS, PAGE_BYTES, Argument, McpServer, Tool
from xiaozhi_persona.errors import PersonaError


async def say_done(arguments: Mapping[str, Any]) -> str:
    return f"done {json.dumps(dict(arguments))}"


class Asked:
    """An MCP server whose answers are kept by their number."""

    def __init__(self, *tools: Tool) -> None:
        self.answers: dict[Any, dict[str, Any]] = {}
        self._came = asyncio.Event()
        self.server = McpServer(tools, self._take)

    def _take(self, answer: dict[str, Any]) -> None:
        assert answer["jsonrpc"] == "2.0"
        self.answers[answer["id"]] = answer
        self._came.set()

    def ask(self, number: Any, method: str, **params: Any) -> None:
        self.server.take({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    async def answer(self, number: Any) -> dict[str, Any]:
        while number not in self.answers:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 20)
        return self.answers[number]

    async def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool; return the text of its result, or its error as a dict."""
        number = len(self.answers) + 1000
        self.ask(number, "tools/call", name=tool, arguments=arguments)
        answer = await self.answer(number)
        if "error" in answer:
            return answer["error"]
        assert answer["result"]["isError"] is False
        (content,) = answer["result"]["content"]
        assert content["type"] == "text"
        return content["text"]


# The list of tools.


async def test_a_tool_is_listed_as_the_firmware_lists_it():
    arguments = [
        Argument("level", "integer", minimum=0, maximum=100),
        Argument("fast", "boolean", default=False),
        Argument("name"),
    ]
    asked = Asked(Tool("self.lamp.set", "Sets the lamp.", say_done, arguments))
    asked.ask(1, "tools/list", cursor="")
    assert asked.answers[1]["result"] == {
        "tools": [
            {
                "name": "self.lamp.set",
                "description": "Sets the lamp.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "level": {"type": "integer", "minimum": 0, "maximum": 100},
                        "fast": {"type": "boolean", "default": False},
                        "name": {"type": "string"},
                    },
                    "required": ["level", "name"],
                },
            }
        ]
    }


async def test_many_tools_come_in_pages_of_at_most_8000_bytes():
    tools = [Tool(f"self.tool.{i}", "说明" * 200, say_done) for i in range(40)]
    asked = Asked(*tools)
    names, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        asked.ask(pages, "tools/list", cursor=cursor)
        page = asked.answers[pages]["result"]
        size = len(json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode())
        assert PAGE_BYTES / 2 < size <= PAGE_BYTES or "nextCursor" not in page
        names += [tool["name"] for tool in page["tools"]]
        cursor, pages = page.get("nextCursor", ""), pages + 1
    assert names == [tool.name for tool in tools]
    assert pages > 5


async def test_a_page_that_begins_nowhere_and_a_tool_that_fits_on_none_are_errors():
    asked = Asked(Tool("self.big", "x" * 9000, say_done))
    asked.ask(1, "tools/list")
    asked.ask(2, "tools/list", cursor="self.gone")
    assert "self.big" in asked.answers[1]["error"]["message"]
    assert "self.gone" in asked.answers[2]["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "method": "tools/list"},
        {"jsonrpc": "1.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": "one", "method": "tools/list"},
        {"jsonrpc": "2.0", "id": True, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": float("nan"), "method": "tools/list"},
        {"jsonrpc": "2.0", "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 1, "method": 7},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": []},
        {"jsonrpc": "2.0", "id": 1, "method": "notifications/cancelled"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
)
async def test_what_the_firmware_drops_gets_no_answer(message):
    asked = Asked()
    asked.server.take(message)
    assert asked.answers == {}


# Calls.


async def test_arguments_are_read_by_their_types():
    arguments = [Argument("level", "integer", minimum=0, maximum=100), Argument("fast", "boolean", False)]
    asked = Asked(Tool("self.lamp", "", say_done, arguments))
    assert await asked.call("self.lamp", level=7, more=1) == 'done {"level": 7, "fast": false}'
    assert await asked.call("self.lamp", level=7.0, fast=True) == 'done {"level": 7, "fast": true}'
    assert await asked.call("self.lamp", level=1, fast="yes") == 'done {"level": 1, "fast": false}'
    for wrong in ({}, {"level": "7"}, {"level": True}, {"level": 7.5}, {"level": None}):
        assert "level" in (await asked.call("self.lamp", **wrong))["message"]
    assert "0" in (await asked.call("self.lamp", level=-1))["message"]
    assert "100" in (await asked.call("self.lamp", level=10**30))["message"]


async def test_calls_that_name_no_tool():
    asked = Asked()
    asked.ask(1, "tools/call", name=["self"])
    asked.ask(2, "tools/call", name="self.lamp", arguments=[1])
    assert "name" in asked.answers[1]["error"]["message"]
    assert "arguments" in asked.answers[2]["error"]["message"]
    assert await asked.call("self.reboot") == {"message": "Unknown tool: self.reboot"}


async def test_calls_run_beside_each_other_but_those_of_one_tool_in_their_order():
    order: list[str] = []
    gate = asyncio.Event()

    async def wait(arguments: Mapping[str, Any]) -> bool:
        order.append(f"begin {arguments['n']}")
        await gate.wait()
        order.append(f"end {arguments['n']}")
        return True

    asked = Asked(Tool("slow", "", wait, [Argument("n", "integer")]), Tool("quick", "", say_done))
    asked.ask(1, "tools/call", name="slow", arguments={"n": 1})
    asked.ask(2, "tools/call", name="slow", arguments={"n": 2})
    assert await asked.call("quick") == "done {}"
    gate.set()
    assert (await asked.answer(2))["result"]["content"][0]["text"] == "true"
    assert order == ["begin 1", "end 1", "begin 2", "end 2"]


async def test_too_many_calls_at_once_are_refused_and_closing_ends_those_that_run():
    async def hang(arguments: Mapping[str, Any]) -> bool:
        await asyncio.Event().wait()
        return True

    asked = Asked(Tool("hang", "", hang))
    for number in range(MAX_CALLS + 1):
        asked.ask(number, "tools/call", name="hang")
    assert list(asked.answers) == [MAX_CALLS]
    await asked.server.aclose()


async def test_a_tool_that_fails_or_takes_too_long_is_told(caplog):
    async def hang(arguments: Mapping[str, Any]) -> bool:
        await asyncio.Event().wait()
        return True

    async def fail(arguments: Mapping[str, Any]) -> bool:
        raise PersonaError("灯泡坏了")

    async def crash(arguments: Mapping[str, Any]) -> bool:
        raise ZeroDivisionError("secret")

    asked = Asked(Tool("hang", "", hang, timeout_s=0.01), Tool("fail", "", fail), Tool("crash", "", crash))
    assert "0.01 s" in (await asked.call("hang"))["message"]
    assert await asked.call("fail") == {"message": "灯泡坏了"}
    assert await asked.call("crash") == {"message": "crash failed: ZeroDivisionError"}


async def test_sound_goes_on_while_a_tool_hangs():
    """A reply plays to its end while a call of the device's tool has not ended, and leaving the connection ends it."""
    began = asyncio.Event()

    async def hang(arguments: Mapping[str, Any]) -> bool:
        began.set()
        await asyncio.Event().wait()
        return True

    async def script(session: Session) -> None:
        await session.send(
            "mcp", payload={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hang"}}
        )
        await session.turn()
        await session.answer()

    async with FakeXiaozhi(script) as server:
        async with DeviceConnection.open(server.url, tools=[Tool("hang", "", hang)]) as device:
            await asyncio.wait_for(began.wait(), 10)
            await device.say(tone(0.18))
            turn = await device.reply()
        assert server.session.events.count("mcp") == 0
    assert (turn.gaps, turn.dropped) == (0, 0)
