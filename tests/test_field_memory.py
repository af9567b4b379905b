"""What people really say: which facts hold after it. The cases lie in data/field_memory.yaml."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from memory_kit import NOW, ask, conversation, memory, turn

from xiaozhi_persona.memory import diary, schema
from xiaozhi_persona.memory.facts import reading, rereading, writing
from xiaozhi_persona.memory.facts.kinds import Fact, Finding
from xiaozhi_persona.providers.llm.offline import reply
from xiaozhi_persona.spine import Message

CASES = yaml.safe_load((Path(__file__).parent / "data" / "field_memory.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=str(case["said"])) for cases in CASES.values() for case in cases],
)
def test_what_holds_after_it_was_said(tmp_path: Path, case: dict[str, Any]) -> None:
    said = [case["said"]] if isinstance(case["said"], str) else case["said"]
    with memory(tmp_path) as store:
        for day, text in enumerate(said):
            store.append([turn(text, NOW - timedelta(days=len(said) - day))])
        holds = reading.current(store.writer, diary.to_ms(NOW))
        ended = [fact for fact in reading.everything(store.writer) if fact.valid_to_ms is not None]
    assert sorted(map(_words, holds)) == sorted(case["holds"])
    assert sorted(map(_words, ended)) == sorted(case.get("ended", []))


def _words(fact: Fact) -> str:
    return f"{fact.subject} {fact.attribute} {fact.value}"


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("我有个同学，对花生过敏", "我同学对什么过敏"),
        ("I am allergic to peanuts", "What am I allergic to"),
        ("我女儿叫朵朵，她对牛奶过敏", "我女儿叫什么"),
        ("誕生日は5月5日です", "我生日是哪天"),
        ("听说了吗，我搬到上海去了", "我住在哪"),
    ],
)
def test_what_is_recalled_is_the_sentence_as_it_was_said(tmp_path: Path, said: str, question: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-18 10:00", said, ""))
        found = ask(store, question)
    assert found.facts
    assert found.text == f"- 2025-08-18 用户：“{said}”"


def test_a_sentence_that_told_several_things_stands_there_once_and_says_which_of_them_are_over(
    tmp_path: Path,
) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2024-03-01 10:00", "我叫李雷，住在北京，在腾讯上班", ""),
            ("2025-08-01 10:00", "我搬到上海了", ""),
        )
        name = ask(store, "我叫什么，在哪工作").text
        home = ask(store, "我住在哪").text
        before = ask(store, "我以前住哪").text.splitlines()
    assert (
        name
        == "- 2024-03-01 用户：“我叫李雷，住在北京，在腾讯上班”（其中“北京”是以前的事，到 2025-08-01 为止）"
    )
    assert home.splitlines()[0] == "- 2025-08-01 用户：“我搬到上海了”"
    assert (
        before[0] == "- 2024-03-01 用户：“我叫李雷，住在北京，在腾讯上班”（是以前的事，到 2025-08-01 为止）"
    )


def test_what_was_set_by_hand_or_corrected_is_named_and_quotes_only_what_was_said(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store, ("2025-08-18 10:00", "我住在北京", "好"), ("2025-08-18 10:01", "不对，是上海", "")
        )
        assert ask(store, "我住在哪").text == "- 2025-08-18 用户的住处：上海（用户改口说：“不对，是上海”）"
        (fact,) = reading.current(store.writer, diary.to_ms(NOW))
        with store.transaction() as db:
            writing.correct(db, fact.id, "杭州", diary.to_ms(NOW))
        assert ask(store, "我住在哪").text == "- 2025-08-20 用户的住处：杭州"


def test_a_joke_of_the_next_turn_takes_back_the_turn_before(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-18 10:00", "我住在杭州", "好"),
            ("2025-08-19 10:00", "我搬到月球了", "真的？"),
            ("2025-08-19 10:01", "哈哈，逗你玩的", ""),
        )
        assert [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))] == ["杭州"]


def test_a_joke_of_somebody_else_takes_back_nothing(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("我住在杭州", NOW - timedelta(minutes=9))])
        store.append([turn("骗你的", NOW - timedelta(minutes=8), speaker="小红")])
        assert [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))] == ["杭州"]
        store.append([turn("我住在北京", NOW - timedelta(minutes=7), speaker="小红")])
        store.append([turn("骗你的", NOW - timedelta(minutes=6), speaker="小红")])
        assert [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))] == ["杭州"]


def test_facts_that_other_rules_found_are_read_anew_and_what_was_set_by_hand_stays(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-01 10:00", "我住在杭州", ""),
            ("2025-08-02 10:00", "我有个同学，住在北京", ""),
            ("2025-08-03 10:00", "我对花生过敏", ""),
            ("2025-08-04 10:00", "我叫奥特曼", ""),
            ("2025-08-04 10:01", "我开玩笑的", ""),
        )
        turns = {entry.text: entry for entry in diary.everything(store.writer)}
        (peanuts,) = [fact for fact in reading.everything(store.writer) if fact.value == "花生"]
        with store.transaction() as db:
            wrong = Finding("我", "住处", "北京")
            other = turns["我有个同学，住在北京"]
            db.execute("delete from fact where subject = '同学'")
            assert writing.keep(db, wrong, other.at_ms, other.id)
            joke = turns["我叫奥特曼"]
            assert writing.keep(db, Finding("我", "名字", "奥特曼"), joke.at_ms, joke.id)
            writing.correct(db, peanuts.id, "核桃", diary.to_ms(NOW))
            db.execute("delete from meta where key = ?", (schema.FACTS_VERSION,))
    with memory(tmp_path) as store:
        assert store.index_state == "reread"
        assert store.rebuild() == 5
        holds = {_words(fact) for fact in reading.current(store.writer, diary.to_ms(NOW))}
    assert holds == {"我 住处 杭州", "同学 住处 北京", "我 过敏 核桃"}
    with memory(tmp_path) as store:
        assert store.index_state == "ok"


@pytest.mark.parametrize(
    "said",
    [
        ["周五我要去看牙医", "不对，是周六"],
        ["我叫小明", "不对，是小刚"],
        ["我住在北京", "不是北京，是上海"],
        ["我对花生过敏", "不对，我对腰果过敏"],
        ["我住在北京，不对，是上海"],
        ["我叫小明", "不对，是小刚", "我叫小明"],
    ],
)
def test_what_was_corrected_stays_so_when_it_is_read_again(tmp_path: Path, said: list[str]) -> None:
    with memory(tmp_path) as store:
        for minute, text in enumerate(said):
            store.append([turn(text, NOW - timedelta(days=1, minutes=len(said) - minute))])
        before = {(_words(fact), fact.starts_ms) for fact in reading.current(store.writer, diary.to_ms(NOW))}
        for _ in range(2):
            with store.transaction() as db:
                rereading.reread(db)
            holds = [
                (_words(fact), fact.starts_ms) for fact in reading.current(store.writer, diary.to_ms(NOW))
            ]
            assert len(holds) == len(before) == 1
            assert set(holds) == before


@pytest.mark.parametrize(
    ("said", "question", "answer"),
    [
        (["我对虾过敏", "我有个同学，对花生过敏"], "我对什么过敏", "你对虾过敏"),
        (["我叫李雷，住在北京", "我搬到上海去了"], "我住在哪里", "你住在上海"),
        (["我叫李雷，住在北京", "我搬到上海去了"], "我叫什么名字", "你叫李雷"),
        (["我住在北京", "不对，是上海"], "我住在哪里", "你住在上海"),
        (["我梦见我叫小强", "我叫李雷"], "我叫什么名字", "你叫李雷"),
    ],
)
def test_the_offline_model_answers_by_the_rules_of_the_memory(
    tmp_path: Path, said: list[str], question: str, answer: str
) -> None:
    with memory(tmp_path) as store:
        for minute, text in enumerate(said):
            store.append([turn(text, NOW - timedelta(days=1, minutes=len(said) - minute))])
        recalled = ask(store, question).text
    system = f"现在是{NOW:%Y-%m-%d %H:%M}\n<memory>\n{recalled}\n</memory>"
    assert answer in reply([Message("system", system), Message("user", question)])


@pytest.mark.parametrize(
    ("text", "question", "wrong"),
    [
        ("如果我住在北京就好了", "我住在哪里", "我记得，你住在"),
        ("我梦见我叫小强", "我叫什么名字", "我记得，你叫"),
        ("我妈妈说我喜欢吃鱼", "我喜欢吃什么", "我记得，你喜欢"),
        ("我有个同学，对花生过敏", "我对什么过敏", "你对花生过敏"),
    ],
)
def test_the_offline_model_takes_for_a_fact_only_what_the_memory_does(
    text: str, question: str, wrong: str
) -> None:
    heard = [Message("user", text), Message("assistant", "好。"), Message("user", question)]
    assert wrong not in reply(heard)
