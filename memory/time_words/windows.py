"""The windows of words that are no day, month or year of the calendar: 刚才, 最近, 半小时前, 近三天, 两三天前.

What "sensible" means for the vague ones is decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from xiaozhi_persona.memory.time_words.phrase import Atom, Window, midnight, monday_of, months_from

Amount = tuple[float, float]
"""How many, from and to; equal when it was said exactly, (0, 0) for 几."""


def vague(kind: str, now: datetime) -> Window:
    """Return the window of a vague word; the kinds are the keys of the tables of words."""
    start, end = _VAGUE[kind](now)
    return start, end, "range"


def past(kind: str, unit: str, amount: Amount, now: datetime) -> Window:
    """Return the window of so many units: `kind` "last" ends now, "these" counts the present unit, "before" ends before it."""
    count = amount[1] or _SOME[unit]
    if unit in _SECONDS:
        return now - timedelta(seconds=count * _SECONDS[unit]), now, "range"
    if kind == "last":
        return midnight(_back(now, unit, count)), now, "range"
    begin = _begin(now, unit)
    if kind == "these" and count < 1:  # 这半年
        return _back(midnight(now), unit, count), now, "range"
    if kind == "these":
        return _back(begin, unit, count - 1), now, "range"
    return _back(begin, unit, count), begin, _UNIT_NAME[unit] if count == 1 else "range"


def ago(unit: str, amount: Amount, more: bool, minutes: int, now: datetime) -> tuple[Atom, ...]:
    """Return what so many units ago names: a whole day, week, month or year, or a window around an instant.

    `more` is 多 (三十多天前), `minutes` are added to hours.
    """
    low, high = amount
    if unit in _SECONDS:
        return (("window", _instant_ago(unit, amount, more, minutes, now)),)
    if high == 0:
        begin = _begin(now, unit)
        return (("window", (_back(begin, unit, _SOME_AGO[unit]), begin, "range")),)
    if more:
        high = low + 9 if low % 10 == 0 else low + 1
    if unit == "quarter":
        unit, low, high = "month", low * 3, high * 3
    if low != high:
        start = _back(_begin(now, unit), unit, high)
        return (("window", (start, _back(_begin(now, unit), unit, low - 1), "range")),)
    if unit == "year" and low != int(low):
        unit, low = "month", {0.5: 6, 0.66: 8, 0.4: 5}.get(low, int(low) * 12 + 6)
    if unit == "day":
        return (("date", midnight(now) - timedelta(days=int(low))),)
    if unit == "week" and low == int(low):
        return (("monday", monday_of(now) - timedelta(days=7 * int(low))),)
    if unit == "month" and low == int(low):
        year, month = months_from(now.year, now.month, -int(low))
        return ("year", year), ("month", month)
    if unit == "year":
        return (("year", now.year - int(low)),)
    days = round(low * (30 if unit == "month" else 7))
    slack = 3 if days < 21 else 7
    middle = midnight(now) - timedelta(days=days)
    return (("window", (middle - timedelta(days=slack), middle + timedelta(days=slack + 1), "range")),)


def decade(number: int) -> Window:
    """Return the ten years that 90年代 names."""
    first = (1900 if number >= 30 else 2000) + number
    return datetime(first, 1, 1), datetime(first + 10, 1, 1), "range"


_SECONDS = {"second": 1, "minute": 60, "quarter_hour": 900, "hour": 3600}
_UNIT_NAME = {"day": "day", "week": "week", "month": "month", "quarter": "range", "year": "year"}
_SOME = {
    "second": 60,
    "minute": 10,
    "quarter_hour": 3,
    "hour": 6,
    "day": 7,
    "week": 4,
    "month": 6,
    "quarter": 3,
    "year": 5,
}
_SOME_AGO = {"day": 7, "week": 4, "month": 6, "quarter": 4, "year": 6}


def _instant_ago(unit: str, amount: Amount, more: bool, minutes: int, now: datetime) -> Window:
    low, high = (value * _SECONDS[unit] + 60 * minutes for value in amount)
    if high == 0:
        return now - timedelta(seconds=_SOME[unit] * _SECONDS[unit]), now, "range"
    if more:
        high += 9 * _SECONDS[unit] if amount[1] % 10 == 0 else min(low, _SECONDS[unit])
    slack = min(max(low / 4, 180), 1800 if low < 43200 else 3600)
    start = now - timedelta(seconds=high + slack)
    return start, min(now, now - timedelta(seconds=low - slack)), "minute" if low < 3600 else "hour"


def _begin(now: datetime, unit: str) -> datetime:
    if unit == "day":
        return midnight(now)
    if unit == "week":
        return monday_of(now)
    if unit == "year":
        return datetime(now.year, 1, 1)
    return datetime(now.year, now.month if unit == "month" else (now.month - 1) // 3 * 3 + 1, 1)


def _back(at: datetime, unit: str, count: float) -> datetime:
    """Go back so many units; half a month is 15 days, half a year 6 months."""
    if unit in ("day", "week"):
        return at - timedelta(days=int(count * (7 if unit == "week" else 1)))
    months = count * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = months_from(at.year, at.month, -int(months))
    day = at.replace(year=year, month=month, day=min(at.day, 28)) + timedelta(days=max(at.day - 28, 0))
    if (day.year, day.month) != (year, month):
        day = day.replace(day=1) - timedelta(days=1)
    return day - timedelta(days=round(30 * (months - int(months))))


_VAGUE: dict[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "just_now": lambda now: (now - timedelta(minutes=30), now),
    "lately": lambda now: (midnight(now) - timedelta(days=14), now),
    "these_days": lambda now: (midnight(now) - timedelta(days=6), now),
    "the_other_day": lambda now: (midnight(now) - timedelta(days=10), midnight(now)),
    "a_while_ago": lambda now: (midnight(now) - timedelta(days=45), midnight(now)),
    "years_ago": lambda now: (datetime(now.year - 10, 1, 1), datetime(now.year, 1, 1)),
    "late_years": lambda now: (datetime(now.year - 3, 1, 1), now),
    "earlier_today": lambda now: (midnight(now), now),
}
