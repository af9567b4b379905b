"""The owner's file: written once, kept apart, rebuilt, and what happens when the disk or the file is bad."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, at, conversation, memory, turn

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary, schema, text_index
from xiaozhi_persona.memory.owners import Owners
from xiaozhi_persona.memory.store import (
    FILE,
    PENDING,
    BusyStore,
    DamagedStore,
    OwnerStore,
    owner_folder,
    set_aside,
)
from xiaozhi_persona.memory.words import query_terms

ODD_TEXTS = [
    "字" * 100_000, "🎉👨‍👩‍👧‍👦", "前\x00后", "'; drop table turn; --", '" OR 1=1', "\r\n\t", "%_\\", "\u202e倒", "{{user}}", "<|im_end|>", "NEAR(a b)", "ſ İ ß Ⅷ ①"
]  # fmt: skip


def found(store: OwnerStore, words: str) -> list[int]:
    return [hit.seq for hit in text_index.search(store.reader, query_terms(words), 10, neighbours=False)]


def test_a_turn_with_a_known_id_changes_nothing(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        first = turn("我喜欢爬山", id="a")
        assert store.append([first, first]) == 1
        assert (
            store.append([turn("别的话", id="a"), turn("我喜欢爬山")]) == 1
        )  # told without an id: another one
        assert store.append([turn("我喜欢爬山")]) == 0
        assert diary.count(store.reader) == 2
        assert store.reader.execute("select sum(turns) from day").fetchone() == (2,)


def test_odd_texts_come_back_as_they_were(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        for number, text in enumerate(ODD_TEXTS):
            assert store.append([turn(text, NOW + timedelta(seconds=number))]) == 1
        store.append([turn("半个\ud800字", NOW + timedelta(hours=1))])
    with memory(tmp_path) as store:
        texts = [entry.text for entry in diary.everything(store.reader)]
        assert texts[:-1] == ODD_TEXTS
        assert texts[-1] == "半个\ufffd字"
        assert found(store, "字") == [len(ODD_TEXTS) + 1, 1]
        assert store.check() == []


def test_a_clock_set_back_keeps_the_order_of_writing_and_the_times(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("先", "2025-08-20 12:00"), turn("后", "2025-08-20 11:00")])
        assert [entry.text for entry in diary.latest(store.reader, 5)] == ["先", "后"]
        day = diary.in_range(store.reader, at("2025-08-20 00:00"), at("2025-08-21 00:00"))
        assert [entry.text for entry in day] == ["后", "先"]


def test_dates_at_the_edge_of_time_are_kept(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append(
            [
                turn("很早", "1900-01-01 00:00"),
                turn("闰日", "2024-02-29 23:59"),
                turn("很晚", "9999-12-30 00:00"),
            ]
        )
        days = store.reader.execute("select day, turns from day order by day").fetchall()
        store.rebuild()
        assert store.reader.execute("select day, turns from day order by day").fetchall() == days
        assert [entry.text for entry in diary.everything(store.reader)] == ["很早", "闰日", "很晚"]


def test_indexes_are_made_anew_from_the_turns(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-19 10:00", "我在看三体", "好看吗"))
        store.writer.execute("delete from day")
        text_index.remove(store.writer, 1, "我在看三体", "")
        assert found(store, "三体") == []
        assert store.rebuild() == 2
        assert found(store, "三体") == [1]
        assert diary.count(store.reader) == 2


def test_a_missing_or_damaged_index_is_noticed_and_made_anew(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-19 10:00", "我在看三体", ""))
        store.writer.execute("drop table turn_words")
    with memory(tmp_path) as store:
        assert store.index_state == "missing"
        store.append([turn("我也在看球状闪电")])
        assert found(store, "三体") == [1]
        store.writer.execute("update turn_words_data set block = x'00ff00ff' where id > 1")
        store.writer.execute("drop table turn_words_docsize")
    with memory(tmp_path) as store:
        assert store.index_state == "missing"
        store.rebuild()
        assert store.check() == []
        assert found(store, "球状闪电") == [2]
        schema.set_meta(store.writer, "index_version", "0")
    with memory(tmp_path) as store:
        assert store.index_state == "outdated"


def test_an_index_of_another_version_is_made_again_before_anything_is_written_or_forgotten(
    tmp_path: Path,
) -> None:
    with memory(tmp_path) as store:
        store.append([turn("two paintings"), turn("我在看三体", NOW + timedelta(minutes=2))])
        # As version 1 had it: words as they were written, no stems.
        schema.create_text_index(store.writer)
        for row in ((1, "two paintings"), (2, "我在 在看 看三 三体 我 看 三 体")):
            store.writer.execute("insert into turn_words (rowid, words) values (?, ?)", row)
        schema.set_meta(store.writer, "index_version", "1")
    with memory(tmp_path) as store:
        assert store.index_state == "outdated"
        store.append([])
        assert store.index_state == "ok"
        assert found(store, "painted") == [1]
        assert found(store, "三体") == [2]
        with store.transaction() as db:
            diary.delete(db, [1])
        left = "select count(*) from turn_words where turn_words match 'paint OR paintings'"
        assert store.writer.execute(left).fetchone() == (0,)


def test_a_damaged_database_is_set_aside_and_what_can_be_read_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as store:
        store.append([turn(f"第{n}句话" + "字" * 300, NOW + timedelta(minutes=n)) for n in range(200)])
        store.writer.execute("pragma wal_checkpoint(truncate)")
    data = bytearray((folder / FILE).read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = os.urandom(8192)
    (folder / FILE).write_bytes(data)
    with memory(tmp_path) as store:  # the last rows are good: it opens
        assert store.check() != []
    aside, turns = set_aside(folder, "甲")
    assert aside.exists()
    assert 50 < turns <= 200
    assert "已移到" in caplog.text
    with memory(tmp_path) as store:
        assert store.check() == []
        assert diary.count(store.reader) == turns
        (salvaged,) = folder.glob("salvaged-*.jsonl")
        assert len(salvaged.read_text("utf-8").splitlines()) == turns


def test_a_file_that_is_no_database_is_set_aside_when_it_is_opened(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"not a database at all" * 400)
    with pytest.raises(DamagedStore, match="坏了"):
        OwnerStore(folder, "甲")
    owners = Owners(tmp_path)
    with owners.use("甲") as store:
        assert store.append([turn("重新开始")]) == 1
    owners.close()
    assert len(list(folder.glob("damaged-*"))) == 1


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.writer.execute("pragma user_version = 99")
    with pytest.raises(PersonaError, match="升级"):
        OwnerStore(owner_folder(tmp_path, "甲"), "甲")


def test_another_owners_file_is_refused(tmp_path: Path) -> None:
    with memory(tmp_path, "甲"):
        pass
    os.rename(owner_folder(tmp_path, "甲"), owner_folder(tmp_path, "乙"))
    with pytest.raises(PersonaError, match="另一个主人"):
        OwnerStore(owner_folder(tmp_path, "乙"), "乙")


def test_300_owners_in_random_order_never_see_each_other(tmp_path: Path) -> None:
    owners, chance = Owners(tmp_path, max_open=16), random.Random(1)
    said: dict[int, int] = {}
    for _ in range(900):
        number = chance.randrange(300)
        with owners.use(f"owner-{number}") as store:
            store.append([turn(f"秘密{number}号", NOW + timedelta(seconds=said.get(number, 0)))])
        said[number] = said.get(number, 0) + 1
    for number, times in said.items():
        with owners.use(f"owner-{number}") as store:
            texts = [entry.text for entry in diary.everything(store.reader)]
            assert texts == [f"秘密{number}号"] * times
    owners.close()
    assert not any("owner" in path.name for path in tmp_path.rglob("*"))


_CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import memory_kit as kit
from datetime import timedelta
with kit.memory(Path(sys.argv[1])) as store:
    for number in range(150):
        while True:
            try:
                store.append([kit.turn(f"{sys.argv[2]}说{number}", kit.NOW + timedelta(seconds=number))])
                break
            except kit.BusyStore:
                pass
"""


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    with memory(tmp_path):
        pass
    tests = str(Path(__file__).parent)
    children = [subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path), name, tests]) for name in "ab"]
    assert [child.wait(60) for child in children] == [0, 0]
    with memory(tmp_path) as store:
        assert diary.count(store.reader) == 300
        assert store.check() == []
        assert text_index.state(store.writer) == "ok"


