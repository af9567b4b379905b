"""The memory in the bridge: told, hung up, asked again; commands to the memory itself; two devices."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes.bridge import Rig, running
from fakes.parts import FakeChatModel, FakeMemory, make_parts

from xiaozhi_persona.errors import ServiceUnavailable
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.roles.lore import LoreBook, LoreEntry
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

SLOW = MemorySettings(recall_deadline_ms=2000)


def prompts(chat: FakeChatModel) -> list[str]:
    return [asked[0].content for asked in chat.asked]


async def say(rig: Rig, text: str, device_id: str = "a") -> str:
    """Type a text on a connection of its own; return what was spoken."""
    async with rig.device(device_id=device_id) as device:
        device.type_text(text)
        return "".join(sentence.text for sentence in (await device.reply(10)).sentences)


async def test_what_was_told_is_in_the_prompt_after_a_hang_up_and_a_restart(tmp_path: Path) -> None:
    for turn in ("我对花生过敏", "我对什么过敏"):
        chat = FakeChatModel("【高兴】好。")
        memory = PersonaMemory(SLOW, tmp_path)
        parts = make_parts(chat, memory=memory)
        parts.closers.append(memory.aclose)
        async with running(parts) as rig:
            await say(rig, turn)
    assert "花生" in prompts(chat)[-1].partition("<memory>")[2]
    assert "花生" not in prompts(chat)[-1].partition("<memory>")[0]


async def test_another_device_knows_nothing_of_it(tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    memory = PersonaMemory(SLOW, tmp_path)
    parts = make_parts(chat, memory=memory)
    parts.closers.append(memory.aclose)
    async with running(parts) as rig:
        await say(rig, "我对花生过敏", "a")
        await say(rig, "我对什么过敏", "b")
    assert all("花生" not in message.content for message in chat.asked[-1])


async def test_a_command_to_the_memory_is_answered_by_it_and_not_remembered(tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    memory = PersonaMemory(SLOW, tmp_path)
    parts = make_parts(chat, memory=memory)
    parts.closers.append(memory.aclose)
    async with running(parts) as rig:
        assert "不记" in await say(rig, "这段不要记")
        assert chat.asked == []
        await say(rig, "我喜欢小红")
        assert "记" in await say(rig, "可以记了")
        await say(rig, "我喜欢谁")
    assert "小红" not in prompts(chat)[-1]


async def test_the_roles_lore_goes_into_the_prompt(tmp_path: Path) -> None:
    chat = FakeChatModel("好。")
    book = LoreBook([LoreEntry(("灯塔",), "灯塔在海边，每晚亮起。"), LoreEntry(("森林",), "森林里有鹿。")])
    memory = PersonaMemory(SLOW, tmp_path, role_of=lambda owner: ("小雨", book))
    parts = make_parts(chat, memory=memory)
    parts.closers.append(memory.aclose)
    async with running(parts) as rig:
        await say(rig, "你去过灯塔吗")
    assert "每晚亮起" in prompts(chat)[-1] and "有鹿" not in prompts(chat)[-1]


async def test_the_chat_model_does_not_wait_for_words_that_are_written_slowly() -> None:
    chat = FakeChatModel("好。")

    class SlowMemory(FakeMemory):
        async def remember(self, owner: Owner, turns: Sequence[Turn]) -> None:
            await asyncio.wait_for(chat.began.wait(), 10)
            await super().remember(owner, turns)

    memory = SlowMemory(max_turns=20)
    async with running(make_parts(chat, memory=memory)) as rig:
        assert await say(rig, "你好") == "好。"
    assert [turn.who for turns in memory._turns.values() for turn in turns] == ["user", "assistant"]


async def test_words_are_written_though_the_chat_model_fails() -> None:
    chat = FakeChatModel(ServiceUnavailable("没有回答"))
    memory = FakeMemory(max_turns=20)
    async with running(make_parts(chat, memory=memory)) as rig:
        await say(rig, "你好")
    assert [turn.text for turns in memory._turns.values() for turn in turns] == ["你好"]


async def test_what_was_not_heard_is_not_remembered() -> None:
    memory = FakeMemory(max_turns=20)
    chat = FakeChatModel(
        "第一句话很长很长很长很长很长很长。", "第二句话很长很长很长很长很长。", "第三句话很长很长很长很长。"
    )
    async with running(make_parts(chat, memory=memory)) as rig, rig.device(device_id="a") as device:
        device.type_text("讲")
        await device.until(lambda: len(device.model.playback.packets) > 6)
        device.abort()
        await device.until(lambda: len(rig.turns) == 1)
    kept = [turn.text for turns in memory._turns.values() for turn in turns if turn.who == "assistant"]
    assert kept[0] == "第一句话很长很长很长很长很长很长。"
