"""What a conversation keeps and does although its turns are cut, its memory is slow, or it ends meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from memory_kit import held_back, memory

from xiaozhi_persona.memory import conversation, diary
from xiaozhi_persona.memory.consent import ANSWER_WITHIN, Consents
from xiaozhi_persona.memory.conversation import Conversation
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tool_calls import MemoryTools
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner

OWNER = Owner("aa:bb")


@pytest_asyncio.fixture
async def mind(tmp_path: Path) -> AsyncIterator[PersonaMemory]:
    mind = PersonaMemory(MemorySettings(recall_deadline_ms=1000), tmp_path)
    yield mind
    await mind.aclose()


def kept(folder: Path) -> list[str]:
    with memory(folder, OWNER.id) as store:
        return [f"{said.who}: {said.text}" for said in diary.latest(store.reader, 100)]


async def cut(work: asyncio.Task[object]) -> None:
    """Cancel what has begun to wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


@pytest.mark.parametrize("method", ["recall", "remember"])
async def test_words_are_kept_though_their_turn_is_cut(
    mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    talk, go_on = Conversation(mind, OWNER), held_back(monkeypatch, mind, method)
    await cut(asyncio.ensure_future(talk.consult(talk.hear("我叫小明"))))
    go_on.set()
    await talk.aclose()
    assert kept(tmp_path) == ["user: 我叫小明"]


async def test_a_command_is_carried_out_though_its_turn_is_cut(
    mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, go_on = Conversation(mind, OWNER), held_back(monkeypatch, mind, "obey")
    await cut(asyncio.ensure_future(talk.consult(talk.hear("这段不要记"))))
    go_on.set()
    await talk.consult(talk.hear("我叫小明"))
    await talk.aclose()
    assert kept(tmp_path) == []


async def test_an_answer_is_written_behind_its_words_though_these_are_slow(
    mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "WRITE_FIRST_S", 0.0)
    talk, remember, go_on = Conversation(mind, OWNER), mind.remember, asyncio.Event()

    async def slow_for_the_user(owner: Owner, turns: list[conversation.Turn]) -> str:
        if turns[0].who == "user":
            await go_on.wait()
        return await remember(owner, turns)

    monkeypatch.setattr(mind, "remember", slow_for_the_user)
    exchange = talk.hear("我叫小明")
    assert not (await talk.consult(exchange)).found.notice
    talk.answered(exchange, "你好。")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not await talk.is_unkept(exchange)
    go_on.set()
    await talk.finish()
    assert kept(tmp_path) == ["user: 我叫小明", "assistant: 你好。"]


async def test_what_a_tool_has_begun_is_finished_at_the_end(
    mind: PersonaMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, go_on = Conversation(mind, OWNER), held_back(monkeypatch, mind, "change")
    await cut(asyncio.ensure_future(MemoryTools(talk, mind).call("note", {"content": "我对芒果过敏"})))
    ending = asyncio.ensure_future(talk.aclose())
    await asyncio.sleep(0)
    go_on.set()
    await ending
    with memory(tmp_path, OWNER.id) as store:
        assert [fact.value for fact in reading.everything(store.reader)] == ["芒果"]


async def test_what_never_ends_does_not_hold_up_the_end(
    mind: PersonaMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "_CLOSE_S", 0.02)
    talk = Conversation(mind, OWNER)
    held_back(monkeypatch, mind, "remember")
    talk.answered(talk.hear("我叫小明"), "你好。")
    work = talk.do(asyncio.Event().wait())
    await talk.aclose()
    assert work.cancelled()


async def test_a_tool_that_takes_too_long_goes_on_and_says_so(
    mind: PersonaMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xiaozhi_persona.memory.tool_calls.WAIT_S", 0.01)
    talk, go_on = Conversation(mind, OWNER), held_back(monkeypatch, mind, "change")
    assert (await MemoryTools(talk, mind).call("note", {"content": "我对芒果过敏"})).text == "好，我正在记。"
    go_on.set()
    await talk.aclose()


def test_one_thing_waits_for_a_yes_and_not_for_long() -> None:
    consents, now = Consents(), datetime.now().astimezone()
    consents.ask(OWNER, "first", now)
    consents.ask(OWNER, 2, now)
    assert consents.take(OWNER, str, now) is None and consents.take(Owner("cc"), int, now) is None
    asked = consents.take(OWNER, int, now + ANSWER_WITHIN)
    assert asked and (asked.what, asked.at) == (2, now) and consents.take(OWNER, int, now) is None
    for late in (ANSWER_WITHIN + timedelta(seconds=1), timedelta(seconds=-1)):
        consents.ask(OWNER, 2, now)
        assert consents.take(OWNER, int, now + late) is None
    consents.ask(OWNER, 2, now)
    consents.drop(OWNER)
    assert consents.take(OWNER, int, now) is None