def test_turns_wait_in_a_file_while_another_process_writes(tmp_path: Path) -> None:
    with memory(tmp_path) as store, memory(tmp_path) as other:
        other.writer.execute("begin immediate")
        with pytest.raises(BusyStore, match="等"):
            store.append([turn("等着的话")])
        store.put_aside_for_later([turn("等着的话")])
        other.writer.execute("rollback")
        assert store.has_pending()
        (store.folder / PENDING).open("ab").write(b'{"id": "half wri')
        assert store.append([turn("下一句", NOW + timedelta(minutes=1))]) == 2
        assert not store.has_pending()
        assert [entry.text for entry in diary.everything(store.reader)] == ["等着的话", "下一句"]


_FULL = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import memory_kit as kit
from datetime import timedelta
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from xiaozhi_persona.errors import PersonaError
with kit.memory(Path(sys.argv[1])) as store:
    store.append([kit.turn("满之前", kit.NOW)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    written = 0
    try:
        for number in range(1, 5000):
            store.append([kit.turn(f"第{number}句话", kit.NOW + timedelta(seconds=number))])
            written += 1
    except PersonaError as exc:
        print(json.dumps([written, str(exc)]))
    print(kit.ask(store, "今天我们聊了什么").turns_in_range)
"""


def test_a_full_disk_is_told_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told, asked = run.stdout.splitlines()
    written, message = json.loads(told)
    assert written > 10
    assert "磁盘" in message
    assert int(asked) == written + 1
    with memory(tmp_path) as store:
        assert diary.count(store.reader) == written + 1
        assert store.check() == []


_READ_ONLY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import memory_kit as kit
from xiaozhi_persona.errors import PersonaError
kit.obey_permissions()
with kit.memory(Path(sys.argv[1])) as store:
    print(store.readonly, kit.ask(store, "今天我们聊了什么").turns_in_range)
    try:
        store.append([kit.turn("写不进去", "2025-08-20 10:00")])
    except PersonaError as exc:
        print(exc)
"""


def test_a_read_only_memory_is_still_recalled(tmp_path: Path) -> None:
    root = tmp_path / "memory"
    with memory(root) as store:
        store.append([turn("看得到的话")])
        folder = store.folder
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    try:
        run = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, str(root), str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    finally:
        folder.chmod(0o755)
    assert run.returncode == 0, run.stderr
    state, told = run.stdout.splitlines()
    assert state == "True 1"
    assert "只能读" in told


def test_opening_looks_at_last_rows_only_and_steps_run_once(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("一句话")])
    with memory(tmp_path) as store:
        assert store.index_state == "ok"
        assert store.writer.execute("pragma user_version").fetchone() == (4,)
        with pytest.raises(sqlite3.OperationalError):
            store.reader.execute("delete from turn")  # the reading connection cannot write
