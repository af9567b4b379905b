"""A part of a named span, by its number: 六月第二个周末, 上个月前五天, 七月倒数第二天, 7月の第2月曜日, the second Monday of July."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from xiaozhi_persona.memory.time_words.numbers import NUMBER, read_number
from xiaozhi_persona.memory.time_words.phrase import Window, months_from
from xiaozhi_persona.memory.time_words.words_zh import WEEKDAYS

_DAY = timedelta(days=1)
_WITH_PARTS = ("week", "month", "year", "season")
_JAPANESE = "月火水木金土日"
_PART = re.compile(
    rf"[的の里]?(?:(?P<back>倒数)?第(?P<n>{NUMBER})(?:个?(?P<weekend>周末)|个?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天]?)"
    rf"|(?P<day>[天日](?![本元]))|(?P<japanese>[{_JAPANESE}])曜日?)"
    rf"|(?P<side>前|头|后|最后|最初)(?P<count>{NUMBER})(?:(?P<days>[天日])|(?P<weeks>周|个(?:星期|礼拜)(?![一二三四五六日天]))|(?P<months>个月))(?!以?[前后内]))"
)


def part_after(text: str, end: int, span: Window, now: datetime) -> tuple[int, list[Window]] | None:
    """Return where the words of the part end that follow those of a span, and its range; None when none follow."""
    match = _PART.match(text, end) if span[2] in _WITH_PARTS else None
    if match is None:
        return None
    number = read_number(match["n"] or match["count"])
    part = None
    if number and match["side"]:
        part = _side(span, match["side"], number, match["days"], match["weeks"])
    elif number and match["weekend"]:
        part = nth(span, number, 5, 2, bool(match["back"]))
    elif number and (match["weekday"] or match["japanese"]):
        weekday = WEEKDAYS[match["weekday"]] if match["weekday"] else _JAPANESE.index(match["japanese"])
        part = nth(span, number, weekday, 1, bool(match["back"]))
    elif number:
        part = nth(span, number, None, 1 if match["day"] else 7, bool(match["back"]))
    if part is None:
        return None
    return match.end(), [part] if part[0] <= now else []


def nth(span: Window, number: int, weekday: int | None, days: int, back: bool = False) -> Window | None:
    """Return so many `days` from the nth such weekday of a span on; without a weekday its nth day, or nth 7 days.

    `back` counts from the end. None where the span has no nth.
    """
    start, end, _ = span
    step = 7 if weekday is not None else days
    if weekday is not None:
        start += timedelta(days=(weekday - start.weekday()) % 7)
    count = -(-(end - start) // (step * _DAY))
    index = count - number if back else number - 1
    begin = start + index * step * _DAY
    if not 0 <= index < count:
        return None
    return begin, begin + days * _DAY, {1: "day", 7: "week"}.get(days, "range")


def nth_of_month(
    year: int | None, month: int, number: int, weekday: int | None, days: int, now: datetime
) -> Window | None:
    """Return what `nth` does for the month of a year, without one for the newest that has begun; -1 is the last."""
    for one in (year,) if year else (now.year, now.year - 1):
        span = (datetime(one, month, 1), datetime(*months_from(one, month, 1), 1), "month")
        part = nth(span, abs(number), weekday, days, number < 0)
        if part and part[0] <= now:
            return part
    return None


def _side(span: Window, side: str, number: int, days: str | None, weeks: str | None) -> Window | None:
    """Return the first or the last so many days, weeks or months of a span that has more."""
    start, end, _ = span
    if days or weeks:
        length = number * (_DAY if days else 7 * _DAY)
        first, last = start + length, end - length
    else:
        first = datetime(*months_from(start.year, start.month, number), 1)
        last = datetime(*months_from(end.year, end.month, -number), 1)
    if first >= end:
        return None
    return (last, end, "range") if "后" in side else (start, first, "range")
