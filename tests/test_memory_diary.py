"""The diary: entries of days and months that a chat model writes, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, ask, memory, turn

from xiaozhi_persona.memory import diary, digests, forget
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

LOCAL = NOW.replace(tzinfo=None)
ENTRY = "今天陪他聊了一下午的陶笛，他说下周想去参加比赛，有点紧张，我答应替他数着日子。"


def talk(store: OwnerStore, day: datetime, turns: int = digests.MIN_TURNS, text: str = "我在练陶笛") -> None:
    store.append(
        [turn(f"{text}{number}", day + timedelta(minutes=number), role="小雨") for number in range(turns)]
    )


def write_up(store: OwnerStore, written: str = ENTRY, now: datetime = LOCAL) -> int:
    """Have everything written that is wanted; return how much that was."""
    count = 0
    while (wanted := digests.next_wanted(store.writer, now)) is not None:
        with store.transaction() as db:
            digests.keep(db, wanted, written)
        count += 1
        assert count < 100
    return count


def days(store: OwnerStore) -> list[str]:
    return [
        f"{entry.start:%m-%d}"
        for entry in digests.between(store.reader, "day", datetime(2025, 1, 1), datetime(2026, 1, 1))
    ]


def test_a_day_that_is_over_is_written_up_once_with_what_was_said(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        talk(store, NOW - timedelta(days=1))
        talk(store, NOW - timedelta(days=2), turns=digests.MIN_TURNS - 1)  # too little
        talk(store, NOW - timedelta(hours=1))  # today
        wanted = digests.next_wanted(store.writer, LOCAL)
        assert wanted
        assert (wanted.kind, f"{wanted.start:%m-%d}") == ("day", "08-19")
        assert "用户：我在练陶笛0" in wanted.material
        assert "小雨" in wanted.instructions
        assert "500" in wanted.instructions
        assert write_up(store) == 1
        assert days(store) == ["08-19"]


def test_a_month_is_summed_up_from_its_days_and_not_before_it_is_over(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        for day in (3, 9, 20):
            talk(store, NOW.replace(month=7, day=day))
        talk(store, NOW.replace(day=2))
        assert write_up(store) == 4 + 1
        (month,) = digests.between(store.reader, "month", datetime(2025, 1, 1), datetime(2026, 1, 1))
        assert (month.start, month.text) == (datetime(2025, 7, 1), ENTRY)


def test_an_entry_goes_with_any_of_its_sentences_and_is_written_anew(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        for day in (3, 9, 20):
            talk(store, NOW.replace(month=7, day=day), turns=8)
        assert write_up(store) == 4
        gone = next(turn.seq for turn in diary.everything(store.writer) if turn.local.day == 9)
        forget.forget_turns(store, [gone])
        assert days(store) == ["07-03", "07-20"]
        assert not digests.between(store.reader, "month", datetime(2025, 1, 1), datetime(2026, 1, 1))
        assert write_up(store, "另写的一篇日记，没有那句话了。") == 2
        forget.forget_all(store)
        assert store.writer.execute("select count(*) from digest").fetchone()[0] == 0


def test_what_is_said_later_of_a_day_makes_its_entry_anew(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        talk(store, NOW - timedelta(days=1))
        assert write_up(store) == 1
        talk(store, NOW - timedelta(days=1, hours=1), turns=1, text="导入的一句")
        assert days(store) == []
        assert write_up(store) == 1


def test_what_was_forgotten_while_the_model_wrote_is_not_in_the_diary(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        talk(store, NOW - timedelta(days=1), turns=8)
        wanted = digests.next_wanted(store.writer, LOCAL)
        assert wanted
        forget.forget_turns(store, [1])
        with store.transaction() as db:
            assert not digests.keep(db, wanted, ENTRY)
        assert days(store) == []
        assert digests.next_wanted(store.writer, LOCAL)


@pytest.mark.parametrize("written", ["", "好。", "长" * 2000])
def test_what_is_no_entry_is_left_out_and_not_asked_for_again(tmp_path: Path, written: str) -> None:
    with memory(tmp_path) as store:
        talk(store, NOW - timedelta(days=1))
        assert write_up(store, written) == 1
        assert days(store) == []


def test_thoughts_of_the_model_are_not_in_the_entry(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        talk(store, NOW - timedelta(days=1))
        write_up(store, f"<think>\n怎么写呢\n</think>\n\n{ENTRY}\n")
        (entry,) = digests.between(store.reader, "day", datetime(2025, 1, 1), datetime(2026, 1, 1))
        assert entry.text == ENTRY


def test_the_diary_stands_beside_what_was_said_in_wide_ranges_only(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        for day in (3, 9, 20):
            talk(store, NOW.replace(month=7, day=day))
        write_up(store)
        wide, narrow = ask(store, "上个月我们聊了什么"), ask(store, "7月9号我们聊了什么")
        year = ask(store, "今年我们聊了什么")
    assert wide.text.startswith("日记里写的：\n- 2025-07-03：" + ENTRY)
    assert "“我在练陶笛" in wide.text  # the turns, too
    assert "日记" not in narrow.text
    assert f"- 2025-07：{ENTRY}" in year.text


async def test_it_is_written_when_it_has_become_quiet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    asked: list[str] = []
    written = asyncio.Event()

    async def model(instructions: str, text: str) -> str:
        asked.append(instructions)
        if "JSON" in instructions:
            return "{}"
        written.set()
        return ENTRY

    owner = Owner("甲")
    mind = PersonaMemory(MemorySettings(embedder="off"), tmp_path, asks_model=model)
    mind._quiet._after_s = 0.01
    try:
        yesterday = datetime.now().astimezone() - timedelta(days=1)
        turns = [
            Turn("user", f"我在练陶笛{number}", yesterday.replace(hour=12, minute=number))
            for number in range(8)
        ]
        await mind.remember(owner, turns)
        await asyncio.wait_for(written.wait(), 10)
    finally:
        await mind.aclose()
    assert len(asked) == 2
    with memory(tmp_path) as store:
        entries = digests.between(store.reader, "day", datetime.now() - timedelta(days=3), datetime.now())
    assert [entry.text for entry in entries] in ([ENTRY], [])  # closed while it was written: next time
