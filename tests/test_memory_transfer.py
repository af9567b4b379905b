"""Export and import: the same bytes again, other programs' memories, lines that are wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from memory_kit import NOW, ask, conversation, memory, turn
from test_memory_store import ODD_TEXTS

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.importers import import_yaml
from xiaozhi_persona.memory.store import OwnerStore
from xiaozhi_persona.memory.transfer import export_lines, import_lines


def take_in(store: OwnerStore, lines: list[str]) -> int:
    return list(import_lines(store, lines, "test.jsonl"))[-1].new


def test_a_memory_exported_imported_and_exported_again_is_equal_to_the_byte(tmp_path: Path) -> None:
    with memory(tmp_path, "甲") as store:
        conversation(
            store,
            ("2024-03-01 10:00:00.125", "我住在北京", "好的"),
            ("2025-08-01 10:00", "我搬到上海了", ""),
            ("2025-08-20 10:00", "下周三我要去看牙医", ""),
        )
        store.append([turn(text, NOW.replace(minute=n), speaker="小红") for n, text in enumerate(ODD_TEXTS)])
        first = list(export_lines(store.reader))
    with memory(tmp_path, "乙") as store:
        assert take_in(store, first) == len(first) == 3 + 4 + len(ODD_TEXTS)
        assert list(export_lines(store.reader)) == first
        assert take_in(store, first) == 0
        assert list(export_lines(store.reader)) == first
        assert "上海" in ask(store, "我住在哪").text


def test_the_facts_of_two_memories_keep_their_histories_when_they_are_put_together(tmp_path: Path) -> None:
    with memory(tmp_path, "甲") as store:
        conversation(store, ("2024-03-01 10:00", "我住在北京", ""), ("2025-08-01 10:00", "我搬到上海了", ""))
        lines = list(export_lines(store.reader))
    with memory(tmp_path, "乙") as store:
        conversation(store, ("2024-05-01 10:00", "我叫小明", ""), ("2025-05-01 10:00", "我改名叫小鸣", ""))
        assert take_in(store, lines) == 4
        told = {fact.value: fact for fact in reading.everything(store.writer)}
        with store.transaction() as db:
            writing.delete(db, [told["上海"].id])
            writing.delete(db, [told["小鸣"].id])
        assert {fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))} == {"北京", "小明"}


def test_a_memory_without_facts_comes_back_without_facts(tmp_path: Path) -> None:
    with memory(tmp_path, "甲") as store:
        store.append([turn("我对花生过敏"), turn("我叫小明", "2025-08-20 16:00")], learn=False)
        lines = list(export_lines(store.reader))
    with memory(tmp_path, "乙") as store:
        assert take_in(store, lines) == 2
        assert reading.everything(store.writer) == []
        assert list(export_lines(store.reader)) == lines


def test_the_id_zero_is_an_id(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        take_in(store, ['{"id":0,"at":"2025-08-20T15:30:00+08:00","who":"user","text":"x"}'])
        assert [entry.id for entry in diary.everything(store.reader)] == ["0"]


def test_plain_lines_keep_their_ids_and_tell_their_facts(tmp_path: Path) -> None:
    lines = [
        json.dumps(
            {
                "id": 1,
                "at": "2025-08-19T12:00:00+08:00",
                "who": "user",
                "text": "我对花生过敏",
                "speaker": "小红",
            }
        ),
        "",
        '{"id": "2", "at": "2025-08-19T12:00:05Z", "who": "assistant", "text": "\\ud800记住了"}',
        '{"at": "2025-08-19 12:00", "who": "user", "text": "没有 id"}',
    ]
    with memory(tmp_path) as store:
        assert take_in(store, lines) == 3
        assert take_in(store, lines) == 0
        entries = list(diary.everything(store.reader))
        assert [entry.id for entry in entries[:2]] == ["1", "2"]
        assert entries[1].text == "\ufffd记住了"
        assert [(fact.subject, fact.value, fact.source) for fact in reading.everything(store.writer)] == [
            ("小红", "花生", "1")
        ]


@pytest.mark.parametrize(
    "line",
    [
        "not json", "[1]", '{"id": "1"}', '{"id":"1","at":"gestern","who":"user","text":"x"}', '{"id":"1","at":"2025-01-01","who":"cat","text":"x"}',
        '{"id":"1","at":"2025-01-01","who":"user","text":5}', '{"fact": {"id": "x"}}',
        '{"id":"1","at":1700000000,"who":"user","text":"x"}', '{"id":"1","at":null,"who":"user","text":"x"}',
        '{"id":[1],"at":"2025-01-01","who":"user","text":"x"}', '{"at":"2025-01-01","who":["user"],"text":"x"}', "[" * 100_000,
        '{"fact":{"subject":"我","attribute":"名字","value":"x"}}',
        '{"fact":{"subject":"我","attribute":"名字","value":5,"valid_from_ms":1}}',
        '{"fact":{"subject":"我","attribute":"名字","value":"x","valid_from_ms":1e300}}',
        '{"fact":{"subject":"我","attribute":"名字","value":"x","valid_from_ms":99999999999999999999}}',
        '{"fact":{"subject":"我","attribute":"名字","value":"x","valid_from_ms":1,"confidence":NaN}}',
        '{"fact":{"subject":"我","attribute":"安排","value":"x","valid_from_ms":1,"starts_ms":"a","ends_ms":"b"}}',
        '{"fact":{"subject":"我","attribute":"安排","value":"x","valid_from_ms":1,"starts_ms":1}}',
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_and_what_came_before_it_is_not_half_written(tmp_path: Path, line: str) -> None:
    with memory(tmp_path) as store:
        with pytest.raises(PersonaError, match="第 2 行"):
            take_in(store, ['{"id":"a","at":"2025-01-01","who":"user","text":"x"}', line])
        assert not reading.everything(store.writer)
        store.append([turn("之后还能写")])


def test_moechats_diary_and_core_memory_are_read(tmp_path: Path) -> None:
    second = int(datetime(2025, 8, 19, 12, 5).timestamp())
    diary_file = tmp_path / "2025-8-19.yaml"
    diary_file.write_text(
        f"{second}:\n  text_tag: 午饭吃了面\n  msg: |\n    时间：2025-08-19 12:05:00\n    {{{{user}}}}：我中午吃了牛肉面\n"
        "    加了香菜\n    {{char}}：听起来不错\n"
        f"{second + 60}:\n  text_tag: 日常闲聊\n  msg: 没有格式的一段话\n",
        encoding="utf-8",
    )
    core_file = tmp_path / "core_mem.yml"
    core_file.write_text(
        "# 核心记忆文件\nAbCdEf1234:\n  time: '2025-06-01 10:00:00'\n  text: 主人最珍惜的东西是外婆留下的怀表\n",
        encoding="utf-8",
    )
    with memory(tmp_path / "memory") as store:
        assert import_yaml(store, diary_file, {"甲"}) == 3
        assert import_yaml(store, diary_file, {"甲"}) == 0
        entries = list(diary.everything(store.reader))
        assert [(entry.who, entry.text) for entry in entries] == [
            ("user", "我中午吃了牛肉面\n加了香菜"),
            ("assistant", "听起来不错"),
            ("user", "没有格式的一段话"),
        ]
        assert entries[0].local == datetime(2025, 8, 19, 12, 5)
        assert import_yaml(store, core_file, {"甲"}) == 1
        assert import_yaml(store, core_file, {"甲"}) == 0
        assert "怀表" in ask(store, "外婆留下了什么").text


def test_the_hosts_memory_file_is_read_for_its_device(tmp_path: Path) -> None:
    profile = {
        "时空档案": {
            "身份图谱": {"现用名": "李雷", "特征标记": ["程序员", "养猫"]},
            "记忆立方": [{"事件": "入职新公司", "时间戳": "2024-03-20", "情感值": 0.9}],
        },
        "待响应": {"紧急事项": ["修空调"], "潜在关怀": []},
        "高光语录": ["我想去看海"],
    }
    file = tmp_path / ".memory.yaml"
    text = json.dumps(profile, ensure_ascii=False)
    file.write_text(f"aa:bb: '{text}'\ncc:dd: 用户喜欢爬山。用户的狗叫旺财。\n", encoding="utf-8")
    os.utime(file, (NOW.timestamp() - 9, NOW.timestamp() - 9))
    with memory(tmp_path / "memory") as store:
        assert import_yaml(store, file, {"aa:bb"}) == 6
        assert "李雷" in ask(store, "我叫什么").text
        assert "入职新公司（2024-03-20）" in ask(store, "我什么时候入职新公司的").text
    with memory(tmp_path / "other") as store:
        assert import_yaml(store, file, {"cc:dd"}) == 2
        assert "旺财" in ask(store, "用户的狗叫什么").text
        with pytest.raises(PersonaError, match="aa:bb、cc:dd"):
            import_yaml(store, file, {"ee:ff"})


@pytest.mark.parametrize("content", ["- 1\n- 2\n", "a: 1\n", "a: {b: c}\n", "{", "'x"])
def test_other_yaml_is_refused_with_what_can_be_read(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with memory(tmp_path / "memory") as store, pytest.raises(PersonaError, match="MoeChat|YAML"):
        import_yaml(store, file, {"甲"})


MOJIBAKE: list[Callable[[str], str]] = [
    lambda text: text.encode("gb18030").decode("utf-8", "replace"),
    lambda text: text.encode("utf-8").decode("gb18030", "replace"),
    lambda text: text.encode("utf-8").decode("gb18030", "ignore"),
    lambda text: text.encode("utf-8").decode("latin-1"),
    lambda text: text.encode("ascii", "replace").decode("ascii"),
]


def damaged(line: str, spoil: Callable[[str], str]) -> str:
    """Return a line of an export as a wrong encoding leaves its texts."""
    data = json.loads(line)
    part = data.get("fact", data)
    for key in ("text", "subject", "attribute", "value", "match_key"):
        part |= {key: spoil(part[key])} if key in part else {}
    return json.dumps(data)


@pytest.mark.parametrize("spoil", MOJIBAKE)
@pytest.mark.parametrize("with_right_facts", [False, True])
def test_a_damaged_import_is_repaired_by_the_right_file(
    tmp_path: Path, spoil: Callable[[str], str], with_right_facts: bool
) -> None:
    with memory(tmp_path, "甲") as store:
        conversation(
            store, ("2024-03-01 10:00", "我住在北京", "好的"), ("2025-08-01 10:00", "我搬到上海了", "嗯")
        )
        right = list(export_lines(store.reader))
    with memory(tmp_path, "乙") as store:
        take_in(store, [damaged(line, spoil) for line in right])
        if with_right_facts:  # an import that skipped the known turns took these in
            take_in(store, [line for line in right if "fact" in json.loads(line)])
        done = list(import_lines(store, right, "test.jsonl"))[-1]
        assert done.repaired >= 4 and done.new == 0 and done.damaged == 0
        assert [
            json.loads(line) for line in export_lines(store.reader) if "fact" not in json.loads(line)
        ] == [json.loads(line) for line in right if "fact" not in json.loads(line)]
        assert [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))] == ["上海"]
        assert sorted(fact.value for fact in reading.everything(store.writer)) == ["上海", "北京"]
        assert "上海" in ask(store, "我住在哪").text and "北京" in ask(store, "去年三月说过什么").text
        assert list(import_lines(store, right, "test.jsonl"))[-1].repaired == 0


def test_a_turn_that_tells_its_facts_anew_forgets_what_the_damaged_one_told(tmp_path: Path) -> None:
    right = '{"id": "1", "at": "2025-08-20T15:30:00+08:00", "who": "user", "text": "我住在北京"}'
    with memory(tmp_path, "甲") as store:
        take_in(store, [right.replace("北京", "\ufffd\ufffd")])
        assert list(import_lines(store, [right], "test.jsonl"))[-1].repaired == 1
        assert [fact.value for fact in reading.everything(store.writer)] == ["北京"]


def test_what_is_not_damaged_is_not_replaced_and_damage_in_the_file_is_counted(tmp_path: Path) -> None:
    right = '{"id": "1", "at": "2025-08-20T15:30:00+08:00", "who": "user", "text": "我住在北京"}'
    with memory(tmp_path, "甲") as store:
        take_in(store, [right])
        for other in ("我住在上海", "我住在\ufffd\ufffd"):
            done = list(import_lines(store, [right.replace("我住在北京", other)], "test.jsonl"))[-1]
            assert done == (1, 0, 0, int("\ufffd" in other))
        assert "北京" in ask(store, "我住在哪").text
