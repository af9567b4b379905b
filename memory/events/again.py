"""What happens again and again: every day, on a day of each week, month or year."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.numbers import read_number

_NUMBER = r"(?:\d{1,2}|[零〇一二两三四五六七八九十]{1,3})"
_ENGLISH = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PATTERN = pattern(
    rf"""每(?:一?个)?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天末])
    |[每毎]週(?P<youbi>[月火水木金土日])曜
    |\bevery\ (?P<english>mon|tue|wed|thu|fri|sat|sun)|\bon\ (?P<plural>mon|tues|wednes|thurs|fri|satur|sun)days\b
    |\bevery\ (?P<weekend>weekend)
    |每(?:一?个)?月(?P<monthday>{_NUMBER})[日号]
    |每年的?(?P<month>{_NUMBER})月(?P<day>{_NUMBER})[日号]
    |(?P<daily>每天|天天|每日|毎日|毎朝|毎晩|每晚|每早|\bevery\ (?:day|morning|evening|night)\b)""",
    re.VERBOSE | re.IGNORECASE,
)


def find_again(text: str) -> str:
    """Return on which days something happens again and again, as happens_on() takes it; "" when it does not say so."""
    match = _PATTERN.search(text)
    if match is None:
        return ""
    group = {name: value for name, value in match.groupdict().items() if value}
    if "daily" in group:
        return "day"
    if "monthday" in group:
        return f"month {_number(group['monthday'])}"
    if "month" in group:
        return f"year {_number(group['month'])}-{_number(group['day'])}"
    if "youbi" in group:
        days = ["月火水木金土日".index(group["youbi"])]
    elif "weekend" in group or group.get("weekday") == "末":
        days = [5, 6]
    elif "weekday" in group:
        days = ["一二三四五六日天".index(group["weekday"]) % 7 if group["weekday"] != "天" else 6]
    else:
        days = [_ENGLISH.index((group.get("english") or group["plural"])[:3].lower())]
    return f"week {''.join(map(str, days))}"


def happens_on(again: str, day: datetime) -> bool:
    """Whether it is a day on which something happens again."""
    what, _, days = again.partition(" ")
    if what == "week":
        return str(day.weekday()) in days
    if what == "month":
        return days == str(day.day)
    if what == "year":
        return days == f"{day.month}-{day.day}"
    return what == "day"


def happens_between(again: str, start: datetime, end: datetime) -> bool:
    """Whether it happens in a range, half-open; of one longer than a year, its first year is looked at."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(366):
        if day >= end:
            return False
        if happens_on(again, day):
            return True
        day += timedelta(days=1)
    return False


def _number(text: str) -> int:
    return read_number(text) or 0
