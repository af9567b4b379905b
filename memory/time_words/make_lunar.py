"""Writes lunar_table.py: `python make_lunar.py > lunar_table.py`.

A tool of development only: borax and lunar_python are needed for it and for nothing else. The two libraries compute independently of each other; a year in which they
disagree stops the run. When it is run with `--check`, it only compares them with the table that is there.
"""

from __future__ import annotations

import importlib
import sys
from datetime import date
from typing import Any

FIRST_YEAR = 1969
LAST_YEAR = 2071
"""One year more on each side than the diary answers for: January belongs to the lunar year before."""

NEAR_MIDNIGHT = {(1979, "大寒")}
"""Seconds from midnight: lunar_python says the 20th, 23:59:56, borax the 21st, as the printed calendar of that year."""

_YEARS_A_LINE, _TERMS_A_LINE = 16, 4

_MODULE = '''\
"""Lunar years and solar terms from {first} to {last}; written by make_lunar.py, do not edit."""

from __future__ import annotations

FIRST_YEAR = {first}
"""The year that the first entry of both tables stands for."""

_YEARS = (
{years}
)
_TERMS = (
{terms}
)

LUNAR_YEARS = tuple(int(_YEARS[at : at + 6], 16) for at in range(0, len(_YEARS), 6))
"""See lunar_year() of make_lunar.py for the bits."""

TERM_DAYS = tuple(_TERMS[at : at + 24] for at in range(0, len(_TERMS), 24))
"""See term_days() of make_lunar.py."""
'''


def lunar_year(year: int) -> int:
    """Return one lunar year as a number.

    Bits 0-12: the months in order, the leap month in its place, 1 for 30 days and 0 for 29; bits 13-16: the month
    that the leap month repeats, 0 for none; bits 17-22: days from 1 January to new year's day.
    """
    borax: Any = importlib.import_module("borax.calendars.lunardate")
    lunar: Any = importlib.import_module("lunar_python")
    months = list(borax.LCalendars.iter_year_month(year))
    other = [
        (abs(month.getMonth()), month.getDayCount(), int(month.getMonth() < 0))
        for month in lunar.LunarYear.fromYear(year).getMonths()
        if month.getYear() == year
    ]
    if [tuple(month) for month in months] != other:
        raise SystemExit(f"borax and lunar_python disagree about the lunar year {year}: {months} {other}")
    new_year = borax.LunarDate(year, 1, 1).to_solar_date()
    sun = lunar.Lunar.fromYmd(year, 1, 1).getSolar()
    if new_year != date(sun.getYear(), sun.getMonth(), sun.getDay()):
        raise SystemExit(f"borax and lunar_python disagree about new year's day of {year}")
    lengths = sum(1 << index for index, month in enumerate(months) if month[1] == 30)
    leap = next((month[0] for month in months if month[2]), 0)
    return int(lengths | leap << 13 | (new_year - date(year, 1, 1)).days << 17)


def term_days(year: int) -> str:
    """Return the days of the 24 solar terms of a year, two a month from 小寒 on, as 24 letters: A is the 1st."""
    borax: Any = importlib.import_module("borax.calendars.lunardate")
    lunar: Any = importlib.import_module("lunar_python")
    letters = []
    for index in range(24):
        day = borax.TermUtils.nth_term_day(year, index)
        name = borax.TermUtils.get_name_for_index(index)
        if (
            lunar.Solar.fromYmd(day.year, day.month, day.day).getLunar().getJieQi() != name
            and (year, name) not in NEAR_MIDNIGHT
        ):
            raise SystemExit(f"borax and lunar_python disagree about {name} of {year}")
        if day.year != year or day.month != index // 2 + 1:
            raise SystemExit(f"{name} of {year} is not in its month: {day}")
        letters.append(chr(64 + day.day))
    return "".join(letters)


def main() -> None:
    """Print the module, or compare with the one that is there."""
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    lunar_years = [lunar_year(year) for year in years]
    terms = [term_days(year) for year in years]
    if "--check" in sys.argv:
        table: Any = importlib.import_module("xiaozhi_persona.memory.time_words.lunar_table")
        if list(table.LUNAR_YEARS) != lunar_years or list(table.TERM_DAYS) != terms:
            raise SystemExit("lunar_table.py differs from the libraries")
        print(f"{len(years)} years agree")
        return
    packed_years = _lines([f"{number:06X}" for number in lunar_years], _YEARS_A_LINE)
    packed_terms = _lines(terms, _TERMS_A_LINE)
    print(_MODULE.format(first=FIRST_YEAR, last=LAST_YEAR, years=packed_years, terms=packed_terms), end="")


def _lines(entries: list[str], entries_a_line: int) -> str:
    """Return the source of a string that holds the entries one behind the other."""
    starts = range(0, len(entries), entries_a_line)
    return "\n".join(f'    "{"".join(entries[at : at + entries_a_line])}"' for at in starts)


if __name__ == "__main__":
    main()
