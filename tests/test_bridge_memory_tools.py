"""The memory tools in the bridge: a model that we script uses them in its turns, and what is kept is what was said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes.bridge import Rig, running
from fakes.parts import ToolModel, make_parts
from memory_kit import held_back, memory, turn

from xiaozhi_persona.bridge.client.connection import DeviceConnection
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tools import TOOL_NAMES
from xiaozhi_persona.roles.role_tool import ROLE_TOOL
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Message, ToolCall

DEVICE = "aa:bb:cc:00:00:01"


class Talk:
    """A device in conversation, and the memory of it."""

    def __init__(self, device: DeviceConnection, model: ToolModel, mind: PersonaMemory, rig: Rig) -> None:
        self.device, self.model, self.mind, self.rig = device, model, mind, rig

    async def say(self, text: str, *rounds: list[str | ToolCall]) -> str:
        """Say something to which the model answers with these rounds; return what is spoken."""
        self.model.rounds = [*rounds] or [["好的。"]]
        self.device.type_text(text)
        return "".join(sentence.text for sentence in (await self.device.reply(10)).sentences)

    async def interrupt(self) -> None:
        """End the first turn, as a button does."""
        await self.device.until(lambda: self.device.state == "speaking")
        self.device.abort()
        while not self.rig.turns:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await self.device.until(lambda: self.device.state == "listening")


@contextlib.asynccontextmanager
async def talking(folder: Path, *yesterday: str) -> AsyncIterator[Talk]:
    at = datetime.now().astimezone().replace(hour=12, minute=0) - timedelta(days=1)
    with memory(folder, DEVICE) as store:
        store.append([turn(text, at + timedelta(minutes=n)) for n, text in enumerate(yesterday)])
    mind, model = PersonaMemory(MemorySettings(recall_deadline_ms=2000), folder), ToolModel([])
    parts = make_parts(model, memory=mind)
    parts.closers.append(mind.aclose)
    async with running(parts) as rig, rig.device(device_id=DEVICE) as device:
        device.model.start_listening(
            0.0
        )  # with a closed microphone a text may be a wake word, for which it waits
        device._update()
        yield Talk(device, model, mind, rig)


def call(tool: str, **arguments: str | bool) -> ToolCall:
    text = ", ".join(
        f'"{key}": {str(value).lower() if value is True else repr(value)}' for key, value in arguments.items()
    )
    return ToolCall("a", TOOL_NAMES[tool], f"{{{text}}}".replace("'", '"'))


def kept(folder: Path) -> list[str]:
    with memory(folder, DEVICE) as store:
        return [f"{said.who}: {said.text}" for said in diary.latest(store.reader, 100)]


async def test_the_model_finds_notes_and_corrects(tmp_path: Path) -> None:
    async with talking(tmp_path, "我住在杭州", "中午我和阿珍吃了火锅") as talk:
        said = await talk.say("再想想", [call("recall", query="昨天我们聊了什么")], ["你们吃了火锅。"])
        assert said == "你们吃了火锅。" and "阿珍" in talk.model.told[0] and "t2 " in talk.model.told[0]
        assert talk.model.offered[0] == [*TOOL_NAMES.values(), ROLE_TOOL]
        assert "记住了" in await talk.say("钥匙在鞋柜上，别忘了", [call("note", content="钥匙在鞋柜上")])
        assert "改过来" in await talk.say("我搬家了", [call("correct", attribute="住处", value="苏州")])
    with memory(tmp_path, DEVICE) as store:
        known = {
            fact.value for fact in reading.current(store.reader, diary.to_ms(datetime.now().astimezone()))
        }
    assert {"钥匙在鞋柜上", "苏州"} <= known and "杭州" not in known


async def test_the_history_after_a_tool_turn_is_what_was_said(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.say("再想想", ["我看看。", call("recall", query="火锅")], ["没有找到。"])
        await talk.say("好吧")
        history = talk.model.asked[-1][1:]
    assert history == [
        Message("user", "再想想"),
        Message("assistant", "我看看。没有找到。"),
        Message("user", "好吧"),
    ]
    assert kept(tmp_path)[1] == "assistant: 我看看。没有找到。"


async def test_forgetting_asks_back_and_needs_a_yes_of_the_user(tmp_path: Path) -> None:
    async with talking(tmp_path, "小丽要搬家", "我喜欢苹果") as talk:
        twice = [call("forget", what="小丽")], [call("forget", what="小丽", confirm=True)], ["要忘掉吗？"]
        assert await talk.say("把小丽的事抹了吧，行吗", *twice) == "要忘掉吗？"
        assert all("还没有忘" in text for text in talk.model.told)
        assert "user: 小丽要搬家" in kept(tmp_path)
        assert "忘掉了" in await talk.say("对，忘掉吧", [call("forget", what="小丽", confirm=True)])
        said = [(message.role, message.content) for message in talk.model.asked[-1][-3:]]
        assert said == [
            ("user", "把小丽的事抹了吧，行吗"),
            ("assistant", "要忘掉吗？"),
            ("user", "对，忘掉吧"),
        ]
        await talk.say("小丽是谁")
        assert not any("搬家" in message.content for message in talk.model.asked[-1])
    assert not any("小丽要" in line for line in kept(tmp_path))


async def test_off_the_record_begins_with_the_words_that_ask_for_it(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        await talk.say("我的秘密是蓝莓，这个你别往外说也别写下来", [call("off_record", recording="stop")])
        await talk.say("还有草莓")
        await talk.say("好了，接着写吧", [call("off_record", recording="resume")])
        await talk.say("我喜欢苹果")
    assert kept(tmp_path) == ["user: 我喜欢苹果", "assistant: 好的。"]


async def test_a_note_that_was_begun_is_kept_though_the_turn_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(tmp_path) as talk:
        go_on = held_back(monkeypatch, talk.mind, "change")
        talk.model.rounds = [[call("note", content="我对芒果过敏")]]
        talk.device.type_text("我跟你说件事")
        while not talk.model.closed:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await talk.interrupt()
        assert talk.rig.turns[0].outcome == "cancelled"
        go_on.set()
        assert await talk.say("你好") == "好的。"
    with memory(tmp_path, DEVICE) as store:
        assert [fact.value for fact in reading.everything(store.reader)] == ["芒果"]


@pytest.mark.parametrize("is_heard", [False, True])
async def test_a_yes_is_for_a_question_that_was_heard(tmp_path: Path, is_heard: bool) -> None:
    async with talking(tmp_path, "小丽要搬家") as talk:
        gate = asyncio.Event()
        talk.model.rounds = [[call("forget", what="小丽")], ["要忘掉吗？你说呢" * is_heard, gate]]
        talk.device.type_text("小丽的事抹了吧，行吗")
        while len(talk.model.asked) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if is_heard:
            await talk.device.until(lambda: len(talk.device.model.playback.packets) > 2)
        await talk.interrupt()
        await talk.say("对", [call("forget", what="小丽", confirm=True)], ["要忘掉吗？"])
    assert ("user: 小丽要搬家" in kept(tmp_path)) is not is_heard


async def test_a_spoken_yes_is_for_a_question_that_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talking(tmp_path, *(f"苹果{n}" for n in range(9))) as talk:
        go_on = held_back(monkeypatch, talk.mind, "obey")
        talk.device.type_text("忘掉关于苹果的事")
        await talk.interrupt()
        go_on.set()
        assert await talk.say("确定") == "好的。"
    assert "user: 苹果8" in kept(tmp_path)


async def test_who_has_no_memory_has_no_tools_of_it() -> None:
    model = ToolModel(["好的。"])
    async with running(make_parts(model)) as rig, rig.device() as device:
        device.type_text("你好")
        await device.reply(10)
    assert model.offered == [[ROLE_TOOL]]
