"""Devices that only connect: nothing on the disk, nobody waits for them, and what older versions left of them goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from memory_kit import NOW, memory, turn

from xiaozhi_persona.memory import diary, schema, threads
from xiaozhi_persona.memory.facts import writing
from xiaozhi_persona.memory.facts.kinds import SELF, Finding
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.spoken import Command
from xiaozhi_persona.memory.store import FILE, owner_folder
from xiaozhi_persona.memory.sweep import sweep
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

A = Owner("aa:bb")
SLOW = MemorySettings(recall_deadline_ms=2000)


def said(text: str, who: Literal["user", "assistant"] = "user") -> Turn:
    return Turn(who, text, datetime.now().astimezone())


async def test_who_says_nothing_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    root = tmp_path / "memory"
    mind, now = (
        PersonaMemory(SLOW.model_copy(update={"retention_days": 9}), root),
        datetime.now().astimezone(),
    )
    for number in range(50):
        owner = Owner(f"fake-{number}")
        await mind.open(owner)
        assert (await mind.recall(owner, "我对什么过敏", now)).text == ""
        assert (await mind.look_up(owner, "昨天", now, max_tokens=800, seconds=5, skip=[])).turns == []
        assert (await mind.forget_mention(owner, "小红")).turns == 0
        assert await mind.obey(owner, "确定忘掉全部记忆", now)
        await mind.remember(owner, [said("  ")])
    await mind.aclose()
    assert not root.exists()


async def test_nobody_asks_behind_others_who_only_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [Owner(f"other-{number}") for number in range(30)]
    for owner in (A, *others):
        with memory(tmp_path, owner.id) as store:
            store.append([turn("我对花生过敏", NOW)])
    mind, order = PersonaMemory(SLOW, tmp_path), list[str]()
    go_on, latest = threading.Event(), mind._threads._latest
    monkeypatch.setattr(
        mind._threads, "_latest", lambda owner_id, count: order.append(owner_id) or latest(owner_id, count)
    )
    held = mind._threads._reader.submit(go_on.wait, 30)
    opening = [asyncio.create_task(mind.open(owner)) for owner in (*others, A)]
    await asyncio.sleep(0)
    asking = asyncio.create_task(mind.recall(A, "我对什么过敏", datetime.now().astimezone()))
    await asyncio.sleep(0)
    go_on.set()
    assert held.result(30)
    assert "花生" in (await asking).text
    assert A.id in order[:2]  # behind the one that was at the door, and before the other 29
    await asyncio.gather(*opening)
    assert sorted(order) == sorted([A.id, *(owner.id for owner in others)])
    assert not mind._opening
    await mind.aclose()


async def test_nobody_writes_behind_others_whose_diary_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mind, now, order = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone(), list[str]()
    await mind.remember(A, [said("我对花生过敏")])
    go_on, write, change = threading.Event(), mind._threads._write, mind._threads._change

    def noted(job: Any) -> Any:
        return lambda owner_id, *arguments, **named: (
            order.append(owner_id) or job(owner_id, *arguments, **named)
        )

    monkeypatch.setattr(mind._threads, "_write", noted(write))
    monkeypatch.setattr(mind._threads, "_change", noted(change))
    held = mind._threads._writer.submit(go_on.wait, 30)
    others = [mind._threads.write(f"other-{n % 20}", [diary.entry(said(f"第{n}句"))]) for n in range(60)]
    noting = mind._threads.obey(A.id, Command("remember", "我的鞋码是42"), now)
    go_on.set()
    assert held.result(30)
    assert (await asyncio.wrap_future(noting)).answer == "好，我记住了。"
    assert A.id in order[:2]
    await asyncio.gather(*map(asyncio.wrap_future, others))
    assert not mind._threads._write_queue._waiting
    await mind.aclose()
    for number in range(20):  # in the order in which it was said
        with memory(tmp_path, f"other-{number}") as store:
            texts = [entry.text for entry in diary.everything(store.reader)]
        assert texts == [f"第{number + step}句" for step in (0, 20, 40)]


async def test_a_device_that_goes_is_not_opened_for(tmp_path: Path) -> None:
    for owner in ("first", "second"):
        with memory(tmp_path, owner):
            pass
    mind, go_on = PersonaMemory(SLOW, tmp_path), threading.Event()
    mind._threads._reader.submit(go_on.wait, 30)
    opening = [asyncio.create_task(mind.open(Owner(name))) for name in ("first", "second")]
    await asyncio.sleep(0)
    assert set(mind._opening) == {"first", "second"}
    opening[1].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await opening[1]
    assert set(mind._opening) == {"first"}
    go_on.set()
    await opening[0]
    assert (
        not mind._opening and mind._recent.knows(Owner("first")) and not mind._recent.knows(Owner("second"))
    )
    await mind.aclose()


# Empty memories of older versions.


def age(root: Path) -> None:
    """Have everything been touched an hour ago."""
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)


def test_only_memories_that_hold_nothing_are_swept(tmp_path: Path) -> None:
    for number in range(5):
        with memory(tmp_path, f"fake-{number}"):
            pass
    with memory(tmp_path, "turn") as store:
        store.append([turn("一句")])
    with memory(tmp_path, "fact") as store, store.transaction() as db:
        writing.keep(db, Finding(SELF, "过敏", "花生"), 0, "")
    with memory(tmp_path, "off the record") as store:
        store.set_off_record(True)
    with memory(tmp_path, "waiting") as store:
        store.put_aside_for_later([turn("等着的话")])
    with memory(tmp_path, "set aside") as store:
        (store.folder / "damaged-1.db").write_bytes(b"x")
    with memory(tmp_path, "later version") as store:
        store.writer.execute("pragma user_version = 99")
    with memory(tmp_path, "forgot all") as store:
        schema.set_meta(store.writer, "forgotten", "abc")
    with memory(tmp_path, "only in the log") as store:
        store.append([turn("一句")])
        crashed = {path.name: path.read_bytes() for path in store.folder.iterdir()}
        folder = store.folder
    for name, data in crashed.items():
        (folder / name).write_bytes(data)
    (tmp_path / "notes").mkdir()
    (tmp_path / ("0" * 32)).mkdir()  # the process ended between the folder and the file
    (tmp_path / ("1" * 32)).mkdir()
    (tmp_path / ("1" * 32) / FILE).touch()
    (tmp_path / ("2" * 32)).mkdir()
    (tmp_path / ("2" * 32) / FILE).write_bytes(b"not a database at all" * 10)
    stay = {
        owner_folder(tmp_path, name).name
        for name in ("turn", "fact", "off the record", "waiting", "set aside", "later version", "forgot all", "only in the log")
    } | {"notes", "2" * 32}  # fmt: skip
    age(tmp_path)
    with memory(tmp_path, "just now"):
        pass
    stay.add(owner_folder(tmp_path, "just now").name)
    assert sweep(tmp_path) == 7
    assert {path.name for path in tmp_path.iterdir()} == stay
    with memory(tmp_path, "only in the log") as store:
        assert diary.count(store.reader) == 1
    assert sweep(tmp_path) == 0
    assert sweep(tmp_path / "none") == 0


def test_an_empty_memory_that_is_open_is_not_swept(tmp_path: Path) -> None:
    with memory(tmp_path, "open") as store:
        age(tmp_path)
        assert sweep(tmp_path) == 0
        store.append([turn("一句")])
    with sqlite3.connect(owner_folder(tmp_path, "open") / FILE) as db:
        assert db.execute("select count(*) from turn").fetchone() == (1,)
    db.close()


async def test_the_start_sweeps_and_who_comes_later_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fake", "other"):
        with memory(tmp_path, name):
            pass
    age(tmp_path)
    swept = Future[int]()
    monkeypatch.setattr(threads, "sweep", lambda *arguments: swept.set_result(sweep(*arguments)))
    mind = PersonaMemory(SLOW, tmp_path)
    assert await asyncio.wait_for(asyncio.wrap_future(swept), 10) == 2
    await mind.remember(Owner("fake"), [said("现在说了一句")])
    await mind.aclose()
    assert os.listdir(tmp_path) == [owner_folder(tmp_path, "fake").name]
    with memory(tmp_path, "fake") as store:
        assert diary.count(store.reader) == 1
