"""A disk on which nothing can be written: it is told truly and once, and what was said waits until there is room."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.bridge import running
from fakes.parts import FakeChatModel, FakeMemory, make_parts
from memory_kit import NOW, memory, turn
from test_bridge_memory import say

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import conversation as conversations
from xiaozhi_persona.memory import diary, disk, schema, store, threads
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.tool_calls import MemoryTools
from xiaozhi_persona.memory.unwritten import Complaints, Unwritten, cause_told, notice_of
from xiaozhi_persona.providers.host import conversation
from xiaozhi_persona.providers.llm.offline import OfflineChatModel
from xiaozhi_persona.settings import MemorySettings, Settings
from xiaozhi_persona.spine import Owner, Turn
from xiaozhi_persona.text.emotions import built_in_names

A, B = Owner("aa:bb"), Owner("cc:dd")
SLOW = MemorySettings(recall_deadline_ms=2000)


class BadDisk:
    """What the disk reports for every write, None while all is well."""

    def __init__(self) -> None:
        self.code: int | None = None

    def fill(self) -> None:
        self.code = errno.ENOSPC


@pytest.fixture
def bad_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadDisk]:
    """As SQLite behaves on a full disk: what is open says so, what is opened cannot be, and is then read-only."""
    bad, connect, probe = BadDisk(), schema.connect, tempfile.TemporaryFile

    def connected(file: Path, **how: Any) -> sqlite3.Connection:
        if bad.code and not how.get("immutable") and not how.get("readonly"):
            raise sqlite3.OperationalError("unable to open database file")
        return connect(file, **how)

    def transaction(self: store.OwnerStore) -> Any:
        if bad.code:
            full = (
                "database or disk is full"
                if bad.code == errno.ENOSPC
                else "attempt to write a readonly database"
            )
            raise store.explained(sqlite3.OperationalError(full), self.file)
        return really(self)

    def probed(*args: Any, **named: Any) -> Any:
        if bad.code:
            raise OSError(bad.code, "the disk says no")
        return probe(*args, **named)

    really = store.OwnerStore.transaction
    monkeypatch.setattr(schema, "connect", connected)
    monkeypatch.setattr(store.OwnerStore, "transaction", transaction)
    monkeypatch.setattr(disk.tempfile, "TemporaryFile", probed)
    yield bad


def said(text: str) -> Turn:
    return Turn("user", text, datetime.now().astimezone())


def texts(root: Path, owner: Owner = A) -> list[str]:
    with memory(root, owner.id) as open_store:
        return [entry.text for entry in diary.everything(open_store.writer)]


@pytest.mark.parametrize(("code", "cause"), [(errno.ENOSPC, "磁盘满了"), (errno.EROFS, "只能读")])
@pytest.mark.parametrize("known", [True, False])
async def test_what_cannot_be_written_is_told_with_its_cause_once_and_written_when_it_can_be(
    tmp_path: Path, bad_disk: BadDisk, caplog: pytest.LogCaptureFixture, known: bool, code: int, cause: str
) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    if known:
        await mind.remember(A, [said("我喜欢下棋")])
    bad_disk.code = code
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            assert cause in cause_told(await mind.remember(A, [said(f"第{number}句")]))
            found = await mind.recall(A, "我喜欢什么", now)
            assert [item.text for item in found.items][-1] == f"第{number}句"
        answer = await mind.obey(A, "记住我的车停在B2层", now)
        assert answer.startswith("抱歉，没能记住") and cause in answer
        assert cause in await mind.obey(A, "这段不要记", now)
        assert cause in cause_told(await mind.remember(B, [said("别人的话")]))
    assert len(caplog.records) == 1 and cause in caplog.text
    bad_disk.code = None
    assert await mind.remember(A, [said("又有地方了")]) == ""
    await mind.aclose()
    expected = ["第0句", "第1句", "第2句", "记住我的车停在B2层", "又有地方了"]
    assert texts(tmp_path) == (["我喜欢下棋"] if known else []) + expected
    assert texts(tmp_path, B) == ["别人的话"]


async def test_what_waits_is_written_without_another_word(
    tmp_path: Path, bad_disk: BadDisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "_RETRY_UNWRITTEN_S", 0.01)
    mind, written = PersonaMemory(SLOW, tmp_path), Future[None]()
    write_again, waiting = mind._threads._write_again, mind._threads._unwritten

    def again() -> None:
        write_again()
        if not waiting.owners() and not written.done():
            written.set_result(None)

    monkeypatch.setattr(mind._threads, "_write_again", again)
    bad_disk.fill()
    await mind.remember(A, [said("一")])
    await mind.remember(B, [said("二")])
    bad_disk.code = None
    with caplog.at_level(logging.INFO):
        await asyncio.wait_for(asyncio.wrap_future(written), 10)
    assert texts(tmp_path) == ["一"] and texts(tmp_path, B) == ["二"]
    assert "又写得进去了" in caplog.text
    await mind.aclose()


async def test_what_was_never_written_is_told_at_the_end(
    tmp_path: Path, bad_disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    mind = PersonaMemory(SLOW, tmp_path)
    bad_disk.fill()
    await mind.remember(A, [said("一"), said("二")])
    await mind.aclose()
    assert "有 2 句话" in caplog.text and "一" not in caplog.text.replace("一句", "")


async def test_a_disk_that_takes_nothing_is_told_at_the_start(
    tmp_path: Path, bad_disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    bad_disk.code = errno.EROFS
    mind = PersonaMemory(SLOW, tmp_path / "not" / "made")
    await mind.aclose()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "只能读" in caplog.text and "请检查" in caplog.text
    assert not (tmp_path / "not").exists()


async def test_a_memory_on_a_full_disk_is_still_recalled_and_commands_say_why(
    tmp_path: Path, bad_disk: BadDisk
) -> None:
    with memory(tmp_path, A.id) as open_store:
        open_store.append([turn("我对花生过敏", NOW)])
    bad_disk.fill()
    mind = PersonaMemory(SLOW, tmp_path)
    assert "花生" in (await mind.recall(A, "我对什么过敏", datetime.now().astimezone())).text
    await mind.aclose()
    with memory(tmp_path, A.id) as open_store, pytest.raises(disk.UnwritableStore, match="磁盘满了"):
        open_store.append([turn("写不进去")])


async def test_the_device_is_not_told_that_it_will_be_remembered(
    tmp_path: Path, bad_disk: BadDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "WRITE_FIRST_S", 10.0)  # on a busy machine
    mind = PersonaMemory(SLOW, tmp_path)
    parts = make_parts(OfflineChatModel(), memory=mind)
    parts.closers.append(mind.aclose)
    bad_disk.fill()
    async with running(parts) as rig:
        for text in ("我叫王小明", "记住我的车停在B2层", "我昨天去爬山了"):
            answer = await say(rig, text)
            assert "记住了" not in answer and "磁盘满了" in answer
        assert "王小明" in await say(rig, "我叫什么名字")
        assert "cannot be written" in await say(rig, "My name is Tom")
        bad_disk.code = None
        assert "记住了" in await say(rig, "记住我的车停在B2层")


async def test_what_turns_out_later_is_said_after_the_answer() -> None:
    class SlowMemory(FakeMemory):
        async def remember(self, owner: Owner, turns: Any) -> str:
            await super().remember(owner, turns)
            await chat.began.wait()  # the chat model has been asked by then
            return notice_of(disk.UnwritableStore("", "磁盘满了"))

    chat, mind = FakeChatModel("好，记住了"), SlowMemory(max_turns=20)
    async with running(make_parts(chat, memory=mind)) as rig:
        answer = await say(rig, "我叫王小明")
    assert answer.startswith("好，记住了") and answer.endswith(Settings().phrases.not_kept)
    assert [kept.text.split("】")[-1] for kept in mind._turns["a"]] == ["我叫王小明", "好，记住了"]


async def test_the_host_is_told_too(
    tmp_path: Path, bad_disk: BadDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "WRITE_FIRST_S", 10.0)  # on a busy machine
    mind, loop = PersonaMemory(SLOW, tmp_path), asyncio.get_running_loop()
    await mind.remember(A, [said("我对花生过敏")])
    talk = conversation.HostConversation(mind, A, loop, built_in_names())
    bad_disk.fill()
    prompt = await talk.ask("我叫王小明")
    assert cause_told(prompt.partition("以下是")[0]) == "磁盘满了"  # not among what is only data
    assert "花生" in await talk.ask("我对什么过敏")
    assert "抱歉，没能记住：磁盘满了" in await talk.ask("记住我的车停在B2层")
    requests = MemoryTools(talk, mind)
    assert (
        await requests.answer("note", {"content": "我的鞋码是42"}, 5)
    ).text == "抱歉，没能记住：磁盘满了。"
    bad_disk.code = None
    assert (await requests.answer("note", {"content": "我的鞋码是42"}, 5)).text == "好，我记住了。"
    await talk.finish()
    await mind.aclose()
    assert texts(tmp_path) == ["我对花生过敏", "我叫王小明", "我对什么过敏", "记住我的车停在B2层"]


def test_the_owner_with_the_most_gives_up_the_oldest() -> None:
    waiting = Unwritten(max_bytes=20_000)
    waiting.put("little", [turn("一句")])
    waiting.put("much", [turn(f"第{number}句" + "字" * 500) for number in range(100)])
    waiting.put("much", [turn("最后一句")])
    assert [entry.text for entry in waiting.take("little")] == ["一句"]
    kept = [entry.text for entry in waiting.take("much")]
    assert kept[-1] == "最后一句" and kept[-2].startswith("第99句") and 5 < len(kept) < 30
    assert waiting.owners() == [] and "much" not in waiting
    waiting.put("huge", [turn("字" * 100_000)])
    assert waiting.take("huge") == []


def test_each_cause_is_told_once_until_it_is_settled(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for _ in range(3):
        for owner in "ab":
            complaints.tell(disk.UnwritableStore(f"磁盘满了，{owner}", "磁盘满了"))
        complaints.tell(PersonaError("别的事"))
    assert [record.getMessage() for record in caplog.records] == ["磁盘满了，a", "别的事"]
    complaints.settled()
    complaints.tell(disk.UnwritableStore("磁盘又满了", "磁盘满了"))
    assert caplog.records[-1].getMessage() == "磁盘又满了"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG])
def test_a_path_with_misleading_words_is_not_taken_for_the_cause(code: int) -> None:
    told = store.explained(OSError(code, "no", "/data/full busy locked corrupt"), Path("/data"))
    assert isinstance(told, disk.UnwritableStore)
    assert ("满" in told.cause) == (code in (errno.ENOSPC, errno.EFBIG))
