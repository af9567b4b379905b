from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path

import memory_kit
import pytest

from xiaozhi_persona.providers.llm.offline import OfflineChatModel, reply
from xiaozhi_persona.providers.llm.offline_facts import FACTS, told_in
from xiaozhi_persona.providers.llm.offline_recall import (
    Statement,
    best_matches,
    days_in,
    is_question,
    role_name,
    second_person,
    statements,
)
from xiaozhi_persona.providers.llm.offline_rules import STORY, STORY_EN
from xiaozhi_persona.spine import Message
from xiaozhi_persona.text.emotions import LABELS

PROMPT = "你是语音助手小云，说话亲切自然。\n\n现在是 2026-11-21 19:03，星期六。\n\n下面 <memory> 里是以前的谈话记录。\n"
UNKNOWN = "【悲伤】这个我不记得了，你可以告诉我。"

WEEK = """\
2026-11-10 周二 08:00 用户：上周我去了海边
2026-11-12 周四 09:00 用户：我叫小明
2026-11-12 周四 09:00 你：【高兴】记住了，你叫小明。
2026-11-19 周四 12:10 用户：今天中午我吃了面条。
2026-11-20 周五 19:03 用户：昨天我去了动物园
2026-11-20 周五 19:04 用户：我对花生过敏。
2026-11-20 周五 19:05 用户：我有一只猫，叫咪咪。
2026-11-20 周五 19:06 用户：我对什么过敏
"""


def talk(*said: str, memory: str = "") -> str:
    """Say one thing after the other, and return the last reply."""
    block = f"<memory>\n{memory}\n</memory>" if memory else ""
    messages = [Message("system", PROMPT + block)]
    answer = ""
    for text in said:
        messages.append(Message("user", text))
        answer = reply(messages)
        messages.append(Message("assistant", answer))
    return answer


def emotions(answer: str) -> list[str]:
    return re.findall("【(.+?)】", answer)


# Telling and asking in one conversation


@pytest.mark.parametrize(
    ("told", "noted", "question", "answer"),
    [
        ("我叫小明", "你叫小明", "我叫什么名字", "你叫小明"),
        ("我的名字是王大伟。", "你叫王大伟", "我是谁？", "你叫王大伟"),
        ("以后叫我小王子吧", "你叫小王子", "我叫什么", "你叫小王子"),
        ("我有一只猫叫咪咪", "你的猫叫咪咪", "我的猫叫什么名字", "你的猫叫咪咪"),
        ("我有一只猫，叫咪咪。", "你的猫叫咪咪", "你还记得我的猫叫什么吗？", "你的猫叫咪咪"),
        ("我养了一只小狗，名字叫旺财", "你的小狗叫旺财", "我的宠物叫什么", "你的小狗叫旺财"),
        ("我的猫的名字是咪咪", "你的猫叫咪咪", "我的猫的名字是什么", "你的猫叫咪咪"),
        ("我妹妹叫小红", "你的妹妹叫小红", "我的妹妹叫啥", "你的妹妹叫小红"),
        ("我对花生过敏", "你对花生过敏", "我对什么过敏", "你对花生过敏"),
        ("我对牛奶和花生都过敏。", "你对牛奶、花生过敏", "我对哪些东西过敏？", "你对牛奶、花生过敏"),
        ("我住在上海", "你住在上海", "我住在哪里", "你住在上海"),
        ("我搬到北京了", "你住在北京", "我家住哪儿", "你住在北京"),
        ("我喜欢画画", "你喜欢画画", "我喜欢什么", "你喜欢画画"),
        ("我最喜欢吃苹果和梨", "你喜欢吃苹果、梨", "我喜欢吃什么", "你喜欢吃苹果"),
        ("我不喜欢吃香菜", "你不喜欢吃香菜", "我不喜欢吃什么", "你不喜欢吃香菜"),
        ("我的生日是五月一日", "你的生日是五月一日", "我的生日是哪天", "你的生日是五月一日"),
        ("我今年八岁", "你八岁", "我几岁了", "你八岁"),
        ("昨天我去了动物园", "昨天你去了动物园", "昨天我去了哪里", "你说过：昨天你去了动物园"),
        ("今天中午我吃了面条", "今天中午你吃了面条", "今天中午我吃了什么", "你说过：今天中午你吃了面条"),
        ("上周我去了海边", "上周你去了海边", "上周我去了哪里", "你说过：上周你去了海边"),
        ("明天我要考试", "明天你要考试", "明天我有什么安排", "你说过：明天你要考试"),
    ],
)  # fmt: skip
def test_what_is_told_is_noted_and_answered(told: str, noted: str, question: str, answer: str) -> None:
    assert talk(told).startswith(f"【高兴】记住了，{noted}。")
    assert talk(told, "好的", question) == f"【高兴】我记得，{answer}。"


