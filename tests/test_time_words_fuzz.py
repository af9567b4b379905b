"""What holds for any text: nothing is raised, ranges are ordered and begun, widths do not matter, time is linear."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from time_words_tables import read_table

from xiaozhi_persona.memory.time_words import MAX_CHARS, find_ranges
from xiaozhi_persona.memory.time_words.fold import fold

QUESTIONS = [
    (now, question)
    for name in ("zh.txt", "en.txt", "ja.txt", "none.txt")
    for now, question, _ in read_table(name)
]
PIECES = (
    "昨天 前天 今天 明天 上 下 个 周 星期 礼拜 三 天 末 月 年 号 日 点 半 一 二 十 两 几 3 15 2024 : - / . 到 和 从 的 我 前 后 以前 以来 左右 "
    "早上 晚上 凌晨 夜里 国庆 春节 中秋 除夕 冬至 去年 今年 初 底 中 上旬 春天 大年 正月 腊月 农历 廿 分钟 小时 刚才 最近 这 近 每 那天 第 第一天 期间 "
    'yesterday last next monday may 3rd pm at ago two in the of night week since between and 昨日 先週 曜日 の 《 》 ， 。 ？ " 歌 播放 是 吗'
).split()
NOWS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2069, 12, 31)).map(
    lambda now: now.replace(microsecond=0)
)
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(codec=None, categories=["Cs", "Cc", "Co", "Nd", "Lo"])),
    st.lists(st.sampled_from([*PIECES, " "]), max_size=14).map("".join),
    st.sampled_from([question for _, question in QUESTIONS]),
)


def check(text: str, now: datetime) -> None:
    found = find_ranges(text, now)
    for one in found:
        assert one.start < one.end
        assert one.start <= now
        assert one.text and one.text in text
        assert one.granularity in (
            "minute",
            "hour",
            "part_of_day",
            "day",
            "week",
            "month",
            "season",
            "year",
            "range",
        )
        assert one.start.tzinfo is None and one.end.tzinfo is None
    assert len({(one.start, one.end) for one in found}) == len(found)
    places = [text.find(one.text) for one in found]
    assert all(place >= 0 for place in places)


@settings(max_examples=600, deadline=None)
@given(TEXTS, NOWS)
def test_nothing_is_raised_and_every_range_has_begun(text: str, now: datetime) -> None:
    check(text, now)


@settings(max_examples=300, deadline=None)
@given(
    TEXTS,
    st.sampled_from(
        [datetime(1, 1, 1), datetime(1, 3, 1, 2), datetime(9999, 12, 31, 23, 59), datetime(1960, 2, 29)]
    ),
)
def test_nothing_is_raised_at_the_ends_of_the_calendar(text: str, now: datetime) -> None:
    find_ranges(text, now)


@settings(max_examples=400, deadline=None)
@given(st.one_of(TEXTS, st.sampled_from([question for _, question in QUESTIONS])), NOWS)
def test_full_and_half_width_mean_the_same(text: str, now: datetime) -> None:
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)
    assert [(one.start, one.end) for one in find_ranges(wide, now)] == [
        (one.start, one.end) for one in find_ranges(text, now)
    ]


@given(st.text())
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "昨\0天",
        "\ud800",
        "昨天\udfff",
        "😀昨天😀",
        "'; drop table turn; --",
        "昨天" * 50_000,
        "一" * 100_000,
        "《" * 100_000,
        "(" * 1000,
    ],
)
def test_hostile_texts_raise_nothing(text: str) -> None:
    check(text, datetime(2025, 8, 20, 15, 30))


def test_a_long_text_is_read_up_to_its_limit() -> None:
    now = datetime(2025, 8, 20, 15, 30)
    assert find_ranges("我" * (MAX_CHARS - 2) + "昨天", now)
    assert not find_ranges("我" * MAX_CHARS + "昨天", now)


@settings(max_examples=60, deadline=None)
@given(NOWS)
def test_policy_holds_at_every_now(now: datetime) -> None:
    """Weeks run Monday to Sunday; a bare weekday, day or festival is the latest that began."""
    today = now.replace(hour=0, minute=0, second=0)
    monday = today - timedelta(days=now.weekday())
    day = timedelta(days=1)

    def only(question: str) -> tuple[datetime, datetime]:
        (one,) = find_ranges(question, now)
        return one.start, one.end

    assert only("昨天") == (today - day, today)
    assert only("上周") == (monday - 7 * day, monday)
    assert only("上周末") == (monday - 2 * day, monday)
    for index, char in enumerate("一二三四五六日"):
        assert only(f"上周{char}")[0] == monday + (index - 7) * day
        start, end = only(f"周{char}")
        assert end - start == day and start <= now and now - start < 7 * day and start.weekday() == index
        assert [one.start for one in find_ranges(f"这周{char}", now)] == [monday + index * day] * (
            monday + index * day <= now
        )
    start, end = only("周末")
    assert start <= now < start + 7 * day and start.weekday() == 5 and end - start == 2 * day
    assert only("三天前") == (today - 3 * day, today - 2 * day)
    for festival in ("国庆", "春节", "中秋", "冬至", "元旦"):
        start, _ = only(festival)
        assert start <= now and now - start < 390 * day
    night = only("昨晚")
    assert night == (today - 6 * timedelta(hours=1), now if 0 <= now.hour < 5 and now > today else today)


def best_us(question: str, now: datetime, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        find_ranges(question, now)
        best = min(best, time.thread_time() - started)
    return best * 1e6


def test_a_question_takes_some_ten_microseconds() -> None:
    # The figures to keep are 20 and 50 us; a busy test machine gets five times as much.
    spent = sorted(best_us(question, now, 5) for now, question in QUESTIONS)
    assert spent[len(spent) // 2] < 100
    assert spent[len(spent) * 95 // 100] < 250


@pytest.mark.parametrize(
    "text",
    [
        "昨天我们聊了什么",
        "一",
        "1234567890",
        "上",
        "大",
        "周一的",
        "周一和",
        "听昨天",
        "may in the last past ",
        "a half 3 ",
        "在公园里跑步，",
        "三月三",
        "半",
        "十一点半到年",
        "三天3 o'clock",
    ],
)
def test_a_thousand_characters_take_no_more_than_their_share(text: str) -> None:
    now = datetime(2025, 8, 20, 15, 30)
    long = (text * 1000)[:1000]
    assert best_us(long, now, 5) < 3_000
    # Linear: four times the text is about four times the work, or less.
    assert best_us(long * 4, now, 5) < 12 * max(best_us(long, now, 5), 100)


def test_no_library_is_loaded_for_it() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from xiaozhi_persona.memory.time_words import find_ranges\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "pydantic", "borax", "lunar_python", "jionlp", "yaml", "click"} & set(eval(loaded))


def test_pieces_are_ordered_by_place() -> None:
    now = datetime(2025, 8, 20, 15, 30)
    text = "上周一、昨天 and last month、5月3号"
    starts = [text.find(one.text) for one in find_ranges(text, now)]
    assert len(starts) == 4 and all(early < late for early, late in pairwise(starts))
