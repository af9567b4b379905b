"""The memory tools in a host, called by a model that we script. Run in the real one with XIAOZHI_SERVER_DIR."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host_doors import host_with_doors
from hostkit import VERSIONS, HostUnderTest, Llm, ToolCall
from hostkit.device import Device, Reply
from memory_kit import memory, turn
from test_hostkit import FILES

from xiaozhi_persona.installer.door_files import door_text
from xiaozhi_persona.memory import diary, spoken
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.providers.host.connection import has_memory_tools
from xiaozhi_persona.providers.host.doors import TOOLS
from xiaozhi_persona.providers.host.tool_names import TOOL_FILE, TOOL_NAMES

every_version = pytest.mark.parametrize("version", VERSIONS)
newest = VERSIONS[-1]

PATIENT = {"data/xiaozhi-persona/config.yaml": "paths: {data: .}\nmemory: {recall_deadline_ms: 2000}\n"}
"""This machine may be busy."""
FOLDER = "data/xiaozhi-persona/memory"
ONE, TWO = "aa:bb:cc:00:00:01", "aa:bb:cc:00:00:02"
TTS = {"type": "plain", "lasts_s": 0.05}
WITH_TOOLS = {
    "selected_module": {"Memory": "persona_memory", "Intent": "function_call"},
    "Memory": {"persona_memory": {"type": "persona_memory"}},
    "Intent": {"function_call": {"type": "function_call", "functions": [*TOOL_NAMES.values()]}},
}


@contextlib.asynccontextmanager
async def with_tools(
    version: str, folder: Path, llm: Llm, config: dict[str, Any] = WITH_TOOLS, **more: Any
) -> AsyncIterator[HostUnderTest]:
    async with host_with_doors(
        version, folder, tts=TTS, files=FILES | PATIENT, llm=llm, config=config, **more
    ) as server:
        if not server.real:  # this machine may be busy; the module is gone with its host
            sys.modules[TOOLS.implementation.rpartition(".")[0]]._BLOCKING_S = 5.0  # type: ignore[attr-defined]
        yield server


def words(reply: Reply) -> str:
    """What was said, without the marks at which it was cut."""
    return re.sub("[，。！？]", "", "".join(reply.sentences))


async def say(device: Device, llm: Llm, text: str, *calls: ToolCall) -> Reply:
    """Say something to which the model answers with tool calls, and then with words if it is asked again."""
    llm.next = [list(calls), "知道了。"]
    reply = await device.say(text)
    llm.next.clear()
    assert reply.stopped
    return reply


def call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(TOOL_NAMES[tool], arguments)


def told(llm: Llm) -> str:
    """What the last tool told the model."""
    return next(m["content"] for m in reversed(llm.requests[-1].dialogue) if m["role"] == "tool")


def turns_of(server: HostUnderTest, device: str = ONE) -> list[str]:
    with memory(server.folder / FOLDER, device) as store:
        return [f"{said.who}: {said.text}" for said in diary.latest(store.reader, 1000)]


def facts_of(server: HostUnderTest, device: str = ONE) -> dict[str, str]:
    with memory(server.folder / FOLDER, device) as store:
        now = diary.to_ms(datetime.now().astimezone())
        return {fact.attribute: fact.value for fact in reading.current(store.reader, now)}


def with_yesterday(*texts: str) -> Any:
    def prepare(server: Path) -> None:
        at = datetime.now().astimezone().replace(hour=12, minute=0) - timedelta(days=1)
        with memory(server / FOLDER, ONE) as store:
            store.append([turn(text, at + timedelta(minutes=n)) for n, text in enumerate(texts)])

    return prepare


@every_version
async def test_the_model_is_offered_the_tools_and_told_when_to_use_them(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm) as server, server.connect(ONE) as device:
        await device.say("你好呀小智")
    offered = {item["function"]["name"]: item["function"] for item in llm.requests[0].functions or ()}
    assert set(TOOL_NAMES.values()) <= set(offered)
    for name in TOOL_NAMES.values():
        tool = offered[name]
        assert (
            "用户" in tool["description"] and "不" in tool["description"] and len(tool["description"]) < 130
        )
        assert set(tool["parameters"]["required"]) <= set(tool["parameters"]["properties"])


@every_version
async def test_recall_gives_what_was_said_with_ids(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    prepare = with_yesterday("中午我和阿珍吃了火锅", "我住在杭州")
    async with with_tools(version, tmp_path, llm, prepare=prepare) as server, server.connect(ONE) as device:
        reply = await say(device, llm, "再想想", call("recall", query="昨天我们聊了什么"))
        assert re.search(r"^t\d+ 12:00 用户：“中午我和阿珍吃了火锅”$", told(llm), re.MULTILINE)
        await say(device, llm, "我住哪", call("recall", query="我住在哪里"))
        assert re.search(r"^f\d+ .*杭州", told(llm), re.MULTILINE)
        await say(device, llm, "再找找", call("recall", query="我的摩托车是什么牌子"))
        assert "没有找到" in told(llm)
    assert words(reply) == "知道了"


@every_version
async def test_a_fact_is_corrected_by_its_id_and_by_what_it_is(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    prepare = with_yesterday("我住在杭州", "我的生日是5月3日")
    async with with_tools(version, tmp_path, llm, prepare=prepare) as server, server.connect(ONE) as device:
        await say(device, llm, "我住哪儿来着", call("recall", query="我住在哪里"))
        (found,) = re.findall(r"^(f\d+) .*杭州", told(llm), re.MULTILINE)
        reply = await say(device, llm, "那是以前", call("correct", id=found, value="苏州"))
        assert words(reply) == "好改过来了"
        await say(device, llm, "那个日子也错了", call("correct", attribute="我的生日", value="5月4日"))
        await say(device, llm, "还有件事", call("correct", attribute="鞋码", value="42"))
        await say(device, llm, "那个呢", call("correct", id="f999", value="1"))
        assert "没有编号" in told(llm)
        known = facts_of(server)
    assert known["住处"] == "苏州" and known["生日"] == "5月4日" and known["鞋码"] == "42"


@every_version
async def test_what_is_to_be_remembered_is_noted(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm) as server, server.connect(ONE) as device:
        reply = await say(
            device,
            llm,
            "帮我记一下",
            call("note", content="用户的备用钥匙在鞋柜第二层"),
            call("note", content="我对芒果过敏"),
        )
        assert words(reply) == "好我记住了" * 2
        known = facts_of(server)
        await device.say("备用钥匙在哪里")
    assert known == {"备忘": "我的备用钥匙在鞋柜第二层", "过敏": "芒果"}
    assert "鞋柜" in llm.requests[-1].system


@every_version
async def test_forgetting_asks_back_first_and_leaves_no_trace(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    prepare = with_yesterday("小丽说她要搬家", "我喜欢苹果")
    async with with_tools(version, tmp_path, llm, prepare=prepare) as server, server.connect(ONE) as device:
        await say(device, llm, "把小丽的事忘掉", call("forget", what="小丽", confirm=True))
        assert "还没有忘" in told(llm) and "1 句谈话" in told(llm) and "她要搬家" in told(llm)
        assert "user: 小丽说她要搬家" in turns_of(server)
        reply = await say(device, llm, "对，忘掉吧", call("forget", what="小丽的事", confirm=True))
        assert words(reply) == "好已经忘掉了"
        assert turns_of(server) == ["user: 我喜欢苹果"]
        await say(device, llm, "小丽是谁", call("recall", query="小丽"))
        assert "搬家" not in told(llm)


@every_version
async def test_it_is_not_forgotten_in_the_turn_in_which_it_was_asked_back(
    version: str, tmp_path: Path
) -> None:
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm, prepare=with_yesterday("小丽要搬家")) as server:
        async with server.connect(ONE) as device:
            llm.next = [[call("forget", what="小丽")], [call("forget", confirm=True)], "要忘掉吗？"]
            reply = await device.say("把小丽的事忘掉")
            assert words(reply) == "要忘掉吗" and "还没有忘" in told(llm)
            reply = await say(device, llm, "算了，不忘了", call("forget", what="小丽", confirm=True))
            assert words(reply) == "好不忘都留着"
        async with server.connect(ONE) as device:  # consent is to be given where it was asked for
            await say(device, llm, "忘掉吧", call("forget", what="小丽", confirm=True))
            assert "还没有忘" in told(llm)
        assert "user: 小丽要搬家" in turns_of(server)


@every_version
async def test_one_item_the_last_words_and_everything_can_be_forgotten(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    prepare = with_yesterday("我喜欢苹果", "我喜欢香蕉", "我喜欢草莓")
    yes = call("forget", confirm=True)
    async with with_tools(version, tmp_path, llm, prepare=prepare) as server, server.connect(ONE) as device:
        await say(device, llm, "再想想", call("recall", query="昨天我们聊了什么"))
        (found,) = re.findall(r"^(t\d+) .*香蕉", told(llm), re.MULTILINE)
        await say(device, llm, "忘掉那条", call("forget", what=found))
        await say(device, llm, "是的", yes)
        assert "user: 我喜欢香蕉" not in turns_of(server) and "user: 我喜欢草莓" in turns_of(server)
        await device.say("我的密码是蓝莓")
        await say(device, llm, "忘掉刚才那句", call("forget", what="刚才那句话"))
        assert "蓝莓" in told(llm)
        await say(device, llm, "是的", yes)
        assert not any("蓝莓" in text for text in turns_of(server)) and "user: 我喜欢草莓" in turns_of(server)
        await say(device, llm, "全忘掉", call("forget", what="全部"))
        assert "全部记忆" in told(llm)
        reply = await say(device, llm, "确定", yes)
        assert words(reply) == "好我全都忘掉了" and turns_of(server) == [] and facts_of(server) == {}


@every_version
async def test_off_the_record_begins_with_the_words_that_ask_for_it(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm) as server, server.connect(ONE) as device:
        await say(device, llm, "悄悄告诉你我的秘密是蓝莓，别记", call("off_record", recording="stop"))
        await device.say("还有个秘密是草莓")
        await say(device, llm, "可以记了", call("off_record", recording="resume"))
        await device.say("我喜欢苹果")
        assert turns_of(server) == ["user: 我喜欢苹果", "assistant: 好的。"]


@every_version
async def test_each_device_reaches_its_own_memory_only(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm, prepare=with_yesterday("小丽要搬家")) as server:
        async with server.connect(ONE) as one, server.connect(TWO) as two:
            await say(one, llm, "忘掉小丽", call("forget", what="小丽"))
            await say(two, llm, "对", call("forget", what="小丽", confirm=True))
            assert "没有和" in told(llm)
            await say(two, llm, "再找", call("recall", query="小丽要做什么"))
            assert "搬家" not in told(llm)
        assert "user: 小丽要搬家" in turns_of(server)


@every_version
@pytest.mark.parametrize(
    "wrong",
    [
        ToolCall(TOOL_NAMES["recall"], "{}"),
        ToolCall(TOOL_NAMES["recall"], '{"query": null, "time": "昨天", "limit": 5}'),
        ToolCall(TOOL_NAMES["note"], "{}"),
        ToolCall(TOOL_NAMES["note"], '{"content": ["a", 1]}'),
        ToolCall(TOOL_NAMES["correct"], '{"id": 12, "value": 3}'),
        ToolCall(TOOL_NAMES["correct"], '{"attribute": "", "value": ""}'),
        ToolCall(TOOL_NAMES["forget"], '{"confirm": "maybe"}'),
        ToolCall(TOOL_NAMES["forget"], '{"what": "%_\\\\ \\"", "confirm": 1}'),
        ToolCall(TOOL_NAMES["off_record"], '{"state": true}'),
    ],
    ids=lambda wrong: f"{wrong.name} {wrong.arguments}",
)
async def test_whatever_the_model_sends_the_turn_ends_with_words(
    version: str, tmp_path: Path, wrong: ToolCall
) -> None:
    if version not in (VERSIONS[0], newest):
        pytest.skip("the oldest and the newest are enough")
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm) as server, server.connect(ONE) as device:
        reply = await say(device, llm, "随便说说", wrong)
        assert reply.sentences and "动不了" not in words(reply) and "Error" not in server.log()


@every_version
async def test_with_another_memory_they_say_so(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    config = {**WITH_TOOLS, "selected_module": {"Memory": "nomem", "Intent": "function_call"}}
    async with with_tools(version, tmp_path, llm, config) as server, server.connect(ONE) as device:
        for tool in TOOL_NAMES:
            reply = await say(device, llm, "记住", call(tool, what="x", content="x", value="x"))
            assert words(reply) == "现在没有用上我的记忆这件事做不到"


async def test_a_file_name_stands_for_all_tools_in_the_newest_host(tmp_path: Path) -> None:
    if newest != "main":
        pytest.skip("came after 0.9.6")
    llm = Llm("好的。")
    config = {**WITH_TOOLS, "Intent": {"function_call": {"type": "function_call", "functions": [TOOL_FILE]}}}
    async with with_tools(newest, tmp_path, llm, config) as server, server.connect(ONE) as device:
        await device.say("我喜欢什么")
    offered = {item["function"]["name"] for item in llm.requests[0].functions or ()}
    assert set(TOOL_NAMES.values()) <= offered


@every_version
async def test_without_the_tools_the_memory_itself_obeys(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    config = {**WITH_TOOLS, "Intent": {"function_call": {"type": "function_call", "functions": []}}}
    async with with_tools(version, tmp_path, llm, config) as server, server.connect(ONE) as device:
        await device.say("记住我的车停在B2层")
        assert facts_of(server) == {"备忘": "我的车停在B2层"}


@every_version
async def test_a_slow_memory_holds_no_host_up(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older host calls the tools on the loop of all devices: they wait for a moment only, and the work goes on."""
    gate = threading.Event()
    note = spoken.note
    monkeypatch.setattr(spoken, "note", lambda *a, **more: gate.wait(10) and note(*a, **more))
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm) as server:
        if server.real:
            pytest.skip("it looks into the process of the host")
        tools = sys.modules[TOOLS.implementation.rpartition(".")[0]]
        tools._BLOCKING_S = tools._AWAITED_S = 0.05  # type: ignore[attr-defined]
        async with server.connect(ONE) as device:
            reply = await say(device, llm, "记住", call("note", content="我对芒果过敏"))
            assert words(reply) == "好我正在记"
            gate.set()
    assert facts_of(server) == {"过敏": "芒果"}


