"""The diary of one owner: every turn, in the order in which it became known. Works on an open database.

Whoever calls these functions holds the database for itself, in one thread, and ends its transactions.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, TypeVar

from xiaozhi_persona.memory import text_index
from xiaozhi_persona.memory.events import store as events
from xiaozhi_persona.memory.wall_clock import DAY_MS, from_local_ms, to_local_ms
from xiaozhi_persona.spine import Turn

_T = TypeVar("_T")
_UTC_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
COLUMNS = "id, who, text, at_ms, offset_min, speaker, role, seq"
_LAST = "last_seq"
_LAST_FORGOTTEN = f"coalesce((select cast(value as integer) from meta where key = '{_LAST}'), 0)"
"""The last number that a turn had when turns were deleted."""


class Entry(NamedTuple):
    """One turn of the diary."""

    id: str
    who: str
    """user or assistant"""
    text: str
    at_ms: int
    """UTC, milliseconds since 1970."""
    offset_min: int
    """Minutes that local time was ahead of UTC where it was said."""
    speaker: str = ""
    role: str = ""
    seq: int = 0
    """Its place in the order of writing, 0 before it is written."""

    @property
    def local_ms(self) -> int:
        """The wall clock where it was said, as milliseconds since 1970."""
        return self.at_ms + self.offset_min * 60_000

    @property
    def local(self) -> datetime:
        """The wall clock where it was said, naive."""
        return from_local_ms(self.local_ms)

    @property
    def at(self) -> datetime:
        """When it was said, aware."""
        zone = timezone(timedelta(minutes=self.offset_min))
        return self.local.replace(tzinfo=zone)


def entry(turn: Turn, *, id: str = "", speaker: str = "", role: str = "") -> Entry:
    """Return a turn as it is stored. Without an id it gets one from what it says and when, so that telling
    the same turn twice stores it once.
    """
    at = aware(turn.at)
    offset = at.utcoffset() or timedelta()
    text = storable(turn.text)
    if not id:
        # In microseconds, of whole milliseconds: what is read back from the database has no more, and gets the same id.
        told = f"{turn.who}|{to_ms(at) * 1000}|{text}"
        id = hashlib.sha256(told.encode()).hexdigest()[:24]
    minutes = offset // timedelta(minutes=1)
    return Entry(storable(id), turn.who, text, to_ms(at), minutes, storable(speaker), storable(role))


def aware(at: datetime) -> datetime:
    """Return a time with its zone: this machine's, when it says none."""
    return at if at.tzinfo else at.astimezone()


def to_ms(at: datetime) -> int:
    """Return a time as UTC milliseconds since 1970."""
    return (aware(at) - _UTC_EPOCH) // timedelta(milliseconds=1)


