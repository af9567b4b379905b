"""What the facts of one owner are: those that hold, those of a time, those that a question names.

Works on an open database. Each comes with the words that told it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from xiaozhi_persona.memory import wall_clock
from xiaozhi_persona.memory.facts.kinds import Fact
from xiaozhi_persona.text.measures import normalized

_COLUMNS = (
    "fact.id, subject, attribute, value, valid_from_ms, valid_to_ms, source, confidence, pinned, starts_ms, ends_ms,"
    " coalesce(turn.text, ''), coalesce(turn.speaker, ''), turn.at_ms"
)
_FACTS = "fact left join turn on turn.id = fact.source"
_NEAR = 12  # the facts of one turn are numbered one after the other


def current(db: sqlite3.Connection, at_ms: int) -> list[Fact]:
    """Return the facts that hold at a time, the pinned and the newest first."""
    rows = db.execute(
        f"select {_COLUMNS} from {_FACTS} where valid_from_ms <= ? and (valid_to_ms is null or valid_to_ms > ?)"
        " order by pinned desc, valid_from_ms desc, fact.id desc",
        (at_ms, at_ms),
    )
    return [_fact(row) for row in rows]


def everything(db: sqlite3.Connection) -> list[Fact]:
    """Return all facts, also those that no longer hold, by subject and attribute, oldest first."""
    rows = db.execute(f"select {_COLUMNS} from {_FACTS} order by subject, attribute, valid_from_ms, fact.id")
    return [_fact(row) for row in rows]


def find(
    db: sqlite3.Connection, subject: str, attributes: Sequence[str], start_ms: int, end_ms: int
) -> list[Fact]:
    """Return what held at any time in [start_ms, end_ms] (UTC) of a subject; no attributes means all.

    The subject "" means any, and then appointments are left out: see appointments().
    """
    where = ["valid_from_ms <= ?", "(valid_to_ms is null or valid_to_ms > ?)"]
    values: list[str | int] = [end_ms, start_ms]
    if subject:
        where.append("subject = ?")
        values.append(subject)
    else:
        where.append("starts_ms is null")
    if attributes:
        where.append(
            "(" + " or ".join("attribute glob ?" if "*" in a else "attribute = ?" for a in attributes) + ")"
        )
        values += attributes
    rows = db.execute(
        f"select {_COLUMNS} from {_FACTS} where {' and '.join(where)}"
        " order by pinned desc, valid_from_ms desc, fact.id desc limit 100",
        values,
    )
    return [_fact(row) for row in rows]


def appointments(db: sqlite3.Connection, start: datetime, end: datetime) -> list[Fact]:
    """Return the appointments that overlap a local range, the earliest first."""
    rows = db.execute(
        f"select {_COLUMNS} from {_FACTS} where starts_ms is not null and starts_ms < ? and ends_ms > ?"
        " and valid_to_ms is null order by starts_ms, fact.id limit 40",
        (wall_clock.to_local_ms(end), wall_clock.to_local_ms(start)),
    )
    return [_fact(row) for row in rows]


def mentioned(db: sqlite3.Connection, question: str, at_ms: int) -> list[Fact]:
    """Return the names and short values of facts that stand in the question: 咪咪 of 咪咪几岁了."""
    plain = "".join(normalized(question[:200]).split())
    parts = sorted({plain[i : i + n] for n in (2, 3, 4, 5, 6) for i in range(len(plain) - n + 1)})[:900]
    found: list[Fact] = []
    for start in range(0, len(parts), 300):
        part = parts[start : start + 300]
        marks = ",".join("?" * len(part))
        rows = db.execute(
            f"select {_COLUMNS} from {_FACTS} where match_key in ({marks}) and valid_from_ms <= ?"
            " and (valid_to_ms is null or valid_to_ms > ?) limit 10",
            [*part, at_ms, at_ms],
        )
        found += [_fact(row) for row in rows]
    return found


def over_beside(db: sqlite3.Connection, fact: Fact) -> list[Fact]:
    """Return what the same words told and holds no longer: whoever reads them has to know that."""
    rows = db.execute(
        f"select {_COLUMNS} from {_FACTS} where fact.id between ? and ? and source = ? and fact.id != ?"
        " and valid_to_ms is not null order by fact.id",
        (fact.id - _NEAR, fact.id + _NEAR, fact.source, fact.id),
    )
    return [_fact(row) for row in rows] if fact.said else []


def over_of(db: sqlite3.Connection, sources: Sequence[str]) -> dict[str, list[Fact]]:
    """Return by the id of a turn what it told and holds no longer."""
    found: dict[str, list[Fact]] = {}
    marks = ",".join("?" * len(sources))
    rows = db.execute(
        f"select {_COLUMNS} from {_FACTS} where source in ({marks}) and valid_to_ms is not null order by fact.id",
        list(sources),
    )
    for fact in map(_fact, rows):
        found.setdefault(fact.source, []).append(fact)
    return found


def _fact(row: Sequence[object]) -> Fact:
    values = list(row)
    values[8] = bool(values[8])
    return Fact(*values)  # type: ignore[arg-type]
