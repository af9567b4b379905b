"""Facts: found in what people say, kept with the time in which they held, asked for."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies
from memory_kit import NOW, ask, at, conversation, memory, turn

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import kinds, reading, writing
from xiaozhi_persona.memory.facts.questions import facts_asked
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.future_words import find_future
from xiaozhi_persona.memory.small_talk import is_small_talk
from xiaozhi_persona.memory.spoken import parse_command
from xiaozhi_persona.memory.words import query_terms

LOCAL = datetime(2025, 8, 20, 15, 30)


def told(text: str) -> list[tuple[str, str, str, str]]:
    return [(fact.subject, fact.attribute, fact.value, fact.tense) for fact in find_facts(text, LOCAL)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我叫小明", [("我", "名字", "小明", "is")]),
        (
            "你好，我叫李雷，今年三十岁，住在北京。",
            [("我", "名字", "李雷", "is"), ("我", "年龄", "三十岁", "is"), ("我", "住处", "北京", "is")],
        ),
        ("叫我老王就行", [("我", "称呼", "老王", "is")]),
        ("我搬到上海了", [("我", "住处", "上海", "is")]),
        ("我从北京搬到上海了", [("我", "住处", "北京", "was"), ("我", "住处", "上海", "is")]),
        ("我以前住在广州", [("我", "住处", "广州", "was")]),
        ("我对花生过敏", [("我", "过敏", "花生", "is")]),
        ("我对花生不过敏", [("我", "过敏", "花生", "not")]),
        ("不对，我不是对花生过敏，是对虾过敏", [("我", "过敏", "花生", "not"), ("我", "过敏", "虾", "is")]),
        ("我女儿对牛奶过敏", [("女儿", "过敏", "牛奶", "is")]),
        ("我有一只猫叫咪咪", [("我", "宠物", "猫", "is"), ("猫", "名字", "咪咪", "is")]),
        (
            "我有只小狗，叫豆豆，它三岁了",
            [("我", "宠物", "小狗", "is"), ("狗", "名字", "豆豆", "is"), ("狗", "年龄", "三岁", "is")],
        ),
        ("我女儿叫朵朵，今年五岁了", [("女儿", "名字", "朵朵", "is"), ("女儿", "年龄", "五岁", "is")]),
        ("我妈妈的生日是五月二十号", [("妈妈", "生日", "五月二十号", "is")]),
        ("我生日是3月5号", [("我", "生日", "3月5号", "is")]),
        (
            "我喜欢苹果、香蕉和橙子",
            [("我", "喜欢", "苹果", "is"), ("我", "喜欢", "香蕉", "is"), ("我", "喜欢", "橙子", "is")],
        ),
        ("我不喜欢吃香菜", [("我", "不喜欢", "吃香菜", "is")]),
        ("我不吃辣", [("我", "不吃", "辣", "is")]),
        ("我在腾讯上班", [("我", "工作单位", "腾讯", "is")]),
        ("我老公是程序员", [("老公", "职业", "程序员", "is")]),
        ("我是四川人", [("我", "家乡", "四川", "is")]),
        ("My name is Tom Lee", [("我", "名字", "Tom Lee", "is")]),
        ("I'm allergic to peanuts", [("我", "过敏", "peanuts", "is")]),
        (
            "I moved to Berlin last month and I love hiking",
            [("我", "住处", "Berlin", "is"), ("我", "喜欢", "hiking", "is")],
        ),
        ("I have a cat named Kitty", [("我", "宠物", "猫", "is"), ("猫", "名字", "Kitty", "is")]),
    ],
)
def test_what_people_say_about_themselves_is_found(
    text: str, expected: list[tuple[str, str, str, str]]
) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "我对什么过敏？", "我住在哪里", "我叫什么名字", "你知道我住哪吗", "我是不是住在北京", "如果我住在北京就好了", "听说他住在上海",
        "我叫外卖了", "我住院了", "我喜欢你", "我是好人", "我昨天去看了牙医", "明天天气怎么样", "明天早上七点叫我起床", "你明天要去开会",
        "我和小王去吃火锅了", "今天好热", "",
    ],
)  # fmt: skip
def test_questions_suppositions_and_other_talk_tell_nothing(text: str) -> None:
    assert told(text) == []


@settings(max_examples=300, deadline=None)
@given(
    strategies.lists(
        strategies.sampled_from(
            [
                *"我你他的叫住在对过敏喜欢不了吗有一只猫女儿生日下周三月号点半零十99，。？！、「」\x00\ud800",
                "my name is ",
                "明天",
                "记住",
                "搬到",
            ]
        )
    )
)
def test_whatever_is_said_the_rules_do_not_fail(parts: list[str]) -> None:
    text = "".join(parts)
    for fact in find_facts(text, LOCAL):
        assert fact.value or fact.tense == "not"
    for found in find_future(text, LOCAL):
        assert found.start < found.end
    facts_asked(text)
    parse_command(text)
    is_small_talk(text)
    query_terms(text)


@pytest.mark.parametrize(
    "text",
    [
        "我" + "刚" * 57 + "x",
        "麻烦你" * 30 + "x",
        "嗯" * 90 + "x",
        "我" + "最近就都" * 14 + "x",
        "有去" * 30 + "x",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    find_facts(text, LOCAL)
    parse_command(text)
    is_small_talk(text[:59])
    find_facts("明天我" + text[:50], LOCAL)
    assert time.process_time() - started < 0.2


def test_very_long_texts_do_no_harm() -> None:
    for text in (
        "我" * 5000,
        "叫" * 2000,
        "我对" + "花生" * 3000 + "过敏",
        "我有一只" * 800,
        "\ud800我叫小明",
        "我叫\x00",
    ):
        find_facts(text, LOCAL)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("下周三", "2025-08-27T00:00", "2025-08-28T00:00"),
        ("这周五下午三点", "2025-08-22T15:00", "2025-08-22T15:30"),
        ("周一", "2025-08-25T00:00", "2025-08-26T00:00"),
        ("明天晚上", "2025-08-21T18:00", "2025-08-22T00:00"),
        ("后天", "2025-08-22T00:00", "2025-08-23T00:00"),
        ("15号", "2025-09-15T00:00", "2025-09-16T00:00"),
        ("二十五号", "2025-08-25T00:00", "2025-08-26T00:00"),
        ("3月5号", "2026-03-05T00:00", "2026-03-06T00:00"),
        ("下个月3号", "2025-09-03T00:00", "2025-09-04T00:00"),
        ("下个月", "2025-09-01T00:00", "2025-10-01T00:00"),
        ("三天后", "2025-08-23T00:00", "2025-08-24T00:00"),
        ("下周末", "2025-08-30T00:00", "2025-09-01T00:00"),
        ("明天中午1点", "2025-08-21T13:00", "2025-08-21T13:30"),
        ("明天中午一点半", "2025-08-21T13:30", "2025-08-21T14:00"),
        ("明天中午十二点", "2025-08-21T12:00", "2025-08-21T12:30"),
        ("明天晚上12点", "2025-08-22T00:00", "2025-08-22T00:30"),
        ("明天夜里两点", "2025-08-22T02:00", "2025-08-22T02:30"),
        ("明天凌晨两点", "2025-08-21T02:00", "2025-08-21T02:30"),
        ("明天三点", "2025-08-21T15:00", "2025-08-21T15:30"),
        ("明天傍晚", "2025-08-21T17:00", "2025-08-21T19:30"),
        ("明天夜里", "2025-08-21T21:00", "2025-08-22T05:00"),
    ],
)
def test_days_ahead(text: str, start: str, end: str) -> None:
    (found,) = find_future(f"我{text}要去看牙医", LOCAL)
    assert (found.start, found.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize("text", ["2月30号", "13月1号", "99号", "九九九号", "下周八"])
def test_days_that_do_not_exist_are_none(text: str) -> None:
    assert [found for found in find_future(text, LOCAL) if found.text == text] == []


def test_a_new_home_ends_the_old_one_which_stays_answerable(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2024-03-01 10:00", "我住在北京", ""), ("2025-08-01 10:00", "我搬到上海了", ""))
        now = ask(store, "我住在哪")
        before = ask(store, "我以前住哪")
    assert "上海" in now.text
    assert "北京" not in now.text
    assert "北京" in before.text
    assert "2025-08-01 为止" in before.text


@pytest.mark.parametrize(
    ("before", "later", "attribute"),
    [
        ("我在阿里上班", "我以前在腾讯上班", "工作单位"),
        ("我是老师", "我以前是医生", "职业"),
        ("我住在上海", "我去年住在广州", "住处"),
        ("我妈妈叫王芳", "我妈叫我回家", "名字"),
    ],
)
def test_what_was_does_not_end_what_is(tmp_path: Path, before: str, later: str, attribute: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-01 10:00", before, ""), ("2025-08-20 10:00", later, ""))
        now = [
            fact for fact in reading.current(store.writer, diary.to_ms(NOW)) if fact.attribute == attribute
        ]
    assert len(now) == 1 and now[0].value in before


@pytest.mark.parametrize(
    ("before", "later"), [("我在阿里上班", "我不在阿里上班了"), ("我是老师", "我不是老师了")]
)
def test_what_is_taken_back_ends(tmp_path: Path, before: str, later: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-01 10:00", before, ""), ("2025-08-20 10:00", later, ""))
        assert reading.current(store.writer, diary.to_ms(NOW)) == []


def test_turns_told_in_the_wrong_order_make_the_same_history(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-01 10:00", "我搬到上海了", ""), ("2024-03-01 10:00", "我住在北京", ""))
        known = reading.everything(store.writer)
    assert [(fact.value, fact.valid_to_ms is None) for fact in known] == [("北京", False), ("上海", True)]
    assert known[0].valid_to_ms == known[1].valid_from_ms


def test_something_said_again_is_one_fact_and_traces_to_its_turn(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        first = turn("我对花生过敏", "2025-01-01 10:00")
        store.append(
            [first, turn("我对花生过敏", "2025-02-01 10:00"), turn("我花生过敏", "2025-03-01 10:00")]
        )
        (known,) = reading.everything(store.writer)
    assert (known.value, known.source) == ("花生", first.id)


def test_likes_and_dislikes_of_one_thing_end_each_other(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store, ("2025-01-01 10:00", "我不喜欢吃香菜", ""), ("2025-02-01 10:00", "我现在喜欢香菜了", "")
        )
        known = reading.current(store.writer, diary.to_ms(NOW))
    assert [(fact.attribute, fact.value) for fact in known] == [("喜欢", "香菜")]


def test_the_owners_correction_wins_and_is_kept_in_history(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-01-01 10:00", "我叫小明", ""))
        (fact,) = reading.everything(store.writer)
        with store.transaction() as db:
            assert writing.correct(db, fact.id, "小鸣", diary.to_ms(NOW))
            assert not writing.correct(db, 999, "x", diary.to_ms(NOW))
        (known,) = reading.current(store.writer, diary.to_ms(NOW))
        assert (known.value, known.pinned, known.confidence) == ("小鸣", True, writing.CORRECTED)
        guess = kinds.Finding("我", "名字", "大明")
        with store.transaction() as db:  # what a chat model guesses later does not
            assert not writing.keep(db, guess, diary.to_ms(NOW) + 1000, "x", confidence=0.6)
        assert [one.value for one in reading.everything(store.writer)] == ["小明", "小鸣"]


def test_a_deleted_fact_gives_back_what_it_had_ended(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2024-03-01 10:00", "我住在北京", ""), ("2025-08-01 10:00", "我搬到上海了", ""))
        shanghai = reading.everything(store.writer)[1]
        with store.transaction() as db:
            writing.delete(db, [shanghai.id])
        assert [(one.value, one.valid_to_ms) for one in reading.everything(store.writer)] == [("北京", None)]


def test_appointments_are_found_by_the_day_ahead_and_can_be_cancelled(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 10:00", "下周三我要去看牙医", "好的"))
        assert "2025-08-27 星期三 安排：“去看牙医”" in ask(store, "我下周三有什么事").text
        assert "没有记下什么安排" in ask(store, "我下周四有什么安排").text
        assert "牙医" in ask(store, "我有什么安排吗", at("2025-08-26 09:00")).text
        assert "牙医" in ask(store, "我今天有什么安排", at("2025-08-27 09:00")).text
        conversation(store, ("2025-08-20 11:00", "下周三的牙医取消了", ""))
        told = ask(store, "我下周三有什么事")
        assert not told.facts
        assert "“下周三我要去看牙医”（其中“去看牙医”取消或改期了）" in told.text


def test_questions_about_pets_and_relatives_find_their_facts(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-01 10:00", "我养了一只橘猫，叫大橘", ""),
            ("2025-08-01 10:01", "我女儿叫朵朵，她对牛奶过敏", ""),
            ("2025-08-01 10:02", "我叫李雷", ""),
        )
        assert "大橘" in ask(store, "我的猫叫什么名字").text
        assert "朵朵" in ask(store, "我女儿叫什么").text
        allergy = ask(store, "我女儿对什么过敏")
        assert [fact.value for fact in allergy.facts] == ["牛奶"]
        assert [fact.value for fact in ask(store, "我叫什么").facts] == ["李雷"]
        assert ask(store, "你叫什么名字").facts == []  # the assistant's own


def test_the_speaker_is_the_subject_when_he_is_known(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("我对花生过敏", speaker="小红"), turn("我对虾过敏", "2025-08-20 16:00")])
        assert {(fact.subject, fact.value) for fact in reading.everything(store.writer)} == {
            ("小红", "花生"),
            ("我", "虾"),
        }
        asked = ask(store, "我对什么过敏", at("2025-08-20 17:00")).text
        assert "2025-08-20 小红：“我对花生过敏”" in asked
        assert "2025-08-20 用户：“我对虾过敏”" in asked