@pytest.mark.parametrize(
    ("told", "noted", "question", "answer"),
    [
        ("My name is Tom.", "your name is Tom", "What is my name?", "your name is Tom"),
        ("I live in Paris", "you live in Paris", "where do I live", "you live in Paris"),
        ("I'm allergic to nuts", "you are allergic to nuts", "what am I allergic to", "you are allergic to nuts"),
        ("My cat is called Kitty", "your cat is called Kitty", "what is my cat called", "your cat is called Kitty"),
        ("I like apples and pears", "you like apples and pears", "what do I like", "you like apples and pears"),
    ],
)  # fmt: skip
def test_the_same_in_english(told: str, noted: str, question: str, answer: str) -> None:
    assert talk(told) == f"【高兴】I will remember: {noted}."
    assert talk(told, question) == f"【高兴】I remember: {answer}."


@pytest.mark.parametrize(
    "question",
    [
        "我叫什么名字", "我的猫叫什么名字", "我对什么过敏", "我住在哪里", "我喜欢什么", "我喜欢吃什么", "我的生日是哪天",
        "昨天我们聊了什么", "今天中午我吃了什么", "上周我去了哪里", "昨天晚上我几点睡的", "我有几只猫", "我几岁了",
    ],
)  # fmt: skip
def test_what_was_never_told_is_not_made_up(question: str) -> None:
    assert talk(question) == UNKNOWN
    # nor found in what was only asked
    assert talk(question, question) == UNKNOWN


def test_the_newest_word_holds() -> None:
    cats = ("我的猫叫咪咪。", "不对，我的猫叫花花。")
    assert "花花" in talk(*cats, "我的猫叫什么")
    assert "咪咪" not in talk(*cats, "我的猫叫什么")
    assert talk("我住在上海", "我搬到北京了", "我住在哪里") == "【高兴】我记得，你住在北京。"


def test_what_is_taken_back_no_longer_holds() -> None:
    likes = ("我喜欢画画，我也喜欢唱歌。", "我不喜欢画画了。")
    assert talk(*likes, "我喜欢什么") == "【高兴】我记得，你喜欢唱歌。"
    assert talk(*likes, "我不喜欢什么") == "【高兴】我记得，你不喜欢画画。"
    allergies = ("我对牛奶和花生过敏", "我对花生不过敏了")
    assert talk(*allergies, "我对什么过敏") == "【高兴】我记得，你对牛奶过敏。"


@pytest.mark.parametrize(
    "text",
    ["他叫小刚", "我的朋友住在上海", "我妈妈对花生过敏", "小红喜欢画画", "他今年八岁", "我妈妈叫我回家"],
)
def test_what_is_told_of_others_is_no_fact_about_the_user(text: str) -> None:
    assert [found for fact in FACTS for found in told_in(Statement(text), fact)] == []


def test_a_yes_or_no_question_gets_the_users_own_words() -> None:
    assert talk("我不喜欢吃香菜", "我喜欢吃香菜吗") == "【高兴】我记得，你说过：你不喜欢吃香菜。"


# The memory


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("我的猫叫什么名字", "【高兴】我记得，你的猫叫咪咪。"),
        ("我对什么过敏", "【高兴】我记得，你对花生过敏。"),
        ("我叫什么名字", "【高兴】我记得，你叫小明。"),
        ("昨天我们聊了什么", "【高兴】我记得，11月20日你说过：昨天你去了动物园；你对花生过敏；你有一只猫，叫咪咪。"),
        ("前天我去了哪里", "【高兴】我记得，11月20日你说过：昨天你去了动物园。"),
        ("前天中午我吃了什么", "【高兴】我记得，11月19日你说过：今天中午你吃了面条。"),
        ("上上周我做了什么", "【高兴】我记得，11月10日你说过：上周你去了海边。"),
        ("11月19日我去了哪里", "【高兴】我记得，11月20日你说过：昨天你去了动物园。"),
        ("我吃花生会怎么样", "【高兴】我记得，昨天你说过：你对花生过敏。"),
        ("你还记得我的猫吗", "【高兴】我记得，昨天你说过：你有一只猫，叫咪咪。"),
        ("你还记得我吗", "【高兴】当然记得，你叫小明，你的猫叫咪咪。"),
        ("昨天我去了哪里", UNKNOWN),
        ("上周我去了哪里", UNKNOWN),
        ("今天中午我吃了什么", UNKNOWN),
        ("大前天我们聊了什么", UNKNOWN),
        ("刚才我们聊了什么", UNKNOWN),
    ],
)  # fmt: skip
def test_the_memory_answers_for_the_days_that_are_asked_for(question: str, answer: str) -> None:
    assert talk(question, memory=WEEK) == answer


