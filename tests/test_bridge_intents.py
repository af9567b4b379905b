"""What is carried out without the chat model, through a real connection: heard, done, answered, kept, and always ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes.bridge import Rig, make_settings, messages, running
from fakes.parts import (
    FakeChatModel,
    FakeMemory,
    FakeRecognizer,
    FakeSynthesizer,
    ToolModel,
    make_parts,
    speech,
)
from fakes.scene import Device

from xiaozhi_persona.bridge import answering, session
from xiaozhi_persona.bridge.messages import Stt, Tts
from xiaozhi_persona.bridge.wits import intents, wits
from xiaozhi_persona.bridge.wits.intents import Intents
from xiaozhi_persona.errors import PersonaError, ServiceUnavailable
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.providers.speech.choices import EmotionChoices
from xiaozhi_persona.roles.casting import Casting
from xiaozhi_persona.settings import MemorySettings, PathSettings, Settings
from xiaozhi_persona.spine import Owner


class FakeTools:
    """The tools of a device; `hold` keeps answers back."""

    def __init__(self) -> None:
        self.device = Device()
        self.tools: dict[str, Any] = self.device.tools()
        self.calls: list[str] = []
        self.hold: asyncio.Event | None = None
        self.called = asyncio.Event()
        self.running = 0

    async def names(self) -> Collection[str]:
        return list(self.tools)

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        self.calls.append(name)
        self.called.set()
        self.running += 1
        try:
            if self.hold:
                await self.hold.wait()
            answer = self.tools.get(name, ServiceUnavailable("没有"))
            if isinstance(answer, Exception):
                raise answer
            text: str = answer(arguments) if callable(answer) else answer
            return text
        finally:
            self.running -= 1


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    made = FakeTools()
    monkeypatch.setattr(session, "Reachable", lambda *_: made)
    return made


@contextlib.asynccontextmanager
async def with_intents(folder: Path, chat: Any = None, **more: Any) -> AsyncIterator[Rig]:
    settings = make_settings().model_copy(update={"paths": PathSettings(data=str(folder))})
    parts = make_parts(chat, **more)
    parts.casting = Casting(settings)
    parts.intents = await Intents.open(settings, parts.casting)
    parts.closers.append(parts.intents.aclose)
    async with running(parts, settings) as rig:
        yield rig


def said(device: Any) -> list[str]:
    return [m.text for m in messages(device) if isinstance(m, Tts) and m.state == "sentence_start"]


async def until(is_so: Callable[[], Any]) -> None:
    """Wait for something of the bridge that has no event."""
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def ask(device: Any, text: str) -> str:
    """Type something, and return what is said to it."""
    before = len(said(device))
    device.type_text(text)
    await device.reply(10)
    return "".join(said(device)[before:])


async def test_an_intent_is_done_and_answered_without_the_chat_model(
    tools: FakeTools, tmp_path: Path
) -> None:
    chat = FakeChatModel("好。")
    async with (
        with_intents(tmp_path, chat, recognizer=FakeRecognizer("声音大一点")) as rig,
        rig.device() as device,
    ):
        await device.say(speech(0.4))
        timeline = await device.reply(10)
        assert not chat.asked
        assert tools.device.volume == 60
        assert [type(m).__name__ for m in messages(device)[1:]] == ["Stt", "Tts", "Face", "Tts", "Tts"]
        assert "60" in said(device)[0]
        assert timeline.dropped == 0
        assert [turn.outcome for turn in rig.turns] == ["done"] and "intent_ms" in rig.turns[0].marks_ms
        assert await ask(device, "今天心情真好") == "好。"
        assert len(chat.asked) == 1


async def test_the_chat_model_is_told_and_shown_no_example(tools: FakeTools, tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    mind = PersonaMemory(MemorySettings(), tmp_path / "memory")
    async with contextlib.AsyncExitStack() as stack:
        rig = await stack.enter_async_context(with_intents(tmp_path, chat, memory=mind))
        rig.parts.closers.append(mind.aclose)
        device = await stack.enter_async_context(rig.device())
        await ask(device, "我叫小明")
        await ask(device, "声音大一点")
        await ask(device, "你记得我刚才说了什么吗")
        system, *items = chat.asked[-1]
        assert [item.content for item in items] == ["我叫小明", "好。", "你记得我刚才说了什么吗"]
        assert "用户说“声音大一点”" in system.content and "60" in system.content
        kept = await mind.change(
            Owner("02:00:00:00:00:01"), lambda store: [turn.text for turn in diary.everything(store.writer)]
        )
        assert "声音大一点" in kept and any("60" in text for text in kept)
        assert "忘掉了" in await ask(device, "确定忘掉全部记忆")
        await ask(device, "随便聊聊")
        assert "声音大一点" not in chat.asked[-1][0].content


class Asking(FakeMemory):
    """Counts how often what it asked back was given up."""

    dropped = 0

    def ask_no_more(self, owner: Owner) -> None:
        self.dropped += 1


async def test_a_yes_after_an_intent_is_for_nothing_that_the_memory_asked_before(
    tools: FakeTools, tmp_path: Path
) -> None:
    mind = Asking(max_turns=20)
    async with with_intents(tmp_path, FakeChatModel("好。"), memory=mind) as rig, rig.device() as device:
        await ask(device, "在吗")
        assert mind.dropped == 0
        await ask(device, "现在几点了")
        assert mind.dropped == 1


async def test_what_is_said_to_the_memory_is_obeyed_without_what_stands_around_it(
    tools: FakeTools, tmp_path: Path
) -> None:
    chat = FakeChatModel("好。")
    mind = PersonaMemory(MemorySettings(), tmp_path / "memory")
    async with with_intents(tmp_path, chat, memory=mind) as rig, rig.device() as device:
        rig.parts.closers.append(mind.aclose)
        assert "记住" in await ask(device, "小智小智，麻烦帮我记住我的车停在B2层")
    assert not chat.asked


async def test_questions_right_after_an_intent_have_the_chat_models_tools(
    tools: FakeTools, tmp_path: Path
) -> None:
    chat = ToolModel(["好。"])
    mind = PersonaMemory(MemorySettings(), tmp_path / "memory")
    async with with_intents(tmp_path, chat, memory=mind) as rig, rig.device() as device:
        rig.parts.closers.append(mind.aclose)
        for text in ("声音大一点", "讲个笑话", "现在几点了", "再讲一个笑话吧"):
            await ask(device, text)
    assert [len(names) for names in chat.offered] == [6, 6]


async def test_what_the_device_cannot_is_told_and_what_others_may_is_the_chat_models(
    tools: FakeTools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "xiaozhi_persona")
    chat = FakeChatModel("我来放。")
    tools.tools = {"hass_play_song": "true"}
    async with with_intents(tmp_path, chat) as rig, rig.device() as device:
        assert "做不到" in await ask(device, "声音大一点")
        assert await ask(device, "放首歌") == "我来放。"
        assert chat.asked[-1][-1].content == "放首歌"
    assert "本地意图 volume_up" in caplog.text and "对话模型，1 个工具" in caplog.text
    assert "放首歌" not in caplog.text


async def test_stop_ends_the_reply_and_says_nothing(tools: FakeTools, tmp_path: Path) -> None:
    chat = FakeChatModel("从前有座山。" * 20)
    recognizer = FakeRecognizer("讲个故事")
    tools.tools["music_player.pause"] = "已暂停"
    async with with_intents(tmp_path, chat, recognizer=recognizer) as rig, rig.device("realtime") as device:
        await device.say(speech(0.4))
        await until(lambda: said(device))
        recognizer.text = "别说了"
        before = len(chat.asked)
        await device.say(speech(0.4))
        await until(lambda: len(rig.turns) == 2)
        assert len(chat.asked) == before
        told = messages(device)
        after = told[max(n for n, m in enumerate(told) if m == Stt("别说了")) :]
        assert after == [Stt("别说了"), Tts("start"), Tts("stop")]
        assert tools.calls == ["music_player.pause"]
        assert rig.turns[-1].outcome == "done"


async def test_goodbye_is_said_to_its_end_and_then_the_connection_is_closed(
    tools: FakeTools, tmp_path: Path
) -> None:
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        goodbye = await ask(device, "退下吧")
        assert goodbye
        with pytest.raises(PersonaError):
            device.type_text("在吗")
            await device.reply(5)
        assert messages(device)[-1] == Tts("stop")


async def test_an_intent_that_comes_while_the_reply_speaks_ends_it(tools: FakeTools, tmp_path: Path) -> None:
    chat, recognizer = FakeChatModel("从前有座山。" * 20), FakeRecognizer("讲个故事")
    async with with_intents(tmp_path, chat, recognizer=recognizer) as rig, rig.device("realtime") as device:
        await device.say(speech(0.4))
        await until(lambda: said(device))
        recognizer.text = "声音大一点"
        await device.say(speech(0.4))
        await until(lambda: len(rig.turns) == 2)
        assert [turn.outcome for turn in rig.turns] == ["cancelled", "done"]
        assert "60" in said(device)[-1]
        assert messages(device).count(Tts("start")) == messages(device).count(Tts("stop")) == 2


async def test_two_intents_at_once_are_both_done_one_after_the_other(
    tools: FakeTools, tmp_path: Path
) -> None:
    tools.hold = asyncio.Event()
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        device.type_text("声音大一点")
        await tools.called.wait()
        device.type_text("再大声一点")
        await until(lambda: len(rig.turns) == 1)
        tools.hold.set()
        await until(lambda: len(rig.turns) == 2)
        assert tools.device.volume == 70
        assert any("70" in text for text in said(device))
        assert messages(device).count(Tts("start")) == messages(device).count(Tts("stop"))


async def test_a_slow_tool_is_waited_for_with_a_word_in_between(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "FILL_AFTER_S", 0.05)
    tools.hold = asyncio.Event()
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        rig.parts.casting.switch("02:00:00:00:00:01", "xiaoyu")
        device.type_text("声音大一点")
        await until(lambda: said(device))
        waiting = said(device)[0]
        assert any(waiting in phrase for phrase in rig.parts.casting.role("02:00:00:00:00:01").waiting)
        tools.hold.set()
        await device.reply(10)
        assert "60" in said(device)[-1]


async def test_a_tool_without_end_ends(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "FILL_AFTER_S", 0.01)
    monkeypatch.setattr(wits, "LONGEST_S", 0.1)
    tools.hold = asyncio.Event()
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        assert "没有回答" in await ask(device, "声音大一点")
        assert not tools.running


async def test_a_device_that_goes_in_mid_call_leaves_nothing(tools: FakeTools, tmp_path: Path) -> None:
    tools.hold = asyncio.Event()
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig:
        async with rig.device() as device:
            device.type_text("声音大一点")
            await tools.called.wait()
        await until(lambda: not tools.running and not rig.bridge._sessions)
        assert [turn.outcome for turn in rig.turns] == ["cancelled"]
        async with rig.device() as device:
            tools.hold.set()
            assert "60" in await ask(device, "声音大一点")


async def test_a_flood_of_commands_is_bounded(tools: FakeTools, tmp_path: Path) -> None:
    tools.hold = asyncio.Event()
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        device.type_text("声音大一点")
        await tools.called.wait()
        for number in range(wits.MAX_WAITING - 1):
            device.type_text("声音大一点")
            await until(lambda: len(rig.turns) > number)  # noqa: B023
        assert "没" in await ask(device, "声音大一点")
        tools.hold.set()
        await until(lambda: not tools.running)
        await until(lambda: tools.device.volume == 100)


async def test_a_role_that_is_switched_to_speaks_itself_at_once(tools: FakeTools, tmp_path: Path) -> None:
    voice = FakeSynthesizer()
    async with (
        with_intents(tmp_path, FakeChatModel("好。"), synthesizer=voice) as rig,
        rig.device() as device,
    ):
        rig.parts.choices = EmotionChoices(rig.parts.casting, Settings())
        await ask(device, "讲个笑话")
        assert await ask(device, "换成小雨")
        assert voice.asked[0][1].reference is None and voice.asked[-1][1].reference is not None
        await ask(device, "变回来")
        assert voice.asked[-1][1].reference is None


async def test_say_that_again(tools: FakeTools, tmp_path: Path) -> None:
    async with with_intents(tmp_path, FakeChatModel("【高兴】天空是蓝的。")) as rig, rig.device() as device:
        assert await ask(device, "天空是什么颜色呢") == "天空是蓝的。"
        assert await ask(device, "再说一遍") == "天空是蓝的。"


async def test_an_owners_file_counts_as_soon_as_it_is_written_and_a_wrong_one_is_told_once(
    tools: FakeTools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intents, "LOOK_EVERY_S", 0.02)
    async with with_intents(tmp_path, FakeChatModel("好。")) as rig, rig.device() as device:
        assert await ask(device, "跟大家问好") == "好。"
        own = tmp_path / "intents"
        own.mkdir()
        (own / "a.yaml").write_text(
            'intents: {问好: {sentences: ["跟大家问好"], do: {say: "大家好。"}}}', encoding="utf-8"
        )
        (own / "b.yaml").write_text("intents: {Off: {sentences: [关掉]}}", encoding="utf-8")
        await until(lambda: "b.yaml" in caplog.text)
        assert await ask(device, "跟大家问好") == "大家好。"
        await asyncio.sleep(0.1)
    assert caplog.text.count("b.yaml") == 1


async def test_who_is_not_paired_has_nothing_carried_out(tools: FakeTools, tmp_path: Path) -> None:
    settings = make_settings()
    paired = settings.bridge.model_copy(update={"admit": "paired"})
    settings = settings.model_copy(update={"bridge": paired, "paths": PathSettings(data=str(tmp_path))})
    parts = make_parts(FakeChatModel("好。"))
    parts.intents = await Intents.open(settings, parts.casting)
    parts.closers.append(parts.intents.aclose)
    async with running(parts, settings) as rig, rig.device() as device:
        assert "配对" in await ask(device, "声音大一点")
    assert not tools.calls


async def test_what_an_owners_intent_has_forgotten_is_not_kept_with_the_words_that_ask_for_it(
    tools: FakeTools, tmp_path: Path
) -> None:
    own = tmp_path / "intents"
    own.mkdir()
    (own / "a.yaml").write_text(
        'intents: {抹掉: {sentences: ["抹掉{what}"], do: {memory: "忘掉{what}"}}}\nlists: {what: any}',
        encoding="utf-8",
    )
    mind = PersonaMemory(MemorySettings(), tmp_path / "memory")
    async with with_intents(tmp_path, FakeChatModel("好。"), memory=mind) as rig, rig.device() as device:
        rig.parts.closers.append(mind.aclose)
        await ask(device, "小丽喜欢喝拿铁")
        assert "忘" in await ask(device, "抹掉小丽")
        kept = await mind.change(
            Owner("02:00:00:00:00:01"), lambda store: [turn.text for turn in diary.everything(store.writer)]
        )
        assert not any("小丽" in text for text in kept)
