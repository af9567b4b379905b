"""Local intents in a host, whose model keeps its tools. Run in the real one with XIAOZHI_SERVER_DIR."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from host_doors import host_with_doors
from hostkit import VERSIONS, HostUnderTest, Llm, Speaker
from hostkit.device import Device, Reply
from test_hostkit import FILES, until

every_version = pytest.mark.parametrize("version", VERSIONS)
newest = VERSIONS[-1]

ONE = "aa:bb:cc:00:00:01"
TTS = {"type": "plain", "lasts_s": 0.05}
INTENTS = {
    "selected_module": {"Intent": "persona_intent"},
    "Intent": {"persona_intent": {"type": "persona_intent", "functions": ["get_lunar", "persona_role"]}},
}
OURS = {"data/xiaozhi-persona/config.yaml": "paths: {data: .}\n"}
_TOOLS = re.compile(r"对话模型有 (\d+) 个工具")


@contextlib.asynccontextmanager
async def with_intents(
    version: str, folder: Path, llm: Llm, config: dict[str, Any] = INTENTS, **more: Any
) -> AsyncIterator[HostUnderTest]:
    files = FILES | OURS | more.pop("files", {})
    async with host_with_doors(
        version, folder, tts=more.pop("tts", TTS), files=files, llm=llm, config=config, **more
    ) as server:
        yield server


@contextlib.asynccontextmanager
async def ready(server: HostUnderTest, speaker: Speaker | None = None) -> AsyncIterator[Device]:
    """Connect a device whose tools the host knows."""
    tools = (speaker or Speaker()).tools()
    async with server.connect(ONE, tools=tools) as device:
        await until(lambda: tools.is_listed)
        yield device


def words(reply: Reply) -> str:
    return re.sub("[，。！？]", "", "".join(reply.sentences))


@every_version
async def test_the_volume_is_set_and_a_question_right_after_has_the_models_tools(
    version: str, tmp_path: Path
) -> None:
    llm, speaker = Llm("今天晴。"), Speaker()
    async with with_intents(version, tmp_path, llm) as server, ready(server, speaker) as device:
        reply = await device.say("音量调到三十")
        assert reply.heard == "音量调到三十" and speaker.volume == 30
        assert "30" in words(reply) and reply.stopped and not llm.requests
        after = await device.say("今天天气怎么样")
    assert words(after) == "今天晴"
    (request,) = llm.requests
    names = {item["function"]["name"] for item in request.functions or ()}
    assert {"self_audio_speaker_set_volume", "persona_role", "handle_exit_intent"} <= names
    counted = _TOOLS.findall(server.log())
    assert counted == [str(len(names - {"direct_answer"}))]
    assert [m for m in request.dialogue if m["role"] == "assistant" and "30" in str(m.get("content"))] == []


@every_version
async def test_a_goodbye_is_said_before_the_connection_is_closed(version: str, tmp_path: Path) -> None:
    llm = Llm("好的。")
    async with with_intents(version, tmp_path, llm) as server, server.connect(ONE) as device:
        reply = await device.ask("再见")
        await reply.until(lambda: reply.closed or reply.stopped)
        assert words(reply) and reply.packets
        await reply._wait(lambda: reply.closed, 10)
    assert reply.closed and reply.stopped and not llm.requests


@every_version
async def test_who_speaks_into_the_goodbye_stays(version: str, tmp_path: Path) -> None:
    llm = Llm("我还在。")
    async with (
        with_intents(version, tmp_path, llm, tts={"type": "plain", "lasts_s": 1.5}) as server,
        server.connect(ONE) as device,
    ):
        reply = await device.ask("再见")
        await reply.until(lambda: reply.packets)
        after = await device.say("等一下我还有话说")
        assert words(after) == "我还在" and not after.closed
        again = await device.say("你还在吗")
        assert words(again) == "我还在" and not again.closed


@every_version
async def test_two_steps_within_200_ms_are_two_steps(version: str, tmp_path: Path) -> None:
    speaker = Speaker(volume=50)
    async with with_intents(version, tmp_path, Llm("好。")) as server, ready(server, speaker) as device:
        first = await device.ask("声音大一点")
        await first.until(lambda: first.started_at_s)
        second = await device.say("声音再大一点")
        assert speaker.volume == 70 and "70" in words(second) and second.stopped
        assert "60" not in words(second)


@every_version
async def test_of_an_old_reply_nothing_is_heard_after_an_intent(version: str, tmp_path: Path) -> None:
    speaker, go_on = Speaker(), asyncio.Event()
    llm = Llm(["从前有座山。", go_on, "山里有座庙。", "庙里有个和尚。"])
    async with with_intents(version, tmp_path, llm) as server, ready(server, speaker) as device:
        story = await device.ask("讲个故事给我听")
        await story.until(lambda: story.sentences)
        reply = await device.ask("音量调到三十")
        await until(lambda: speaker.volume == 30)
        go_on.set()
        await reply.finished()
        assert "30" in words(reply) and reply.stopped and "庙" not in words(reply)
        llm.next = ["第二个故事。"]
        assert words(await device.say("再讲一个故事")) == "第二个故事"


@every_version
async def test_stop_ends_the_reply_and_says_nothing(version: str, tmp_path: Path) -> None:
    go_on = asyncio.Event()
    llm = Llm(["从前有座山。", go_on])
    async with with_intents(version, tmp_path, llm) as server, server.connect(ONE) as device:
        story = await device.ask("讲个故事给我听")
        await story.until(lambda: story.sentences)
        reply = await device.say("别说了")
        assert reply.stopped and not reply.sentences and len(llm.requests) == 1
        go_on.set()


@every_version
@pytest.mark.parametrize("fault", ["missing", "slow", "failing", "no tools at all"])
async def test_a_tool_that_does_not_do_it_is_never_claimed_to_have(
    version: str, tmp_path: Path, fault: str
) -> None:
    speaker = Speaker()
    tools = speaker.tools()
    if fault == "missing":
        tools.tools = {"self.get_device_status": tools.tools["self.get_device_status"]}
    elif fault == "slow":
        tools.hold = asyncio.Event()
    elif fault == "failing":
        tools.tools = {**tools.tools, "self.audio_speaker.set_volume": lambda given: 1 / 0}
    offered = None if fault == "no tools at all" else tools
    async with (
        with_intents(version, tmp_path, Llm("好的。")) as server,
        server.connect(ONE, tools=offered) as device,
    ):
        if offered:
            await until(lambda: tools.is_listed)
        reply = await device.say("音量调到三十", timeout_s=8)
        assert reply.stopped and "30" not in words(reply) and speaker.volume == 50
        assert words(reply) and (reply.stopped_at_s or 9) < 7
        assert (await device.say("你在吗")).stopped


@every_version
async def test_a_device_that_goes_in_mid_call_leaves_nothing_behind(version: str, tmp_path: Path) -> None:
    tools = Speaker().tools()
    tools.hold = asyncio.Event()
    async with with_intents(version, tmp_path, Llm("好的。")) as server:
        async with server.connect(ONE, tools=tools) as device:
            await until(lambda: tools.is_listed)
            await device.ask("音量调到三十")
            await until(lambda: tools.calls)
        if not server.real:
            await until(lambda: not _tasks_of(server))
        async with ready(server) as device:
            assert "30" in words(await device.say("音量调到三十"))
        assert "Traceback" not in server.log()


def _tasks_of(server: HostUnderTest) -> list[str]:
    loop = server.connections[0].loop
    return [task.get_name() for task in asyncio.all_tasks(loop) if task.get_name() == "host-intent"]


@every_version
async def test_a_command_right_after_hello_waits_for_the_devices_tools(version: str, tmp_path: Path) -> None:
    speaker = Speaker()
    async with (
        with_intents(version, tmp_path, Llm("好的。")) as server,
        server.connect(ONE, tools=speaker.tools()) as device,
    ):
        reply = await device.say("音量调到三十")
        assert speaker.volume == 30 and "30" in words(reply) and reply.stopped


async def test_what_is_the_hosts_own_comes_to_it(tmp_path: Path) -> None:
    config = {**INTENTS, "wakeup_words": ["现在几点了"], "end_prompt": {"enable": True, "prompt": "几点了"}}
    llm = Llm("时间过得真快。")
    async with with_intents(newest, tmp_path, llm, config) as server, server.connect(ONE) as device:
        woken = await device.say("现在几点了")
        assert words(woken) != "" and "点" not in words(woken) and "本地意图" not in server.log()
        assert words(await device.say("几点了")) == "时间过得真快"
        assert "点" in words(await device.say("现在什么时间"))


@every_version
async def test_without_tools_for_the_model_the_intents_work_all_the_same(
    version: str, tmp_path: Path
) -> None:
    config = {**INTENTS, "Intent": {"persona_intent": {"type": "persona_intent"}}}
    llm, speaker = Llm("今天晴。"), Speaker()
    async with with_intents(version, tmp_path, llm, config) as server, ready(server, speaker) as device:
        assert "30" in words(await device.say("音量调到三十")) and speaker.volume == 30
        assert words(await device.say("今天天气怎么样")) == "今天晴"
    assert [request.functions for request in llm.requests] == [None]


@pytest.mark.parametrize(("functions", "is_ours"), [(["persona_role"], True), (["get_lunar"], False)])
async def test_whose_agent_lists_the_tool_has_the_intents(
    tmp_path: Path, functions: list[str], is_ours: bool
) -> None:
    config = {
        "selected_module": {"Intent": "function_call"},
        "Intent": {"function_call": {"type": "function_call", "functions": functions}},
    }
    speaker = Speaker()
    async with (
        with_intents(newest, tmp_path, Llm("好的。"), config) as server,
        ready(server, speaker) as device,
    ):
        await device.say("音量调到三十")
        assert (speaker.volume == 30) == is_ours


async def test_an_owners_file_that_is_broken_is_told_and_the_others_work(tmp_path: Path) -> None:
    own = "intents:\n  开灯:\n    sentences: [开一下台灯]\n    say: 台灯开了。\n"
    files = {
        "data/xiaozhi-persona/intents/a.yaml": own,
        "data/xiaozhi-persona/intents/b.yaml": "intents:\n  Off:\n    sentences: [关灯]\n",
    }
    async with (
        with_intents(newest, tmp_path, Llm("好的。"), files=files) as server,
        server.connect(ONE) as device,
    ):
        assert words(await device.say("开一下台灯")) == "台灯开了"
        await until(lambda: "b.yaml" in server.log())
        (server.folder / "data/xiaozhi-persona/intents/a.yaml").write_text(
            own.replace("台灯", "吊灯"), "utf-8"
        )
        for _ in range(40):
            reply = await device.say("开一下吊灯")
            if words(reply) == "吊灯开了":
                break
            await asyncio.sleep(0.2)
        assert words(reply) == "吊灯开了"


async def test_with_settings_that_cannot_be_read_the_model_answers_as_before(tmp_path: Path) -> None:
    files = {"data/xiaozhi-persona/config.yaml": "memory: [\n"}
    llm = Llm("好的。")
    async with with_intents(newest, tmp_path, llm, files=files) as server, server.connect(ONE) as device:
        assert words(await device.say("现在什么时间")) == "好的"
        assert "没有本地意图" in server.log()
    assert "persona_role" in str(llm.requests[0].functions)


async def test_two_devices_have_nothing_of_each_other(tmp_path: Path) -> None:
    one, two = Speaker(), Speaker()
    async with with_intents(newest, tmp_path, Llm("好的。")) as server, ready(server, one) as device:
        tools = two.tools()
        async with server.connect("aa:bb:cc:00:00:02", tools=tools) as other:
            await until(lambda: tools.is_listed)
            replies = await asyncio.gather(device.say("音量调到三十"), other.say("音量调到七十"))
            assert (one.volume, two.volume) == (30, 70)
            assert "30" in words(replies[0]) and "70" in words(replies[1])
            assert words(await device.say("再说一遍")) == words(replies[0])
            assert words(await device.say("我有哪些闹钟")) and (await other.say("五分钟后叫我")).stopped
            assert "没有" in words(await device.say("我有哪些闹钟"))


async def test_what_was_said_last_is_said_again_whoever_said_it(tmp_path: Path) -> None:
    async with with_intents(newest, tmp_path, Llm("今天晴。")) as server, server.connect(ONE) as device:
        assert (await device.say("再说一遍")).sentences
        await device.say("今天天气怎么样")
        assert words(await device.say("再说一遍")) == "今天晴"
        when = words(await device.say("今天几号"))
        assert "月" in when and words(await device.say("再说一遍")) == when
        if not server.real:
            server.connections[0].dialogue.dialogue.clear()
            assert words(await device.say("再说一遍")) == when


@every_version
async def test_a_timer_rings_over_the_open_connection_or_the_next_one(version: str, tmp_path: Path) -> None:
    async with with_intents(version, tmp_path, Llm("好的。")) as server:
        async with server.connect(ONE) as device:
            reply = await device.say("三秒后提醒我喝水")
            assert "喝水" in words(reply)
            await reply.until(lambda: reply.events.count("tts stop") == 2)
            assert words(reply).count("喝水") == 2
            assert "喝水" in words(await device.say("一秒后提醒我喝水"))
        await asyncio.sleep(1.5)
        async with server.connect(ONE) as device:
            rung = await device._reply.finished()
            assert "喝水" in words(rung) and rung.packets
            assert "没有" in words(await device.say("我有哪些闹钟"))
