"""The lunar calendar and the solar terms, from the table."""

from __future__ import annotations

from datetime import date, timedelta

from xiaozhi_persona.memory.time_words.lunar_table import FIRST_YEAR, LUNAR_YEARS, TERM_DAYS

SOLAR_TERMS = tuple(
    "小寒 大寒 立春 雨水 惊蛰 春分 清明 谷雨 立夏 小满 芒种 夏至 小暑 大暑 立秋 处暑 白露 秋分 寒露 霜降 立冬 小雪 大雪 冬至".split()
)
"""The 24 terms, two in each month of the solar year."""


def new_year(lunar_year: int) -> date | None:
    """Return the first day of a lunar year; None outside of the table."""
    bits = _bits(lunar_year)
    return None if bits is None else date(lunar_year, 1, 1) + timedelta(days=bits >> 17)


def lunar_month(lunar_year: int, month: int, leap: bool = False) -> tuple[date, int] | None:
    """Return the first day and the length of a lunar month, or of the leap month that follows it in some years; None
    where there is none, and outside of the table.
    """
    bits = _bits(lunar_year)
    if bits is None or not 1 <= month <= 12:
        return None
    leap_month = bits >> 13 & 15
    if leap and month != leap_month:
        return None
    place = month if leap or (leap_month and month > leap_month) else month - 1
    days = 29 * place + (bits & (1 << place) - 1).bit_count()
    start = date(lunar_year, 1, 1) + timedelta(days=(bits >> 17) + days)
    return start, 29 + (bits >> place & 1)


def lunar_days(year: int, month: int, day: int, leap: bool = False) -> list[date]:
    """Return the days of a solar year that are this day of a lunar month, newest first: one, seldom none or two."""
    found = []
    for lunar_year in (year, year - 1):
        first = lunar_month(lunar_year, month, leap)
        if first and day <= first[1]:
            at = first[0] + timedelta(days=day - 1)
            if at.year == year:
                found.append(at)
    return found


def solar_term(year: int, name: str) -> date | None:
    """Return the day of a solar term; None outside of the table."""
    if not 0 <= year - FIRST_YEAR < len(TERM_DAYS):
        return None
    index = SOLAR_TERMS.index(name)
    return date(year, index // 2 + 1, ord(TERM_DAYS[year - FIRST_YEAR][index]) - 64)


def _bits(lunar_year: int) -> int | None:
    index = lunar_year - FIRST_YEAR
    return LUNAR_YEARS[index] if 0 <= index < len(LUNAR_YEARS) else None