@pytest.mark.parametrize(
    ("question", "time", "answer"),
    [
        ("昨天我们聊了什么", "2026-11-20 星期五", "昨天没有记录。"),
        ("上周三我做了什么", "2026-11-11 星期三", "11月11日没有记录。"),
        ("前天中午我吃了什么", "2026-11-19 星期四 11:00 到 14:00", "前天11点到14点没有记录。"),
        ("上周末我去了哪里", "2026-11-14 星期六 到 2026-11-15 星期日", "11月14日到11月15日没有记录。"),
        ("昨晚我说了什么", "2026-11-20 星期五 18:00 到 24:00", "昨天18点到24点没有记录。"),
        ("去年国庆我去了哪里", "2025-10-01 星期三 到 2025-10-07 星期二", "2025年10月1日到2025年10月7日没有记录。"),
        ("what did we talk about yesterday", "2026-11-20 星期五", "There is no record of November 20. You can tell me."),
    ],
)  # fmt: skip
def test_a_time_without_record_is_named(question: str, time: str, answer: str) -> None:
    memory = f"{time} 没有说过什么，没有谈话记录。"
    assert talk(question, memory=memory) == f"【悲伤】{answer}"
    assert talk("你好", "你还记得我吗", memory=memory).startswith("【悲伤】我还不认识你")


def test_several_times_without_record_are_named_together() -> None:
    line = "没有说过什么，没有谈话记录。"
    memory = f"2026-11-20 星期五 {line}\n2026-11-19 星期四 {line}"
    assert talk("昨天和前天我们聊了什么", memory=memory) == "【悲伤】昨天、前天没有记录。"


@pytest.mark.parametrize(
    "question",
    ["昨天我们聊了什么", "前天中午我吃了什么", "上周末我去了哪里", "昨晚我说了什么", "上个月我们聊了什么"],
)
def test_what_our_own_memory_says_of_an_empty_time_is_understood(tmp_path: Path, question: str) -> None:
    with memory_kit.memory(tmp_path) as store:
        found = memory_kit.ask(store, question, datetime(2026, 11, 21, 19, 3, tzinfo=memory_kit.ZONE))
    assert re.fullmatch("【悲伤】.*[天日点]没有记录。", talk(question, memory=found.text))


def test_the_conversation_is_newer_than_the_memory() -> None:
    assert talk("我叫大明", "我叫什么", memory=WEEK) == "【高兴】我记得，你叫大明。"


def test_the_user_is_greeted_by_name() -> None:
    assert talk("你好", memory=WEEK).startswith("【高兴】你好，小明！")
    assert talk("晚安", memory=WEEK).startswith("【舒适】晚安，小明。")
    assert "，" not in talk("晚安")


LABELLED = """\
- 名字：小明
- 住址：上海
- 过敏：花生、牛奶
- 用户的猫叫咪咪
- 喜欢：画画
- 生日：五月一日
- 老师：王老师
- 小云：我叫小云，我住在月亮上
"""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("我叫什么", "你叫小明"),
        ("我住哪儿", "你住在上海"),
        ("我对什么过敏", "你对花生、牛奶过敏"),
        ("我的猫叫啥", "你的猫叫咪咪"),
        ("我喜欢什么", "你喜欢画画"),
        ("我生日是几号", "你的生日是五月一日"),
        ("我的老师叫什么", "你的老师叫王老师"),
    ],
)
def test_a_memory_of_labelled_facts_is_understood(question: str, answer: str) -> None:
    assert talk(question, memory=LABELLED) == f"【高兴】我记得，{answer}。"


@pytest.mark.parametrize(
    "memory",
    [
        "2026-11-20 周五 19:03 用户：我去了动物园",
        "[2026-11-20 19:03] 用户: 我去了动物园",
        "- 2026年11月20日（周五）19:03 我去了动物园",
        "2026/11/20，星期五，19:03:07 小明：我去了动物园",
        "## 2026-11-20 周五\n19:03 用户：我去了动物园\n19:05 助手：真好",
        "2026-11-20\n- 我去了动物园",
        "* 用户：我去了动物园",
        "用户昨天去了动物园",
    ],
)
def test_the_form_of_the_memory_is_free(memory: str) -> None:
    answer = talk("我昨天去了哪里", memory=memory)
    assert "动物园" in answer
    assert "19:" not in answer


