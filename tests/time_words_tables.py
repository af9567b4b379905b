"""Reads the tables of time words: lines of `question | expected`, under a fixed now.

Expected is `-` for none, or ranges joined by `;`: `08-19` a day, `08-19 12-18` hours of a day (24 and above belong to the
next day), `08-11..08-18` half-open, `08-20 15..now`. A year stands only where it is not that of now.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

TABLES = Path(__file__).parent / "data" / "time_words"


def read_table(name: str) -> Iterator[tuple[datetime, str, list[tuple[datetime, datetime]]]]:
    """Yield now, question and expected ranges; `now = 2025-08-20 15:30` lines set now for what follows."""
    now = datetime.min
    for number, line in enumerate((TABLES / name).read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("now = "):
            now = datetime.fromisoformat(line[6:22])
        elif line and not line.startswith("#"):
            question, bar, expected = line.rpartition("|")
            assert bar, f"{name}:{number} has no |"
            yield now, question.strip(), read_ranges(expected.strip(), now)


def read_ranges(expected: str, now: datetime) -> list[tuple[datetime, datetime]]:
    return [] if expected == "-" else [_range(item.strip(), now) for item in expected.split(";")]


def _range(item: str, now: datetime) -> tuple[datetime, datetime]:
    if ".." in item:
        start, _, end = item.partition("..")
        return _instant(start, now), _instant(end, now)
    day, _, hours = item.partition(" ")
    if not hours:
        return _instant(day, now), _instant(day, now) + timedelta(days=1)
    start, _, end = hours.partition("-")
    return _instant(f"{day} {start}", now), _instant(f"{day} {end}", now)


def _instant(text: str, now: datetime) -> datetime:
    if text.strip() == "now":
        return now
    day, _, clock = text.strip().partition(" ")
    parts = [int(part) for part in day.split("-")]
    year, month, date = parts if len(parts) == 3 else (now.year, *parts)
    hours, minutes, seconds = ([int(part) for part in clock.split(":") if part] + [0, 0, 0])[:3]
    return datetime(year, month, date) + timedelta(hours=hours, minutes=minutes, seconds=seconds)
