"""The device's tools in the bridge, over the real websocket: whatever the device does, the turn ends with words."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from fakes.bridge import Rig, make_settings, running
from fakes.mcp_device import STATUS, VOLUME, McpDevice, text, tool
from fakes.parts import ToolModel, make_parts

from xiaozhi_persona.bridge.mcp import device_tools
from xiaozhi_persona.bridge.mcp import offered as offered_tools
from xiaozhi_persona.bridge.mcp.offered import USER_ONLY
from xiaozhi_persona.spine import ToolCall

SET = "self_audio_speaker_set_volume"


def call(name: str = SET, arguments: str = '{"volume": 50}', id: str = "a") -> ToolCall:
    return ToolCall(id, name, arguments)


def offered(model: ToolModel) -> list[list[str]]:
    return [[name for name in names if name != "persona_role"] for names in model.offered]


class Talk:
    """A device with tools in conversation with a scripted model."""

    def __init__(self, device: McpDevice, model: ToolModel, rig: Rig) -> None:
        self.device, self.model, self.rig = device, model, rig

    @property
    def offered(self) -> list[list[str]]:
        """The names of the device's tools that each round was offered."""
        return offered(self.model)

    async def ask(self, *rounds: list[Any]) -> str:
        """Say something to which the model answers with these rounds."""
        self.model.rounds = [*rounds] or [["好的。"]]
        return await self.device.ask("调一下")


@contextlib.asynccontextmanager
async def talking(*pages: list[dict[str, Any]], hello: bool = True) -> AsyncIterator[Talk]:
    model = ToolModel(["好的。"])
    async with running(make_parts(model)) as rig, McpDevice.open(rig.url, *pages) as device:
        if hello:
            await device.hello()
        yield Talk(device, model, rig)


async def test_tools_of_all_pages_are_offered_with_safe_names_and_called_by_their_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with talking([VOLUME], [STATUS], [tool("music_player.play", song={"type": "string"})]) as talk:
        assert await talk.ask([call(arguments='{"volume": "50"}')], ["调好了。"]) == "调好了。"
        device, model = talk.device, talk.model
    assert talk.offered[0] == [SET, "self_get_device_status", "music_player_play"] and model.told == ["true"]
    assert device.of("tools/call") == [{"name": "self.audio_speaker.set_volume", "arguments": {"volume": 50}}]
    assert [asked["id"] for asked in device.asked] == [1, 2, 3, 4, 5]
    (began,) = device.of("initialize")
    assert began["protocolVersion"] == "2024-11-05" and "vision" not in began["capabilities"]
    assert all(listed["withUserTools"] is False for listed in device.of("tools/list"))
    assert "对话模型，4 个工具" in caplog.text


async def test_a_description_names_other_tools_as_the_model_calls_them() -> None:
    async with talking([VOLUME, STATUS]) as talk:
        await talk.ask()
        (session,) = talk.rig.bridge._sessions
        functions = [tool.function for tool in await session._device.tools()]
    assert "`self_get_device_status` first" in functions[0]["description"]
    assert functions[0]["parameters"]["required"] == ["volume"]


async def test_what_is_said_of_tools_is_bounded_together() -> None:
    large = [
        tool(f"t{n}", "长" * 1024, **{f"p{m}": {"type": "string"} for m in range(60)}) for n in range(40)
    ]
    async with talking(large[:20], large[20:]) as talk:
        await talk.ask()
        (session,) = talk.rig.bridge._sessions
        functions = [tool.function for tool in await session._device.tools()]
    assert 10 < len(functions) < 40
    assert len(json.dumps(functions, ensure_ascii=False)) < 1.1 * offered_tools.MAX_CHARACTERS


async def test_what_is_for_people_and_a_camera_that_nobody_looks_at_are_not_offered() -> None:
    hidden = [*map(tool, USER_ONLY), tool("self.camera.take_photo"), tool("self_camera_take_photo")]
    hidden.append({**tool("self.secret"), "annotations": {"audience": ["user"]}})
    async with talking([VOLUME, *hidden]) as talk:
        await talk.ask([call("self_reboot", "{}")], ["不行。"])
    assert talk.offered[0] == [SET] and not talk.device.of("tools/call")


