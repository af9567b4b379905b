"""What one might bring up of oneself: a birthday today, what somebody has to do tomorrow, that he was away for long.

Works on an open database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.facts.kinds import BIRTHDAY, SELF
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words.numbers import read_number
from xiaozhi_persona.memory.wall_clock import from_local_ms

EVENING_HOUR = 17
"""From then on somebody is told of tomorrow."""
LONG_AWAY = timedelta(days=3)

_DATE = pattern(r"([\d零一二三四五六七八九十两]{1,3})月([\d零一二三四五六七八九十两]{1,3})[日号]?")
_LUNAR = pattern("农历|阴历")


@dataclass(frozen=True)
class Occasion:
    """Something to bring up."""

    kind: Literal["birthday", "plan", "away"]
    key: str
    """The same for the same thing: nobody is told twice."""
    what: str
    """Whose birthday (我 for the owner's), what there is to do, or what was said last."""
    at: datetime | None = None
    """When there is something to do, by the wall clock; None for any time of the day."""


def occasions(db: sqlite3.Connection, now: datetime) -> Iterator[Occasion]:
    """Yield what there is to bring up at a moment, the most important first. `now` has its zone."""
    local = now.replace(tzinfo=None)
    for fact in reading.find(db, "", [BIRTHDAY], diary.to_ms(now), diary.to_ms(now)):
        if _is_on(fact.value, local):
            yield Occasion("birthday", f"birthday {fact.id} {local:%Y}", fact.subject)
    if local.hour >= EVENING_HOUR:
        day = datetime(local.year, local.month, local.day) + timedelta(days=1)
        for fact in reading.appointments(db, day, day + timedelta(days=1)):
            starts = from_local_ms(fact.starts_ms or 0)
            if fact.subject == SELF and starts >= day:
                has_time = starts.time() != datetime.min.time()
                yield Occasion("plan", f"plan {fact.id}", fact.value, starts if has_time else None)
    last = next(iter(diary.latest(db, 1)), None)
    if last and now - last.at >= LONG_AWAY:
        yield Occasion("away", f"away {last.id}", last.text)


def _is_on(birthday: str, day: datetime) -> bool:
    """Whether a date as it was told is that day; of the lunar calendar nobody knows here."""
    match = _DATE.search(birthday)
    if not match or _LUNAR.search(birthday):
        return False
    return (read_number(match[1]), read_number(match[2])) == (day.month, day.day)
