"""A damaged database: all that can be read of it goes on, and what is forgotten does not stay in it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from memory_kit import NOW, memory, turn
from test_memory_forget import leaks

from xiaozhi_persona.memory import diary, forget, spoken, store
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.store import FILE, OwnerStore, owner_folder, set_aside

NOW_MS = diary.to_ms(NOW)


def filled(opened: OwnerStore) -> None:
    opened.append(
        [turn(f"平常的第{n}句话" + "字" * 60, NOW - timedelta(days=9, minutes=n)) for n in range(300)]
    )
    spoken.carry_out(opened, spoken.Command("remember", "保险箱在床下"), NOW)
    opened.append(
        [turn("我住在北京", NOW), turn("我对花生过敏", NOW), turn("不对，是芒果", NOW + timedelta(seconds=9))]
    )
    (home,) = [fact for fact in reading.everything(opened.writer) if fact.value == "北京"]
    with opened.transaction() as db:
        writing.correct(db, home.id, "南京", NOW_MS + 1)
    opened.set_off_record(True)


def spoil(folder: Path, words: str) -> None:
    """Overwrite the pages of the database that hold these words."""
    data = bytearray((folder / FILE).read_bytes())
    for page in range(4096, len(data), 4096):
        if words.encode() in data[page : page + 4096]:
            data[page : page + 4096] = b"\xff" * 4096
    (folder / FILE).write_bytes(data)


def test_corrections_notes_and_the_time_off_the_record_come_back(tmp_path: Path) -> None:
    with memory(tmp_path) as opened:
        filled(opened)
        known = reading.everything(opened.writer)
        opened.writer.execute("pragma wal_checkpoint(truncate)")
    spoil(owner_folder(tmp_path, "甲"), "平常的第150句")
    _, turns = set_aside(owner_folder(tmp_path, "甲"), "甲")
    assert 200 < turns < 303
    with memory(tmp_path) as opened:
        assert opened.off_record
        assert reading.everything(opened.writer) == known
        assert {fact.value for fact in reading.current(opened.writer, NOW_MS + 99_999)} == {
            "南京",
            "芒果",
            "保险箱在床下",
        }
        # By what a fact was ended is known as well: without the correction it holds again.
        (corrected,) = [fact for fact in known if fact.value == "芒果"]
        with opened.transaction() as db:
            writing.delete(db, [corrected.id])
        assert "花生" in {fact.value for fact in reading.current(opened.writer, NOW_MS + 99_999)}


def test_facts_that_cannot_be_read_are_learned_again(tmp_path: Path) -> None:
    with memory(tmp_path) as opened:
        opened.append([turn("我对花生过敏", NOW), turn("我住在北京", NOW)])
        root = opened.writer.execute("select rootpage from sqlite_master where name = 'fact'").fetchone()[0]
        opened.writer.execute("pragma wal_checkpoint(truncate)")
    file = owner_folder(tmp_path, "甲") / FILE
    data = bytearray(file.read_bytes())
    data[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    file.write_bytes(data)
    set_aside(file.parent, "甲")
    with memory(tmp_path) as opened:
        assert {fact.value for fact in reading.everything(opened.writer)} == {"花生", "北京"}


def test_what_was_set_aside_when_the_process_ended_is_taken_in_at_the_next_opening(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as opened:
        filled(opened)
        opened.writer.execute("pragma wal_checkpoint(truncate)")
    os.replace(folder / FILE, folder / "damaged-20250820-120000-000000.db")  # and then it ended
    with memory(tmp_path) as opened:
        assert diary.count(opened.reader) == 303
        opened.append([turn("之后的话", NOW + timedelta(hours=1))])
        known = reading.everything(opened.writer)
    with memory(tmp_path) as opened:  # once is enough
        assert reading.everything(opened.writer) == known
        assert len(list(folder.glob("salvaged-*.jsonl"))) == 1
        assert forget.forget_mention(opened, "之后").turns == 1
    with memory(tmp_path) as opened:
        assert diary.count(opened.reader) == 303


def test_old_turns_that_go_by_the_settings_leave_younger_set_aside_files(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as opened:
        opened.append([turn("樱桃木", NOW - timedelta(days=900))])
    aside, _ = set_aside(folder, "甲")
    now = datetime.now().astimezone()
    with memory(tmp_path) as opened:
        assert forget.expire(opened, 30, now).turns == 1
        forget.scrub(opened)
        assert aside.exists()  # it may hold what nobody has read yet
        long_ago = (now - timedelta(days=40)).timestamp()
        for path in store.set_aside_files(folder):
            os.utime(path, (long_ago, long_ago))
        forget.expire(opened, 30, now)
        assert leaks(folder, "樱桃") == []


def test_what_is_forgotten_leaves_no_set_aside_file(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as opened:
        opened.append([turn("樱桃木柜子"), turn("别的话")])
        forget.forget_mention(opened, "樱桃")  # and then the process ends, and the file is damaged
    set_aside(folder, "甲")
    with memory(tmp_path) as opened:
        assert opened.has_traces
        forget.scrub(opened)
        assert not opened.has_traces
        assert [entry.text for entry in diary.everything(opened.writer)] == ["别的话"]
    assert leaks(folder, "樱桃") == [] and store.set_aside_files(folder) == []


def test_a_file_that_another_process_has_set_aside_is_no_longer_written_to(tmp_path: Path) -> None:
    owners = Owners(tmp_path)
    with owners.use("甲") as opened:
        opened.append([turn("之前")])
    set_aside(owner_folder(tmp_path, "甲"), "甲")
    with owners.use("甲") as opened:
        opened.append([turn("之后")])
    owners.close()
    with memory(tmp_path) as opened:
        assert [entry.text for entry in diary.everything(opened.writer)] == ["之前", "之后"]
