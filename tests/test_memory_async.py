"""The memory as the bridge uses it: written before it is acknowledged, recalled in time, never in the way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from memory_kit import NOW, memory
from test_memory_forget import leaks

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import FILE, owner_folder
from xiaozhi_persona.roles.lore import LoreBook, LoreEntry
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Memory, Owner, Turn

A, B = Owner("aa:bb"), Owner("cc:dd")
SLOW = MemorySettings(recall_deadline_ms=2000)
"""For a machine that is busy with other tests."""


def said(text: str, who: Literal["user", "assistant"] = "user", at: datetime | None = None) -> Turn:
    return Turn(who, text, at or datetime.now().astimezone())


@pytest_asyncio.fixture
async def mind(tmp_path: Path) -> AsyncIterator[PersonaMemory]:
    memory = PersonaMemory(SLOW, tmp_path)
    yield memory
    await memory.aclose()


async def test_a_fact_told_is_recalled_after_a_restart(tmp_path: Path) -> None:
    first: Memory = PersonaMemory(SLOW, tmp_path)
    await first.remember(A, [said("我对花生过敏"), said("我记住了", "assistant")])
    now = datetime.now().astimezone()
    assert [turn.text for turn in (await first.recall(A, "我对什么过敏", now)).items] == [
        "我对花生过敏",
        "我记住了",
    ]
    await first.aclose()  # type: ignore[attr-defined]
    again = PersonaMemory(SLOW, tmp_path)
    found = await again.recall(A, "我对什么过敏", datetime.now().astimezone())
    assert "花生" in found.text
    assert [turn.text for turn in found.items] == ["我对花生过敏", "我记住了"]  # the conversation goes on
    assert (await again.recall(B, "我对什么过敏", now)).text == ""
    await again.aclose()


async def test_an_old_conversation_does_not_go_on(tmp_path: Path) -> None:
    with memory(tmp_path, A.id) as store:
        store.append([diary.entry(said("很久以前", at=NOW))])
    mind = PersonaMemory(SLOW, tmp_path)
    assert (await mind.recall(A, "你好", datetime.now().astimezone())).items == ()
    await mind.aclose()


async def test_what_is_acknowledged_is_on_the_disk(mind: PersonaMemory, tmp_path: Path) -> None:
    for number in range(20):
        await mind.remember(A, [said(f"第{number}句")])
        with sqlite3.connect(owner_folder(tmp_path, A.id) / FILE) as other:
            assert other.execute("select count(*) from turn").fetchone() == (number + 1,)
        other.close()


async def test_emotion_tags_are_in_the_conversation_but_not_in_the_diary(tmp_path: Path) -> None:
    mind = PersonaMemory(SLOW, tmp_path)
    await mind.remember(A, [said("【高兴】你好呀！【困惑】怎么了？", "assistant")])
    now = datetime.now().astimezone()
    found = await mind.recall(A, "高兴", now)
    assert [turn.text for turn in found.items] == ["【高兴】你好呀！【困惑】怎么了？"]
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert [entry.text for entry in diary.everything(store.reader)] == ["你好呀！怎么了？"]


async def test_several_devices_may_have_one_owner(tmp_path: Path) -> None:
    settings = SLOW.model_copy(update={"owners": {A.id: "小明", B.id: "小明"}})
    mind = PersonaMemory(settings, tmp_path)
    await mind.remember(A, [said("我对花生过敏")])
    found = await mind.recall(B, "我对什么过敏", datetime.now().astimezone())
    assert "花生" in found.text
    assert "忘掉了" in await mind.obey(B, "忘掉我对花生过敏", datetime.now().astimezone())
    assert (await mind.recall(A, "我对什么过敏", datetime.now().astimezone())).items == ()
    await mind.aclose()
    assert owner_folder(tmp_path, "小明").exists()


async def test_the_deadline_holds_while_the_disk_is_slow(tmp_path: Path) -> None:
    mind = PersonaMemory(MemorySettings(recall_deadline_ms=20), tmp_path)
    await mind.remember(A, [said("我对花生过敏")])
    go_on = threading.Event()
    release = mind._threads._reader.submit(go_on.wait, 30)  # somebody else's recall takes long
    found = await asyncio.wait_for(mind.recall(A, "我对什么过敏", datetime.now().astimezone()), 0.2)
    assert found.text == ""
    assert found.items  # the conversation itself is there all the same
    go_on.set()
    await asyncio.wrap_future(release)
    await mind.aclose()


async def test_off_the_record_holds_until_told_otherwise(tmp_path: Path) -> None:
    mind = PersonaMemory(SLOW, tmp_path)
    now = datetime.now().astimezone()
    assert await mind.obey(A, "这段不要记", now)
    await mind.remember(A, [said("我其实是超人")])
    assert [turn.text for turn in (await mind.recall(A, "你好", now)).items] == ["我其实是超人"]
    await mind.aclose()
    mind = PersonaMemory(SLOW, tmp_path)
    await mind.remember(A, [said("还是不要记的话")])
    assert await mind.obey(A, "可以记了", now)
    await mind.remember(A, [said("这句可以记")])
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert [entry.text for entry in diary.everything(store.reader)] == ["这句可以记"]
        assert leaks(store.folder, "超人", "不要记") == []


async def test_forgetting_reaches_the_conversation_and_the_files(tmp_path: Path) -> None:
    mind = PersonaMemory(SLOW, tmp_path)
    now = datetime.now().astimezone()
    await mind.remember(A, [said("樱桃木柜子里有密码", at=now - timedelta(seconds=5))])
    gone = await mind.forget_mention(A, "樱桃木")
    assert gone.turns == 1
    assert (await mind.recall(A, "樱桃木柜子", now)).items == ()
    await mind.remember(A, [said("别的话")])
    await mind.aclose()
    assert leaks(tmp_path, "樱桃", "桃木") == []
    mind = PersonaMemory(SLOW, tmp_path)
    assert "全都忘掉" in await mind.obey(A, "确定忘掉全部记忆", now)
    await mind.aclose()
    assert leaks(tmp_path, "别的话") == []


async def test_turns_written_while_another_process_holds_the_file_come_in_later(
    mind: PersonaMemory, tmp_path: Path
) -> None:
    await mind.remember(A, [said("先说一句")])
    file = owner_folder(tmp_path, A.id) / FILE
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    await mind.remember(A, [said("等着的话")])
    other.execute("rollback")
    other.close()
    await mind.remember(A, [said("最后一句")])
    with memory(tmp_path, A.id) as store:
        texts = [entry.text for entry in diary.everything(store.reader)]
    assert sorted(texts) == sorted(["先说一句", "等着的话", "最后一句"])


async def test_a_folder_that_cannot_be_made_never_stops_the_conversation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    mind = PersonaMemory(SLOW, tmp_path / "file")
    with caplog.at_level(logging.ERROR):
        await mind.remember(A, [said("记不下来的话")])
        found = await mind.recall(A, "我对什么过敏", datetime.now().astimezone())
    assert found.text == ""
    assert [turn.text for turn in found.items] == ["记不下来的话"]
    assert "记不下来" not in caplog.text
    assert caplog.text
    assert await mind.obey(A, "这段不要记", datetime.now().astimezone())
    await mind.aclose()


async def test_a_damaged_database_is_replaced_while_the_conversation_goes_on(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, A.id)
    with memory(tmp_path, A.id) as store:
        store.append([diary.entry(said(f"第{n}句" + "字" * 300, at=NOW)) for n in range(200)])
        store.writer.execute("pragma wal_checkpoint(truncate)")
    data = bytearray((folder / FILE).read_bytes())
    data[40960 : 40960 + 65536] = bytes(65536)
    (folder / FILE).write_bytes(data)
    mind = PersonaMemory(SLOW, tmp_path)
    for number in range(3):
        await mind.remember(A, [said(f"新的第{number}句")])
    await mind.aclose()
    mind = PersonaMemory(SLOW, tmp_path)  # what the background check found is mended by now or at this start
    await mind.remember(A, [said("之后")])
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert store.check() == []
        texts = [entry.text for entry in diary.everything(store.reader)]
        assert {"新的第0句", "新的第1句", "新的第2句", "之后"} <= set(texts)
    assert list(folder.glob("damaged-*"))


async def test_a_damaged_index_is_mended_by_the_next_turn_which_is_written(tmp_path: Path) -> None:
    with memory(tmp_path, A.id) as store:
        store.append([diary.entry(said("我在看三体", at=NOW))])
    mind = PersonaMemory(SLOW, tmp_path)
    await mind.open(A)
    with memory(tmp_path, A.id) as store:
        store.writer.execute("update turn_words_data set block = x'00ff00ff00ff'")
    await mind.remember(A, [said("我也在看球状闪电")])
    with sqlite3.connect(owner_folder(tmp_path, A.id) / FILE) as other:
        assert other.execute("select count(*) from turn").fetchone() == (2,)
    other.close()
    found = await mind.recall(A, "三体那本书", datetime.now().astimezone())
    assert "我在看三体" in found.text
    await mind.aclose()
    assert not list(owner_folder(tmp_path, A.id).glob("damaged-*"))


async def test_lore_goes_along_with_what_is_recalled(tmp_path: Path) -> None:
    book = LoreBook([LoreEntry(("白塔",), "白塔在城北。")])
    mind = PersonaMemory(SLOW, tmp_path, role_of=lambda owner: ("default", book))
    now = datetime.now().astimezone()
    assert (await mind.recall(A, "白塔在哪", now)).text == "相关的设定：\n- 白塔在城北。"
    await mind.remember(A, [said("我想去白塔")])
    assert "城北" in (await mind.recall(A, "那里远吗", now)).text  # from the message before
    assert (await mind.recall(A, "你好", now)).text == ""
    await mind.aclose()


async def test_old_turns_are_forgotten_when_the_settings_say_so(tmp_path: Path) -> None:
    with memory(tmp_path, A.id) as store:
        store.append([diary.entry(said("樱桃木", at=NOW - timedelta(days=9000)))])
    mind = PersonaMemory(SLOW.model_copy(update={"retention_days": 30}), tmp_path)
    await mind.open(A)
    await asyncio.to_thread(_idle, mind)
    await mind.aclose()
    assert leaks(tmp_path, "樱桃") == []


def _idle(mind: PersonaMemory) -> None:
    """Wait for the check, the writing that it asks for, and the scrubbing after that."""
    for pool in (mind._threads._keeper, mind._threads._writer, mind._threads._keeper):
        for _ in range(2):
            pool.submit(lambda: None).result(10)


async def test_forgetting_tells_those_who_keep_what_was_said(tmp_path: Path) -> None:
    cleared = []

    async def clear() -> None:
        cleared.append(True)

    mind = PersonaMemory(SLOW, tmp_path, on_forget=clear)
    await mind.remember(A, [said("我昨天见了小红")])
    assert await mind.obey(A, "我有一只猫", datetime.now().astimezone()) == ""
    assert not cleared
    assert "忘掉" in await mind.obey(A, "忘掉小红的事", datetime.now().astimezone())
    await mind.forget_all(A)
    assert len(cleared) == 2
    await mind.aclose()


_FIRST_WORDS = """
import sys
from datetime import datetime
from pathlib import Path
from xiaozhi_persona.memory.threads import DiaryThreads
threads = DiaryThreads(Path(sys.argv[1]))
threads.close()
from xiaozhi_persona.memory.facts import rules_life
from xiaozhi_persona.memory.time_words import english
print("match" in vars(english._RULES), all("fullmatch" in vars(clause) for clause, _ in rules_life.RULES))
"""


def test_the_first_words_of_a_process_find_their_rules_ready(tmp_path: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _FIRST_WORDS, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert child.stdout == "True True\n", child.stderr
