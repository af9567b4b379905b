"""What is kept of a conversation whose words, questions, answers and tools come in another order than they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from memory_kit import held_back, memory, turn

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tool_calls import MemoryTools
from xiaozhi_persona.providers.host.conversation import HostConversation
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner
from xiaozhi_persona.text.emotions import built_in_names

DEVICE = "aa:bb:cc:00:00:01"
GOODBYE = "请说再见"


@pytest_asyncio.fixture
async def mind(tmp_path: Path) -> AsyncIterator[PersonaMemory]:
    mind = PersonaMemory(MemorySettings(recall_deadline_ms=1000), tmp_path)
    yield mind
    await mind.aclose()


@pytest_asyncio.fixture
async def talk(mind: PersonaMemory) -> HostConversation:
    return conversation(mind)


def conversation(mind: PersonaMemory, **more: Any) -> HostConversation:
    loop = asyncio.get_running_loop()
    return HostConversation(mind, Owner(DEVICE), loop, built_in_names(), ignored=frozenset({GOODBYE}), **more)


async def kept(talk: HostConversation, folder: Path) -> list[str]:
    await talk.finish()
    with memory(folder, DEVICE) as store:
        return [f"{said.who}: {said.text}" for said in diary.latest(store.reader, 100)]


async def heard(talk: HostConversation, *said: str) -> None:
    """Put messages into the dialogue, each beginning with U or A for who has said it."""
    for line in said:
        talk.heard("user" if line[0] == "U" else "assistant", line[1:])
    for _ in range(5):  # for what is written at once
        await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["obey", "begin"])
async def test_a_slow_command_concerns_its_own_answer_and_no_other(
    talk: HostConversation, mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    go_on = held_back(monkeypatch, mind, method)
    await heard(talk, "U忘掉小丽")
    command = asyncio.ensure_future(talk.ask("忘掉小丽"))
    await heard(talk, "A小丽怎么了？", "U今天天气如何")
    question = asyncio.ensure_future(talk.ask("今天天气如何"))
    await heard(talk, "A是晴天。")
    go_on.set()
    assert "照办" in await command and "照办" not in await question
    assert await kept(talk, tmp_path) == ["user: 今天天气如何", "assistant: 是晴天。"]


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_yes_is_for_what_was_heard_to_be_asked(
    talk: HostConversation, tmp_path: Path, given_up: bool
) -> None:
    yesterday = datetime.now().astimezone().replace(hour=12) - timedelta(days=1)
    with memory(tmp_path, DEVICE) as store:
        store.append([turn(f"第{n}件事", yesterday + timedelta(seconds=n)) for n in range(12)])
    await heard(talk, "U忘掉昨天的事")
    assert "确定" in await talk.ask("忘掉昨天的事", lambda: given_up)
    await heard(talk, "U好的")
    assert ("照办" in await talk.ask("好的")) is not given_up
    assert ("user: 第5件事" in await kept(talk, tmp_path)) is given_up


@pytest.mark.parametrize(
    "said",
    [
        ["U我叫小明", "A上一句的。", "?我叫小明"],
        ["U我叫小明", "U我住在杭州", "?我叫小明", "?我住在杭州"],
        ["U我叫小明", "?我叫小明", "A好的。", "U继续", "?继续", "A好。", "U继续", "?继续"],
        ["U放一首歌", f"?{GOODBYE}", "A再见。"],
        ["U记住我的车停在B3层", "A好的。"],  # the host did it without its model
        [line for number in range(20) for line in (f"U放第{number}首歌",)],
    ],
)
async def test_words_are_kept_once(talk: HostConversation, tmp_path: Path, said: list[str]) -> None:
    for line in said:
        if line[0] == "?":
            await talk.ask(line[1:])
        else:
            await heard(talk, line)
    users = [line for line in await kept(talk, tmp_path) if line.startswith("user")]
    assert users == [f"user: {line[1:]}" for line in said if line[0] == "U"]


async def test_words_without_a_question_come_before_those_with_one(
    talk: HostConversation, tmp_path: Path
) -> None:
    await heard(talk, "U放歌", "U你好呀")
    await talk.ask("你好呀")
    await heard(talk, "A你好。")
    assert await kept(talk, tmp_path) == ["user: 放歌", "user: 你好呀", "assistant: 你好。"]


@pytest.mark.parametrize("before", [1, 20])
@pytest.mark.parametrize("late", [[], ["A好。"]])
async def test_a_command_concerns_what_was_said_before_it_and_is_not_kept(
    talk: HostConversation, tmp_path: Path, before: int, late: list[str]
) -> None:
    for number in range(before):
        await heard(talk, f"U密码是{number}号")
        await talk.ask(f"密码是{number}号")
    await heard(talk, "U忘掉刚才那句话", *late)
    assert "照办" in await talk.ask("忘掉刚才那句话")
    lines = await kept(talk, tmp_path)
    assert [line for line in lines if line.startswith("user")] == [
        f"user: 密码是{number}号" for number in range(before - 1)
    ]


async def test_what_was_missed_while_a_tool_waits_is_not_forgotten(
    mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = conversation(mind, obeys=False)
    await heard(talk, "U密码是蓝莓")
    await talk.ask("密码是蓝莓")
    await heard(talk, "U把密码忘掉吧")
    await talk.ask("把密码忘掉吧")
    tools = MemoryTools(talk, mind)
    go_on = held_back(monkeypatch, mind, "remember")
    await heard(talk, "A好。")  # is being written, for which the tool waits
    asking = asyncio.ensure_future(tools.answer("forget", {"what": "密码"}, recall_s=1.0))
    await asyncio.sleep(0)
    tools.late("forget")  # the host gave it up while it waited
    go_on.set()
    assert "还没有忘" in (await asking).text
    await heard(talk, "U好的")
    await talk.ask("好的")
    answer = await tools.answer("forget", {"what": "密码", "confirm": "true"}, recall_s=1.0)
    assert "还没有忘" in answer.text
    assert "user: 密码是蓝莓" in await kept(talk, tmp_path)


async def test_words_are_kept_though_the_recall_fails(
    talk: HostConversation, mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(mind, "recall", broken)
    await heard(talk, "U我叫小明")
    with pytest.raises(ValueError, match="broken"):
        await talk.ask("我叫小明")
    assert await kept(talk, tmp_path) == ["user: 我叫小明"]


async def test_a_tool_concerns_the_words_for_which_it_was_called(
    talk: HostConversation, mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await heard(talk, "U我的秘密是蓝莓，别记")
    await talk.ask("我的秘密是蓝莓，别记")
    go_on = held_back(monkeypatch, mind, "change")
    tool = asyncio.ensure_future(
        MemoryTools(talk, mind).answer("off_record", {"recording": "resume"}, recall_s=1.0)
    )
    await heard(talk, "A好，记着。", "U我喜欢苹果", "A记得啦。")
    go_on.set()
    await tool
    lines = await kept(talk, tmp_path)
    assert "assistant: 好，记着。" not in lines
    assert lines[-2:] == ["user: 我喜欢苹果", "assistant: 记得啦。"]


async def test_words_are_forgotten_though_the_user_speaks_on(
    talk: HostConversation, mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await heard(talk, "U我的秘密是蓝莓")
    await talk.ask("我的秘密是蓝莓")
    go_on = held_back(monkeypatch, mind, "forget_turns")
    unsaying = asyncio.ensure_future(MemoryTools(talk, mind)._unsay(talk.exchange))
    await heard(talk, "U我喜欢苹果")
    go_on.set()
    await unsaying
    assert await kept(talk, tmp_path) == ["user: 我喜欢苹果"]
