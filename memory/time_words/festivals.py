"""The days that people mean by the name of a festival.

The state's holidays shift from year to year and are announced; these are the days as they are remembered:
国庆 is 1 to 7 October, 春节 the seven days from 除夕 on, 五一 is 1 to 5 May, the others are one day.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from xiaozhi_persona.memory.time_words.lunar import SOLAR_TERMS, lunar_days, new_year, solar_term


class Festival(NamedTuple):
    """One festival of one year."""

    first: date
    days: int = 1
    main: int = 0
    """Index of the day itself among the days: 1 for 春节, whose days begin with 除夕."""


def festivals(name: str, year: int) -> list[Festival]:
    """Return the festivals of this name that begin in a solar year, newest first; [] when there is none.

    Names are those of FESTIVAL_NAMES' values and of the solar terms.
    """
    if name in _FIXED:
        month, day, days = _FIXED[name]
        return [Festival(date(year, month, day), days)]
    if name in _LUNAR:
        return [Festival(day) for day in lunar_days(year, *_LUNAR[name])]
    if name in _NTH_WEEKDAY:
        return [Festival(_nth_weekday(year, *_NTH_WEEKDAY[name]))]
    if name in _TERMS:
        term = solar_term(year, name)
        return [Festival(term)] if term else []
    if name in ("除夕", "春节"):
        first = new_year(year)
        eve = first - timedelta(days=1) if first else None
        return [Festival(eve, 7, 1) if name == "春节" else Festival(eve)] if eve else []
    if name in _EASTER:
        return [Festival(_easter(year) + timedelta(days=_EASTER[name]))]
    return []


def holiday(festival: Festival) -> Festival:
    """Return the days off of a one-day festival: three, joined to the weekend where it is near (中秋假期)."""
    if festival.days > 1:
        return festival
    before = {5: 0, 6: 1, 0: 2, 4: 0, 3: 0, 1: 1, 2: 1}[festival.first.weekday()]
    return Festival(festival.first - timedelta(days=before), 3, before)


FESTIVAL_NAMES: dict[str, str] = {
    name: names[0]
    for names in (
        group.split("|")
        for group in """
        元旦|元旦节|阳历新年|阳历年|新年
        春节|过年|农历新年|农历年|阴历年|新春佳节|旧历年|旧历新年|中国新年|春节里|过大年
        除夕|大年三十|年三十|大年夜
        元宵|元宵节|上元节|灯节|正月十五
        龙抬头|二月二
        情人节|西方情人节
        妇女节|三八节|三八妇女节|女神节|女生节
        植树节
        愚人节
        清明|清明节
        五一|五一节|劳动节|五一劳动节|国际劳动节|五一假期|五一长假|五一小长假|劳动节假期
        五四|五四青年节|青年节
        母亲节
        六一|儿童节|六一儿童节|六一节
        父亲节
        端午|端午节|端阳节
        建党节
        建军节|八一建军节
        七夕|七夕节|乞巧节
        中元|中元节|鬼节|七月半|盂兰盆节
        教师节
        中秋|中秋节|八月十五|八月节|团圆节|仲秋节
        重阳|重阳节|老人节
        国庆|国庆节|十一国庆|十一国庆节|国庆假期|国庆长假|国庆黄金周|十一长假|十一假期|十一黄金周|十一放假|十一期间
        万圣节|万圣夜|万圣节前夜|哈罗万
        双十一|双11|双十一购物节|光棍节
        双十二|双12
        感恩节
        平安夜|圣诞夜|圣诞前夜|圣诞节前夜|圣诞前夕
        圣诞|圣诞节|耶诞|耶诞节
        跨年|跨年夜|元旦前夜|阳历年三十
        复活节
        腊八|腊八节
        小年|过小年|小年夜
        三月三|上巳节
        高考
        618
        520
        九一八|9·18
        """.split()
    )
    for name in names
} | {term: term for term in SOLAR_TERMS}
"""Each Chinese name of a festival or solar term, and the name that festivals() knows."""

_FIXED = {
    "元旦": (1, 1, 1),
    "情人节": (2, 14, 1),
    "妇女节": (3, 8, 1),
    "植树节": (3, 12, 1),
    "愚人节": (4, 1, 1),
    "五一": (5, 1, 5),
    "五四": (5, 4, 1),
    "六一": (6, 1, 1),
    "618": (6, 18, 1),
    "高考": (6, 7, 3),
    "九一八": (9, 18, 1),
    "520": (5, 20, 1),
    "建党节": (7, 1, 1),
    "建军节": (8, 1, 1),
    "教师节": (9, 10, 1),
    "国庆": (10, 1, 7),
    "万圣节": (10, 31, 1),
    "双十一": (11, 11, 1),
    "双十二": (12, 12, 1),
    "平安夜": (12, 24, 1),
    "圣诞": (12, 25, 1),
    "跨年": (12, 31, 1),
    # Japan
    "正月": (1, 1, 3),
    "節分": (2, 3, 1),
    "ひな祭り": (3, 3, 1),
    "ゴールデンウィーク": (4, 29, 7),
    "こどもの日": (5, 5, 1),
    "日本の七夕": (7, 7, 1),
    "お盆": (8, 13, 4),
    "大晦日": (12, 31, 1),
    "年末年始": (12, 29, 6),
    # English-speaking countries
    "independence day": (7, 4, 1),
    "boxing day": (12, 26, 1),
    "may day": (5, 1, 1),
    "st patrick": (3, 17, 1),
}
_LUNAR = {
    "元宵": (1, 15),
    "龙抬头": (2, 2),
    "三月三": (3, 3),
    "端午": (5, 5),
    "七夕": (7, 7),
    "中元": (7, 15),
    "中秋": (8, 15),
    "重阳": (9, 9),
    "腊八": (12, 8),
    # The northern day; the south keeps it a day later.
    "小年": (12, 23),
}
_NTH_WEEKDAY = {"母亲节": (5, 2, 6), "父亲节": (6, 3, 6), "感恩节": (11, 4, 3), "海の日": (7, 3, 0)}
"""Month, which one, weekday (Monday 0)."""
_EASTER = {"复活节": 0, "good friday": -2}
_TERMS = frozenset(SOLAR_TERMS)


def _nth_weekday(year: int, month: int, nth: int, weekday: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _easter(year: int) -> date:
    """The Gregorian computus of Meeus, Jones and Butcher."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)
