"""The lunar calendar, the solar terms, the festivals and the numbers, against dates that are printed in calendars."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from xiaozhi_persona.memory.time_words import find_ranges
from xiaozhi_persona.memory.time_words.festivals import festivals, holiday
from xiaozhi_persona.memory.time_words.lunar import SOLAR_TERMS, lunar_days, lunar_month, new_year, solar_term
from xiaozhi_persona.memory.time_words.numbers import read_number, read_pair


@pytest.mark.parametrize(
    "day",
    """1970-02-06 1984-02-02 1985-02-20 2000-02-05 2008-02-07 2015-02-19 2019-02-05 2020-01-25 2021-02-12 2022-02-01
    2023-01-22 2024-02-10 2025-01-29 2026-02-17 2027-02-06 2028-01-26 2029-02-13 2030-02-03 2050-01-23 2060-02-02""".split(),
)
def test_lunar_new_year(day: str) -> None:
    assert new_year(int(day[:4])) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("name", "day"),
    [
        *(
            ("中秋", day)
            for day in "2020-10-01 2021-09-21 2022-09-10 2023-09-29 2024-09-17 2025-10-06 2026-09-25".split()
        ),
        *(
            ("端午", day)
            for day in "2020-06-25 2021-06-14 2022-06-03 2023-06-22 2024-06-10 2025-05-31 2026-06-19".split()
        ),
        *(("七夕", day) for day in "2020-08-25 2023-08-22 2024-08-10 2025-08-29".split()),
        *(("重阳", day) for day in "2020-10-25 2023-10-23 2024-10-11 2025-10-29".split()),
        *(("元宵", day) for day in "2023-02-05 2024-02-24 2025-02-12".split()),
        *(("除夕", day) for day in "2023-01-21 2024-02-09 2025-01-28".split()),
        *(("清明", day) for day in "2023-04-05 2024-04-04 2025-04-04 2026-04-05".split()),
        *(("冬至", day) for day in "2021-12-21 2023-12-22 2024-12-21 2025-12-21".split()),
        *(("立春", day) for day in "2021-02-03 2024-02-04 2025-02-03 2026-02-04".split()),
        *(("母亲节", day) for day in "2023-05-14 2024-05-12 2025-05-11".split()),
        *(("父亲节", day) for day in "2023-06-18 2024-06-16 2025-06-15".split()),
        *(("感恩节", day) for day in "2022-11-24 2023-11-23 2024-11-28".split()),
        *(("复活节", day) for day in "2023-04-09 2024-03-31 2025-04-20 2026-04-05".split()),
    ],
)
def test_movable_festivals(name: str, day: str) -> None:
    when = date.fromisoformat(day)
    assert [one.first for one in festivals(name, when.year)] == [when]


def test_spring_festival_begins_with_its_eve_and_has_seven_days() -> None:
    (spring,) = festivals("春节", 2025)
    assert (spring.first, spring.days, spring.main) == (date(2025, 1, 28), 7, 1)


def test_a_lunar_day_may_come_twice_or_not_at_all_in_a_solar_year() -> None:
    assert lunar_days(2022, 12, 8) == [date(2022, 12, 30), date(2022, 1, 10)]
    assert lunar_days(2023, 12, 8) == []
    per_year = [len(lunar_days(year, 12, 8)) for year in range(1971, 2070)]
    assert sum(per_year) in (98, 99, 100)
    assert set(per_year) <= {0, 1, 2}


def test_every_lunar_year_of_the_table_is_as_long_as_its_months() -> None:
    for year in range(1970, 2071):
        first, following = new_year(year), new_year(year + 1)
        last = lunar_month(year, 12)
        assert first and following and last
        assert last[0] + timedelta(days=last[1]) == following
        assert (following - first).days in (353, 354, 355, 383, 384, 385)


def test_solar_terms_come_in_order_about_a_fortnight_apart() -> None:
    for year in range(1970, 2071):
        days = [solar_term(year, name) for name in SOLAR_TERMS]
        gaps = [(late - early).days for early, late in zip(days, days[1:], strict=False) if early and late]
        assert len(gaps) == 23
        assert all(14 <= gap <= 16 for gap in gaps)


def test_years_outside_of_the_table_give_nothing() -> None:
    assert festivals("中秋", 1900) == []
    assert festivals("冬至", 2300) == []
    assert find_ranges("2300年中秋", datetime(2400, 1, 1)) == []


def test_a_holiday_of_three_days_joins_the_weekend() -> None:
    (dragon_boat,) = festivals("端午", 2024)  # a Monday
    assert holiday(dragon_boat)[:2] == (date(2024, 6, 8), 3)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(
            ("3", 3),
            ("03", 3),
            ("十", 10),
            ("十五", 15),
            ("二十", 20),
            ("二十三", 23),
            ("廿三", 23),
            ("廿", 20),
            ("卅一", 31),
        ),
        *(
            ("两", 2),
            ("俩", 2),
            ("仨", 3),
            ("零", 0),
            ("〇", 0),
            ("一百", 100),
            ("一百二十", 120),
            ("一百零五", 105),
        ),
        *(("二〇二四", 2024), ("二零零八", 2008), ("2024", 2024), ("九八", 98), ("三百六十五", 365)),
        *(("", None), ("三五七九一二三四五", None), ("abc", None)),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert read_number(text) == number


def test_every_number_below_a_hundred_is_read_as_it_is_written() -> None:
    digits = "〇一二三四五六七八九"
    for number in range(1, 100):
        tens, ones = divmod(number, 10)
        text = (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones else "")
        assert read_number(text) == number


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("两三", (2, 3)),
        ("三五", (3, 5)),
        ("七八", (7, 8)),
        ("十五六", (15, 16)),
        ("二三十", (20, 30)),
        ("三一", None),
        ("三", None),
    ],
)
def test_vague_pairs(text: str, pair: tuple[int, int] | None) -> None:
    assert read_pair(text) == pair
