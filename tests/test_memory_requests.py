"""What a chat model asks of a memory: results with ids, corrections by id and by name, what would be forgotten."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, ask, memory, turn

from xiaozhi_persona.memory import diary, requests, spoken, wall_clock
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.forget import forget_marked
from xiaozhi_persona.memory.store import OwnerStore


def known(store: OwnerStore) -> list[str]:
    found = reading.current(store.writer, diary.to_ms(NOW))
    return sorted(f"{fact.subject} {fact.attribute} {fact.value}" for fact in found)


def told(store: OwnerStore, *texts: str) -> None:
    store.append([turn(text, NOW - timedelta(hours=2, minutes=-n)) for n, text in enumerate(texts)])


def test_what_is_shown_has_ids_and_says_of_an_empty_day_that_it_is_empty(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        told(store, "我住在杭州", "中午吃了面")
        text = requests.shown(ask(store, "今天我们聊了什么"), NOW)
        assert "\nt1 13:30 用户：“我住在杭州”\nt2 13:31 用户：“中午吃了面”" in text
        assert requests.shown(ask(store, "我住在哪里"), NOW).startswith("f1 ")
        assert "没有" in requests.shown(ask(store, "上周三我们聊了什么"), NOW)
        assert requests.shown(ask(store, "宇宙飞船"), NOW) == ""


@pytest.mark.parametrize(
    ("name", "value", "after"),
    [
        ("住处", "苏州", "我 住处 苏州"),
        ("我的住处", "苏州", "我 住处 苏州"),
        ("用户住在哪里", "苏州", "我 住处 苏州"),
        ("f1", "苏州", "我 住处 苏州"),
        ("F1", "苏州", "我 住处 苏州"),
        ("t1", "苏州", "我 住处 苏州"),
        ("妈妈的生日", "3月5日", "妈妈 生日 3月5日"),
        ("鞋码", "42", "我 鞋码 42"),
        ("门禁密码", "1234", "我 备忘 我的门禁密码是1234"),
    ],
)
def test_a_value_is_put_where_its_name_says(tmp_path: Path, name: str, value: str, after: str) -> None:
    with memory(tmp_path) as store:
        told(store, "我住在杭州")
        assert requests.put(store, name, value, NOW) == []
        assert after in known(store)
        assert ("我 住处 杭州" in known(store)) == (name in ("妈妈的生日", "鞋码", "门禁密码"))


def test_a_note_is_put_right_as_a_sentence(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        spoken.note(store, "我的门禁密码是1111", NOW)
        requests.put(store, "门禁密码", "2222", NOW)
        assert known(store) == ["我 备忘 我的门禁密码是2222"]


def test_of_several_facts_none_is_changed_and_all_are_named(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        told(store, "我喜欢苹果", "我喜欢香蕉")
        before = known(store)
        several = requests.put(store, "喜欢", "草莓", NOW)
        assert len(several) == 2 and known(store) == before
        assert requests.listed(several, NOW).count("\n") == 1
        apple = next(fact for fact in several if fact.value == "苹果")
        requests.put(store, f"f{apple.id}", "草莓", NOW)
        assert known(store) == ["我 喜欢 草莓", "我 喜欢 香蕉"]
        with pytest.raises(KeyError):
            requests.put(store, "f99", "x", NOW)


@pytest.mark.parametrize(
    ("value", "day", "what"),
    [("看眼科", 21, "看牙医"), ("后天", 22, "看牙医"), ("后天下午三点看牙医", 22, "看牙医")],
)
def test_an_appointment_keeps_what_is_not_corrected(tmp_path: Path, value: str, day: int, what: str) -> None:
    with memory(tmp_path) as store:
        told(store, "我明天下午三点要去看牙医")
        (fact,) = (fact for fact in reading.current(store.writer, diary.to_ms(NOW)) if fact.starts_ms)
        requests.put(store, f"f{fact.id}", value, NOW)
        (after,) = (fact for fact in reading.current(store.writer, diary.to_ms(NOW)) if fact.starts_ms)
        assert wall_clock.from_local_ms(after.starts_ms or 0).day == day
        assert "眼科" in after.value if "眼科" in value else what[1:] in after.value


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        ("小丽", "小丽要搬家"),
        ("忘掉小丽的事", "小丽要搬家"),
        ("关于小丽的事", "小丽要搬家"),
        ("t1", "我住在杭州"),
        ("f1", "我住在杭州"),
        ("刚才那句话", "中午吃了面"),
        ("我的住处", "我住在杭州"),
    ],
)
def test_what_is_chosen_is_what_is_forgotten(tmp_path: Path, what: str, gone: str) -> None:
    with memory(tmp_path) as store:
        told(store, "我住在杭州", "小丽要搬家", "中午吃了面")
        choice = requests.choose(store, what, NOW)
        assert choice.turns == 1 and gone in "".join(choice.examples) + "我住在杭州" * choice.facts
        assert len(diary.latest(store.writer, 9)) == 3
        forget_marked(store, choice.marked)
        assert gone not in [entry.text for entry in diary.latest(store.writer, 9)]
        assert len(diary.latest(store.writer, 9)) == 2


def test_the_words_that_ask_go_along_and_count_for_nothing(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        asking = turn("忘掉小丽，我叫小刚", NOW)
        store.append([turn("小丽要搬家", NOW - timedelta(hours=1)), asking])
        choice = requests.choose(store, "小丽", NOW, [asking.id])
        assert (choice.turns, choice.facts) == (1, 0) and "小刚" not in "".join(choice.examples)
        forget_marked(store, choice.marked)
        assert diary.latest(store.writer, 9) == [] and known(store) == []
        store.append([turn("小丽要搬家", NOW), asking])
        assert requests.choose(store, "刚才那句话", NOW, [asking.id]).examples == ("“小丽要搬家”",)
        assert requests.choose(store, "小刚", NOW, [asking.id]).is_empty


def test_everything_and_nothing_are_told_apart(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        told(store, "我住在杭州", "小丽要搬家")
        for what in ("全部", "所有记忆", "忘掉全部记忆", "everything"):
            choice = requests.choose(store, what, NOW)
            assert choice.everything and (choice.turns, choice.facts) == (2, 1), what
        for what in ("张三", "t99", "f99", "昨天", "%", "_"):
            assert requests.choose(store, what, NOW).is_empty, what
