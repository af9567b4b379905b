"""Times and lengths of time as they are said in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

_WEEKDAYS = {
    "zh": [f"星期{day}" for day in "一二三四五六日"],
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "ja": [f"{day}曜日" for day in "月火水木金土日"],
}
_MONTHS = "January February March April May June July August September October November December".split()
_NEAR_DAYS = {"zh": ("今天", "明天", "后天"), "en": ("today", "tomorrow"), "ja": ("今日", "明日", "あさって")}
_UNITS = {"zh": ("小时", "分钟", "秒"), "en": ("hour", "minute", "second"), "ja": ("時間", "分", "秒")}
_PARTS = ((5, "凌晨"), (8, "早上"), (11, "上午"), (13, "中午"), (18, "下午"), (24, "晚上"))
"""Up to which hour the parts of the day go in Chinese."""


def clock_said(at: datetime, language: str) -> str:
    """Return a time of day: 下午3点20分, 3:20 PM, 15時20分."""
    if language == "en":
        return f"{at.hour % 12 or 12}:{at:%M} {'AM' if at.hour < 12 else 'PM'}"
    if language == "ja":
        return f"{at.hour}時" + (f"{at.minute}分" if at.minute else "")
    part = next(part for hour, part in _PARTS if at.hour < hour)
    return f"{part}{at.hour % 12 or (0 if at.hour == 0 else 12)}点" + (f"{at.minute}分" if at.minute else "")


def day_said(day: date, language: str) -> str:
    """Return a date with the day of the week: 11月30日，星期一."""
    weekday = _WEEKDAYS[language][day.weekday()]
    if language == "en":
        return f"{weekday}, {_MONTHS[day.month - 1]} {day.day}"
    return f"{day.month}月{day.day}日{'，' if language == 'zh' else '、'}{weekday}"


def moment_said(at: datetime, now: datetime, language: str, repeats: Mapping[str, Any]) -> str:
    """Return when something rings: 明天早上7点, every day at 7:00 AM; `repeats` are the slots of an alarm that does."""
    clock = clock_said(at, language)
    kind = repeats.get("repeat")
    if kind:
        weekday = _WEEKDAYS[language][at.weekday()]
        every = {
            "zh": {"daily": "每天", "workdays": "工作日", "weekly": f"每个{weekday}"},
            "en": {"daily": "every day", "workdays": "on workdays", "weekly": f"every {weekday}"},
            "ja": {"daily": "毎日", "workdays": "平日", "weekly": f"毎週{weekday}"},
        }[language][kind]
        return f"{every} at {clock}" if language == "en" else every + clock
    days = (at.date() - now.date()).days
    near = _NEAR_DAYS[language]
    day = near[days] if 0 <= days < len(near) else day_said(at, language)
    return f"{day} at {clock}" if language == "en" else f"{day}{'の' if language == 'ja' else ''}{clock}"


def length_said(length: timedelta, language: str) -> str:
    """Return a length of time in hours, minutes and seconds: 1小时30分钟, 90 seconds; of a long one no seconds."""
    seconds = max(0, round(length.total_seconds()))
    if seconds >= 3600:
        seconds = round(seconds / 60) * 60
    numbers = (seconds // 3600, seconds % 3600 // 60, seconds % 60)
    told = [(number, unit) for number, unit in zip(numbers, _UNITS[language], strict=True) if number]
    told = told or [(0, _UNITS[language][-1])]
    if language == "en":
        return " ".join(f"{number} {unit}{'s' * (number != 1)}" for number, unit in told)
    text = "".join(f"{number}{unit}" for number, unit in told)
    return text.replace("分钟", "分") if language == "zh" and seconds % 60 and seconds >= 60 else text
