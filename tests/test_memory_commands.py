"""The memory commands, in a process's own words and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from xiaozhi_persona.bridge.admission.devices import Devices
from xiaozhi_persona.cli import xiaozhi_persona
from xiaozhi_persona.config import load_settings
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.memory.roster import stored_memories
from xiaozhi_persona.memory.store import owner_folder

OWNER = ("--owner", "甲")
LINES = [
    {"id": "1", "at": "2025-08-19T12:05:00+08:00", "who": "user", "text": "我中午吃了牛肉面"},
    {"id": "2", "at": "2025-08-19T12:05:03+08:00", "who": "assistant", "text": "听起来不错"},
    {"id": "3", "at": "2025-08-20T08:00:00+08:00", "who": "user", "text": "我对花生过敏", "speaker": ""},
]
NOW = ("--now", "2025-08-20T15:30:00+08:00")


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "config.yaml"
    file.write_text("paths: {data: data}\nmemory: {owners: {aa: 甲}}\n", "utf-8")
    return str(file)


def run(config: str, *arguments: str, input: str = "") -> Result:
    result = CliRunner().invoke(xiaozhi_persona, ["memory", *arguments, "--config", config], input=input)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def out(config: str, *arguments: str, input: str = "") -> list[dict[str, object]]:
    return [json.loads(line) for line in run(config, *arguments, "--json", input=input).stdout.splitlines()]


@pytest.fixture
def filled(config: str, tmp_path: Path) -> str:
    file = tmp_path / "turns.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES), "utf-8")
    assert out(config, "import", str(file), *OWNER) == [
        {"files": 1, "new": 3, "turns": 3, "facts": 1, "repaired": 0, "damaged": 0}
    ]
    assert out(config, "import", str(file), *OWNER) == [
        {"files": 1, "new": 0, "turns": 0, "facts": 0, "repaired": 0, "damaged": 0}
    ]
    return config


def test_a_turn_is_added_for_the_owner_of_a_device(config: str) -> None:
    added = out(
        config, "add", "我叫小明", "--owner", "aa", "--who", "user", "--at", "2025-08-20T10:00:00+08:00"
    )
    assert (added[0]["text"], added[0]["at"], added[0]["new"]) == (
        "我叫小明",
        "2025-08-20T10:00:00+08:00",
        True,
    )
    assert "已经有" in run(config, "add", "我叫小明", *OWNER, "--at", "2025-08-20T10:00:00+08:00").output
    assert "小明" in run(config, "recall", "我叫什么", *OWNER, *NOW).output


def test_recall_shows_text_items_and_ranges(filled: str) -> None:
    (found,) = out(filled, "recall", "昨天我们聊了什么", *OWNER, *NOW)
    assert [item["id"] for item in found["items"]] == ["1", "2"]  # type: ignore[attr-defined,index]
    assert found["turns_in_range"] == 2
    assert found["ranges"][0]["start"] == "2025-08-19T00:00:00"  # type: ignore[index]
    assert "牛肉面" in str(found["text"])
    assert "没有想起" in run(filled, "recall", "你好", *OWNER, *NOW).output


def test_search_gives_hits_for_one_question_or_for_lines(filled: str) -> None:
    (found,) = out(filled, "search", "牛肉面", *OWNER, "--k", "1")
    assert found["hits"][0]["id"] == "1"  # type: ignore[index]
    lines = '{"id": 7, "q": "花生"}\n\n{"id": "b", "q": "没有的词"}\n'
    result = run(filled, "search", *OWNER, "--jsonl", input=lines)
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["id"] == 7
    assert set(first["hits"][0]) == {"id", "score", "at", "text"}
    assert second == {"id": "b", "hits": []}
    with pytest.raises(PersonaError, match="第 1 行"):
        run(filled, "search", *OWNER, "--jsonl", input="x\n")
    with pytest.raises(PersonaError, match="--jsonl"):
        run(filled, "search", *OWNER)


def test_facts_are_listed_corrected_and_deleted(filled: str) -> None:
    (fact,) = out(filled, "facts", *OWNER, *NOW)
    assert (fact["attribute"], fact["value"], fact["source"], fact["valid_to"]) == ("过敏", "花生", "3", None)
    (fact,) = out(filled, "facts", *OWNER, *NOW, "--correct", str(fact["id"]), "腰果")
    assert (fact["value"], fact["pinned"]) == ("腰果", True)
    assert len(out(filled, "facts", *OWNER, *NOW, "--all")) == 2
    assert "腰果" in run(filled, "facts", *OWNER, *NOW).output
    assert out(filled, "facts", *OWNER, *NOW, "--delete", str(fact["id"])) == []
    with pytest.raises(PersonaError, match="没有编号"):
        run(filled, "facts", *OWNER, "--delete", "99")


def test_an_export_is_imported_again_to_the_same_bytes(filled: str, tmp_path: Path) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    run(filled, "export", *OWNER, "--out", str(first))
    assert out(filled, "import", str(first), "--owner", "乙") == [
        {"files": 1, "new": 4, "turns": 3, "facts": 1, "repaired": 0, "damaged": 0}
    ]
    assert "0 条谈话、0 件事实" in run(filled, "import", str(first), "--owner", "乙").output
    run(filled, "export", "--owner", "乙", "--out", str(second))
    assert first.read_bytes() == second.read_bytes()
    assert run(filled, "export", *OWNER).stdout_bytes == first.read_bytes()
    with pytest.raises(PersonaError, match="已经有"):
        run(filled, "export", *OWNER, "--out", str(first))


@pytest.mark.parametrize(
    ("arguments", "turns"),
    [
        (("--when", "昨天", *NOW), 2),
        (("--from", "2025-08-20T00:00", *NOW), 1),
        (("--about", "牛肉面"), 1),
        (("--fact", "1"), 1),
    ],
)
def test_parts_are_forgotten(filled: str, arguments: tuple[str, ...], turns: int) -> None:
    (gone,) = out(filled, "forget", *OWNER, *arguments)
    assert gone["turns"] == turns
    (stats,) = out(filled, "stats", *OWNER)
    assert stats["turns"] == 3 - turns


def test_a_fact_corrected_today_is_forgotten_with_today(filled: str, tmp_path: Path) -> None:
    (fact,) = out(filled, "facts", *OWNER, *NOW)
    out(filled, "facts", *OWNER, *NOW, "--correct", str(fact["id"]), "樱桃")
    assert out(filled, "forget", *OWNER, "--when", "今天", *NOW) == [{"turns": 1, "facts": 2}]
    assert out(filled, "facts", *OWNER, *NOW, "--all") == []
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or "樱桃".encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        ("recall", "我叫什么"),
        ("search", "猫"),
        ("stats",),
        ("facts",),
        ("export",),
        ("rebuild",),
    ],
)
def test_asking_about_an_unknown_owner_makes_no_memory(
    config: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(PersonaError, match="还没有谁的记忆") as caught:
        run(config, *arguments, "--owner", "陌生人", "--json")
    assert caught.value.exit_code == 1
    assert not (tmp_path / "data" / "memory").exists()


_WITHOUT_RIGHTS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from memory_kit import obey_permissions
from xiaozhi_persona.commands.memory.common import opened
from xiaozhi_persona.config import load_settings
from xiaozhi_persona.errors import PersonaError, SettingsError
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.owners import Owners
settings = load_settings(Path(sys.argv[1]))
obey_permissions()
with opened(settings, "甲") as store:
    print([turn.text for turn in diary.everything(store.reader)])
try:
    with opened(settings, "甲", "make") as store, store.transaction() as db:
        db.execute("delete from turn")
except PersonaError as exc:
    print(exc)
with Owners(settings.memory_dir).use("甲") as store:
    print(diary.count(store.reader))
"""