@pytest.mark.parametrize(
    "memory", ["2026-99-99 25:61 用户：我去了动物园", "那天没有记录", "：\n- \n\n#", "周五 19:03"]
)
def test_odd_lines_of_a_memory_do_no_harm(memory: str) -> None:
    assert talk("昨天我们聊了什么", memory=memory)
    assert talk("我叫什么名字", memory=memory) == UNKNOWN


def test_the_tag_in_the_prose_of_the_prompt_is_no_memory() -> None:
    assert statements([Message("system", PROMPT), Message("user", "你好")], datetime(2026, 11, 21)) == []


# Feelings


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("我今天很开心", "高兴"), ("太好了我考上了", "惊讶"), ("今天是我的生日", "高兴"), ("我喜欢你", "爱慕"),
        ("我学会了游泳", "惊讶"), ("我很难过", "悲伤"), ("我不开心", "悲伤"), ("我有点不太高兴。", "悲伤"), ("我的猫不见了", "悲伤"),
        ("没有人陪我玩", "悲伤"), ("我肚子疼", "悲伤"), ("我很生气", "惊讶"), ("别烦我", "悲伤"), ("我怕黑", "惊讶"), ("你真聪明", "害羞"),
        ("I am so happy today", "高兴"), ("I am sad", "悲伤"), ("I am not happy", "悲伤"),
    ],
)  # fmt: skip
def test_a_feeling_is_met_with_two_feelings(text: str, first: str) -> None:
    shown = emotions(talk(text))
    assert shown[0] == first
    assert len(set(shown)) >= 2


@pytest.mark.parametrize("text", ["我不生气了", "我没有难过", "我不害怕"])
def test_a_feeling_that_is_denied_is_not_taken_for_one(text: str) -> None:
    assert talk(text).startswith("【高兴】记住了，你")


def test_a_sad_memory_is_told_sadly() -> None:
    assert emotions(talk("我的猫不见了", "我的猫怎么了")) == ["悲伤"]


# Everything else


@pytest.mark.parametrize(
    "text",
    [
        "声音大一点", "说慢一点", "换一个角色", "今天天气怎么样", "唱一首歌", "打开客厅的灯", "请把窗户关上", "忘掉这件事",
        "明天早上七点叫我起床", "长城有多长", "一加一等于几", "外面下雨了", "你叫什么名字", "你会做什么", "turn on the light", "Where is Paris?",
    ],
)  # fmt: skip
def test_what_it_cannot_do_it_says_and_names_the_setting(text: str) -> None:
    answer = talk(text)
    assert "llm.base_url" in answer
    assert "llm.base_url" in answer
    assert "离线应答" in answer or "offline answerer" in answer


@pytest.mark.parametrize(
    ("said", "last"),
    [
        (("长城有多长", "今天天气怎么样"), "【悲伤】查天气我现在办不到。"),
        (("今天天气怎么样", "Where is Paris?"), "【悲伤】I have no answer to that."),
        (("你会做什么", "你好", "你叫什么名字"), "【高兴】我叫小云。"),
        (("Where is Paris?", "长城有多长"), "【悲伤】这个我答不上来。"),
        (("长城有多长", "外面下雨了"), "【中性】你说外面下雨了，我听到了。"),
    ],
)
def test_it_names_the_setting_once_in_a_conversation(said: tuple[str, ...], last: str) -> None:
    assert talk(*said) == last


@pytest.mark.parametrize("text", ["昨天我点了外卖", "我会唱歌", "我听了一首歌", "我喜欢听音乐"])
def test_a_report_is_no_request(text: str) -> None:
    assert talk(text).startswith("【高兴】记住了，")


def test_the_time_is_that_of_the_prompt() -> None:
    assert talk("现在几点了") == "【中性】现在是19点03分。"
    assert talk("今天星期几") == "【中性】今天是2026年11月21日，星期六。"
    assert talk("What time is it?") == "【中性】It is 19:03."


def test_without_a_prompt_the_machine_tells_the_time() -> None:
    before = datetime.now().replace(second=0, microsecond=0)
    answer = reply([Message("user", "今天几号")])
    days = {f"{moment.year}年{moment.month}月{moment.day}日" for moment in (before, datetime.now())}
    assert any(day in answer for day in days)


def test_it_has_the_name_of_the_role() -> None:
    assert talk("你叫什么名字").startswith("【高兴】我叫小云。")
    assert role_name("你叫派蒙。") == "派蒙"
    assert role_name("你是一个助手。你的名字是“小七”。") == "小七"
    assert role_name("说话亲切。") == ""


