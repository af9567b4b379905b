"""The hand-checked tables of time words under fixed nows: what is found, exactly, and what is not."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path

import pytest
from time_words_tables import read_table

from xiaozhi_persona.memory.time_words import find_ranges, masks

TABLES = {"zh.txt": 500, "zh_other_days.txt": 200, "none.txt": 250, "en.txt": 120, "ja.txt": 60}
"""Each table and how many lines it has at least."""
CASES = {name: list(read_table(name)) for name in TABLES}


@pytest.mark.parametrize(
    ("now", "question", "expected"),
    [
        pytest.param(*case, id=f"{name}-{case[0]:%m%d%H}-{case[1]}")
        for name, cases in CASES.items()
        for case in cases
    ],
)
def test_the_ranges_are_those_of_the_table(
    now: datetime, question: str, expected: list[tuple[datetime, datetime]]
) -> None:
    assert [(one.start, one.end) for one in find_ranges(question, now)] == expected


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_long_enough_and_name_each_question_once(name: str) -> None:
    asked = [(now, question) for now, question, _ in CASES[name]]
    assert len(asked) >= TABLES[name]
    assert len(set(asked)) == len(asked), sorted(one for one in asked if asked.count(one) > 1)


def test_every_guard_forbids_something_and_no_word_has_two() -> None:
    assert [word for word, guard in masks.GUARDS.items() if guard == masks.Guard()] == []
    (table,) = (
        node.value
        for node in ast.parse(Path(masks.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "GUARDS"
    )
    assert isinstance(table, ast.Dict)
    words: list[str] = []
    for key, value in zip(table.keys, table.values, strict=True):
        words += [ast.literal_eval(key)] if key else ast.literal_eval(value.args[0])  # type: ignore[attr-defined]
    assert sorted(words) == sorted(masks.GUARDS)


NOW = datetime(2025, 8, 20, 15, 30)


@pytest.mark.parametrize(
    ("question", "words", "granularity"),
    [
        ("你记得昨天下午三点的事吗", "昨天下午三点", "hour"),
        ("昨天下午三点半呢", "昨天下午三点半", "minute"),
        ("我上周三说了什么", "上周三", "day"),
        ("我上週三說了什麼", "上週三", "day"),
        ("今天中午我吃了什么", "今天中午", "part_of_day"),
        ("上个礼拜的事", "上个礼拜", "week"),
        ("上个月的事", "上个月", "month"),
        ("去年夏天我去了哪", "去年夏天", "season"),
        ("去年的事", "去年", "year"),
        ("国庆去了哪", "国庆", "range"),
        ("从周一到周三的事", "周一到周三", "range"),
        ("８月３号的事", "８月３号", "day"),
        ("What did I say LAST NIGHT?", "LAST NIGHT", "part_of_day"),
        ("先週の水曜日の話", "先週の水曜日", "day"),
    ],
)
def test_a_range_carries_the_words_as_they_stand_and_its_granularity(
    question: str, words: str, granularity: str
) -> None:
    (found,) = find_ranges(question, NOW)
    assert (found.text, found.granularity) == (words, granularity)


def test_several_ranges_come_in_the_order_of_the_words() -> None:
    found = find_ranges("今天、前天和上周一", NOW)
    assert [one.text for one in found] == ["今天", "前天", "上周一"]


def test_a_time_that_is_named_twice_is_one_range() -> None:
    assert len(find_ranges("昨天，就是昨天，8月19号", NOW)) == 1


@pytest.mark.parametrize("hour", range(24))
def test_yesterday_is_the_calendar_day_at_every_hour(hour: int) -> None:
    (found,) = find_ranges("昨天", datetime(2025, 8, 20, hour, 59))
    assert (found.start, found.end) == (datetime(2025, 8, 19), datetime(2025, 8, 20))


@pytest.mark.parametrize("day", range(1, 29))
def test_a_bare_day_of_the_month_is_never_in_the_future(day: int) -> None:
    (found,) = find_ranges(f"{day}号我说了什么", NOW)
    assert found.start <= NOW
    assert found.start == datetime(2025, 8 if day <= 20 else 7, day)
