"""Forgetting: gone from the answers at once, and from every file soon after."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, ask, at, conversation, memory, turn

from xiaozhi_persona.memory import diary, facts, forget, spoken
from xiaozhi_persona.memory.store import FILE, OwnerStore, delete_owner, owner_folder, set_aside


def leaks(folder: Path, *words: str) -> list[str]:
    """Return where the words stand in any file of an owner, as UTF-8 or inside of index words."""
    return [
        f"{path.name}: {word}"
        for path in folder.rglob("*")
        if path.is_file()
        for word in words
        if word.encode() in path.read_bytes()
    ]


def filled(store: OwnerStore) -> None:
    start = at("2025-08-01 09:00")
    for part in range(4):  # several transactions, so that the index has several segments
        store.append(
            [turn(f"第{part}组第{n}句平常的话", start + timedelta(hours=part, seconds=n)) for n in range(300)]
        )
    conversation(
        store,
        ("2025-08-19 10:00", "我的密码本藏在樱桃木柜子里", "樱桃木柜子，我记住了"),
        ("2025-08-19 11:00", "我对芒果过敏", "芒果过敏可要当心"),
        ("2025-08-20 10:00", "王小虎昨天来我家了", "王小虎是谁呀"),
        ("2025-08-20 11:00", "我有个朋友叫王小虎", ""),
    )


def test_a_range_is_gone_from_answers_at_once_and_from_the_files_after_scrubbing(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        assert leaks(store.folder, "樱桃", "桃木", "芒果")
        gone = forget.forget_range(store, at("2025-08-19 00:00"), at("2025-08-20 00:00"))
        assert (gone.turns, gone.facts) == (4, 1)
        assert ask(store, "昨天我们聊了什么").turns == []
        assert ask(store, "樱桃木柜子").text == ""
        assert ask(store, "我对什么过敏").facts == []
        forget.scrub(store)
        assert leaks(store.folder, "樱桃", "桃木", "木柜", "芒果", "樱", "芒") == []
        assert diary.count(store.reader) == 1203
        assert store.check() == []
        assert ask(store, "平常的话第7句").turns


def test_a_person_is_forgotten_with_all_that_mentions_him(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        gone = forget.forget_mention(store, "王小虎")
        assert (gone.turns, gone.facts) == (3, 1)
        forget.scrub(store)
        assert leaks(store.folder, "王小虎", "小虎") == []
        assert forget.forget_mention(store, "%") == forget.Forgotten()


def test_a_fact_is_forgotten_with_the_turn_that_told_it_and_the_answer(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        (allergy,) = [fact for fact in facts.everything(store.writer) if fact.attribute == "过敏"]
        assert forget.forget_facts(store, [allergy.id]) == forget.Forgotten(2, 1)
        forget.scrub(store)
        assert leaks(store.folder, "芒果") == []


def test_all_is_deleted_with_set_aside_files(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as store:
        filled(store)
    set_aside(folder, "甲")
    assert delete_owner(folder) >= 3
    assert not folder.exists()


def test_set_aside_files_and_waiting_turns_do_not_keep_what_is_forgotten(tmp_path: Path) -> None:
    folder = owner_folder(tmp_path, "甲")
    with memory(tmp_path) as store:
        filled(store)
    set_aside(folder, "甲")
    assert any("damaged" in leak for leak in leaks(folder, "樱桃"))
    with memory(tmp_path) as store:
        store.put_aside_for_later([turn("又说起樱桃木柜子", "2025-08-19 15:00")])
        forget.forget_range(store, at("2025-08-19 00:00"), at("2025-08-20 00:00"))
        forget.scrub(store)
        assert leaks(folder, "樱桃", "桃木") == []


def test_turns_can_be_written_and_recalled_while_the_file_is_scrubbed(tmp_path: Path) -> None:
    with memory(tmp_path) as store, memory(tmp_path) as other:
        filled(store)
        other.reader.execute("begin")
        other.reader.execute("select count(*) from turn").fetchone()
        forget.forget_range(store, at("2025-08-19 00:00"), at("2025-08-20 00:00"))
        other.reader.execute("commit")
        forget.scrub(store)
        store.append([turn("接着说", NOW)])
        assert ask(store, "今天我们聊了什么").turns[-1].text == "接着说"


def test_what_is_older_than_the_retention_goes_and_facts_that_hold_stay(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        conversation(store, ("2024-01-01 10:00", "我叫小明", ""), ("2024-01-02 10:00", "我住在北京", ""))
        conversation(store, ("2024-02-02 10:00", "我搬到上海了", ""))
        assert forget.expire(store, 0, NOW) == forget.Forgotten()
        assert forget.expire(store, 100, NOW) == forget.Forgotten(3, 1)
        values = [fact.value for fact in facts.current(store.writer, diary.to_ms(NOW))]
        assert {"小明", "上海"} <= set(values)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("这段不要记", "off"), ("接下来的话别记", "off"), ("别记了", "off"), ("这件事不要记录下来", "off"), ("off the record", "off"),
        ("可以记了", "on"), ("继续记吧", "on"), ("开始记录吧", "on"), ("记住我对花生过敏", "remember"), ("帮我记一下，车停在B2", "remember"),
        ("忘掉昨天的事", "forget"), ("把刚才说的话忘掉", "forget"), ("忘掉关于小王的事", "forget"), ("请忘记我的生日", "forget"),
        ("把所有记忆都删掉", "ask_forget_all"), ("确定忘掉全部记忆", "forget_all"),
        ("别忘记明天开会", None), ("我忘了带钥匙", None), ("我不记得了", None), ("你记住了吗", None), ("忘记密码怎么办", None), ("你好", None),
        ("我喜欢记录生活", None), ("不要忘了我", None), ("", None),
    ],
)  # fmt: skip
def test_what_is_said_to_the_memory_itself(text: str, kind: str | None) -> None:
    command = spoken.parse_command(text)
    assert (command.kind if command else None) == kind


def test_spoken_commands_are_carried_out(tmp_path: Path) -> None:
    def say(text: str) -> str:
        command = spoken.parse_command(text)
        assert command is not None
        return spoken.carry_out(store, command, NOW)[0]

    with memory(tmp_path) as store:
        filled(store)
        assert "记住" in say("记住我的车牌是沪A12345")
        assert "记住" in say("帮我记一下，车停在地下二层")
        assert "沪A12345" in ask(store, "我的车牌是多少").text
        assert "地下二层" in ask(store, "车停在哪里").text
        conversation(store, ("2025-08-20 15:00", "樱桃树开花了", "真好看"))
        assert "记住" in say("记住这件事")
        assert "樱桃树" in ask(store, "樱桃树怎么样了").text
        assert "忘掉了" in say("忘掉这件事")
        assert [turn.text for turn in diary.latest(store.reader, 1)] != ["真好看"]
        assert "忘掉了" in say("忘掉我对芒果过敏")
        assert ask(store, "我对什么过敏").facts == []
        assert "忘掉了" in say("忘掉关于王小虎的事")
        assert "王小虎" not in ask(store, "王小虎是谁").text
        assert "没有记着" in say("忘掉关于外星人的事")
        assert "忘掉了" in say("忘掉昨天的事")
        assert "没有谈话记录" in ask(store, "昨天我们聊了什么").text
        assert "确定" in say("把所有记忆都删掉")
        assert diary.count(store.reader) == 1200
        say("这段不要记")
        assert store.off_record
    with memory(tmp_path) as store:
        assert store.off_record  # until told otherwise
        say("可以记了")
        assert not store.off_record
        assert (store.folder / FILE).exists()
