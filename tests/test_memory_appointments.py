"""Appointments: only what lies ahead is one. The table was gone through by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from memory_kit import conversation, memory

from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.facts.rules import find_facts

LOCAL = datetime(2025, 8, 20, 15, 30)
"""A Wednesday."""


def planned(text: str, now: datetime = LOCAL) -> list[tuple[str, str]]:
    return [
        (f"{fact.starts:%m-%d %H:%M}", fact.value)
        for fact in find_facts(text, now)
        if fact.attribute == "安排" and fact.tense == "is" and fact.starts
    ]


@pytest.mark.parametrize(
    ("text", "start", "value"),
    [
        ("明天下午三点我要去开会", "08-21 15:00", "去开会"),
        ("下周三我要去看牙医", "08-27 00:00", "去看牙医"),
        ("我约了下周三看牙医", "08-27 00:00", "约了看牙医"),
        ("后天上午十点面试", "08-22 10:00", "面试"),
        ("我后天出差", "08-22 00:00", "出差"),
        ("今天下午五点开会", "08-20 17:00", "开会"),
        ("今天五点开会", "08-20 17:00", "开会"),
        ("今天我得去交电费", "08-20 00:00", "去交电费"),
        ("今天我要加班", "08-20 00:00", "加班"),
        ("今天晚上和小王吃饭", "08-20 18:00", "和小王吃饭"),
        ("今晚我约了小红看电影", "08-20 18:00", "约了小红看电影"),
        ("今天下午我打算去爬山", "08-20 12:00", "去爬山"),
        ("我准备周六去露营", "08-23 00:00", "去露营"),
        ("25号交房租", "08-25 00:00", "交房租"),
        ("9月1号孩子开学", "09-01 00:00", "孩子开学"),
        ("提醒我明天交作业", "08-21 00:00", "交作业"),
        ("别忘了明天给妈妈打电话", "08-21 00:00", "给妈妈打电话"),
        ("记得明天买牛奶", "08-21 00:00", "买牛奶"),
        ("下周三我妈过生日", "08-27 00:00", "我妈过生日"),
        ("我女儿后天考试", "08-22 00:00", "我女儿考试"),
        ("明天我妈来看我", "08-21 00:00", "我妈来看我"),
        ("小王周六来我家吃饭", "08-23 00:00", "小王来我家吃饭"),
        ("我买了明天的电影票", "08-21 00:00", "买了电影票"),
        ("我定了周五的餐厅", "08-22 00:00", "定了餐厅"),
        ("三天后我要复查", "08-23 00:00", "复查"),
        ("老师说明天要交手工", "08-21 00:00", "交手工"),
        ("周五到周日我要去杭州出差", "08-22 00:00", "去杭州出差"),
        ("我答应了女儿周日去动物园", "08-24 00:00", "答应了女儿去动物园"),
        ("明天就考试了", "08-21 00:00", "考试了"),
        ("昨天约好了明天去看房", "08-21 00:00", "约好了去看房"),
        ("我8月25号的飞机", "08-25 00:00", "飞机"),
        ("今晚八点直播", "08-20 20:00", "直播"),
        ("15号之前要交材料", "09-15 00:00", "交材料"),
        ("明天不得不去上班", "08-21 00:00", "不得不去上班"),
        ("我妈让我明天去买菜", "08-21 00:00", "去买菜"),
        ("明天他来接我", "08-21 00:00", "他来接我"),
        ("8月10号我要去日本", "08-10 00:00", "去日本"),
    ],
)  # fmt: skip
def test_what_lies_ahead_is_an_appointment(text: str, start: str, value: str) -> None:
    assert planned(text) == [(start, value)]


@pytest.mark.parametrize(
    "text",
    [
        # done
        "今天我和小王在公司开会", "昨天下午我去了牙医", "今天上午我去开会了", "今天早上九点开会", "上周三我去看牙医", "上个月5号我去了北京", "周一我去过医院了",
        "去年3月5号我去看了海", "前天我在家看电影", "今天中午和同事吃火锅", "今天下午三点开会", "今天上午我要去医院", "今天去公园玩", "今天看了一部电影", "刚才我去开会",
        "今天我去看牙医回来", "今天开会的时候小王睡着了", "昨天晚上我要去看电影的", "本来明天要去爬山", "上上周五我们聚会", "今天我妈来看我",
        # no plan
        "明天会很热", "明天很重要", "明天见", "明天再说吧", "明天再聊", "明天有空", "明天有雨", "明天是星期四", "15号是中秋节", "下周降温", "我对明天很期待", "明天会更好",
        "今天我觉得很累", "今天得了第一名", "今天主要在家", "小明天天打球", "今天开心", "明天看情况", "明天就是周末了", "今天是我生日",
        # repeated
        "每周三我去游泳", "我每天下午去跑步", "每月5号发工资", "我一般周六去爬山", "我平时周五加班",
        # of others, asked, supposed, told to do
        "你明天要去开会", "他明天要去上海", "小王明天要去上海出差", "我同事明天要去出差", "明天老板要去北京", "明天他要去开会", "小李说他明天要去看病", "听说明天要停电",
        "明天要去开会吗", "明天要不要去爬山", "如果明天有空我就去爬山", "要是周六不下雨，我们就去露营", "明天早上七点叫我起床", "明天帮我查一下机票", "明天天气怎么样",
        # not
        "8月10号我去看牙医", "今年3月5号我去爬山", "明天你陪我去看电影", "明天陪我聊天", "要不明天去吃火锅", "今天八点上班", "今天我要迟到了", "今天要多穿点",
        "周一到周五我都要上班", "我昨天忘了今天要交作业", "今天不想上班", "今天上班好累", "明天的我会感谢今天的我", "今天中午我要吃面", "今天晚上我吃了火锅", "离考试还有三天",
        "明天我不去开会", "我明天不去开会", "今天开会很累", "我上周三去开会", "今天去公园散步看到一只猫", "明天不用上班", "明天没有课", "明天没什么安排", "周六我不想去爬山", "明天我没空去看电影",
    ],
)  # fmt: skip
def test_what_is_past_or_no_plan_is_none(text: str) -> None:
    assert planned(text) == []


def test_several_days_are_several_appointments() -> None:
    assert planned("周六和周日我要上课") == [("08-23 00:00", "上课"), ("08-24 00:00", "上课")]


def test_what_nobody_wants_is_not_called_off() -> None:
    assert find_facts("明天不想上班", LOCAL) == []


@pytest.mark.parametrize(
    "text", ["下周三的牙医取消了", "下周三不去看牙医了", "下周三不用去看牙医", "下周三的牙医不看了"]
)
def test_what_is_called_off_ends(tmp_path: Path, text: str) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 10:00", "下周三我要去看牙医", ""))
        assert len(reading.appointments(store.writer, datetime(2025, 8, 27), datetime(2025, 8, 28))) == 1
        conversation(store, ("2025-08-20 11:00", text, ""))
        assert reading.appointments(store.writer, datetime(2025, 8, 27), datetime(2025, 8, 28)) == []


@pytest.mark.parametrize(
    ("said", "later", "left"),
    [
        ("周五我要去看牙医", "牙医改到下周一了", [("08-25 00:00", "牙医")]),
        ("周五我要去面试", "面试推迟到下周一了", [("08-25 00:00", "面试")]),
        ("周五我要去看牙医", "把周五的牙医改到下周一上午", [("08-25 08:00", "牙医")]),
        ("周五我要去看牙医", "我今天提前去看牙医了", []),
        ("周五我要去看牙医", "周五不去看牙医了", []),
        ("周五我要去看牙医", "面试推迟到下周一了", [("08-22 00:00", "去看牙医"), ("08-25 00:00", "面试")]),
    ],
)
def test_what_was_moved_or_done_early_is_no_longer_on_its_day(
    tmp_path: Path, said: str, later: str, left: list[tuple[str, str]]
) -> None:
    with memory(tmp_path) as store:
        conversation(store, ("2025-08-20 10:00", said, ""), ("2025-08-20 12:00", later, ""))
        ahead = reading.appointments(store.writer, LOCAL, datetime(2025, 9, 30))
    assert [
        (f"{datetime(1970, 1, 1) + timedelta(milliseconds=fact.starts_ms or 0):%m-%d %H:%M}", fact.value)
        for fact in ahead
    ] == left


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("我明天上午去看牙医，下午要开会", [("08-21 08:00", "去看牙医"), ("08-21 12:00", "开会")]),
        ("我明天九点开会，三点去接孩子", [("08-21 09:00", "开会"), ("08-21 15:00", "去接孩子")]),
        ("我明天九点开会，然后晚上要加班", [("08-21 09:00", "开会"), ("08-21 18:00", "加班")]),
        ("我明天要开会。下午我看了电影", [("08-21 00:00", "开会")]),
    ],
)
def test_what_follows_in_a_sentence_is_on_the_same_day(text: str, both: list[tuple[str, str]]) -> None:
    assert planned(text) == both