async def test_a_command_that_comes_before_the_list_waits_for_it() -> None:
    async with talking([VOLUME], hello=False) as talk:
        talk.device.on_list = lambda params: None
        await talk.device.hello()
        listing = await talk.device.until_asked("tools/list")
        asking = asyncio.create_task(talk.ask([call()], ["好。"]))
        await talk.device.wire.until(lambda: "stt" in {*talk.device.wire.heard.kinds})
        await talk.device.answer(listing, talk.device.page(listing["params"]))
        assert await asking == "好。"
    assert talk.device.of("tools/call") and talk.model.told == ["true"]


async def test_a_list_that_comes_late_is_there_at_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_tools, "KNOWN_S", 0.05)
    async with talking([VOLUME], hello=False) as talk:
        talk.device.on_list = lambda params: None
        await talk.device.hello()
        listing = await talk.device.until_asked("tools/list")
        assert await talk.ask() == "好的。" and talk.offered[-1] == []
        await talk.device.answer(listing, talk.device.page(listing["params"]))
        while not talk.offered[-1]:
            assert await talk.ask() == "好的。"
    assert talk.offered[-1] == [SET]


async def test_a_device_that_never_answers_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_tools, "KNOWN_S", 0.3)
    async with talking(hello=False) as talk:
        talk.device.on_initialize = lambda params: None
        await talk.device.hello()
        for _ in range(2):
            assert await talk.ask() == "好的。"
        first, second = (turn.marks_ms["first_token_ms"] for turn in talk.rig.turns)
    assert first >= 290 and second < 250 and talk.offered == [[], []]


async def test_a_device_that_refuses_initialize_may_have_tools_all_the_same() -> None:
    async with talking([VOLUME], hello=False) as talk:
        talk.device.on_initialize = lambda params: {"error": {"message": "no"}}
        await talk.device.hello()
        await talk.ask()
    assert talk.offered == [[SET]]


async def test_changed_tools_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_tools, "_SETTLE_S", 0.05)
    async with talking([VOLUME]) as talk:
        await talk.ask()
        talk.device.pages = [[STATUS]]
        for _ in range(5):
            await talk.device.send(jsonrpc="2.0", method="notifications/tools/list_changed")
        await talk.device.until_asked("tools/list", 2)
        while talk.offered[-1] == [SET]:
            await talk.ask()
    assert talk.offered[-1] == ["self_get_device_status"] and len(talk.device.of("tools/list")) < 5


# Lists that are wrong.


async def test_pages_without_end_end() -> None:
    numbers = itertools.count()

    def page(params: dict[str, Any]) -> dict[str, Any]:
        number = next(numbers)
        return {"result": {"tools": [tool(f"tool{number}")], "nextCursor": f"tool{number + 1}"}}

    async with talking(hello=False) as talk:
        talk.device.on_list = page
        await talk.device.hello()
        await talk.ask()
    assert len(talk.offered[0]) == len(talk.device.of("tools/list")) == offered_tools.MAX_PAGES


@pytest.mark.parametrize("cursor", ["", "self.get_device_status"])
async def test_a_cursor_that_comes_again_ends_the_list(cursor: str) -> None:
    async with talking(hello=False) as talk:
        talk.device.on_list = lambda params: {"result": {"tools": [STATUS], "nextCursor": cursor}}
        await talk.device.hello()
        await talk.ask()
    assert talk.offered == [["self_get_device_status"]] and len(talk.device.of("tools/list")) <= 2


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        "x",
        [],
        {},
        {"tools": None},
        {"tools": {"a": 1}},
        {"tools": [None, 1, {}, {"name": 1}, {"name": ""}, {"name": "x" * 1000}], "nextCursor": 5},
    ],
)
async def test_what_is_no_list_has_no_tools(result: Any) -> None:
    async with talking(hello=False) as talk:
        talk.device.on_list = lambda params: {"result": result}
        await talk.device.hello()
        assert await talk.ask() == "好的。"
    assert talk.offered == [[]]


async def test_a_page_that_fails_leaves_those_before_it() -> None:
    async with talking([VOLUME], [STATUS], hello=False) as talk:
        page = talk.device.page
        talk.device.on_list = lambda params: (
            {"error": {"message": "size"}} if params["cursor"] else page(params)
        )
        await talk.device.hello()
        await talk.ask()
    assert talk.offered == [[SET]]


