"""Questions for what is to come: whether one is, and which days it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from xiaozhi_persona.memory.events.when import next_of
from xiaozhi_persona.memory.render import span
from xiaozhi_persona.memory.time_words import TimeRange

Days = tuple[datetime, datetime]
"""Local and naive, half-open."""

_MAY_ASK = re.compile(
    "什么|啥|安排|日程|计划|有没有|有事|有空|要做|干嘛|吗|[?？]|提醒|予定|何"
    r"|\b(?:what|when|where|any|plans?|schedule|do i|am i|have i|will i|remind)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(
    "安排|日程|计划|打算|有[什啥]么?事|有没有事|有事|有空|要[做去干]|予定"
    r"|\b(?:plans?|schedule|appointments?|do i have|am i (?:doing|going)|have to)\b",
    re.IGNORECASE,
)
_WAS = re.compile(r"了|过(?![年节])|来着|\b(?:did|was|were|had)\b|ました|でした", re.IGNORECASE)
"""With one of these it asks for what is past, even if that was planned."""


def may_be_asked(question: str) -> bool:
    """Whether a question that names days ahead may ask for what is planned on them."""
    return bool(_MAY_ASK.search(question))


def days_meant(question: str, ranges: Sequence[TimeRange], now: datetime) -> list[Days]:
    """Return the days ahead that the question's words for past ones may mean too: 周五, 九月, where it asks for plans.

    `now` is local and naive.
    """
    if not _ASKS.search(question) or _WAS.search(question):
        return []
    return [when for part in ranges for when in next_of(part, now)]


def nothing_on(days: Sequence[Days]) -> str:
    """Return that nothing is planned on days."""
    return "\n".join(f"{span(start, end)} 没有记下什么安排。" for start, end in days)
