"""The core facts of one owner: kept with the time in which they held. Works on an open database.

A fact is never overwritten. A new value of something that has one value ends the old one; something said again
changes nothing; every fact names the turn that told it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from xiaozhi_persona.memory import diary, wall_clock
from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.facts.corrections import (
    CONVERSATION_MS,
    TURNS_LOOKED_BACK,
    cut_at_correction,
    find_correction,
    stated_last,
)
from xiaozhi_persona.memory.facts.kinds import (
    ANY,
    BY_NAME,
    FAMILY,
    LASTING,
    NAME,
    PET,
    SELF,
    Finding,
    is_single,
    match_key,
)
from xiaozhi_persona.memory.facts.rules import MAX_CHARS, find_facts, takes_back

RULE_CONFIDENCE = 0.9
"""Of a fact found by rules in the owner's own words."""
CORRECTED = 1.0
"""Of a fact that the owner set by hand."""
UNKNOWN_MS = 0
"""valid_from of a fact of which only its end is known."""
_MUCH_SURER = 0.15  # a fact this much less certain does not end another one
_MAX_VALUE_CHARS = 500


def learn(db: sqlite3.Connection, turn: diary.Entry) -> int:
    """Keep the facts that a turn of the user tells, in the transaction that is open. Returns how many were new."""
    if turn.who != "user":
        return 0
    if takes_back(turn.text):
        return _take_back(db, turn)
    head, tail = cut_at_correction(turn.text[:MAX_CHARS])
    found = find_facts(head, turn.local, turn.speaker)
    new = 0
    if found and tail:
        new = sum(keep(db, finding, turn.at_ms, turn.id) for finding in found)
        found = find_facts(tail, turn.local, turn.speaker)
    elif tail:  # before it stands nothing that it could be of
        head, tail = "", turn.text
        found = find_facts(turn.text, turn.local, turn.speaker)
    else:
        head, tail = "", head
    correction = find_correction(tail, found)
    if correction:
        # When it is read again, what it told before is known already, and is not what it corrects.
        known = [fact for fact in reading.current(db, turn.at_ms) if fact.source != turn.id or head]
        meant = stated_last(correction, turn, _before(db, turn, head), known)
        if meant:
            return new + _replace(db, *meant, turn.at_ms, source=turn.id, never_held=True)
    return new + sum(keep(db, finding, turn.at_ms, turn.id) for finding in found)


def _take_back(db: sqlite3.Connection, joke: diary.Entry) -> int:
    """Drop what the user's turn before told, which a turn makes a joke of. Returns how many facts these were."""
    said = [entry for entry in _turns_before(db, joke, 3) if entry.who == "user"][-1:]
    said = [entry for entry in said if entry.speaker == joke.speaker]
    if not said or not 0 <= joke.at_ms - said[0].at_ms <= CONVERSATION_MS:
        return 0
    told = db.execute("select id from fact where source = ? order by id desc", (said[0].id,)).fetchall()
    return delete(db, [row[0] for row in told])


def _before(db: sqlite3.Connection, turn: diary.Entry, head: str) -> list[diary.Entry]:
    """Return what a correction may be of: the `head` of its own turn, else what was said before the turn."""
    if head:
        return [diary.Entry(turn.id, turn.who, head, turn.at_ms, turn.offset_min, turn.speaker)]
    return _turns_before(db, turn, TURNS_LOOKED_BACK - 1)


def _turns_before(db: sqlite3.Connection, turn: diary.Entry, count: int) -> list[diary.Entry]:
    """Return what was written before a turn, which is the last one unless it is read again, oldest first."""
    if not turn.seq:
        return [entry for entry in diary.latest(db, count + 1) if entry.id != turn.id]
    found = diary.by_seq(db, range(max(1, turn.seq - count), turn.seq))
    return [found[seq] for seq in sorted(found)]