def storable(text: str) -> str:
    """Return the text without half characters (lone surrogates), which no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def append(db: sqlite3.Connection, turn: Entry) -> int:
    """Write a turn with its indexes, in the transaction that is open. Returns its seq, 0 when its id is known.

    The number of a turn that was forgotten is never given again: whoever still holds it means that turn.
    """
    cursor = db.execute(
        "insert or ignore into turn (seq, id, who, text, at_ms, offset_min, local_ms, speaker, role)"
        f" values (1 + max(coalesce((select max(seq) from turn), 0), {_LAST_FORGOTTEN}), ?, ?, ?, ?, ?, ?, ?, ?)",
        (turn.id, turn.who, turn.text, turn.at_ms, turn.offset_min, turn.local_ms, turn.speaker, turn.role),
    )
    if not cursor.rowcount:
        return 0
    seq = int(cursor.lastrowid or 0)
    text_index.add(db, seq, turn.text, turn.speaker)
    if turn.who == "user":
        events.learn(db, seq, turn.text, turn.local)
    db.execute(
        "insert into day values (?, 1, ?, ?) on conflict (day) do update set turns = turns + 1,"
        " first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq)",
        (turn.local_ms // DAY_MS, seq, seq),
    )
    _drop_entries(db, turn.local_ms // DAY_MS)
    return seq


def delete(db: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Delete turns with their indexes, in the transaction that is open. Returns how many there were."""
    note_last(db)
    deleted = 0
    days = set()
    for seq in seqs:
        row = db.execute("select text, speaker, local_ms from turn where seq = ?", (seq,)).fetchone()
        if row is None:
            continue
        text_index.remove(db, seq, row[0], row[1])
        db.execute("delete from turn where seq = ?", (seq,))
        events.forget(db, seq)
        db.execute("delete from vector where seq = ?", (seq,))
        days.add(row[2] // DAY_MS)
        deleted += 1
    for day in days:
        rebuild_day(db, day)
        _drop_entries(db, day)
    return deleted


def _drop_entries(db: sqlite3.Connection, day: int) -> None:
    """Drop the diary entries (digests.py) that a day has gone into: they are written anew."""
    first = to_local_ms(from_local_ms(day * DAY_MS).replace(day=1)) // DAY_MS
    db.execute(
        "delete from digest where (kind = 'day' and day = ?) or (kind = 'month' and day = ?)", (day, first)
    )


def note_last(db: sqlite3.Connection) -> None:
    """Note the last number that a turn has had, before turns are deleted."""
    db.execute(
        f"insert or replace into meta select '{_LAST}', max(coalesce(max(seq), 0), {_LAST_FORGOTTEN}) from turn"
    )


def rebuild_day(db: sqlite3.Connection, day: int) -> None:
    """Count a day anew from its turns."""
    db.execute("delete from day where day = ?", (day,))
    db.execute(
        "insert into day select ?, count(*), min(seq), max(seq) from turn"
        " where local_ms >= ? and local_ms < ? having count(*) > 0",
        (day, day * DAY_MS, (day + 1) * DAY_MS),
    )


def rebuild_days(db: sqlite3.Connection) -> None:
    """Count all days anew, in the transaction that is open."""
    db.execute("delete from day")
    # Whole division rounds towards zero in SQL: before 1970 a day earlier is meant.
    db.execute(
        f"insert into day select (local_ms - ((local_ms % {DAY_MS}) + {DAY_MS}) % {DAY_MS}) / {DAY_MS} as day,"
        " count(*), min(seq), max(seq) from turn group by day"
    )


def by_seq(db: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, Entry]:
    """Return the turns of these numbers that exist."""
    found: dict[int, Entry] = {}
    for start in range(0, len(seqs), 500):
        part = list(seqs[start : start + 500])
        marks = ",".join("?" * len(part))
        rows = db.execute(f"select {COLUMNS} from turn where seq in ({marks})", part)
        found.update((turn.seq, turn) for turn in map(Entry._make, rows))
    return found


def seqs_of(db: sqlite3.Connection, ids: Sequence[str]) -> list[int]:
    """Return the numbers of the turns with these ids that exist."""
    rows = (db.execute("select seq from turn where id = ?", (id,)).fetchone() for id in ids)
    return [row[0] for row in rows if row]


def in_range(db: sqlite3.Connection, start: datetime, end: datetime, limit: int = -1) -> list[Entry]:
    """Return what was said in a local range [start, end), oldest first."""
    rows = db.execute(
        f"select {COLUMNS} from turn where local_ms >= ? and local_ms < ? order by local_ms, seq limit ?",
        (to_local_ms(start), to_local_ms(end), limit),
    )
    return [from_row(row) for row in rows]


def count_between(db: sqlite3.Connection, start_ms: int, end_ms: int) -> int:
    """Return how many turns there are in a range of local_ms; whole days are not counted turn by turn."""
    first, last = -(-start_ms // DAY_MS), end_ms // DAY_MS
    if last <= first:
        return _count(db, start_ms, end_ms)
    days = db.execute("select coalesce(sum(turns), 0) from day where day >= ? and day < ?", (first, last))
    return int(days.fetchone()[0]) + _count(db, start_ms, first * DAY_MS) + _count(db, last * DAY_MS, end_ms)


def _count(db: sqlite3.Connection, start_ms: int, end_ms: int) -> int:
    if start_ms >= end_ms:
        return 0
    found = db.execute("select count(*) from turn where local_ms >= ? and local_ms < ?", (start_ms, end_ms))
    return int(found.fetchone()[0])


def seqs_between(db: sqlite3.Connection, start_ms: int, end_ms: int) -> tuple[int, int]:
    """Return the first and the last seq of the days that a range of local_ms touches."""
    row = db.execute(
        "select min(first_seq), max(last_seq) from day where day >= ? and day <= ?",
        (start_ms // DAY_MS, (end_ms - 1) // DAY_MS),
    ).fetchone()
    return (row[0] or 0, row[1] or 0)


def spread(db: sqlite3.Connection, start_ms: int, end_ms: int, count: int) -> list[Entry]:
    """Return about `count` turns of a range of local_ms, evenly spread over what was said: in pairs, the turn
    that comes next beside each.
    """
    days = db.execute(
        "select day, turns from day where day >= ? and day <= ? order by day",
        (start_ms // DAY_MS, (end_ms - 1) // DAY_MS),
    ).fetchall()
    bounds = [(max(start_ms, day * DAY_MS), min(end_ms, (day + 1) * DAY_MS), turns) for day, turns in days]
    if bounds:  # the first and the last may be parts of a day
        for edge in {0, len(bounds) - 1}:
            start, end, turns = bounds[edge]
            if end - start < DAY_MS:
                bounds[edge] = (start, end, _count(db, start, end))
    total = sum(turns for _, _, turns in bounds)
    places = max(1, count // 2)
    wanted = [int((place + 0.5) * total / places) for place in range(places)] if total else []
    seqs: dict[int, None] = {}
    before = 0
    for start, end, turns in bounds:
        offsets = [place - before for place in wanted if before <= place < before + turns]
        before += turns
        if not offsets:
            continue
        # As one text: a row at a time costs twice as much.
        row = db.execute(
            "select group_concat(seq) from (select seq from turn where local_ms >= ? and local_ms < ?"
            " order by local_ms, seq limit ? offset ?)",
            (start, end, offsets[-1] - offsets[0] + 2, offsets[0]),
        ).fetchone()
        near = (row[0] or "").split(",")
        for offset in offsets:
            at = offset - offsets[0]
            seqs.update((int(seq), None) for seq in near[at : at + 2] if seq)
    found = by_seq(db, list(seqs))
    return [found[seq] for seq in seqs if seq in found]


def evenly(turns: Sequence[_T]) -> list[_T]:
    """Put turns in such an order, pair by pair, that wherever it is cut off, what came before is evenly spread."""
    pairs = [turns[place : place + 2] for place in range(0, len(turns), 2)]
    bits = max(1, (len(pairs) - 1).bit_length())
    order = sorted(range(len(pairs)), key=lambda place: int(f"{place:0{bits}b}"[::-1], 2))
    return [turn for place in order for turn in pairs[place]]


def after(db: sqlite3.Connection, seq: int, count: int) -> list[Entry]:
    """Return the first turns that were written after the one of this number, oldest first."""
    rows = db.execute(f"select {COLUMNS} from turn where seq > ? order by seq limit ?", (seq, count))
    return [from_row(row) for row in rows]


def latest(db: sqlite3.Connection, count: int) -> list[Entry]:
    """Return the turns written last, oldest first."""
    rows = db.execute(f"select {COLUMNS} from turn order by seq desc limit ?", (count,)).fetchall()
    return [from_row(row) for row in reversed(rows)]


def everything(db: sqlite3.Connection) -> Iterator[Entry]:
    """Yield all turns in the order of writing."""
    for row in db.execute(f"select {COLUMNS} from turn order by seq"):
        yield from_row(row)


def count(db: sqlite3.Connection) -> int:
    """Return how many turns there are."""
    return int(db.execute("select coalesce(sum(turns), 0) from day").fetchone()[0])


def from_row(row: tuple[str, str, str, int, int, str, str, int]) -> Entry:
    """Return the turn of a row of COLUMNS."""
    return Entry._make(row)
