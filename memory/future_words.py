"""Words for what lies ahead: 明天, 下周三, 15号, 3月5日, 三天后, with the time of day; future_abroad.py has those of
English and Japanese.

A question about what was said is read by the time words, which look back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory import future_abroad
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.numbers import read_number
from xiaozhi_persona.memory.time_words.phrase import Clock, midnight, monday_of
from xiaozhi_persona.memory.time_words.resolve import PARTS, clock_hours


@dataclass(frozen=True)
class FutureRange:
    """A day or a part of one that begins today or later: local, naive, half-open."""

    start: datetime
    end: datetime
    text: str
    """The words that said so."""


_ABROAD = pattern("[a-z]{2}|[\u3041-\u309f]|[明来翌今]日|来[週月年]|再来|[間月日]後", re.IGNORECASE)
_NUMBER = r"(?:\d{1,3}|[零〇一二两三四五六七八九十]{1,3})"
_PARTS = {
    "凌晨": "dawn", "清晨": "early", "一早": "early", "早上": "morning", "早晨": "morning", "上午": "forenoon", "中午": "noon",
    "下午": "afternoon", "傍晚": "dusk", "晚上": "evening", "晚": "evening", "早": "morning", "夜里": "night",
}  # fmt: skip
"""As the time words call them, whose policy says when they are."""
_DAYS = {"今天": 0, "今": 0, "明天": 1, "明": 1, "明儿": 1, "后天": 2, "大后天": 3}
_WEEKDAY = {char: day for day, char in enumerate("一二三四五六")} | {"日": 6, "天": 6, "末": 5}

# 上周三, 每周三 and 上个月5号 are no days ahead, and 小明天天 holds no 明天.
_NOT_AFTER = "(?<![上每前去])(?<![上每]个)(?<!上月)(?<!上个月)(?<!每月)(?<!每个月)(?<!\\d)(?<!去年)(?<!前年)"
_DAY = rf"""(?P<named>大后天|后天|(?<!小)明天|明儿|今天|今(?=[晚早])|(?<!小)明(?=[晚早]))
    |(?P<weeks>(?<!下)下+个?|这个?|本)?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天末])
    |(?P<wholeweek>(?<!下)下+个?(?:周|星期|礼拜))(?![一二三四五六日天末])
    |(?:(?P<monthahead>下个?月)|(?P<thisyear>今年)?的?(?P<month>{_NUMBER})月份?)(?P<day>{_NUMBER})[日号]?
    |(?P<wholemonth>下个?月)(?!{_NUMBER})
    |(?P<wholeyear>明年|后年)(?!{_NUMBER}月)
    |(?P<bareday>{_NUMBER})[日号](?!楼|线|门|店|球)
    |(?P<later>{_NUMBER})(?P<unit>天|个?星期|周|个?月)(?:之?后|以后)"""
_CLOCK = rf"(?P<hour>{_NUMBER})(?:[点时](?P<half>半)?(?:(?P<quarter>[一三])刻|(?P<minute>{_NUMBER})分?)?|[:：](?P<minute2>\d\d))"
_PATTERN = pattern(rf"{_NOT_AFTER}(?:{_DAY})的?(?P<part>{'|'.join(_PARTS)})?的?(?:{_CLOCK})?", re.VERBOSE)


def find_future(text: str, now: datetime) -> list[FutureRange]:
    """Return the days that the text names and that begin today or later. `now` is local and naive."""
    text = text[:500]
    if _ABROAD.search(text):
        abroad = [FutureRange(*when) for when in future_abroad.find(text, now)]
        if abroad:
            return abroad
    found = []
    for match in _PATTERN.finditer(text):
        try:
            days = _days(match, midnight(now))
            if days is not None:
                found.append(_narrowed(match, *days))
        except (ValueError, OverflowError):
            continue  # no such day: 2月30日
    return found


def _days(match: re.Match[str], today: datetime) -> tuple[datetime, datetime] | None:
    """Return the whole days that are named, None when they are past."""
    group = match.groupdict()
    monday = monday_of(today)
    length = timedelta(days=1)
    if group["named"]:
        start = today + timedelta(days=_DAYS[group["named"]])
    elif group["weekday"]:
        day = timedelta(days=_WEEKDAY[group["weekday"]])
        ahead = (group["weeks"] or "").count("下")
        start = monday + timedelta(weeks=ahead) + day
        if not group["weeks"] and start < today:
            start += timedelta(weeks=1)
        if group["weekday"] == "末":
            length = timedelta(days=2)
    elif group["wholeweek"]:
        start = monday + timedelta(weeks=group["wholeweek"].count("下"))
        length = timedelta(weeks=1)
    elif group["wholeyear"]:
        start = today.replace(year=today.year + (1 if group["wholeyear"] == "明年" else 2), month=1, day=1)
        length = start.replace(year=start.year + 1) - start
    elif group["wholemonth"]:
        start = _month(today, 1)
        length = _month(start, 1) - start
    elif group["monthahead"]:
        start = _month(today, 1).replace(day=_number(group["day"]))
    elif group["month"]:
        start = today.replace(month=_number(group["month"]), day=_number(group["day"]))
        if start < today:
            if group["thisyear"]:
                return None
            start = start.replace(year=start.year + 1)
    elif group["bareday"]:
        day_of_month = _number(group["bareday"])
        start = today if day_of_month >= today.day else _month(today, 1)
        start = start.replace(day=day_of_month)
    else:
        count, unit = _number(group["later"]), group["unit"]
        if unit.endswith("月"):
            start = _month(today, count).replace(day=min(today.day, 28))
        else:
            start = today + timedelta(days=count * (1 if unit == "天" else 7))
    return (start, start + length) if start + length > today else None


def _narrowed(match: re.Match[str], start: datetime, end: datetime) -> FutureRange:
    """Take the part of the day and the clock into account."""
    part, hour = _PARTS.get(match["part"] or "", ""), _number(match["hour"] or "99")
    if hour <= 24:
        minute = 30 if match["half"] else 15 * _number(match["quarter"] or "零")
        minute = _number(match["minute"] or match["minute2"] or str(minute))
        hour = clock_hours(Clock(hour, minute, whole=False), part, has_day=True, now=start)[0]
        start += timedelta(hours=hour, minutes=min(minute, 59))
        return FutureRange(start, start + timedelta(minutes=30), match[0])
    if part:
        first, last = (timedelta(minutes=minutes) for minutes in PARTS[part])
        return FutureRange(start + first, start + last, match[0])
    return FutureRange(start, end, match[0])


def _month(day: datetime, ahead: int) -> datetime:
    months = day.year * 12 + day.month - 1 + ahead
    return day.replace(year=months // 12, month=months % 12 + 1, day=1)


def _number(text: str) -> int:
    """Return a number. Raises ValueError for what is none."""
    number = read_number(text)
    if number is None:
        raise ValueError(text)
    return number