def keep(
    db: sqlite3.Connection,
    finding: Finding,
    at_ms: int,
    source: str = "",
    *,
    confidence: float = RULE_CONFIDENCE,
    pinned: bool = False,
) -> bool:
    """Keep a fact that was told at `at_ms`, in the transaction that is open. Returns whether anything changed."""
    if finding.tense == "not":
        return _end(db, finding, at_ms) > 0
    key = key_of(finding)
    if finding.tense == "was":
        return _was(db, finding, key, at_ms, source, confidence)
    if source and not pinned and _was_corrected(db, finding, key, at_ms, source):
        return False
    for attribute in BY_NAME[finding.attribute].ends if finding.attribute in BY_NAME else ():
        _end(db, Finding(finding.subject, attribute, finding.value, "not"), at_ms)
    single = is_single(finding.subject, finding.attribute)
    rows = db.execute(
        "select id, match_key, valid_from_ms, valid_to_ms, confidence from fact where subject = ? and attribute = ?"
        + ("" if single else " and match_key = ?")
        + " order by valid_from_ms, id",
        (finding.subject, finding.attribute) + (() if single else (key,)),
    ).fetchall()
    rows = [row for row in rows if row[3] is None or row[3] > row[2]]  # what was corrected never held
    before = next((row for row in reversed(rows) if row[2] <= at_ms), None)
    after = next((row for row in rows if row[2] > at_ms), None)
    if before and (before[3] is None or before[3] > at_ms):
        if before[1] == key:
            if pinned or confidence > before[4]:
                db.execute(
                    "update fact set confidence = max(confidence, ?), pinned = max(pinned, ?) where id = ?",
                    (confidence, pinned, before[0]),
                )
            return pinned
        if before[4] - confidence > _MUCH_SURER:
            return False
    if after and after[1] == key and not (before and before[3] is None):
        db.execute("update fact set valid_from_ms = ?, source = ? where id = ?", (at_ms, source, after[0]))
        return True
    end = (after[2], after[0]) if after and single else (None, None)
    new = _insert(db, finding, key, at_ms, end[0], end[1], source, confidence, pinned)
    if single and before and (before[3] is None or before[3] > at_ms):
        db.execute("update fact set valid_to_ms = ?, closed_by = ? where id = ?", (at_ms, new, before[0]))
    return True


def _was_corrected(db: sqlite3.Connection, finding: Finding, key: str, at_ms: int, source: str) -> bool:
    """Whether a turn that is read again told this before, and it was found never to have held."""
    return bool(
        db.execute(
            "select 1 from fact where subject = ? and attribute = ? and match_key = ? and source = ?"
            " and valid_from_ms = ? and valid_to_ms = valid_from_ms",
            (finding.subject, finding.attribute, key, source, at_ms),
        ).fetchone()
    )


def _was(
    db: sqlite3.Connection, finding: Finding, key: str, at_ms: int, source: str, confidence: float
) -> bool:
    """Keep what once was: it ends now when it was believed to hold still."""
    known = db.execute(
        "select 1 from fact where subject = ? and attribute = ? and match_key = ?",
        (finding.subject, finding.attribute, key),
    ).fetchone()
    if known:
        return _end(db, finding, at_ms) > 0
    _insert(db, finding, key, UNKNOWN_MS, at_ms, None, source, confidence, False)
    return True


def close(db: sqlite3.Connection, fact_id: int, at_ms: int) -> bool:
    """End a fact, in the transaction that is open. Returns whether it held."""
    return bool(
        db.execute(
            "update fact set valid_to_ms = max(?, valid_from_ms), closed_by = null"
            " where id = ? and valid_to_ms is null",
            (at_ms, fact_id),
        ).rowcount
    )


def _end(db: sqlite3.Connection, finding: Finding, at_ms: int) -> int:
    """Close the facts of this value; of an appointment, those of its day. An empty value means any."""
    if finding.attribute == ANY and finding.value:
        finding = _of_whom_is_named(db, finding, at_ms)
    of = "attribute = ?" if finding.attribute != ANY else f"? = '{ANY}' and attribute not in {LASTING}"
    rows = db.execute(
        f"select id, match_key, starts_ms, ends_ms from fact where subject = ? and {of}"
        " and valid_from_ms <= ? and (valid_to_ms is null or valid_to_ms > ?)",
        (finding.subject, finding.attribute, at_ms, at_ms),
    ).fetchall()
    if finding.starts and finding.ends:
        start, end = wall_clock.to_local_ms(finding.starts), wall_clock.to_local_ms(finding.ends)
        rows = [row for row in rows if row[2] is not None and row[2] < end and row[3] > start]
        wanted = set(match_key(finding.value))
        rows = [row for row in rows if not wanted or len(wanted & set(row[1])) * 2 >= len(wanted)]
    elif finding.value:
        key = match_key(finding.value)
        rows = [row for row in rows if key == row[1] or (len(key) > 1 and (key in row[1] or row[1] in key))]
    for row in rows:
        db.execute("update fact set valid_to_ms = ?, closed_by = null where id = ?", (at_ms, row[0]))
    return len(rows)


def _of_whom_is_named(db: sqlite3.Connection, finding: Finding, at_ms: int) -> Finding:
    """Return an end that is told by a name, 旺财去世了, as the end of whoever has it; it is no pet any more then."""
    row = db.execute(
        "select subject from fact where attribute = ? and value = ? and subject != ? and valid_to_ms is null",
        (NAME, finding.subject, SELF),
    ).fetchone()
    if row is None:
        return replace(finding, subject="", value="")  # nobody has that name: nothing ends
    for kind in (PET, FAMILY):
        _end(db, Finding(SELF, kind, row[0], "not"), at_ms)
    return replace(finding, subject=row[0], value="")


