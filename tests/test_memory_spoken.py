"""What is said to the memory itself: only what is meant for it is forgotten, and much of it only after a yes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from memory_kit import NOW, ask, conversation, memory, turn

from xiaozhi_persona.memory import diary, spoken
from xiaozhi_persona.memory.persona_memory import PersonaMemory
from xiaozhi_persona.memory.store import OwnerStore, owner_folder
from xiaozhi_persona.settings import MemorySettings
from xiaozhi_persona.spine import Owner, Turn

A, B = Owner("aa:bb"), Owner("cc:dd")
SLOW = MemorySettings(recall_deadline_ms=2000)


def texts(store: OwnerStore) -> list[str]:
    return [entry.text for entry in diary.everything(store.writer)]


def say(store: OwnerStore, text: str) -> spoken.Done:
    command = spoken.parse_command(text)
    assert command is not None
    return spoken.carry_out(store, command, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "把今天早上的闹钟删掉", "删除今天的日程", "清除今天的提醒", "把刚才那首歌删了", "删除音乐", "把闹钟删了", "把我的歌单清空", "删掉昨天拍的照片",
        "delete the alarm", "forget it", "Please forget it.", "forget about it", "forgetful me",
    ],
)  # fmt: skip
def test_what_is_no_business_of_the_memory_is_no_command(text: str) -> None:
    assert spoken.parse_command(text) is None


@pytest.mark.parametrize(
    "text", ["忘掉关于音乐的事", "把关于闹钟的记忆删掉", "forget about Tom", "forget that"]
)
def test_what_is_about_such_things_is_one(text: str) -> None:
    command = spoken.parse_command(text)
    assert command is not None and command.kind == "forget"


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [("forget everything", "ask_forget_all", ""), ("forget Tom", "forget", "Tom"), ("Forget about Tom", "forget", "Tom")],
)  # fmt: skip
def test_english_commands_end_where_their_words_end(text: str, kind: str, what: str) -> None:
    command = spoken.parse_command(text)
    assert command is not None and (command.kind, command.what) == (kind, what)


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("忘掉昨天买的苹果", ["奶奶住院了", "小红来我家玩", "我喜欢小红"]),
        ("忘掉昨天关于小红的事", ["奶奶住院了", "今天买了两斤苹果", "我喜欢小红"]),
        ("忘掉昨天我们聊的小红", ["奶奶住院了", "今天买了两斤苹果", "我喜欢小红"]),
        ("忘掉昨天买的梨", ["奶奶住院了", "今天买了两斤苹果", "小红来我家玩", "我喜欢小红"]),
        ("忘掉昨天的事", ["我喜欢小红"]),
        ("把昨天说的话删掉", ["我喜欢小红"]),
        ("清除昨天的聊天记录", ["我喜欢小红"]),
        ("忘掉昨天的一切", ["我喜欢小红"]),
        ("forget what we said yesterday", ["我喜欢小红"]),
        ("忘掉小红", ["奶奶住院了", "今天买了两斤苹果"]),
    ],
)
def test_a_time_is_forgotten_whole_only_when_nothing_else_is_named(
    tmp_path: Path, text: str, stays: list[str]
) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-01 10:00", "我喜欢小红", ""),
            ("2025-08-19 09:00", "奶奶住院了", ""),
            ("2025-08-19 10:00", "今天买了两斤苹果", ""),
            ("2025-08-19 11:00", "小红来我家玩", ""),
        )
        say(store, text)
        assert sorted(texts(store)) == sorted(stays)


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("可以接着记了", "on", ""), ("可以继续记了。", "on", ""), ("又可以记了", "on", ""), ("you can record again", "on", ""), ("また記録していいよ", "on", ""),
        ("接下来的先别记", "off", ""), ("下面这段不要记", "off", ""), ("不要记录这段对话", "off", ""), ("別記錄我說的話", "off", ""), ("please don't remember what I say next", "off", ""),
        ("これは記録しないで。", "off", ""),
        ("刚刚讲的全忘掉吧", "forget", "刚刚讲的"), ("忘了我刚才说的吧", "forget", "我刚才说的"), ("把剛才那句話忘了吧", "forget", "剛才那句話"), ("さっきの話は忘れて。", "forget", "さっきの話"),
        ("確定忘掉全部記憶", "forget_all", ""),
        ("给我记牢，我对花生过敏", "remember", "我对花生过敏"), ("我的生日是五月一号，记一下", "remember", "我的生日是五月一号"), ("記住我的車停在B2層", "remember", "我的車停在B2層"),
        ("Remember: the code is 4711", "remember", "the code is 4711"), ("remember my birthday is May 3rd", "remember", "my birthday is May 3rd"),
        ("鍵は引き出しにあるって覚えておいて。", "remember", "鍵は引き出しにある"), ("覚えておいて、私は猫が好き", "remember", "私は猫が好き"),
    ],
)  # fmt: skip
def test_commands_in_the_words_of_many_people(text: str, kind: str, what: str) -> None:
    command = spoken.parse_command(text)
    assert command is not None and (command.kind, command.what) == (kind, what)


@pytest.mark.parametrize(
    "text",
    [
        "Forget-me-nots are blue.", "Remember the Titans is a great movie.", "remember when we met", "Remember that song we heard", "I don't remember her name.",
        "forget it, let's talk about something else", "刚才说的话我都忘了", "昨天我把伞忘了", "这个方法很好，我记住了", "記一下午單詞也記不住", "记住单词的诀窍", "忘掉烦恼的方法有哪些",
        "彼の名前を忘れた。", "単語を覚える方法を教えて。", "電気を消して",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_command_is_none(text: str) -> None:
    assert spoken.parse_command(text) is None


def test_much_is_forgotten_only_after_asking_back(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn(f"苹果{n}", NOW - timedelta(minutes=n)) for n in range(spoken.MAX_UNASKED + 1)])
        done = say(store, "忘掉关于苹果的事")
        assert done.asks and not done.forgotten and "6 条" in done.answer
        assert len(texts(store)) == 6
        assert say(store, "确定忘掉关于苹果的事").forgotten
        assert texts(store) == []


@pytest.mark.parametrize("yes", ["确定", "是的", "对", "对，确定。", "嗯，好的"])
async def test_a_yes_in_the_next_sentence_does_it(tmp_path: Path, yes: str) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", f"苹果{n}", now) for n in range(9)])
    assert "确定" in await mind.obey(A, "忘掉关于苹果的事", now)
    assert await mind.obey(B, yes, now) == ""  # another device's yes
    assert "已经忘掉" in await mind.obey(A, yes, now + timedelta(seconds=5))
    assert await mind.obey(A, yes, now + timedelta(seconds=9)) == ""
    assert (await mind.recall(A, "苹果", now)).items == ()
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert texts(store) == []


@pytest.mark.parametrize(
    ("between", "after_s"),
    [("不对", 5), ("不是", 5), ("是吗", 5), ("嗯", 5), ("今天天气怎么样", 5), ("这段不要记", 5), ("", 61)],
)
async def test_anything_else_or_a_late_yes_does_not(tmp_path: Path, between: str, after_s: int) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    await mind.remember(A, [Turn("user", f"苹果{n}", now) for n in range(9)])
    await mind.obey(A, "忘掉关于苹果的事", now)
    if between:
        await mind.obey(A, between, now)
    assert await mind.obey(A, "确定", now + timedelta(seconds=after_s)) == ""
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert len(texts(store)) == 9


async def test_off_the_record_holds_after_all_is_forgotten(tmp_path: Path) -> None:
    mind, now = PersonaMemory(SLOW, tmp_path), datetime.now().astimezone()
    await mind.obey(A, "这段不要记", now)
    assert "全都忘掉" in await mind.obey(A, "确定忘掉全部记忆", now)
    await mind.remember(A, [Turn("user", "秘密", now)])
    await mind.aclose()
    with memory(tmp_path, A.id) as store:
        assert store.off_record and texts(store) == []


def test_the_last_sentence_is_forgotten_also_while_it_waits(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        store.append([turn("旧的话", NOW - timedelta(days=2))])
        store.put_aside_for_later([turn("我的密码是1234")])
        say(store, "忘掉刚才那句话")
        store.append([])
        assert texts(store) == ["旧的话"]
    assert not [p for p in owner_folder(tmp_path, "甲").glob("pending*") if b"1234" in p.read_bytes()]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((text, "zh") for text in (
            "清空我的记忆", "删除我的所有记忆", "忘掉关于我的一切", "把我说过的话都删了", "你把我忘了吧", "重置记忆", "全部忘掉", "删掉我所有的聊天记录",
            "把我的所有信息都删掉",
        )),
        *((text, "en") for text in (
            "Forget everything about me", "Delete all my memories", "Erase your memory", "Please forget me", "wipe your memory",
            "Delete everything you know about me",
        )),
        *((text, "ja") for text in ("記憶を消して", "記憶をリセットして", "私のことを忘れて", "全部忘れて")),
    ],
)  # fmt: skip
def test_whoever_wants_all_forgotten_is_asked_back_in_his_language(text: str, language: str) -> None:
    assert spoken.parse_command(text) == spoken.Command("ask_forget_all", language=language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "忘掉我的生日", "忘掉关于我妈妈的一切", "忘掉昨天的一切", "把昨天说的话都删了", "清空我的购物清单", "你把我忘了", "重置闹钟", "我全都忘掉了", "你怎么把我忘了",
        "Forget everything about my mom", "Forget everything I said yesterday", "clear the alarm", "私の誕生日を忘れて",
    ],
)  # fmt: skip
def test_who_wants_something_forgotten_is_not_asked_about_all(text: str) -> None:
    command = spoken.parse_command(text)
    assert command is None or command.kind == "forget"


@pytest.mark.parametrize(
    ("text", "yes", "asked", "done"),
    [
        ("清空我的记忆", "确定", "2 句谈话、1 件记下的事", "好，我全都忘掉了。"),
        ("Forget everything about me", "yes, please", "2 turns of talk and 1 facts", "Done, I have forgotten everything."),
        ("記憶を消して", "はい", "2件の会話と1件の事柄", "はい、全部忘れました。"),
    ],
)  # fmt: skip
async def test_all_is_forgotten_after_a_yes_and_only_then(
    tmp_path: Path, text: str, yes: str, asked: str, done: str
) -> None:
    me = Owner("甲")
    mind = PersonaMemory(MemorySettings(), tmp_path)
    try:
        assert "2" not in await mind.obey(me, text, NOW)  # there is nothing
        await mind.remember(me, [Turn("user", "我对花生过敏", NOW), Turn("assistant", "好", NOW)])
        assert asked in await mind.obey(me, text, NOW)
        assert not await mind.obey(me, "不要", NOW)
        assert not await mind.obey(me, yes, NOW)
        assert "花生" in (await mind.recall(me, "我对什么过敏", NOW)).text
        assert asked in await mind.obey(me, text, NOW)
        assert await mind.obey(me, yes, NOW) == done
        assert "花生" not in (await mind.recall(me, "我对什么过敏", NOW)).text
    finally:
        await mind.aclose()


def test_what_was_just_said_is_not_to_be_kept_and_a_birthday_in_japanese(tmp_path: Path) -> None:
    with memory(tmp_path) as store:
        conversation(
            store,
            ("2025-08-20 15:00", "誕生日は5月5日です", "はい"),
            ("2025-08-20 15:01", "我把钱藏在床底下", "好"),
        )
        for text in ("刚才那句别记", "私の誕生日を忘れて"):
            command = spoken.parse_command(text)
            assert command
            assert spoken.carry_out(store, command, NOW).forgotten
        assert not ask(store, "钱藏在哪").text
        assert not ask(store, "我生日是哪天").facts
    command = spoken.parse_command("从现在开始别记")
    assert command
    assert command.kind == "off"
