"""Conversations that a question names by their place: 第一次聊天, 刚认识的时候, 上次聊到哪儿, the last time we talked."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from xiaozhi_persona.memory import diary, text_index
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.time_words import TimeRange

_MAX_TURNS = 400  # of a conversation; a longer one is cut off
_US = "(?:我们俩?|咱们?俩?|[我你]?[跟和同与][你我]|你我|[我你])?"
_WE = "(?:^|[，。？！ ]|记得|我们俩?|咱们?俩?|你我|[跟和]你)"
_THEN = "(?:的?(?:那[次回天会]儿?|时候|那时候?))?"
_FIRST = pattern(
    rf"{_US}(?:的)?(?:第一[次回]|头一?[次回]|最早|最开始|最初|一开始|起初){_US}(?:聊|说话|讲话|谈话|对话|交谈|打招呼)天?{_THEN}"
    rf"|{_WE}(?:第一[次回]|初次)(?:见面|认识){_THEN}|{_WE}刚刚?(?:认识|见面|相识)(?!的(?!时候|那)){_THEN}"
    r"|\b(?:when|since) we (?:first (?:met|talked|spoke|chatted)|met\W*$|got to know each other)"
    r"|\b(?:our|the) (?:very )?first (?:conversation|chat|talk)|\bthe first time we (?:talked|spoke|chatted|met)",
    re.IGNORECASE,
)
_NO_THING = "(?![到过起]?的(?!什么|啥|内容|话题|时候|是))"  # 上次聊到的那部电影 may be of any conversation
_LAST = pattern(
    rf"(?:上一?[次回]|前一[次回]|最近一[次回]){_US}(?:是|在|都|还)?(?:聊天?|说话|谈话?|讲话|对话){_NO_THING}{_THEN}"
    rf"|(?:上一?[次回]|前一[次回]){_US}[说讲]到{_NO_THING}"
    r"|\b(?:the )?last time we (?:talked|spoke|chatted)|\b(?:our|the) (?:last|previous) (?:conversation|chat|talk)"
    r"|\bwhen we last (?:talked|spoke|chatted)|\bwe (?:talk|speak|chat) about last time",
    re.IGNORECASE,
)


def find_conversation(
    db: sqlite3.Connection, question: str, now: datetime, skip: Collection[str]
) -> list[TimeRange]:
    """Return the range of the first conversation or of the last one before this, where a question names it.

    `now` is aware; `skip` are ids of turns of the conversation that goes on. [] when it names none, or there is none.
    """
    for named, order in ((_FIRST, "asc"), (_LAST, "desc")):
        match = named.search(question)
        if match is None:
            continue
        turns = _turns(db, order)
        if order == "desc":
            turns = _before(turns, diary.to_ms(now), skip)
        together = list(_one(turns))
        if together:
            bounds = sorted(turn.local for turn in together)
            return [TimeRange(bounds[0], bounds[-1] + timedelta(milliseconds=1), match[0], "range")]
    return []


def _turns(db: sqlite3.Connection, order: str) -> list[diary.Entry]:
    """Return the first turns or the last ones, from the outside to the inside."""
    rows = db.execute(
        f"select {diary.COLUMNS} from turn order by local_ms {order}, seq {order} limit ?", (_MAX_TURNS,)
    )
    return [diary.from_row(row) for row in rows]


def _before(turns: Sequence[diary.Entry], now_ms: int, skip: Collection[str]) -> list[diary.Entry]:
    """Return the turns without those of the conversation that goes on now."""
    at_ms = now_ms
    for place, turn in enumerate(turns):
        if turn.id not in skip and at_ms - turn.at_ms > text_index.NEIGHBOUR_GAP_MS:
            return list(turns[place:])
        at_ms = min(at_ms, turn.at_ms)
    return []


def _one(turns: Sequence[diary.Entry]) -> list[diary.Entry]:
    """Return the turns up to the first long silence."""
    for place in range(1, len(turns)):
        if abs(turns[place].at_ms - turns[place - 1].at_ms) > text_index.NEIGHBOUR_GAP_MS:
            return list(turns[:place])
    return list(turns)
