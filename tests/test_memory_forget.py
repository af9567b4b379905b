"""Forgetting: gone from the answers at once, and from every file soon after."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from memory_kit import NOW, ZONE, ask, at, conversation, memory, turn

from xiaozhi_persona.memory import diary, forget, spoken
from xiaozhi_persona.memory.facts import kinds, reading, rereading, writing
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


@pytest.mark.parametrize("zone", [ZONE, timezone(-timedelta(hours=7))])
def test_a_range_is_forgotten_with_the_facts_set_by_hand_in_it(tmp_path: Path, zone: timezone) -> None:
    """Also when the machine's clock is in another zone than the owner's."""
    morning = datetime(2025, 8, 19, 0, 30, tzinfo=zone)
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-10 10:00", "我叫小明", "好"), ("2025-08-10 10:01", "我住在北京", "好"))
        (name,) = [fact for fact in reading.everything(store.writer) if fact.value == "小明"]
        with store.transaction() as db:
            writing.correct(db, name.id, "樱桃子", diary.to_ms(morning))
        remember = spoken.parse_command("记住我的车牌是沪A12345")
        assert remember
        spoken.carry_out(store, remember, morning + timedelta(hours=23))
        spoken.carry_out(store, spoken.Command("remember", "我以前住在桃木镇"), morning)
        spoken.carry_out(store, spoken.Command("remember", "我的电话是110"), morning + timedelta(hours=24))
        spoken.carry_out(store, spoken.Command("remember", "我的邮箱是a@b"), morning - timedelta(hours=1))
        set_aside(store.folder, "甲")
    with memory(tmp_path) as store:
        with store.transaction() as db:
            writing.keep(db, kinds.Finding("我", "名字", "樱桃子"), diary.to_ms(morning), pinned=True)
            writing.keep(db, kinds.Finding("我", "邮箱", "a@b"), diary.to_ms(morning) - 3_600_000)
            writing.keep(db, kinds.Finding("我", "电话", "110"), diary.to_ms(morning) + 86_400_000)
            writing.keep(db, kinds.Finding("我", "车牌", "沪A12345"), diary.to_ms(morning) + 23 * 3_600_000)
            writing.keep(db, kinds.Finding("我", "住处", "桃木镇", "was"), diary.to_ms(morning))
        assert leaks(store.folder, "樱桃子", "沪A12345", "桃木镇")
        forget.forget_range(store, *(datetime(2025, 8, day, tzinfo=zone) for day in (19, 20)))
        forget.scrub(store)
        assert leaks(store.folder, "樱桃子", "沪A12345", "沪a12345", "桃木镇") == []
        assert {fact.value for fact in reading.everything(store.writer)} >= {"北京", "110", "a@b"}


def test_the_trace_of_a_fact_whose_turn_has_expired_is_forgotten_by_its_date(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2024-01-05 10:00", "我对樱桃过敏", "好"))
        assert forget.expire(store, 100, NOW).turns == 2
        assert forget.forget_range(store, at("2024-01-06 00:00"), at("2024-01-07 00:00")).facts == 0
        assert forget.forget_range(store, at("2024-01-05 00:00"), at("2024-01-06 00:00")).facts == 1


def test_remember_this_goes_with_the_turn_that_it_was_said_of(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 15:00", "樱桃树开花了", "真好看"))
        spoken.carry_out(store, spoken.Command("remember", "这件事"), NOW)
        forget.forget_range(store, at("2025-08-20 15:00"), at("2025-08-20 15:10"))
        forget.scrub(store)
        assert leaks(store.folder, "樱桃") == []


@pytest.mark.parametrize(
    ("said", "gone", "stays"),
    [
        ("忘掉我的猫", ["大橘", "橘猫", "猫粮"], ["熊猫", "旺财", "热狗"]),
        ("忘掉关于猫的事", ["大橘", "橘猫", "猫粮"], ["熊猫", "旺财", "热狗"]),
        ("把我的猫忘掉", ["大橘", "橘猫"], ["旺财"]),
        ("把我家的狗忘了", ["旺财", "小狗"], ["大橘", "热狗", "熊猫"]),
        ("忘掉我家那只狗", ["旺财", "小狗"], ["大橘", "热狗"]),
        ("忘掉我妈", ["王芳", "我妈"], ["大橘", "姨妈"]),
        ("忘掉关于茶的事", ["龙井茶"], ["大橘"]),
        ("忘掉我的女儿", ["朵朵", "女儿"], ["大橘"]),
    ],
)
def test_names_of_one_letter_are_forgotten_by_voice(
    tmp_path: Path, said: str, gone: list[str], stays: list[str]
) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-01 10:00", "我养了一只橘猫，叫大橘", "真可爱"),
            ("2025-08-02 10:00", "我买了猫粮", "好"),
            ("2025-08-02 11:00", "大橘今天不吃饭", "要看医生吗"),
            ("2025-08-03 10:00", "我有只小狗，叫旺财", "好"),
            ("2025-08-03 11:00", "中午吃了热狗", "好吃吗"),
            ("2025-08-03 12:00", "动物园里有熊猫", "好"),
            ("2025-08-04 10:00", "我妈叫王芳", "好"),
            ("2025-08-04 11:00", "姨妈来我家了", "好"),
            ("2025-08-05 10:00", "我喝了龙井茶", "好"),
            ("2025-08-05 11:00", "我女儿叫朵朵", "好"),
            ("2025-08-05 12:00", "朵朵上学了", "好"),
        )
        command = spoken.parse_command(said)
        assert command is not None
        assert "忘掉了" in spoken.carry_out(store, command, NOW)[0]
        forget.scrub(store)
        assert leaks(store.folder, *gone) == []
        assert [word for word in stays if not leaks(store.folder, word)] == []


@pytest.mark.parametrize(
    "said", ["忘掉它", "忘掉你", "忘掉我的事", "忘掉了", "把他忘了", "忘掉我的鱼", "忘掉我家的"]
)
def test_a_word_that_names_nobody_forgets_nothing(tmp_path: Path, said: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-01 10:00", "你知道它是我的事了吗，他的", "好"))
        command = spoken.parse_command(said)
        if command:
            spoken.carry_out(store, command, NOW)
        assert diary.count(store.reader) == 2


def test_a_person_is_forgotten_with_all_that_mentions_him(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        gone = forget.forget_mention(store, "王小虎")
        assert (gone.turns, gone.facts) == (3, 1)
        forget.scrub(store)
        assert leaks(store.folder, "王小虎", "小虎") == []
        assert forget.forget_mention(store, "%") == forget.Forgotten()


@pytest.mark.parametrize("spoken_aloud", [False, True])
@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("我妈对花生过敏", "妈妈"),
        ("我爸住在杭州", "爸爸"),
        ("老妈昨天来看我了", "妈妈"),
        ("我妈妈叫王芳，她喜欢吃鱼", "老妈"),
        ("My mom is allergic to peanuts", "妈妈"),
        ("I saw my mother yesterday", "妈妈"),
    ],
)
def test_somebody_is_forgotten_by_whatever_word_he_was_spoken_of(
    tmp_path: Path, said: str, name: str, spoken_aloud: bool
) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-19 10:00", said, "记住了"), ("2025-08-19 11:00", "我喜欢my song", ""))
        if spoken_aloud:
            command = spoken.parse_command(f"忘掉我{name}的事")
            assert command and spoken.carry_out(store, command, NOW).forgotten
        else:
            forget.forget_mention(store, name)
        with store.transaction() as db:
            rereading.reread(db)
        assert said not in [entry.text for entry in diary.everything(store.writer)]
        assert {fact.value for fact in reading.everything(store.writer)} <= {"my song"}
        assert "我喜欢my song" in [entry.text for entry in diary.everything(store.writer)]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("王先生来电话了", "老公"),
        ("我哥们来了", "哥哥"),
        ("我姐夫来了", "姐姐"),
        ("This is my song", "儿子"),
        ("My dog is cute", "金毛"),
    ],
)
def test_a_word_for_somebody_else_is_not_forgotten_with_a_relative(
    tmp_path: Path, said: str, name: str
) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-19 10:00", said, ""))
        assert forget.forget_mention(store, name) == forget.Forgotten()


def test_a_name_is_found_in_any_width_and_behind_any_character(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append(
            [turn("abc\x00小红的秘密"), turn("ＳＥＣＲＥＴ"), turn("字" * 5000 + "樱桃"), turn("别的话")]
        )
        assert forget.forget_mention(store, "小红").turns == 1
        assert forget.forget_mention(store, "secret").turns == 1
        assert forget.forget_mention(store, "樱桃").turns == 1
        with store.transaction() as db:
            writing.keep(db, kinds.Finding("我", "备忘", "ＴＯＭ的电话是110"), diary.to_ms(NOW))
        assert forget.forget_mention(store, "tom") == forget.Forgotten(0, 1)
        assert [entry.text for entry in diary.everything(store.writer)] == ["别的话"]


def test_a_fact_that_was_told_again_begins_with_the_next_time(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-01 10:00", "我住在北京", "好"),
            ("2025-08-05 10:00", "我住在上海", "好"),
            ("2025-08-09 10:00", "我住在上海", "好"),
        )
        forget.forget_range(store, at("2025-08-05 00:00"), at("2025-08-06 00:00"))
        after = {fact.value: fact for fact in reading.everything(store.writer)}
        assert after["上海"].valid_from_ms == diary.to_ms(at("2025-08-09 10:00"))
        assert after["北京"].valid_to_ms == after["上海"].valid_from_ms
        assert (
            after["上海"].source
            == diary.in_range(
                store.writer, at("2025-08-09 10:00"), at("2025-08-09 10:00") + timedelta(seconds=1)
            )[0].id
        )
        forget.forget_range(store, at("2025-08-09 00:00"), at("2025-08-10 00:00"))
        assert [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))] == ["北京"]


def test_what_ended_does_not_hold_again_by_forgetting_its_first_time(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-05 11:00", "我喜欢吃香菜", "好"),
            ("2025-08-09 11:00", "我喜欢香菜", "好"),
            ("2025-08-12 10:00", "我不喜欢香菜了", "好"),
            ("2025-08-13 10:00", "你说我喜欢香菜吗", "好"),
        )
        forget.forget_range(store, at("2025-08-05 00:00"), at("2025-08-06 00:00"))
        likes = [fact for fact in reading.everything(store.writer) if fact.attribute == "喜欢"]
        assert [(fact.value, fact.valid_to_ms) for fact in likes] == [
            ("香菜", diary.to_ms(at("2025-08-12 10:00")))
        ]


def test_a_fact_is_forgotten_with_the_turn_that_told_it_and_the_answer(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        filled(store)
        (allergy,) = [fact for fact in reading.everything(store.writer) if fact.attribute == "过敏"]
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
        values = [fact.value for fact in reading.current(store.writer, diary.to_ms(NOW))]
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
