"""Texts without end do not fill the prompt, the RAM or the diary."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest
from fakes.bridge import running
from fakes.parts import FakeChatModel, make_parts
from memory_kit import memory
from test_bridge_memory import say

from xiaozhi_persona.bridge.answering import MAX_TYPED_CHARACTERS
from xiaozhi_persona.memory import diary, recent
from xiaozhi_persona.memory.persona_memory import MAX_TURN_CHARACTERS, PersonaMemory
from xiaozhi_persona.memory.recent import RecentMemory
from xiaozhi_persona.providers.host.utterance import read_utterance
from xiaozhi_persona.settings import MemorySettings, Settings
from xiaozhi_persona.spine import Owner, Turn

A = Owner("aa:bb")
SLOW = MemorySettings(recall_deadline_ms=2000)


def said(text: str, who: Literal["user", "assistant"] = "user") -> Turn:
    return Turn(who, text, datetime.now().astimezone())


async def kept(mind: RecentMemory | PersonaMemory, owner: Owner = A) -> list[str]:
    return [turn.text for turn in (await mind.recall(owner, "你好", datetime.now().astimezone())).items]


async def test_a_typed_text_without_end_is_cut_and_that_is_said_once(tmp_path: Path) -> None:
    chat, mind = FakeChatModel("好的。"), PersonaMemory(SLOW, tmp_path)
    parts = make_parts(chat, memory=mind)
    parts.closers.append(mind.aclose)
    note = Settings().phrases.too_long
    async with running(parts) as rig:
        assert await say(rig, "星" * MAX_TYPED_CHARACTERS) == "好的。"
        assert await say(rig, "月" * 80_000 + "末") == f"{note}好的。"
        assert await say(rig, "你好") == "好的。"
    assert [message.content for message in chat.asked[1]][-1] == "月" * MAX_TYPED_CHARACTERS
    assert not any(note in message.content for asked in chat.asked for message in asked)
    with memory(tmp_path, "a") as store:
        assert [len(entry.text) for entry in diary.everything(store.reader)] == [1000, 3, 1000, 3, 2, 3]


async def test_the_conversation_has_a_budget_and_begins_with_a_question() -> None:
    mind = RecentMemory(max_turns=6, max_chars=100)
    for number in range(10):
        await mind.remember(A, [said(f"问{number}"), said(f"答{number}", "assistant")])
    assert await kept(mind) == ["问7", "答7", "问8", "答8", "问9", "答9"]
    await mind.remember(A, [said("再问")])  # one more than fits: the oldest question goes with its answer
    assert await kept(mind) == ["问8", "答8", "问9", "答9", "再问"]
    await mind.remember(A, [said("长" * 500), said("答" * 500, "assistant")])
    assert await kept(mind) == ["长" * 50, "答" * 50]
    await mind.remember(A, [said("短")])
    assert await kept(mind) == ["短"]


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_conversation_may_be_none(turns: int) -> None:
    mind = RecentMemory(max_turns=turns, max_chars=100)
    await mind.remember(A, [said("问"), said("答", "assistant")])
    assert await kept(mind) == []


async def test_all_conversations_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_BYTES", 200_000)
    mind = RecentMemory(max_turns=20)
    for number in range(200):
        await mind.remember(Owner(f"{number}"), [said("字" * 1000), said("好", "assistant")])
    held = [number for number in range(200) if mind.knows(Owner(f"{number}"))]
    assert held == list(range(held[0], 200)) and 40 < len(held) < 100
    mind.forget(lambda owner: True)
    assert mind._bytes == 0


async def test_devices_that_say_nothing_push_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MAX_OWNERS", 100)
    mind = RecentMemory(max_turns=20)
    await mind.remember(A, [said("我叫王小明")])
    for number in range(1000):
        mind.begin(Owner(f"fake-{number}"), [])
    assert await kept(mind) == ["我叫王小明"]
    assert len(mind._turns) == 100


async def test_one_turn_of_the_diary_has_a_bound(tmp_path: Path) -> None:
    mind = PersonaMemory(SLOW, tmp_path)
    await mind.remember(A, [replace(said("字" * 300_000), speaker="名" * 300_000)])
    assert await mind.recall(A, "问" * 300_000, datetime.now().astimezone())
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        (kept,) = diary.everything(store.reader)
    assert (len(kept.text), len(kept.speaker)) == (MAX_TURN_CHARACTERS, 100)


@pytest.mark.parametrize(
    "said", ["字" * 300_000, json.dumps({"content": "字" * 300_000}), "{" + "字" * 300_000 + "}"]
)
def test_what_the_host_heard_has_the_same_bound(said: str) -> None:
    text, speaker = read_utterance(said, MAX_TURN_CHARACTERS)
    assert (len(text), speaker) == (MAX_TURN_CHARACTERS, "")
