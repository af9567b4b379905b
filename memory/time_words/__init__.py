"""The time words of a question: 昨天, 上周三, 去年国庆, last Tuesday, 先週の水曜日 as ranges of local time.

The policy is that of a diary, which looks back; resolve.py and windows.py hold it. The rules are loaded with the first
question: to compile them takes longer than all other imports of the memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

MAX_CHARS = 4000
"""A longer text is read up to here; what people ask is shorter."""


class TimeRange(NamedTuple):
    """A half-open range of local time, without a zone, and the words that named it."""

    start: datetime
    end: datetime
    """The first instant that no longer belongs to it."""
    text: str
    """The words as they stand in the question."""
    granularity: str
    """minute, hour, part_of_day, day, week, month, season, year; range for every other span of time."""


def find_ranges(text: str, now: datetime) -> list[TimeRange]:
    """Return the ranges of the past that a question names, in the order of the words; [] when it names none.

    `now` is local and without a zone. Any string will do, and nothing is raised for one.
    """
    return _finder()(text[:MAX_CHARS], now)


@functools.cache
def _finder() -> Callable[[str, datetime], list[TimeRange]]:
    from xiaozhi_persona.memory.time_words.finder import find

    return find