@every_version
async def test_what_was_asked_back_too_late_is_asked_back_again(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    mark = spoken.mark
    monkeypatch.setattr(spoken, "mark", lambda *a, **more: (gate.wait(10), mark(*a, **more))[1])
    llm = Llm("好的。")
    async with with_tools(version, tmp_path, llm, prepare=with_yesterday("小丽要搬家")) as server:
        if server.real:
            pytest.skip("it looks into the process of the host")
        tools = sys.modules[TOOLS.implementation.rpartition(".")[0]]
        tools._BLOCKING_S = tools._AWAITED_S = 0.05  # type: ignore[attr-defined]
        async with server.connect(ONE) as device:
            reply = await say(device, llm, "忘掉小丽", call("forget", what="小丽"))
            assert words(reply) == "我还在翻记忆过一会儿再跟我说一次吧"
            gate.set()
            tools._BLOCKING_S = tools._AWAITED_S = 5.0  # type: ignore[attr-defined]
            await say(device, llm, "忘掉小丽", call("forget", what="小丽", confirm=True))
            assert "还没有忘" in told(llm) and "user: 小丽要搬家" in turns_of(server)
            reply = await say(device, llm, "对", call("forget", confirm=True))
            assert words(reply) == "好已经忘掉了"
        assert not any("搬家" in text for text in turns_of(server))


@pytest.mark.parametrize(
    ("functions", "listed"),
    [
        ([TOOL_NAMES["recall"]], True),
        ([TOOL_FILE], True),
        ({TOOL_NAMES["recall"]: {}, "get_weather": {}}.keys(), True),  # from the console
        (["get_weather"], False),
        (TOOL_NAMES["recall"], False),
        (None, False),
    ],
)
def test_whether_there_are_tools_is_seen_in_the_settings(functions: Any, listed: bool) -> None:
    section = {"type": "function_call", "functions": functions}
    config = {"selected_module": {"Intent": "Mine"}, "Intent": {"Mine": section}}
    assert has_memory_tools(SimpleNamespace(config=config)) == listed
    section["type"] = "intent_llm"
    assert not has_memory_tools(SimpleNamespace(config=config))


def test_a_host_without_our_package_starts_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class Logger:
        def bind(self, **_: str) -> Logger:
            return self

        def error(self, form: str, text: str) -> None:
            lines.append(form.format(text))

    class Config:
        setup_logging = Logger

    monkeypatch.setitem(sys.modules, "config", Config())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "config.logger", Config())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, TOOLS.implementation.rpartition(".")[0], None)  # type: ignore[arg-type]
    exec(compile(door_text(TOOLS), str(TOOLS.path), "exec"), {"__name__": "plugins_func.functions.x"})
    assert len(lines) == 1 and "install" in lines[0] and TOOL_FILE in lines[0]
