"""What can still be read of a damaged database, and how it goes into a new one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xiaozhi_persona.memory import diary, schema
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts import writing

_FACT_COLUMNS = (
    "id, subject, attribute, value, match_key, valid_from_ms, valid_to_ms, closed_by, source, confidence, pinned,"
    " starts_ms, ends_ms"
)
_FactRow = tuple[Any, ...]
_TEXTS, _NUMBERS = (1, 2, 3, 4, 8), (0, 5, 9, 10)  # columns that hold these in a row that is whole


class Salvage(NamedTuple):
    """What was read of a damaged database."""

    turns: list[Entry]
    facts: list[_FactRow]
    facts_are_whole: bool
    """Whether these are all facts there were."""
    meta: list[tuple[str, str]]
    """Off the record, and what was forgotten without its traces being removed yet."""


def read(file: Path) -> Salvage:
    """Read from both ends of each table of a damaged database, as far as it goes."""
    turns: dict[str, Entry] = {}
    known: dict[int, _FactRow] = {}
    whole = False
    for order in ("", " desc"):
        with contextlib.suppress(sqlite3.Error), _opened(file) as db:
            for row in db.execute(f"select {diary.COLUMNS} from turn order by seq{order}"):
                with contextlib.suppress(ValueError, TypeError):
                    turn = diary.from_row(row)
                    if turn.id in turns:
                        break
                    if isinstance(turn.text, str) and turn.who in ("user", "assistant"):
                        turns[turn.id] = turn
        with contextlib.suppress(sqlite3.Error), _opened(file) as db:
            for row in db.execute(f"select {_FACT_COLUMNS} from fact order by id{order}"):
                if _is_fact(row):
                    known[row[0]] = row
            whole = True
    meta: list[tuple[str, str]] = []
    with contextlib.suppress(sqlite3.Error), _opened(file) as db:
        meta = db.execute(
            "select key, value from meta where key not in ('owner', 'index_version')"
        ).fetchall()
    return Salvage(
        sorted(turns.values(), key=lambda turn: turn.seq),
        sorted(known.values(), key=lambda row: row[0]),
        whole,
        meta,
    )


def write(db: sqlite3.Connection, salvage: Salvage) -> None:
    """Write what was read, in the transaction that is open; what is known changes nothing.

    Facts come back as they were, also those that the owner set or corrected by hand. Those that could not be read
    are learned again from the turns that told them.
    """
    _write_facts(db, salvage.facts)
    told = {row[8] for row in salvage.facts}
    for turn in salvage.turns:
        if diary.append(db, turn) and not salvage.facts_are_whole and turn.id not in told:
            writing.learn(db, turn)
    db.executemany("insert or ignore into meta values (?, ?)", salvage.meta)
    if salvage.facts:
        schema.set_meta(db, schema.FACTS_VERSION, dict(salvage.meta).get(schema.FACTS_VERSION, ""))


def _write_facts(db: sqlite3.Connection, rows: list[_FactRow]) -> None:
    """Write facts under new numbers; by what number one was ended follows."""
    numbers: dict[int, int] = {}
    for row in rows:
        known = db.execute(
            "select id from fact where subject = ? and attribute = ? and match_key = ? and valid_from_ms = ?"
            " and valid_to_ms is ?",
            (row[1], row[2], row[4], row[5], row[6]),
        ).fetchone()
        if known:
            continue
        marks = ", ".join("?" * (len(row) - 1))
        cursor = db.execute(
            f"insert into fact ({_FACT_COLUMNS.removeprefix('id, ')}) values ({marks})", row[1:]
        )
        numbers[row[0]] = int(cursor.lastrowid or 0)
    for row in rows:
        if row[0] in numbers and row[7] is not None:
            db.execute("update fact set closed_by = ? where id = ?", (numbers.get(row[7]), numbers[row[0]]))


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(schema.connect(file)) as db:
        db.text_factory = lambda data: data.decode("utf-8", "replace")
        yield db


def _is_fact(row: tuple[object, ...]) -> bool:
    texts = all(isinstance(row[place], str) for place in _TEXTS)
    return texts and all(isinstance(row[place], (int, float)) for place in _NUMBERS)