@pytest.mark.parametrize("story", [STORY, STORY_EN])
def test_a_story_is_short_and_has_three_feelings(story: str) -> None:
    assert talk("给我讲个故事" if story is STORY else "Tell me a story.") == story
    assert 5 <= len(re.findall(r"[。.！!?](?=[ 【]|$)", story)) <= 7
    assert len(set(emotions(story))) >= 3


def test_it_says_again_what_it_said_last() -> None:
    assert talk("我很难过", "再说一遍") == talk("我很难过")
    assert talk("再说一遍") == "【中性】我还没有说过什么。"


def test_remember_this_means_what_was_said_before() -> None:
    assert talk("我妹妹叫小红", "好的", "记住这件事") == "【高兴】好，记住了，你说过：你妹妹叫小红。"


@pytest.mark.parametrize(
    "text",
    ["你好", "您好！", "你好，小云。", "早上好", "再见", "谢谢你", "好的", "停", "Hello", "bye", "对不起"],
)
def test_small_talk_is_short(text: str) -> None:
    assert len(talk(text)) < 60
    assert "离线" not in talk(text)


async def test_the_reply_comes_in_small_pieces_and_is_the_same_each_time() -> None:
    messages = [Message("system", PROMPT), Message("user", "我很难过")]
    pieces = [delta.text async for delta in OfflineChatModel().stream(messages)]
    assert "".join(pieces) == reply(messages)
    assert all(2 <= len(piece) <= 6 for piece in pieces[:-1])
    assert 1 <= len(pieces[-1]) <= 6
    assert pieces == [
        delta.text async for delta in OfflineChatModel().stream(messages, [{"type": "function"}])
    ]


@pytest.mark.parametrize(
    "text", ["", "。。。", "？", "嗯", "{name}", "【高兴】", "我" * 3000, "我对不" * 2000, "\n", "😀", "a{b}"]
)
def test_any_text_gets_a_reply_with_known_tags(text: str) -> None:
    answer = talk(text, memory=f"2026-11-20 12:00 用户：{text}")
    assert set(emotions(answer)) <= set(LABELS)
    assert answer.strip()


def test_no_messages_get_a_reply_too() -> None:
    assert reply([])


# The parts


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("我的猫叫咪咪。", "你的猫叫咪咪"),
        ("你喜欢我吗？", "我喜欢你吗"),
        ("我们去了海边", "我们去了海边"),
        ("我做了自我介绍", "你做了自我介绍"),
        ("I am happy with my cat", "you are happy with your cat"),
    ],
)
def test_a_statement_is_said_back_in_the_second_person(said: str, back: str) -> None:
    assert second_person(said) == back


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("昨天", (11, 20), (11, 20)), ("昨晚", (11, 20), (11, 20)), ("前天", (11, 19), (11, 19)), ("大前天", (11, 18), (11, 18)),
        ("今天", (11, 21), (11, 21)), ("明天", (11, 22), (11, 22)), ("三天前", (11, 18), (11, 18)), ("上周", (11, 9), (11, 15)),
        ("上个星期三", (11, 11), (11, 11)), ("上上周", (11, 2), (11, 8)), ("这周", (11, 16), (11, 22)), ("上周末", (11, 14), (11, 15)),
        ("上个月", (10, 1), (10, 31)), ("这个月", (11, 1), (11, 30)), ("5月1日", (5, 1), (5, 1)), ("十月一号", (10, 1), (10, 1)),
        ("yesterday", (11, 20), (11, 20)),
    ],
)  # fmt: skip
def test_days_are_understood(text: str, first: tuple[int, int], last: tuple[int, int]) -> None:
    assert days_in(f"我 {text} 去了海边", date(2026, 11, 21)) == (date(2026, *first), date(2026, *last))


@pytest.mark.parametrize("text", ["我去了海边", "13月40日", "2月30日"])
def test_no_day_is_none(text: str) -> None:
    assert days_in(text, date(2026, 11, 21)) is None


def test_a_date_without_a_year_is_in_the_past() -> None:
    assert days_in("12月31日", date(2026, 11, 21)) == (date(2025, 12, 31),) * 2


@pytest.mark.parametrize(
    "text", ["我叫什么", "你是谁", "真的吗", "在哪", "多少钱", "长城有多长", "你记得我不", "where is it"]
)
def test_a_question_needs_no_question_mark(text: str) -> None:
    assert is_question(text)


def test_the_best_match_is_first_and_the_newest_of_equals() -> None:
    said = [Statement("我看了一部电影叫流浪地球"), Statement("我看了一本书"), Statement("我吃了面条")]
    assert best_matches("我看的电影叫什么", said)[0] is said[0]
    assert best_matches("我看了什么", said) == said[:2]
    assert best_matches("什么", said) == []
