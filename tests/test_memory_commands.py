"""The memory commands, in a process's own words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xiaozhi_persona.commands.memory import command
from xiaozhi_persona.errors import PersonaError

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
    result = CliRunner().invoke(command, [*arguments, "--config", config], input=input)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def out(config: str, *arguments: str, input: str = "") -> list[dict[str, object]]:
    return [json.loads(line) for line in run(config, *arguments, "--json", input=input).stdout.splitlines()]


@pytest.fixture
def filled(config: str, tmp_path: Path) -> str:
    file = tmp_path / "turns.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in LINES), "utf-8")
    assert out(config, "import", str(file), *OWNER) == [{"files": 1, "new": 3}]
    assert out(config, "import", str(file), *OWNER) == [{"files": 1, "new": 0}]
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
    run(filled, "import", str(first), "--owner", "乙")
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


def test_all_is_forgotten_after_asking(filled: str, tmp_path: Path) -> None:
    assert run(filled, "forget", *OWNER, "--all", input="n\n").exit_code == 1
    assert out(filled, "stats", *OWNER)[0]["turns"] == 3
    assert "全部忘掉" in run(filled, "forget", *OWNER, "--all", "--yes").output
    assert list((tmp_path / "data" / "memory").iterdir()) == []
    with pytest.raises(PersonaError, match="说明忘掉什么"):
        run(filled, "forget", *OWNER)


def test_indexes_are_rebuilt_and_the_state_is_told(filled: str) -> None:
    assert out(filled, "rebuild", *OWNER)[0]["turns"] == 3
    (stats,) = out(filled, "stats", *OWNER)
    assert (stats["turns"], stats["facts"], stats["days"], stats["index"]) == (3, 1, 2, "ok")
    assert stats["turns_per_day"] == {"2025-08-19": 2, "2025-08-20": 1}
    text = run(filled, "stats", *OWNER).output
    assert "2025-08-19 |█▄| 2025-08-20" in text


def test_wrong_files_are_named(config: str, tmp_path: Path) -> None:
    with pytest.raises(PersonaError, match="没有文件"):
        run(config, "import", str(tmp_path / "none.jsonl"), *OWNER)
    with pytest.raises(PersonaError, match="没有 .jsonl"):
        (tmp_path / "empty").mkdir()
        run(config, "import", str(tmp_path / "empty"), *OWNER)
    with pytest.raises(PersonaError, match="读不懂"):
        run(config, "recall", "x", *OWNER, "--now", "gestern")
