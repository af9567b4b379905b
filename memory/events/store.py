"""The events of one owner: an index to the turns that told them. Works on an open database, in its transaction."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from xiaozhi_persona.memory.events.again import happens_between
from xiaozhi_persona.memory.events.when import find_events
from xiaozhi_persona.memory.wall_clock import DAY_MS, from_local_ms, to_local_ms

_MAX_FOUND = 200
_MUCH_LONGER, _LONGEST_DAYS = 4, 40
"""What takes so many times longer than the time that is asked for says little of it: 今年我要减肥, of yesterday."""
_LONGEST_ASKED_DAYS = 100
"""Of a longer time so much is told that words find it better."""


def learn(db: sqlite3.Connection, seq: int, text: str, said: datetime) -> None:
    """Keep when it happens what a turn of the user tells, who said it at `said` (local, naive)."""
    db.executemany(
        "insert into event values (?, ?, ?, ?)",
        [
            (seq, to_local_ms(event.start), to_local_ms(event.end), event.again)
            for event in find_events(text, said)
        ],
    )


def forget(db: sqlite3.Connection, seq: int) -> None:
    """Forget what a turn told."""
    db.execute("delete from event where seq = ?", (seq,))


def told_of(db: sqlite3.Connection, start: datetime, end: datetime) -> list[int]:
    """Return the numbers of the turns that tell of what happens in a local range, the closest in length first, then
    the latest told.
    """
    start_ms, end_ms = to_local_ms(start), to_local_ms(end)
    asked_ms = max(end_ms - start_ms, DAY_MS)
    if asked_ms > _LONGEST_ASKED_DAYS * DAY_MS:
        return []
    longest_ms = min(_MUCH_LONGER * asked_ms, asked_ms + _LONGEST_DAYS * DAY_MS)
    once = db.execute(
        "select seq from event where again = '' and start_ms < ? and start_ms > ? and end_ms > ? and end_ms - start_ms <= ?"
        " order by abs(end_ms - start_ms - ?), seq desc limit ?",
        (end_ms, start_ms - longest_ms, start_ms, longest_ms, end_ms - start_ms, _MAX_FOUND),
    ).fetchall()
    again = db.execute(
        "select seq, start_ms, again from event where again != '' and start_ms < ? order by seq desc limit ?",
        (end_ms, _MAX_FOUND),
    ).fetchall()
    found = [row[0] for row in once]
    found += [
        seq for seq, from_ms, days in again if happens_between(days, max(start, from_local_ms(from_ms)), end)
    ]
    return list(dict.fromkeys(found))


def rebuild(db: sqlite3.Connection) -> None:
    """Find all events again."""
    db.execute("delete from event")
    rows = db.execute("select seq, text, at_ms + offset_min * 60000 from turn where who = 'user'")
    for seq, text, local_ms in rows.fetchall():
        learn(db, seq, text, from_local_ms(local_ms))
