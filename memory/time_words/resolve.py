"""From what a phrase names to its range: the policy of a diary, which looks back.

A phrase that names its day for certain (昨天, 上周三, 2024年5月) has one candidate, one that recurs (周三, 3号, 国庆) has several;
the newest that began at or before now is meant, and one that lies only in the future gives none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from xiaozhi_persona.memory.time_words.festivals import Festival, festivals
from xiaozhi_persona.memory.time_words.lunar import lunar_days, lunar_month
from xiaozhi_persona.memory.time_words.phrase import Clock, Phrase, Window, midnight, monday_of, months_from

PARTS = {
    "dawn": (0, 360),
    "early": (300, 480),
    "morning": (360, 660),
    "forenoon": (480, 720),
    "before_noon": (0, 720),
    "noon": (660, 840),
    "afternoon": (720, 1080),
    "dusk": (1020, 1170),
    "evening": (1080, 1440),
    "night": (1260, 1740),
    "early_night": (1260, 1440),
    "late_night": (1440, 1740),
    "next_dawn": (1440, 1800),
    "daytime": (360, 1080),
}
"""Begin and end of each part of a day, in minutes from its midnight."""

NIGHT_ENDS_HOUR = 5
"""Whoever asks before this hour has not slept yet: 昨晚 runs to now, 今晚 is the night that is going on."""

_DAY = timedelta(days=1)


def resolve(phrase: Phrase, now: datetime) -> list[Window]:
    """Return the ranges of a phrase, oldest first; [] when it lies only in the future or does not exist (30 February)."""
    for start, end, granularity in candidates(phrase, now):
        if phrase.ended and end > now:
            continue
        if phrase.part or phrase.clock:
            times = _times(phrase, start, end, granularity, now)
            windows = [window for window in times if window[0] <= now]
            if windows:
                return windows
        elif start <= now:
            return [(start, end, granularity)]
    return []


def candidates(phrase: Phrase, now: datetime) -> Iterator[Window]:
    """Yield the days that a phrase may mean, newest first; also such as lie in the future."""
    if phrase.window:
        yield phrase.window
    elif phrase.date:
        yield phrase.date, phrase.date + _DAY, "day"
    elif phrase.weekday is not None:
        yield from _weekdays(phrase, now)
    elif phrase.monday:
        yield phrase.monday, phrase.monday + timedelta(days=7), "week"
    elif phrase.festival:
        yield from _festivals(phrase, now)
    elif phrase.lunar:
        yield from _lunar(phrase, now)
    elif phrase.season:
        yield from _seasons(phrase, now)
    elif phrase.day is not None:
        yield from _days_of_month(phrase, now)
    elif phrase.half or phrase.quarter or phrase.edge is not None:
        first, months = _months_of_year(phrase)
        for year in _years(phrase, now):
            yield _months(year, first, months)
    elif phrase.months or phrase.month is not None:
        first, last = phrase.months or (phrase.month or 1, phrase.month or 1)
        for year in _years(phrase, now):
            window = _months(year, first, last - first + 1)
            yield _third(window[0], phrase.third) if phrase.third is not None else window
    elif phrase.third is not None:
        for back in (0, -1):
            year, month = months_from(now.year, now.month, back)
            yield _third(datetime(year, month, 1), phrase.third)
    elif phrase.year is not None:
        yield datetime(phrase.year, 1, 1), datetime(phrase.year + 1, 1, 1), "year"
    elif phrase.part or phrase.clock:
        for back in (0, 1, 2):
            day = midnight(now) - timedelta(days=back)
            yield day, day + _DAY, ""


def _weekdays(phrase: Phrase, now: datetime) -> Iterator[Window]:
    length = 2 if phrase.weekend else phrase.days
    name = "day" if length == 1 else "range"
    start = (phrase.monday or monday_of(now)) + timedelta(days=phrase.weekday or 0)
    for weeks in (0,) if phrase.monday else (0, 1, 2):
        begin = start - timedelta(days=7 * weeks)
        yield begin, begin + timedelta(days=length), name


def _years(phrase: Phrase, now: datetime) -> tuple[int, ...]:
    return (phrase.year,) if phrase.year is not None else (now.year, now.year - 1)


def _festivals(phrase: Phrase, now: datetime) -> Iterator[Window]:
    years = (phrase.year,) if phrase.year is not None else (now.year, now.year - 1, now.year - 2)
    for year in years:
        for festival in festivals(phrase.festival, year):
            yield festival_window(festival, phrase.first_day)


def festival_beginning(name: str, start: datetime) -> Festival | None:
    """Return the festival whose days begin at a midnight."""
    return next((one for one in festivals(name, start.year) if _midnight(one.first) == start), None)


def festival_window(festival: Festival, only_the_day: bool) -> Window:
    """Return the days of a festival, or its main day."""
    first = datetime.combine(festival.first, datetime.min.time())
    if only_the_day or festival.days == 1:
        first += timedelta(days=festival.main)
        return first, first + _DAY, "day"
    return first, first + timedelta(days=festival.days), "range"


def _lunar(phrase: Phrase, now: datetime) -> Iterator[Window]:
    month, day, leap = phrase.lunar or (1, 1, False)
    back = 40 if leap else 2  # 闰六月 comes after 8 years at the earliest
    for year in (phrase.year,) if phrase.year is not None else range(now.year, now.year - back - 1, -1):
        if (
            day and phrase.year is not None
        ):  # 去年腊月二十八 is of the lunar month, whose end may lie in this year
            first = lunar_month(year, month, leap)
            if first and day <= first[1]:
                found = _midnight(first[0]) + timedelta(days=day - 1)
                yield found, found + _DAY, "day"
            continue
        if day:
            for found_day in lunar_days(year, month, day, leap):
                yield _midnight(found_day), _midnight(found_day) + _DAY, "day"
            continue
        whole = lunar_month(year, month, leap)
        if whole:
            yield _midnight(whole[0]), _midnight(whole[0]) + timedelta(days=whole[1]), "month"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def _seasons(phrase: Phrase, now: datetime) -> Iterator[Window]:
    month, count = phrase.season or (3, 3)
    years = _years(phrase, now)
    # In spring, 今年冬天 is the winter that is just over; from June on, the coming one.
    if phrase.year == now.year and month == 12 and now.month < 6:
        years = (now.year - 1,)
    for year in years:
        start, end, _ = _months(year, month, count)
        yield start, end, "season"


def _days_of_month(phrase: Phrase, now: datetime) -> Iterator[Window]:
    day = phrase.day or 1
    if phrase.month is not None:
        # A leap day lies up to eight years back.
        years = (phrase.year,) if phrase.year is not None else tuple(range(now.year, now.year - 9, -1))
        months = [(year, phrase.month) for year in years]
    else:
        months = [months_from(now.year, now.month, -back) for back in range(4)]
    for year, month in months:
        try:
            start = datetime(year, month, day)
        except ValueError:
            continue
        yield start, start + phrase.days * _DAY, "day" if phrase.days == 1 else "range"


def _months_of_year(phrase: Phrase) -> tuple[int, int]:
    """The first month and how many: halves, quarters, 年初 (January, February), 年中 (June, July), 年底 (November, December)."""
    if phrase.half:
        return (1, 6) if phrase.half == 1 else (7, 6)
    if phrase.quarter:
        return phrase.quarter * 3 - 2, 3
    return ((1, 2), (6, 2), (11, 2))[phrase.edge or 0]


def _months(year: int, first: int, months: int) -> Window:
    end_year, end_month = months_from(year, first, months)
    return datetime(year, first, 1), datetime(end_year, end_month, 1), "month" if months == 1 else "range"


def _third(month: datetime, third: int) -> Window:
    """上旬 中旬 下旬 are thirds 0 to 2; 3 and 4 are the halves of a month."""
    year, following = months_from(month.year, month.month, 1)
    end = datetime(year, following, 1)
    first, last = ((1, 11), (11, 21), (21, 0), (1, 16), (16, 0))[third]
    return month.replace(day=first), month.replace(day=last) if last else end, "range"


def _times(
    phrase: Phrase, start: datetime, end: datetime, granularity: str, now: datetime
) -> Iterator[Window]:
    """Put the part of day or the clock time on each day; a week or longer keeps its days."""
    days = [start]
    if end - start > _DAY:
        if phrase.festival:
            named = festival_beginning(phrase.festival, start)
            days = [start + timedelta(days=named.main if named else 0)]
        elif phrase.weekend:
            days = [start, start + _DAY]
        else:
            yield start, end, granularity
            return
    for day in days:
        if phrase.clock:
            yield from _clock_times(phrase, phrase.clock, day, now)
        else:
            yield part_window(phrase, day, now)


def part_window(phrase: Phrase, day: datetime, now: datetime) -> Window:
    """Return a part of a day."""
    part = phrase.part
    asked_at_night = now.hour < NIGHT_ENDS_HOUR
    if asked_at_night and phrase.today and part in ("evening", "night", "early_night"):
        day -= _DAY
    begin, until = PARTS[part]
    start, end = day + timedelta(minutes=begin), day + timedelta(minutes=until)
    if asked_at_night and part == "evening" and end == midnight(now):
        end = max(end, now)
    return start, end, "part_of_day"


def _clock_times(phrase: Phrase, clock: Clock, day: datetime, now: datetime) -> Iterator[Window]:
    if phrase.today and now.hour < NIGHT_ENDS_HOUR and phrase.part in ("evening", "night"):
        day -= _DAY
    hours = clock_hours(clock, phrase.part, bool(phrase.day_kind), now)
    windows = [_clock_window(clock, day + timedelta(hours=hour)) for hour in hours]
    if phrase.today and phrase.part == "night" and clock.hour < 6:
        windows.append(_clock_window(clock, day + timedelta(hours=clock.hour)))
    begun = [window for window in windows if window[0] <= now]
    if not phrase.day_kind or phrase.today:
        yield from begun[:1]
    else:
        yield from windows[:1]


def clock_hours(clock: Clock, part: str, has_day: bool, now: datetime) -> list[int]:
    """Return the hours that an hour as it was said may mean, 24 and above for the day after, the likeliest first."""
    hour = clock.hour
    if clock.half:
        return [hour % 12 + (12 if clock.half == "pm" else 0)]
    if hour > 12 or (hour == 0 and not part):
        return [hour]
    if part in ("evening", "night", "early_night", "late_night", "next_dawn"):
        # 晚上十二点 is midnight, 夜里两点 after it.
        late = hour in (0, 12) or hour < (5 if part == "evening" else 6)
        return [24 + hour % 12 if late else hour + 12]
    if part in ("dawn", "early", "morning", "forenoon", "before_noon"):
        return [hour if hour < 12 else (0 if part == "dawn" else 12)]
    if part == "noon":
        return [hour if hour >= 10 else hour + 12]
    if part in ("afternoon", "dusk"):
        return [hour % 12 + 12]
    if hour == 12:
        return [12, 24] if has_day else [12, 0]
    if clock.about and clock.minute == now.minute and hour == now.hour:
        return [hour]
    if has_day:
        return [hour, hour + 12] if 7 <= hour < 12 else [hour + 12, hour]
    # Without a day the latest that people are awake at is meant.
    return [hour + 12, hour] if hour > 5 or now.hour < NIGHT_ENDS_HOUR else [hour + 12]


def _clock_window(clock: Clock, start: datetime) -> Window:
    """Return the hour that begins with a whole hour, the half hour that begins with any other time."""
    start += timedelta(minutes=clock.minute)
    half = timedelta(minutes=30)
    if clock.about:
        return start - half, start + half, "hour" if clock.whole else "minute"
    if clock.hours > 1:
        return start, start + timedelta(hours=clock.hours), "range"
    return start, start + (2 * half if clock.whole else half), "hour" if clock.whole else "minute"