async def test_many_large_and_odd_tools_are_bounded() -> None:
    large = tool(
        "large", "长" * 5000, **{f"p{n}": {"type": "string", "description": "长" * 500} for n in range(30)}
    )
    odd = {"name": "odd \ud800 name", "description": "\udfff", "inputSchema": {"properties": {"a": True}}}
    many = [tool(f"t{n}.x") for n in range(200)]
    async with talking([large, odd, tool("a.b"), tool("a_b"), *many]) as talk:
        await talk.ask()
        (session,) = talk.rig.bridge._sessions
        functions = [tool.function for tool in await session._device.tools()]
    offered = talk.offered[0]
    assert (
        offered[:3] == ["odd_name", "a_b", "a_b_2"]
        and len(offered) == len({*offered}) == offered_tools.MAX_LISTED
    )
    assert json.dumps(functions, ensure_ascii=False).encode()


# Calls that go wrong.


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"error": {"message": "Unknown tool: x"}}, "设备说：Unknown tool: x"),
        ({"error": "坏了"}, "设备说：坏了"),
        ({"error": {}}, "设备说"),
        ({"result": {"content": [{"type": "text", "text": "没电"}], "isError": True}}, "没电"),
        ({"result": {"isError": True, "content": []}}, "没有办成"),
        ({"nothing": 1}, "不合"),
    ],
)
async def test_a_call_that_fails_is_told_to_the_model(answer: Any, told: str) -> None:
    async with talking([VOLUME]) as talk:
        talk.device.on_call = lambda params: answer
        assert await talk.ask([call()], ["没办成。"]) == "没办成。"
    assert "没有办成" in talk.model.told[0] and told in talk.model.told[0]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"content": [{"type": "text", "text": "一"}, {"type": "text", "text": "二"}]}, "一\n二"),
        (
            {"content": [{"type": "image", "data": "x"}, None, 5, {"type": "text", "text": 7}]},
            "（一张读不懂的图片）",
        ),
        ({"content": []}, "办好了，工具没有说别的。"),
        ({"content": "x"}, '{"content": "x"}'),
        ("完成", "完成"),
        (
            {
                "content": [
                    {
                        "type": "text",
                        "text": '{"photo": "data:image/jpeg;base64,' + "A" * 9000 + '", "a": "猫"}',
                    }
                ]
            },
            '{"photo": "（图片数据）", "a": "猫"}',
        ),
        (None, "null"),
        ({"content": [{"type": "text", "text": "长" * 20_000}]}, "长" * 8000),
    ],
)
async def test_answers_of_every_form_are_told(result: Any, told: str) -> None:
    async with talking([VOLUME]) as talk:
        talk.device.on_call = lambda params: {"result": result}
        await talk.ask([call()], ["好。"])
    assert talk.model.told == [told]


async def test_a_slow_call_is_given_up_and_its_late_answer_is_nobodys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_tools, "CALL_S", 0.1)
    async with talking([VOLUME]) as talk:
        await talk.ask()
        talk.device.on_call = lambda params: None
        assert await talk.ask([call()], ["没办成。"]) == "没办成。"
        assert "没有回答" in talk.model.told[0]
        await talk.device.answer(talk.device.asked[-1], text("太晚了"))
        talk.device.on_call = lambda params: text("这次好了")
        await talk.ask([call()], ["好。"])
    assert talk.model.told == ["这次好了"]


async def test_of_two_calls_at_once_one_is_under_way_and_silence_is_not_waited_for_twice() -> None:
    async with talking([VOLUME, STATUS]) as talk:
        talk.device.on_call = lambda params: None
        asking = asyncio.create_task(talk.ask([call(), call("self_get_device_status", "{}", "b")], ["好。"]))
        first = await talk.device.until_asked("tools/call")
        await asyncio.sleep(0.05)
        assert len(talk.device.of("tools/call")) == 1
        await talk.device.answer(first, text("一"))
        second = await talk.device.until_asked("tools/call", 2)
        await talk.device.answer(second, text("二"))
        assert await asking == "好。" and talk.model.told == ["一", "二"]
        (session,) = talk.rig.bridge._sessions
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device_tools, "CALL_S", 0.2)
            with anyio.fail_after(2):
                calls = [session._device.call(VOLUME["name"], {"volume": n}) for n in range(8)]
                failed = await asyncio.gather(*calls, return_exceptions=True)
    assert all("没有回答" in str(exc) for exc in failed) and len(talk.device.of("tools/call")) == 3


