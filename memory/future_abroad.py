"""Words for what lies ahead in English and Japanese: tomorrow, next Friday, in two weeks, 明日, 来週の土曜日."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.numbers import read_number
from xiaozhi_persona.memory.time_words.phrase import midnight, monday_of

_ENGLISH_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_JAPANESE_DAYS = "月火水木金土日"
_COUNTS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "ten": 10,
}
_COUNT = rf"(?:{'|'.join(_COUNTS)}|\d{{1,3}})"
_PATTERN = pattern(
    rf"""(?P<overmorrow>\bthe\ day\ after\ tomorrow\b|明後日|あさって)
    |(?P<tomorrow>\btomorrow\b|明日|あした|明朝|明晩)
    |(?P<today>\btonight\b|\btoday\b|今日|今夜|今晩)
    |\bnext\ (?P<next>week(?:end)?|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b
    |\b(?:this|the\ coming|coming)\ (?P<this>weekend|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b
    |\bin\ (?P<count>{_COUNT})\ (?P<unit>day|week|month)s?\b
    |(?P<japanese>再来週|来週)(?:の?(?P<youbi>[{_JAPANESE_DAYS}])曜日?)?
    |(?P<month>来月)|(?P<year>来年)
    |(?P<jcount>\d{{1,3}}|[一二三四五六七八九十]{{1,3}})(?P<junit>日|週間|か月|ヶ月)後""",
    re.VERBOSE | re.IGNORECASE,
)


def find(text: str, now: datetime) -> Iterator[tuple[datetime, datetime, str]]:
    """Yield the days that a text names and that begin today or later, half-open, with their words."""
    today = midnight(now)
    for match in _PATTERN.finditer(text):
        try:
            start, days = _days(match.groupdict(), today)
        except (ValueError, OverflowError):
            continue
        yield start, start + timedelta(days=days), match[0]


def _days(group: dict[str, str | None], today: datetime) -> tuple[datetime, int]:
    """Return the first day and how many there are."""
    monday = monday_of(today)
    if group["overmorrow"]:
        return today + timedelta(days=2), 1
    if group["tomorrow"]:
        return today + timedelta(days=1), 1
    if group["today"]:
        return today, 1
    if following := (group["next"] or "").lower():
        if following == "week":
            return monday + timedelta(weeks=1), 7
        if following == "weekend":
            return monday + timedelta(days=12), 2
        if following in ("month", "year"):
            return _month(today, 1) if following == "month" else _year(today)
        return monday + timedelta(weeks=1, days=_ENGLISH_DAYS.index(following[:3])), 1
    if this := (group["this"] or "").lower():
        if this == "weekend":
            return max(today, monday + timedelta(days=5)), 2 if today.weekday() < 6 else 1
        return _coming(today, _ENGLISH_DAYS.index(this[:3])), 1
    if group["count"]:
        count = _COUNTS.get(group["count"].lower()) or int(group["count"])
        return _later(today, count, (group["unit"] or "").lower())
    if group["japanese"]:
        week = monday + timedelta(weeks=2 if group["japanese"].startswith("再") else 1)
        return (
            (week + timedelta(days=_JAPANESE_DAYS.index(group["youbi"])), 1) if group["youbi"] else (week, 7)
        )
    if group["month"]:
        return _month(today, 1)
    if group["year"]:
        return _year(today)
    number = read_number(group["jcount"] or "") or 0
    return _later(today, number, {"日": "day", "週間": "week"}.get(group["junit"] or "", "month"))


def _coming(today: datetime, weekday: int) -> datetime:
    return today + timedelta(days=(weekday - today.weekday()) % 7)


def _later(today: datetime, count: int, unit: str) -> tuple[datetime, int]:
    if unit == "month":
        month, _ = _month(today, count)
        return month.replace(day=min(today.day, 28)), 1
    return today + timedelta(days=count * (7 if unit == "week" else 1)), 1


def _month(today: datetime, ahead: int) -> tuple[datetime, int]:
    months = today.year * 12 + today.month - 1 + ahead
    start = today.replace(year=months // 12, month=months % 12 + 1, day=1)
    return start, ((start + timedelta(days=31)).replace(day=1) - start).days


def _year(today: datetime) -> tuple[datetime, int]:
    start = today.replace(year=today.year + 1, month=1, day=1)
    return start, (start.replace(year=start.year + 1) - start).days
