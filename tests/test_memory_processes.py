"""Forgetting by one process while another has the memory open, and a process that ends in the middle of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, memory, turn
from test_memory_forget import leaks

from xiaozhi_persona.memory import diary, forget, owners
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import OwnerStore, owner_folder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

A, B = Owner("aa:bb"), Owner("cc:dd")
SLOW = MemorySettings(recall_deadline_ms=2000)


def texts(root: Path) -> list[str]:
    with memory(root, A.id) as store:
        return [entry.text for entry in diary.everything(store.writer)]


async def test_what_a_command_forgets_is_gone_from_the_running_conversation(tmp_path: Path) -> None:
    cleared = []

    async def clear() -> None:
        cleared.append(True)

    mind, now = PersonaMemory(SLOW, tmp_path, on_forget=clear), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", "我对花生过敏", now - timedelta(seconds=9))])
    await mind.remember(B, [Turn("user", "我是另一个人", now - timedelta(seconds=9))])
    assert (await mind.recall(A, "你好", now)).items
    with memory(tmp_path, A.id) as store:  # what `memory forget` does
        forget.forget_mention(store, "花生")
        forget.scrub(store)
    for question in ("你好", "我对什么过敏"):
        found = await mind.recall(A, question, now)
        assert found.items == () and "花生" not in found.text
    assert cleared == [True]
    await mind.remember(A, [Turn("user", "我住在上海", now)])
    assert [said.text for said in (await mind.recall(A, "你好", now)).items] == ["我住在上海"]
    assert (await mind.recall(B, "你好", now)).items
    await mind.aclose()


async def test_what_is_forgotten_before_the_first_question_is_noticed(tmp_path: Path) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", "我对花生过敏", now)])
    with memory(tmp_path, A.id) as store:
        forget.forget_mention(store, "花生")
    assert (await mind.recall(A, "你好", now)).items == ()
    await mind.aclose()


async def test_its_own_forgetting_clears_a_conversation_once(tmp_path: Path) -> None:
    cleared = []

    async def clear() -> None:
        cleared.append(True)

    mind, now = PersonaMemory(SLOW, tmp_path, on_forget=clear), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", "我对花生过敏", now)])
    await mind.forget_mention(A, "花生")
    await mind.remember(A, [Turn("user", "我住在上海", now)])
    assert len((await mind.recall(A, "你好", now)).items) == 1
    assert cleared == [True]
    await mind.aclose()


async def test_forgetting_all_by_command_loses_nothing_that_is_said_later(tmp_path: Path) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", "我对花生过敏", now - timedelta(days=1))])
    with memory(tmp_path, A.id) as store:
        assert forget.forget_all(store) == forget.Forgotten(1, 1)
        forget.scrub(store)
    found = await mind.recall(A, "我对什么过敏", now)
    assert found.items == () and "花生" not in found.text
    await mind.remember(A, [Turn("user", "我住在上海", now)])
    await mind.aclose()
    assert texts(tmp_path) == ["我住在上海"]
    assert leaks(tmp_path, "花生") == []


def _forget_and_be_killed(root: Path) -> None:
    child = os.fork()
    if child == 0:
        with memory(root, A.id) as store:
            store.append([turn(f"zebrasecret {n}", NOW + timedelta(seconds=n)) for n in range(50)])
            forget.forget_mention(store, "zebrasecret")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


async def test_forgotten_words_are_removed_at_the_next_start_after_a_kill(tmp_path: Path) -> None:
    _forget_and_be_killed(tmp_path)
    assert leaks(tmp_path, "zebrasecret")
    mind = PersonaMemory(SLOW, tmp_path)
    await mind.open(A)
    await mind.aclose()
    assert leaks(tmp_path, "zebrasecret") == []
    with memory(tmp_path, A.id) as store:
        assert not store.has_traces


def test_traces_that_a_reader_keeps_in_the_log_are_not_taken_for_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "_SCRUB_BUSY_MS", 20)
    with memory(tmp_path) as store:
        store.append([turn("樱桃", NOW), turn("芒果", NOW)])
        forget.forget_mention(store, "樱桃")
        store.reader.execute("begin")
        store.reader.execute("select * from turn").fetchone()  # keeps the log from being truncated
        forget.scrub(store)
        store.reader.execute("rollback")
        assert store.has_traces
        forget.scrub(store)
        assert not store.has_traces
        assert leaks(store.folder, "樱桃") == []


def test_an_owner_whose_file_opens_slowly_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, go_on = threading.Event(), threading.Event()

    class SlowStore(OwnerStore):
        def __init__(self, folder: Path, owner_id: str) -> None:
            if owner_id == "慢":
                opening.set()
                assert go_on.wait(10)
            super().__init__(folder, owner_id)

    monkeypatch.setattr(owners, "OwnerStore", SlowStore)
    lent = Owners(tmp_path)

    def use(found: list[OwnerStore]) -> None:
        with lent.use("慢") as store:
            found.append(store)

    first: list[OwnerStore] = []
    second: list[OwnerStore] = []
    threads = [threading.Thread(target=use, args=(found,)) for found in (first, second)]
    for thread in threads:
        thread.start()
    assert opening.wait(10)
    started = time.monotonic()
    with lent.use("快") as store:
        assert store.append([turn("一句话")]) == 1
    assert time.monotonic() - started < 5 and not first and not second
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert first == second and len(first) == 1  # opened once
    lent.close()


def test_an_owner_whose_file_cannot_be_opened_can_be_tried_again(tmp_path: Path) -> None:
    lent = Owners(tmp_path)
    folder = owner_folder(tmp_path, "甲")
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    for _ in range(2):
        with pytest.raises(Exception, match="请"), lent.use("甲"):
            pass
    folder.unlink()
    with lent.use("甲") as store:
        assert store.append([turn("一句话")]) == 1
    lent.close()
