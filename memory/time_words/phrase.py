"""One time phrase in the making: what has been named so far, and what may be named next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

Atom = tuple[str, Any]
"""A slot and its value: ("day_rel", -1), ("part", "evening"). The slots are the methods of Phrase."""

Window = tuple[datetime, datetime, str]
"""Start, end (not in it), granularity."""


class Clock(NamedTuple):
    """A time of the clock as it was said: 十点半 is (10, 30)."""

    hour: int
    minute: int
    whole: bool
    """Only the hour was said."""
    half: str = ""
    """"am" or "pm" where that was said."""
    about: bool = False
    """左右: the half hour before counts as well."""
    hours: int = 1
    """七八点 names two hours."""


class Phrase:
    """A run of words that together name one time; relative words are worked out against `now` as they come."""

    # What is not named stays with the class, so that a phrase costs only what is in it.
    kind = ""
    day_kind = ""
    """The kind of the words that name the days; "" where only a time of day was named."""
    year: int | None = None
    month: int | None = None
    months: tuple[int, int] | None = None
    """First and last of several: 七八月."""
    day: int | None = None
    days: int = 1
    """三四号, 周三四 name two days."""
    date: datetime | None = None
    monday: datetime | None = None
    weekday: int | None = None
    """Monday 0; with `weekend`, Saturday."""
    weekend = False
    part = ""
    clock: Clock | None = None
    window: Window | None = None
    festival = ""
    season: tuple[int, int] | None = None
    lunar: tuple[int, int, bool] | None = None
    """Month, day (0 for all of them), whether the leap month is meant."""
    third: int | None = None
    edge: int | None = None
    half: int | None = None
    quarter: int | None = None
    today = False
    """The day was named as today."""
    first_day = False
    """那天: only the day itself of a festival of several days."""
    ended = False
    """上个国庆, last summer: the latest that is over."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end

    def takes(self, slot: str) -> bool:
        """Tell whether a word for this slot goes on with the phrase, from the coarse to the fine."""
        return slot in _FOLLOWS.get(self.kind, ())

    def takes_in_any_order(self, slot: str) -> bool:
        """The same for English, where the time may come before the day."""
        if slot in _TIME:
            taken = self.clock if "clock" in slot else self.part
            return not taken and self.kind not in ("window", "void", "now", "year", "month", "week", "season")
        if slot in ("year", "year_rel"):
            return self.year is None and not self.monday and not self.date and self.day_kind in _IN_A_YEAR
        if slot in ("month", "month_rel") and self.day is not None:
            return self.month is None
        if slot == "week_rel" and self.weekday is not None:
            return self.monday is None
        return slot in _FOLLOWS.get(self.day_kind, ()) or (not self.day_kind and slot in _DAYS)

    def add(self, slot: str, value: Any, now: datetime) -> None:
        """Put one more word's meaning in. Raises ValueError or OverflowError for a time outside of the calendar."""
        kind = _KIND.get(slot, slot)
        if slot == "day_rel":
            self._add_day(value, now)
        elif slot == "part":
            # 昨晚凌晨两点 is of the night that began 昨晚.
            self.part = "next_dawn" if value == "dawn" and self.part in ("evening", "night") else value
        elif slot == "week_rel":
            self.monday = monday_of(now) + timedelta(days=7 * value)
        elif slot == "year_rel":
            self.year = now.year + value
        elif slot == "month_rel":
            self.year, self.month = months_from(now.year, now.month, value)
        elif slot == "quarter_rel":
            self.year, month = months_from(now.year, (now.month - 1) // 3 * 3 + 1, 3 * value)
            self.quarter = (month + 2) // 3
        elif slot == "weekday":
            if self.kind not in ("day", "festival"):
                self.weekday = value
            else:
                kind = self.kind
        elif slot == "weekend":
            self.weekday, self.weekend = 5, True
        elif slot == "that_day":
            self.first_day = value != "那几天"
            if value in ("当晚", "那晚"):
                self.part = "evening"
            kind = self.kind
        elif slot == "same_time" and self.kind in ("year", "month", "week"):
            # 去年这个时候: about the same date, a week more on each side.
            self._add_day(0, now)
            if self.date and self.kind != "week":
                around = timedelta(days=7 if self.kind == "year" else 3)
                self.window = (self.date - around, self.date + around + timedelta(days=1), "range")
            kind = "window" if self.window else "day"
        elif slot == "same_time":
            self.clock = Clock(now.hour, now.minute, False, about=True)
            kind = "clock"
        elif slot == "strict_part":
            self.part = value
        elif slot in _ALIAS:
            setattr(self, _ALIAS[slot], value)
        elif slot not in ("void", "now"):
            setattr(self, slot, value)
        if self.kind == "void" or slot in ("ended", "days"):
            return
        self.kind = kind
        if kind not in ("part", "clock"):
            self.day_kind = kind

    def _add_day(self, value: int, now: datetime) -> None:
        """今天, 昨天; after a year, month or week the same day of it (去年今天)."""
        day = midnight(now) + timedelta(days=value)
        if self.kind == "year" and self.year is not None:
            day = day.replace(year=self.year)
        elif self.kind == "month" and self.year is not None and self.month is not None:
            day = day.replace(year=self.year, month=self.month)
        elif self.kind == "week" and self.monday is not None:
            day = self.monday + timedelta(days=day.weekday())
        else:
            self.today = value == 0
        self.date = day


def midnight(now: datetime) -> datetime:
    """Return the begin of the day."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def monday_of(now: datetime) -> datetime:
    """Return the begin of the week."""
    return midnight(now) - timedelta(days=now.weekday())


def months_from(year: int, month: int, months: int) -> tuple[int, int]:
    """Return the year and month that lie some months after a month; before it, when `months` is negative."""
    index = year * 12 + month - 1 + months
    return index // 12, index % 12 + 1


_KIND = {
    "day_rel": "day",
    "week_rel": "week",
    "year_rel": "year",
    "month_rel": "month",
    "quarter_rel": "quarter",
    "strict_part": "part",
    "strict_day": "day",
    "weak_clock": "clock",
    "strict_clock": "clock",
    "strict_season": "season",
    "date": "day",
    "monday": "week",
}
_IN_A_YEAR = ("month", "day", "season", "festival")
_ALIAS = {"strict_clock": "clock", "strict_season": "season", "strict_day": "day", "weak_clock": "clock"}
_TIME = ("part", "strict_part", "clock", "weak_clock", "strict_clock")
_FOLLOWS: dict[str, tuple[str, ...]] = {
    "year": (
        "month",
        "months",
        "lunar",
        "half",
        "quarter",
        "edge",
        "season",
        "strict_season",
        "festival",
        "day_rel",
        "same_time",
    ),
    "month": ("day", "strict_day", "third", "day_rel", "same_time"),
    "week": ("weekday", "day_rel", "weekend", "same_time"),
    "weekday": (*_TIME, "that_day"),
    "weekend": ("part", "that_day"),
    "day": (*_TIME, "weekday", "that_day", "same_time"),
    "festival": (*_TIME, "weekday", "that_day"),
    "lunar": (*_TIME, "that_day"),
    "part": _TIME,
    "void": (
        *(
            "year",
            "month",
            "day",
            "weekday",
            "weekend",
            "festival",
            "season",
            "lunar",
            "third",
            "edge",
            "half",
        ),
        *(*_TIME, "that_day", "same_time", "void"),
    ),
}
_DAYS = ("year", "month", "day", "day_rel", "week_rel", "weekday", "weekend", "date", "festival", "season")