def test_a_read_only_memory_whose_log_was_not_merged_is_read_whole_and_never_changed(
    filled: str, tmp_path: Path
) -> None:
    folder = owner_folder(tmp_path / "data" / "memory", "甲")
    keeper = sqlite3.connect(folder / "diary.db")  # while it is open, closing a memory does not merge the log
    keeper.execute("select count(*) from turn").fetchone()
    run(filled, "add", "我喜欢樱桃", *OWNER, "--at", "2025-08-20T09:00:00+08:00")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    keeper.close()
    for path in folder.iterdir():
        path.unlink()
    for name in ("diary.db", "diary.db-wal"):  # as a backup has them
        (folder / name).write_bytes(files[name])
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    try:
        child = subprocess.run(
            [sys.executable, "-c", _WITHOUT_RIGHTS, filled, str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    finally:
        folder.chmod(0o755)
    found, refused, count = child.stdout.splitlines()
    assert "我喜欢樱桃" in found and "我对花生过敏" in found
    assert "临时的副本" in child.stderr
    assert "只能读，不能写" in refused
    assert count == "3" and "想不起来" in child.stderr  # the bridge says what it lacks
    assert sorted(path.name for path in folder.iterdir()) == ["diary.db", "diary.db-wal"]


def test_what_is_about_to_be_forgotten_is_counted(filled: str) -> None:
    for choice, told in (
        (("--when", "昨天"), "2 条谈话和 0 件事实"),
        (("--about", "花生"), "1 条谈话和 1 件事实"),
        (("--fact", "1"), "1 条谈话和 1 件事实"),
    ):
        asked = run(filled, "forget", *OWNER, *choice, *NOW, input="n\n")
        assert told in asked.output, choice
    nothing = run(filled, "forget", *OWNER, "--about", "没说过的")
    assert nothing.exit_code == 0 and "忘掉了 0 条" in nothing.output
    assert out(filled, "stats", *OWNER)[0]["turns"] == 3


def test_the_owner_may_be_left_out_where_there_is_one_and_is_asked_for_where_there_are_more(
    filled: str,
) -> None:
    assert out(filled, "stats")[0] | {"owner": "甲", "turns": 3} == out(filled, "stats")[0]
    assert out(filled, "add", "我喜欢樱桃")[0]["new"]
    assert out(filled, "stats", "--owner", "aa")[0]["turns"] == 4
    run(filled, "add", "你好", "--owner", "bb:cc")
    for arguments in (("stats",), ("export",), ("add", "好"), ("forget", "--all", "--yes")):
        with pytest.raises(SettingsError, match="--owner 说明是谁的：bb:cc、甲（设备 aa）"):
            run(filled, *arguments)
    with pytest.raises(PersonaError, match="“bb:cd”的记忆。有的是：bb:cc") as caught:
        run(filled, "stats", "--owner", "bb:cd")
    assert caught.value.exit_code == 1


def test_the_demonstration_and_an_empty_memory_beside_the_only_one_ask_nobody_for_the_owner(
    filled: str, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"role": "user"}\n', encoding="utf-8")
    with pytest.raises(PersonaError, match="读不懂"):
        run(filled, "import", str(wrong), "--owner", "cc")
    run(filled, "add", "我今天很开心", "--owner", "demo")
    assert out(filled, "stats")[0]["owner"] == "甲"


def test_nothing_is_added_for_nobody(config: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="记给谁"):
        run(config, "add", "你好")
    with pytest.raises(PersonaError, match="还没有谁的记忆"):
        run(config, "stats")
    assert run(config, "owners").output.count("还没有谁的记忆") == 1 and not out(config, "owners")
    assert not (tmp_path / "data" / "memory").exists()


def test_owners_are_listed_with_their_devices_the_last_to_speak_first(filled: str, tmp_path: Path) -> None:
    run(filled, "add", "你好", "--owner", "bb:cc")
    with contextlib.closing(Devices(tmp_path / "data")) as devices:
        devices.see("aa", "127.0.0.1", None)
        devices.rename("aa", "客厅")
    broken = owner_folder(tmp_path / "data" / "memory", "坏了")
    broken.mkdir()
    (broken / "diary.db").write_bytes(b"no database at all" * 100)
    first, second, third = out(filled, "owners")
    assert (first["owner"], first["devices"], first["turns"]) == ("bb:cc", [], 1)
    assert (second["owner"], second["devices"], second["turns"], second["facts"]) == ("甲", ["aa"], 3, 1)
    assert (first["names"], second["names"]) == ([], ["客厅"])
    assert second["last"].startswith("2025-08-20T") and third["problem"]
    shown = run(filled, "owners")
    assert "甲" in shown.stdout and "aa" in shown.stdout and "2025-08-20" in shown.stdout
    assert f"{broken} 读不了" in shown.stdout and not re.search(r"[│┃ ]$", shown.stdout, re.MULTILINE)


def test_a_memory_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data" / "memory"
    (home,) = root.iterdir()
    stat, iterdir = Path.stat, Path.iterdir
    barred: Path

    def refused(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(
        Path, "stat", lambda path, **how: refused(path) if barred in path.parents else stat(path, **how)
    )
    monkeypatch.setattr(Path, "iterdir", lambda path: refused(path) if path == barred else iterdir(path))
    for barred in (root, home):
        assert [(one.folder, one.problem) for one in stored_memories(root)] == [(barred, "Permission denied")]
        assert f"{barred} 读不了：Permission denied" in run(filled, "owners").stdout
        with pytest.raises(PersonaError, match="读不了.*doctor"):
            run(filled, "recall", "昨天")


def test_a_roles_own_memory_is_listed_and_named_as_it_is_listed(filled: str) -> None:
    run(filled, "add", "我的猫叫豆豆", "--owner", "aa‖lan")
    listed = next(one for one in out(filled, "owners") if one["role"])
    assert (listed["owner"], listed["role"], listed["devices"]) == ("甲‖lan", "lan", ["aa"])
    shown = run(filled, "owners").stdout
    assert "甲‖lan" in shown and "--owner" in shown
    assert "豆豆" in str(out(filled, "search", "豆豆", "--owner", "甲‖lan"))
    assert "豆豆" not in str(out(filled, "search", "豆豆", "--owner", "甲"))


def test_memory_alone_shows_what_it_can_do(config: str) -> None:
    result = CliRunner().invoke(xiaozhi_persona, ["memory"], standalone_mode=False)
    assert result.return_value == 2 and "owners" in result.output


def test_all_is_forgotten_after_asking(filled: str, tmp_path: Path) -> None:
    refused = run(filled, "forget", *OWNER, "--all", input="n\n")
    assert refused.exit_code == 1 and "3 条谈话和 1 件事实" in refused.output
    assert out(filled, "stats", *OWNER)[0]["turns"] == 3
    assert "全部忘掉" in run(filled, "forget", *OWNER, "--all", "--yes").output
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or "花生".encode() not in path.read_bytes()
    with pytest.raises(PersonaError, match="说明忘掉什么"):
        run(filled, "forget", *OWNER)


@pytest.mark.parametrize("choice", [("--all",), ("--when", "昨天"), ("--about", "花生"), ("--fact", "1")])
def test_an_end_that_would_not_be_heeded_is_refused(filled: str, choice: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="--from"):  # exit code 2
        run(filled, "forget", *OWNER, *choice, "--to", "2020-01-01", "--yes")
    assert out(filled, "stats", *OWNER)[0]["turns"] == 3


@pytest.mark.parametrize("choice", [("--all",), ("--when", "昨天"), ("--about", "花生")])
def test_forgetting_for_an_unknown_owner_is_refused(
    filled: str, tmp_path: Path, choice: tuple[str, ...]
) -> None:
    before = sorted((tmp_path / "data").rglob("*"))
    with pytest.raises(PersonaError, match="还没有“陌生人”的记忆。有的是：甲（设备 aa）"):
        run(filled, "forget", "--owner", "陌生人", *choice, "--yes")
    assert sorted((tmp_path / "data").rglob("*")) == before


def test_indexes_are_rebuilt_and_the_state_is_told(filled: str) -> None:
    assert out(filled, "rebuild", *OWNER)[0]["turns"] == 3
    (stats,) = out(filled, "stats", *OWNER)
    assert (stats["turns"], stats["facts"], stats["days"], stats["index"]) == (3, 1, 2, "ok")
    assert stats["turns_per_day"] == {"2025-08-19": 2, "2025-08-20": 1}
    text = run(filled, "stats", *OWNER).output
    assert "2025-08-19 |█▄| 2025-08-20" in text


@pytest.mark.parametrize("key", ["11:22:33:44:55:06", "1234", "true", "2025-08-20"])
def test_a_device_that_yaml_takes_for_something_else_is_to_be_quoted(tmp_path: Path, key: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"memory: {{owners: {{{key}: 小明}}}}\n", "utf-8")
    with pytest.raises(SettingsError, match="memory.owners 的键 .* 要加引号"):
        run(str(file), "stats", *OWNER)
    file.write_text(f"memory: {{owners: {{'{key}': 小明}}}}\n", "utf-8")
    assert load_settings(file).memory.owners == {key: "小明"}


def test_wrong_files_are_named(config: str, tmp_path: Path) -> None:
    with pytest.raises(PersonaError, match="没有文件"):
        run(config, "import", str(tmp_path / "none.jsonl"), *OWNER)
    with pytest.raises(PersonaError, match="没有 .jsonl"):
        (tmp_path / "empty").mkdir()
        run(config, "import", str(tmp_path / "empty"), *OWNER)
    with pytest.raises(PersonaError, match="读不懂"):
        run(config, "recall", "x", *OWNER, "--now", "gestern")
