"""When it happened that somebody tells of: 昨天看了牙医, 下周一去上海, every Friday, as days by the wall clock.

The words for time are those that questions are read by. What one word may mean twice, a weekday, a date or a feast, is
told apart by how the clause goes on: 周六要去 lies ahead, 周六去了 is past.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory.events.again import find_again
from xiaozhi_persona.memory.facts.clauses import CLAUSE, CONDITION, QUESTION
from xiaozhi_persona.memory.future_words import find_future
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words import TimeRange, find_ranges

MAX_CHARS = 600
"""What comes later in a text is not read."""
_MAX_EVENTS = 8
_LONGEST = timedelta(days=400)
_DAY, _WEEK, _YEAR = timedelta(days=1), timedelta(weeks=1), timedelta(days=366)

_MAY_NAME_TIME = pattern(
    "昨|明|[后前]天|前[年晚]|[去后今每上下]年|年[前后]|周|星期|礼拜|月|[0-9０-９一二三四五六七八九十]号|每|天天|节|除夕|中秋|端午|元旦|清明|圣诞|国庆"
    "|[0-9０-９几一二两三四五六七八九十][天日]|週|毎|[来先]|日[に後前]|おととい|きのう|あした|あさって"
    r"|\b(?:yesterday|tomorrow|last|next|this|ago|every|in|on|mon|tues?|wednes|thurs|fri|satur|sun)",
    re.IGNORECASE,
)
"""Most sentences name no time: these are looked at no longer."""
_AHEAD = pattern(
    r"要|会(?!议|[员计长])|打算|准备|计划|得去|约了|约好|想去|将|[订定买]了|安排|报了|提醒|记得|别忘|该|说好|答应"
    r"|\b(?:will|going to|gonna|have to|has to|need to|have an?|plan\w*|appointment|remind|due|leaving|flying|(?:i'm|we're|is|are|am) \w{2,12}ing)\b|'ll\b"
    r"|予定|つもり|[行来見会飲買食]きます|します|る[。！]?$",
    re.IGNORECASE,
)
_PAST = pattern(
    r"了(?!解)|过(?!年|节|生日|去|来)|昨|刚才|当时"
    r"|\b(?:was|were|did|went|had|got|saw|ate|met|came|took|made|bought|ran|read|lost|won|found|flew|drove|spent|\w{3,12}ed)\b"
    r"|[たっいん]た[。！]?|ました",
    re.IGNORECASE,
)
_STILL_AHEAD = pattern(
    "约了|约好|[订定买]了|[订定买]好|报了|报名了|说好|答应了|安排了|安排好"
    r"|\b(?:(?:is|are|was|were|been|got) (?:cancell?ed|postponed|moved|rescheduled|called off)|booked|scheduled)\b",
    re.IGNORECASE,
)
_SURELY_AHEAD = pattern("明|后天|下|后$|tomorrow|next|later|\\bin |来|再来|翌", re.IGNORECASE)
_SURELY_PAST = pattern("昨|前|上|去年|刚|last|ago|yesterday|past|先|以来|过去", re.IGNORECASE)
_LATELY = pattern("最近|近|这[几些]|recent|lately|these", re.IGNORECASE)
_WEEKDAY = pattern("周|星期|礼拜|曜|\\b(?:mon|tues?|wednes|thurs|fri|satur|sun)", re.IGNORECASE)


@dataclass(frozen=True)
class Event:
    """Whole days, half-open, local and naive; with `again`, of which days of the week, month or year from `start` on."""

    start: datetime
    end: datetime
    again: str = ""
    """See again.py; "" for what happens once."""


def find_events(text: str, now: datetime) -> list[Event]:
    """Return when it happens that a sentence of the user tells of. `now` is when he says it: local and naive.

    Of the day on which it is said there is none: that day is known anyway. Questions and suppositions tell of nothing.
    """
    if not _MAY_NAME_TIME.search(text[:MAX_CHARS]):
        return []
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[Event, None] = {}
    for clause, mark in CLAUSE.findall(text[:MAX_CHARS]):
        if CONDITION.search(clause):
            break
        if mark in ("?", "？") or QUESTION.search(clause) or not _MAY_NAME_TIME.search(clause):
            continue
        again = find_again(clause)
        if again:
            found[Event(today, datetime.max.replace(microsecond=0), again)] = None
            continue
        for start, end in _times(clause, now):
            first = start.replace(hour=0, minute=0, second=0, microsecond=0)
            after = (end + _DAY - timedelta(microseconds=1)).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            if after - first <= _LONGEST and (first, after) != (today, today + _DAY):
                found[Event(first, after)] = None
    return list(found)[:_MAX_EVENTS]


def _times(clause: str, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    is_past = bool(_PAST.search(clause)) and not _STILL_AHEAD.search(clause)
    is_ahead = bool(_AHEAD.search(clause) or _STILL_AHEAD.search(clause)) and not is_past
    future = [when for when in find_future(clause, now) if _SURELY_AHEAD.search(when.text) or not is_past]
    place = 0
    while place < len(future):
        first, *rest = future[place : place + 2]
        if (
            rest and f"{first.text}到{rest[0].text}" in clause
        ):  # 下周一到周三: the last day is of the same week
            yield first.start, rest[0].end if rest[0].start > first.start else rest[0].end + _WEEK
            place += 1
        else:
            yield first.start, first.end
        place += 1
    for past in find_ranges(clause, now):
        if _LATELY.search(past.text) or any(
            past.text in when.text or when.text in past.text for when in future
        ):
            continue
        if _SURELY_PAST.search(past.text) or is_past:
            yield past.start, past.end
        elif is_ahead:
            yield from _next(past, now)


def next_of(past: TimeRange, now: datetime) -> list[tuple[datetime, datetime]]:
    """Return when the weekday, date or feast comes next that was read as the last one; nothing for one that is surely
    past, or not over yet.
    """
    if past.end > now or _SURELY_PAST.search(past.text) or _LATELY.search(past.text):
        return []
    return list(_next(past, now))


def _next(past: TimeRange, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    if past.end > now:
        yield past.start, past.end
    elif _WEEKDAY.search(past.text):
        yield past.start + _WEEK, past.end + _WEEK
    else:
        yield from ((when.start, when.end) for when in find_ranges(past.text, now + _YEAR) if when.end > now)
