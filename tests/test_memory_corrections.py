"""Corrections in conversation: the value that was stated last is replaced, and nothing that was not meant."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, ask, conversation, memory, turn

from xiaozhi_persona.memory import diary, wall_clock
from xiaozhi_persona.memory.facts import kinds, reading, writing
from xiaozhi_persona.memory.store import OwnerStore


def known(store: OwnerStore, attribute: str = "") -> list[tuple[str, str, str]]:
    later = diary.to_ms(NOW + timedelta(days=1))
    return [
        (fact.subject, fact.attribute, fact.value)
        for fact in reading.current(store.writer, later)
        if not attribute or fact.attribute == attribute
    ]


def told(root: Path, *said: str) -> list[tuple[str, str, str]]:
    """Return what is known after these words of the user, each answered, in one conversation."""
    with memory(root) as store:
        for number, text in enumerate(said):
            at = NOW + timedelta(seconds=20 * number)
            store.append([turn(text, at), turn("嗯，好的。", at + timedelta(seconds=5), "assistant")])
        return known(store)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("我住在北京", "不是北京，是上海"), [("我", "住处", "上海")]),
        (("我住在北京", "不对不对，不是北京，是上海"), [("我", "住处", "上海")]),
        (("我住在北京", "不对，是上海"), [("我", "住处", "上海")]),
        (("我住在北京", "不对，上海"), [("我", "住处", "上海")]),
        (("我住在北京", "哦，说错了，是上海"), [("我", "住处", "上海")]),
        (("我住在北京", "我说错了，应该是上海"), [("我", "住处", "上海")]),
        (("我住在北京", "我不是住北京，是住上海"), [("我", "住处", "上海")]),
        (("我住在北京", "我不住北京，我住上海"), [("我", "住处", "上海")]),
        (("我住在北京", "今天好热", "不对，是上海"), [("我", "住处", "上海")]),
        (("我叫小明", "我不叫小明，我叫小红"), [("我", "名字", "小红")]),
        (("我叫小明", "我不是小明，我是小红"), [("我", "名字", "小红")]),
        (("我叫小明", "不是小明，是小红"), [("我", "名字", "小红")]),
        (("我叫小明", "不对，是小红"), [("我", "名字", "小红")]),
        (("我女儿叫朵朵", "不对，是多多"), [("女儿", "名字", "多多")]),
        (("我对花生过敏", "不是花生，是芒果"), [("我", "过敏", "芒果")]),
        (("我喜欢苹果和香蕉", "不是苹果，是梨"), [("我", "喜欢", "香蕉"), ("我", "喜欢", "梨")]),
        (("我的生日是3月5号", "说错了，是3月6号"), [("我", "生日", "3月6号")]),
        (("我今年三十岁", "不对，是三十一岁"), [("我", "年龄", "三十一岁")]),
        (("我是医生", "不是医生，是护士"), [("我", "职业", "护士")]),
        (("我是医生", "我不是医生，我是护士"), [("我", "职业", "护士")]),
        (("我在腾讯上班", "我不是在腾讯上班，是在阿里上班"), [("我", "工作单位", "阿里")]),
        (("我的电话是123456", "不对，是654321"), [("我", "电话", "654321")]),
        (("我养了一只猫", "不对，是狗"), [("我", "宠物", "狗")]),
        (("我住在北京", "不对，我住在上海"), [("我", "住处", "上海")]),
        (("我对花生过敏", "说错了，我对芒果过敏"), [("我", "过敏", "芒果")]),
        (("我对花生过敏", "我对芒果过敏"), [("我", "过敏", "花生"), ("我", "过敏", "芒果")]),
        (("我住在北京，不对，是上海",), [("我", "住处", "上海")]),
        (("我住在北京，哦不对，我住在上海",), [("我", "住处", "上海")]),
        (("我对花生过敏，说错了，是芒果",), [("我", "过敏", "芒果")]),
        (("我住在广州", "他说他住在北京，不对，是上海"), [("我", "住处", "广州")]),
        (("我住在广州", "我喜欢吃鱼，不对，是虾"), [("我", "住处", "广州"), ("我", "喜欢", "虾")]),
        (("我对花生过敏", "不对劲，我对芒果过敏"), [("我", "过敏", "花生"), ("我", "过敏", "芒果")]),
        (("我的星座是狮子座，我住在北京", "不对，是上海"), [("我", "星座", "狮子座"), ("我", "住处", "上海")]),
    ],
)  # fmt: skip
def test_what_was_stated_last_is_corrected(
    tmp_path: Path, said: tuple[str, ...], expected: list[tuple[str, str, str]]
) -> None:
    assert sorted(told(tmp_path, *said)) == sorted(expected)


@pytest.mark.parametrize(
    ("said", "correction", "start"),
    [
        ("下周三我要去看牙医", "说错了，是星期五", "2025-08-29T00:00:00"),
        ("下周三我要去看牙医", "不是周三，是周五", "2025-08-29T00:00:00"),
        ("明天下午三点我要开会", "不对，是后天", "2025-08-22T15:00:00"),
        ("明天下午三点我要开会", "不对，是四点", "2025-08-21T16:00:00"),
        ("明天下午三点我要开会", "说错了，是上午十点", "2025-08-21T10:00:00"),
        ("明天下午三点我要开会", "不对，后天下午四点我要开会", "2025-08-22T16:00:00"),
    ],
)
def test_the_day_or_the_hour_of_an_appointment_is_corrected(
    tmp_path: Path, said: str, correction: str, start: str
) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 15:30", said, "好"), ("2025-08-20 15:31", correction, "好"))
        (left,) = [fact for fact in reading.everything(store.writer) if fact.valid_to_ms is None]
    assert wall_clock.from_local_ms(left.starts_ms or 0).isoformat() == start


@pytest.mark.parametrize(
    ("said", "correction"),
    [
        (("我住在北京",), "不是我，是他"),
        (("我喜欢苹果",), "这不是苹果，是梨"),
        (("我喜欢苹果",), "他不是苹果，是梨"),
        (("我叫小明",), "不是，是他"),
        (("我叫小明",), "不对，是他"),
        (("我住在北京",), "不对，是你说错了"),
        (("我住在北京",), "不对，是我说错了"),
        (("我住在北京",), "不对，是这样的"),
        (("我住在北京",), "不对，是因为下雨"),
        (("我住在北京",), "不对，是三十岁"),
        (("我住在北京",), "不对，是不是上海？"),
        (("我住在北京",), "不对，是上海吗"),
        (("我住在北京",), "不是北京，是上海吗"),
        (("我住在北京",), "首都不是上海，是北京"),
        (("我住在北京",), "不是广州，是上海"),
        (("我今年三十岁",), "不对，是上海"),
        (("我的生日是3月5号",), "不对，是小红"),
        (("我叫小明，住在北京",), "不对，是另外一个"),
        (("我喜欢苹果和香蕉",), "不对，是梨"),
        (("我住在北京", "今天好热", "好无聊", "讲个笑话"), "不对，是上海"),
        (("我住在北京",), "不对"),
        (("我住在北京",), "不是北京"),
        (("我住在北京",), "不是不是"),
        (("我住在北京",), "如果不是北京，是上海就好了"),
        (("我住在北京",), "他说不是北京，是上海"),
    ],
)  # fmt: skip
def test_what_is_no_correction_changes_nothing(
    tmp_path: Path, said: tuple[str, ...], correction: str
) -> None:
    before = told(tmp_path / "a", *said)
    assert before
    assert told(tmp_path / "b", *said, correction) == before


@pytest.mark.parametrize(
    "answer",
    ["我记得，你住在北京。", "你住在北京，对吗？", "我记得，8月19日你说过：你住在北京。", "您现在住北京吧？"],
)
def test_a_value_that_was_only_said_back_is_corrected_too(tmp_path: Path, answer: str) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-01-01 10:00", "我住在北京", "好"),
            ("2025-08-20 10:00", "我住哪里", answer),
            ("2025-08-20 10:01", "不是北京，是上海", "好"),
        )
        assert known(store) == [("我", "住处", "上海")]


@pytest.mark.parametrize("answer", ["北京今天晴。", "中国的首都是北京。", "好的，给你查北京的天气。"])
def test_a_value_that_was_said_of_something_else_is_left_alone(tmp_path: Path, answer: str) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-01-01 10:00", "我住在北京", "好"),
            ("2025-08-20 10:00", "今天天气怎么样", answer),
            ("2025-08-20 10:01", "不是北京，是上海", "好"),
        )
        assert known(store) == [("我", "住处", "北京")]


def test_a_value_of_long_ago_of_which_nobody_spoke_is_left_alone(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-01-01 10:00", "我喜欢苹果", "好"),
            ("2025-08-20 10:00", "画上是什么", "看起来是水果"),
            ("2025-08-20 10:01", "不是苹果，是梨", "好"),
        )
        assert known(store) == [("我", "喜欢", "苹果")]


@pytest.mark.parametrize("correction", ["不对，是上海", "不对，我住在上海", "不是北京，是上海"])
def test_what_was_corrected_is_in_the_history_but_was_never_so(tmp_path: Path, correction: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 10:00", "我住在北京", "好"), ("2025-08-20 10:01", correction, "好"))
        assert len(reading.everything(store.writer)) == 2
        assert "我住在北京" not in ask(store, "我以前住哪").text
        assert "上海" in ask(store, "我住哪").text
        (fact,) = [fact for fact in reading.everything(store.writer) if fact.value == "上海"]
        assert fact.confidence == writing.CORRECTED
        assert fact.source
        with store.transaction() as db:  # what a chat model guesses later does not win
            assert not writing.keep(
                db, kinds.Finding("我", "住处", "北京"), diary.to_ms(NOW), "x", confidence=0.7
            )


def test_a_correction_that_is_forgotten_gives_back_what_it_had_ended(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store, ("2025-08-20 10:00", "我住在北京", "好"), ("2025-08-20 10:01", "不对，是上海", "好")
        )
        (fact,) = reading.current(store.writer, diary.to_ms(NOW))
        with store.transaction() as db:
            writing.delete(db, [fact.id])
        assert known(store) == [("我", "住处", "北京")]


def test_a_fact_corrected_to_the_same_value_still_holds(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 10:00", "我住在北京", "好"))
        (fact,) = reading.current(store.writer, diary.to_ms(NOW))
        with store.transaction() as db:
            writing.correct(db, fact.id, "北京", diary.to_ms(NOW))
        assert known(store) == [("我", "住处", "北京")]


def test_a_corrected_appointment_keeps_its_date(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("我下周三要去看牙医")])
        (fact,) = reading.everything(store.writer)
        with store.transaction() as db:
            writing.correct(db, fact.id, "看眼科", diary.to_ms(NOW))
        day = datetime(2025, 8, 27)
        found = reading.appointments(store.writer, day, day + timedelta(days=1))
        assert [appointment.value for appointment in found] == ["看眼科"]


@pytest.mark.parametrize("set_back", [timedelta(0), timedelta(hours=1), timedelta(days=5)])
def test_a_correction_holds_also_when_the_clock_was_set_back(tmp_path: Path, set_back: timedelta) -> None:
    with memory(tmp_path) as store:
        store.append([turn("我住在广州", NOW - timedelta(days=9)), turn("我住在北京", NOW)])
        (fact,) = [fact for fact in reading.everything(store.writer) if fact.value == "北京"]
        with store.transaction() as db:
            writing.correct(db, fact.id, "上海", diary.to_ms(NOW - set_back))
        for asked_at in (NOW - set_back, NOW, NOW + timedelta(days=1)):
            assert [shown.value for shown in ask(store, "我住在哪", asked_at).facts] == ["上海"]


def test_what_was_corrected_is_said_to_be_wrong_beside_what_holds_also_of_several_values(
    tmp_path: Path,
) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-10 10:00", "我对虾过敏", "虾要当心"),
            ("2025-08-20 10:00", "我对花生过敏", "花生要当心"),
            ("2025-08-20 10:01", "不对，是芒果", "好"),
        )
        found = ask(store, "我对什么过敏")
        assert {fact.value for fact in found.facts} == {"虾", "芒果"}
        assert "“我对花生过敏”（其中“花生”说错了）" in found.text
