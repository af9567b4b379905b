"""When it happened: what was told on one day of another one is found by either."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from memory_kit import NOW, ask, at, conversation, memory

from xiaozhi_persona.memory import schema
from xiaozhi_persona.memory.events.when import Event, find_events

SAID = datetime(2025, 8, 18, 15, 30)
"""A Monday."""


def days(text: str, said: datetime = SAID) -> list[str]:
    return [_days(event) for event in find_events(text, said)]


def _days(event: Event) -> str:
    return event.again or f"{event.start:%Y-%m-%d}..{event.end:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("我昨天去看了牙医", "2025-08-17..2025-08-18"),
        ("我周六要去参加同学聚会", "2025-08-23..2025-08-24"),
        ("我周日去爬山了", "2025-08-17..2025-08-18"),
        ("我上周六去了杭州", "2025-08-16..2025-08-17"),
        ("我下周一到周三要去上海出差", "2025-08-25..2025-08-28"),
        ("8月20号我要体检", "2025-08-20..2025-08-21"),
        ("我周五约了牙医", "2025-08-22..2025-08-23"),
        ("去年我住在上海", "2024-01-01..2025-01-01"),
        ("上个月我去了日本", "2025-07-01..2025-08-01"),
        ("7月3号我要结婚", "2026-07-03..2026-07-04"),
        ("国庆节我要回老家", "2025-10-01..2025-10-08"),
        ("春节我回了老家", "2025-01-28..2025-02-04"),
        ("两个月后我要考试", "2025-10-18..2025-10-19"),
        ("明年我打算去冰岛", "2026-01-01..2027-01-01"),
        ("我每周五晚上要上瑜伽课", "week 4"),
        ("每个周日我们都去教堂", "week 6"),
        ("我每个月15号发工资", "month 15"),
        ("每年5月5号我们都去扫墓", "year 5-5"),
        ("我天天跑步", "day"),
        ("I bought a bike yesterday", "2025-08-17..2025-08-18"),
        ("I have a dentist appointment tomorrow at 3 pm", "2025-08-19..2025-08-20"),
        ("on Friday I went to the gym", "2025-08-15..2025-08-16"),
        ("we're going to the beach on Sunday", "2025-08-24..2025-08-25"),
        ("My sister is visiting next weekend", "2025-08-30..2025-09-01"),
        ("Next month I'm going to Japan", "2025-09-01..2025-10-01"),
        ("I have yoga every Friday", "week 4"),
        ("On Mondays I swim", "week 0"),
        ("明日歯医者に行きます", "2025-08-19..2025-08-20"),
        ("先週の土曜日に映画を見た", "2025-08-16..2025-08-17"),
        ("来週の土曜日に映画を見る", "2025-08-30..2025-08-31"),
        ("毎週金曜日にヨガをします", "week 4"),
    ],
)
def test_when_it_happens_that_a_sentence_tells(text: str, when: str) -> None:
    assert days(text) == [when]


@pytest.mark.parametrize(
    "text",
    [
        "今天早上我吃了面", "刚才我在做饭", "昨天我们聊了什么", "我明天有什么安排", "如果明天下雨我就不去", "最近我很忙", "我喜欢猫", "",
        "我小时候住在北京", "What did I do yesterday?", "If I go to Paris next week, I'll call you",
    ],
)  # fmt: skip
def test_of_the_same_day_of_no_day_and_of_what_is_asked_or_supposed_nothing_is_kept(text: str) -> None:
    assert days(text) == []


@pytest.mark.parametrize(
    ("told_at", "told", "question", "asked_at"),
    [
        ("2025-08-18 20:00", "我昨天去看了牙医", "周日我去干嘛了", "2025-08-20 15:30"),
        ("2025-08-18 20:00", "我昨天去看了牙医", "17号我去哪了", "2025-08-20 15:30"),
        ("2025-08-18 20:00", "I bought a bike yesterday", "What did I buy on August 17", "2025-08-20 15:30"),
        ("2025-08-13 20:00", "我周六要去参加同学聚会", "上周六我去干什么了", "2025-08-20 15:30"),
        ("2025-08-18 20:00", "我下周一到周三要去上海出差", "我下周二有什么安排", "2025-08-20 15:30"),
        ("2025-08-06 20:00", "我每周五晚上要上瑜伽课", "我这周五有什么安排", "2025-08-20 15:30"),
        ("2025-08-06 20:00", "我每周五晚上要上瑜伽课", "上周五我做什么了", "2025-08-20 15:30"),
        ("2025-08-19 20:00", "I have a dentist appointment tomorrow at 3 pm", "What are my plans for today", "2025-08-20 09:00"),
        ("2025-08-19 20:00", "I have a dentist appointment on Friday", "What am I doing this Friday?", "2025-08-20 09:00"),
        ("2025-08-19 20:00", "明日歯医者に行きます", "今日の予定は", "2025-08-20 09:00"),
        ("2025-08-19 20:00", "明後日歯医者に行きます", "明日の予定は何", "2025-08-20 09:00"),
        ("2025-08-19 20:00", "我明天上午去看牙医，下午要开会", "今天下午我有什么安排", "2025-08-20 09:00"),
        ("2025-07-30 20:00", "上周末我们去了动物园", "7月26号我们去了哪里", "2025-08-20 15:30"),
        ("2025-08-20 09:00", "上个月我去了日本", "七月份我去了哪里", "2025-08-20 15:30"),
    ],
)  # fmt: skip
def test_what_happened_on_a_day_is_found_by_that_day(
    tmp_path: Path, told_at: str, told: str, question: str, asked_at: str
) -> None:
    with memory(tmp_path) as store:
        conversation(store, (told_at, told, ""))
        found = ask(store, question, at(asked_at))
    assert told in found.text
    assert "没有" not in found.text


@pytest.mark.parametrize(
    ("told", "question"),
    [
        ("今年我要减肥", "周日我去干嘛了"),  # a year says nothing of a day
        ("我每周五晚上要上瑜伽课", "我这周四有什么安排"),
        ("我下周一要出差", "我下周二有什么安排"),
        ("我昨天去看了牙医", "昨天我们聊了什么"),  # what was talked about, not what was done
    ],
)
def test_what_happens_on_another_day_is_not_found(tmp_path: Path, told: str, question: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-18 20:00", told, ""))
        found = ask(store, question, NOW)
    assert told not in found.text


def test_an_event_is_forgotten_with_its_sentence(tmp_path: Path) -> None:
    from xiaozhi_persona.memory import forget

    with memory(tmp_path) as store:
        conversation(
            store, ("2025-08-18 20:00", "我昨天去看了牙医", "好"), ("2025-08-18 20:01", "我昨天吃了面", "")
        )
        forget.forget_mention(store, "牙医")
        assert store.writer.execute("select count(*) from event").fetchone()[0] == 1
        forget.forget_all(store)
        assert store.writer.execute("select count(*) from event").fetchone()[0] == 0


def test_a_database_of_the_first_version_gets_its_events(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-18 20:00", "我昨天去看了牙医", ""))
        with store.transaction() as db:
            for name in ("event_start", "event_seq", "event_again", "fact_over"):
                db.execute(f"drop index {name}")
            db.execute("drop table event")
            db.execute("drop table vector")
            db.execute("drop table digest")
            db.execute("pragma user_version = 1")
            schema.set_meta(db, schema.FACTS_VERSION, "3")
    with memory(tmp_path) as store:
        assert store.index_state == "reread"
        store.rebuild()
        assert "牙医" in ask(store, "周日我去干嘛了").text


def test_the_number_of_a_forgotten_turn_is_not_given_again(tmp_path: Path) -> None:
    from xiaozhi_persona.memory import diary, forget

    with memory(tmp_path) as store:
        conversation(store, ("2025-08-18 20:00", "一", ""), ("2025-08-18 20:01", "二", ""))
        last = diary.latest(store.writer, 1)[0].seq
        forget.forget_turns(store, [last])
        conversation(store, ("2025-08-18 20:02", "三", ""))
        assert diary.latest(store.writer, 1)[0].seq > last
        forget.forget_all(store)
        conversation(store, ("2025-08-18 20:03", "四", ""))
        assert diary.latest(store.writer, 1)[0].seq > last + 1


@pytest.mark.parametrize(
    ("told", "question", "found"),
    [
        (("我下个月要去日本旅游",), "我九月份有什么计划", "去日本旅游"),
        (("I have a meeting on Thursday",), "What do I have on Thursday", "I have a meeting"),
        (("我喜欢吃面",), "我周五有什么安排", "2025-08-22 星期五 没有记下什么安排。"),
        (("周五我要去看牙医", "牙医改到下周一了"), "我周五有什么安排", "（其中“去看牙医”取消或改期了）"),
    ],
)
def test_who_asks_for_plans_means_the_day_that_comes(
    tmp_path: Path, told: tuple[str, ...], question: str, found: str
) -> None:
    with memory(tmp_path) as store:
        conversation(store, *((f"2025-08-{18 + day} 10:00", text, "") for day, text in enumerate(told)))
        text = ask(store, question).text
    assert found in text
    assert "没有谈话记录" not in text


@pytest.mark.parametrize("question", ["我周五去哪了", "周五我说了什么"])
def test_who_asks_what_was_means_the_day_that_is_past(tmp_path: Path, question: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-18 10:00", "这周五我要去看牙医", ""))
        assert ask(store, question).text == "2025-08-15 星期五 没有说过什么，没有谈话记录。"