async def test_answers_with_other_ids_are_nobodys() -> None:
    async with talking([VOLUME]) as talk:
        talk.device.on_call = lambda params: None
        asking = asyncio.create_task(talk.ask([call()], ["好。"]))
        asked = await talk.device.until_asked("tools/call")
        for wrong in (None, True, "x", str(asked["id"]), asked["id"] + 1, asked["id"] - 1, [], {}, -1, 1e300):
            await talk.device.send(jsonrpc="2.0", id=wrong, result="wrong")
        await talk.device.send(result="wrong")
        deep = "[" * 990 + "]" * 990
        for key in ("id", "result", "error", "method"):
            payload = f'{{"jsonrpc": "2.0", "id": 999, "{key}": {deep}}}'
            await talk.device.wire.websocket.send(f'{{"type": "mcp", "payload": {payload}}}')
        await talk.device.wire.send(type="mcp", payload=[])
        await talk.device.wire.send(type="mcp")
        await talk.device.wire.websocket.send('{"type":"mcp","payload":{"id":3,"error":{"message":"a"b"}}}')
        await talk.device.send(jsonrpc="2.0", id=9, method="sampling/createMessage", params={})
        await talk.device.send(jsonrpc="2.0", id=float(asked["id"]), result="right")
        assert await asking == "好。"
    assert talk.model.told == ["right"]


async def test_a_device_that_goes_during_a_call_leaves_nothing_running() -> None:
    async with talking([VOLUME]) as talk:
        talk.device.on_call = lambda params: None
        await talk.device.hello()
        talk.model.rounds = [[call()], ["好。"]]
        await talk.device.wire.type("调一下")
        await talk.device.until_asked("tools/call")
        (session,) = talk.rig.bridge._sessions
        other = asyncio.create_task(session._device.call(STATUS["name"], {}))
        talk.device.wire.websocket.transport.abort()
        while talk.rig.bridge._sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for gone in (other, session._device.call(VOLUME["name"], {"volume": 1})):
            with pytest.raises(Exception, match="断开|没有"):
                await gone
        assert [task.get_name() for task in asyncio.all_tasks() if "tool" in task.get_name()] == []


async def test_who_interrupts_during_a_call_is_answered_next() -> None:
    async with talking([VOLUME]) as talk:
        talk.device.on_call = lambda params: None
        talk.model.rounds = [[call()], ["好。"]]
        await talk.device.wire.type("调一下")
        asked = await talk.device.until_asked("tools/call")
        await talk.device.wire.send(type="abort")
        await talk.device.wire.until(lambda: talk.device.wire.heard.stops == 1)
        await talk.device.answer(asked, text("太晚了"))
        talk.device.on_call = lambda params: text("好了")
        assert await talk.ask([call()], ["调好了。"]) == "调好了。"
    assert talk.model.told == ["好了"]


# Who is asked.


async def test_who_says_nothing_of_mcp_is_asked_nothing() -> None:
    async with talking([VOLUME], hello=False) as talk:
        await talk.device.wire.hello()
        assert await talk.ask() == "好的。"
    assert not talk.device.asked


async def test_a_device_that_is_not_approved_is_asked_nothing_until_it_is() -> None:
    settings = make_settings()
    settings = settings.model_copy(update={"bridge": settings.bridge.model_copy(update={"admit": "paired"})})
    model = ToolModel(["好的。"])
    async with running(make_parts(model), settings) as rig, McpDevice.open(rig.url, [VOLUME]) as device:
        await device.hello()
        assert "配对码" in await device.ask("你好")
        assert not device.asked
        devices = rig.bridge.admission._devices
        await asyncio.to_thread(devices.approve, devices.waiting()[0].code)
        await device.ask("你好")
        await device.ask("你好")
    assert offered(model)[-1] == [SET]