def _insert(
    db: sqlite3.Connection,
    finding: Finding,
    key: str,
    from_ms: int,
    to_ms: int | None,
    closed_by: int | None,
    source: str,
    confidence: float,
    pinned: bool,
) -> int:
    cursor = db.execute(
        "insert into fact (subject, attribute, value, match_key, valid_from_ms, valid_to_ms, closed_by, source,"
        " confidence, pinned, starts_ms, ends_ms) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            finding.subject,
            finding.attribute,
            finding.value[:_MAX_VALUE_CHARS],
            key,
            from_ms,
            to_ms,
            closed_by,
            source,
            confidence,
            pinned,
            wall_clock.to_local_ms(finding.starts) if finding.starts else None,
            wall_clock.to_local_ms(finding.ends) if finding.ends else None,
        ),
    )
    return int(cursor.lastrowid or 0)


def key_of(finding: Finding) -> str:
    """Return what a finding is compared by: its value, and when it begins."""
    key = match_key(finding.value)[:_MAX_VALUE_CHARS]
    return f"{key}@{wall_clock.to_local_ms(finding.starts)}" if finding.starts else key


def correct(
    db: sqlite3.Connection,
    fact_id: int,
    value: str,
    at_ms: int,
    when: tuple[datetime, datetime] | None = None,
) -> bool:
    """Put the owner's own value in place of a fact's, which ends. Returns whether there is such a fact.

    An appointment stays when it was, unless `when` (local, naive) says when it is.
    """
    row = db.execute(
        "select subject, attribute, starts_ms, ends_ms from fact where id = ?", (fact_id,)
    ).fetchone()
    if row is None:
        return False
    if row[2] is not None and when is None:
        when = (wall_clock.from_local_ms(row[2]), wall_clock.from_local_ms(row[3]))
    starts, ends = when if when and row[2] is not None else (None, None)
    finding = Finding(row[0], row[1], diary.storable(value), starts=starts, ends=ends)
    _replace(db, fact_id, finding, at_ms, pinned=True)
    return True


def _replace(
    db: sqlite3.Connection,
    fact_id: int,
    finding: Finding,
    at_ms: int,
    *,
    source: str = "",
    pinned: bool = False,
    never_held: bool = False,
) -> int:
    """Keep a finding in place of a fact, which ends: for good, or as if it had never held, and then it comes back
    should the new one be deleted. Returns how many that is.
    """
    last = db.execute("select max(id) from fact").fetchone()[0]
    db.execute(
        "update fact set valid_to_ms = max(?, valid_from_ms), closed_by = null"
        " where id = ? and (valid_to_ms is null or valid_to_ms > ?)",
        (0 if never_held else at_ms, fact_id, at_ms),
    )
    keep(db, finding, at_ms, source, confidence=CORRECTED, pinned=pinned)
    if never_held:
        db.execute(
            "update fact set closed_by = (select max(id) from fact where id > ?) where id = ?",
            (last, fact_id),
        )
    return True


def begin_with(db: sqlite3.Connection, fact_id: int, turn: diary.Entry) -> bool:
    """Let a fact begin with a later turn, if that tells it too. Returns whether it does."""
    known = db.execute(
        "select subject, attribute, match_key, valid_from_ms from fact where id = ?", (fact_id,)
    ).fetchone()
    for finding in find_facts(turn.text[:MAX_CHARS], turn.local, turn.speaker):
        if finding.tense == "is" and (finding.subject, finding.attribute, key_of(finding)) == known[:3]:
            db.execute(
                "update fact set value = ?, valid_from_ms = ?, source = ? where id = ?",
                (finding.value[:_MAX_VALUE_CHARS], turn.at_ms, turn.id, fact_id),
            )
            db.execute(
                "update fact set valid_to_ms = ? where closed_by = ? and valid_to_ms = ?",
                (turn.at_ms, fact_id, known[3]),
            )
            return True
    return False


def delete(db: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete facts; one that they had ended holds again, unless it is deleted too. Returns how many there were."""
    deleted = 0
    for fact_id in ids:
        row = db.execute("select valid_to_ms, closed_by from fact where id = ?", (fact_id,)).fetchone()
        if row is None:
            continue
        db.execute("delete from fact where id = ?", (fact_id,))
        db.execute(
            "update fact set valid_to_ms = ?, closed_by = ? where closed_by = ?", (row[0], row[1], fact_id)
        )
        deleted += 1
    return deleted


def end_former(db: sqlite3.Connection) -> None:
    """Of what has one value at a time, let only the last one hold: two memories may have become one."""
    several = (
        "select subject, attribute from fact where valid_to_ms is null group by 1, 2 having count(*) > 1"
    )
    for subject, attribute in db.execute(several).fetchall():
        if is_single(subject, attribute):
            rows = db.execute(
                "select id, valid_from_ms from fact where subject = ? and attribute = ? and valid_to_ms is null"
                " order by valid_from_ms, id",
                (subject, attribute),
            ).fetchall()
            db.executemany(
                "update fact set valid_to_ms = ?, closed_by = ? where id = ?",
                [(after[1], after[0], row[0]) for row, after in zip(rows, rows[1:], strict=False)],
            )
