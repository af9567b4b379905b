"""Forgetting: rows go at once, then their traces in the file.

A row that SQLite deleted leaves its words in the full-text index until that is merged, and in the log until that is
truncated; `scrub` does both and takes seconds for a long diary, in which turns wait in the pending file.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory import diary, facts, schema
from xiaozhi_persona.memory.fact_types import subject_of
from xiaozhi_persona.memory.store import OwnerStore, explained

log = logging.getLogger(__name__)

_SCRUB_BUSY_MS = 5000


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten."""

    turns: int = 0
    facts: int = 0


def forget_range(store: OwnerStore, start: datetime, end: datetime) -> Forgotten:
    """Forget what was said in a local range [start, end), and the facts that only it told."""
    store.append([])  # takes in what waits in the pending file
    with store.transaction() as db:
        rows = db.execute(
            "select seq from turn where local_ms >= ? and local_ms < ?",
            (diary.to_local_ms(start), diary.to_local_ms(end)),
        ).fetchall()
        return _delete(db, [row[0] for row in rows], [])


def forget_turns(store: OwnerStore, seqs: Sequence[int]) -> Forgotten:
    """Forget single turns, and the facts that only they told."""
    with store.transaction() as db:
        return _delete(db, seqs, [])


def forget_mention(store: OwnerStore, name: str) -> Forgotten:
    """Forget a person or a thing: what mentions it, what it said, and what is known about it."""
    name = diary.storable(name).strip()
    if not name:
        return Forgotten()
    store.append([])
    with store.transaction() as db:
        like = "%" + name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        seqs = db.execute(
            "select seq from turn where text like ? escape '\\' or speaker = ?", (like, name)
        ).fetchall()
        known = db.execute(
            "select id from fact where subject in (?, ?) or value like ? escape '\\'",
            (name, subject_of(name), like),
        ).fetchall()
        return _delete(db, [row[0] for row in seqs], [row[0] for row in known])


def forget_facts(store: OwnerStore, ids: Sequence[int]) -> Forgotten:
    """Forget facts, and the turns that told them with the answers to these: else they would be found there."""
    store.append([])
    with store.transaction() as db:
        seqs: list[int] = []
        for fact_id in ids:
            row = db.execute(
                "select turn.seq from fact join turn on turn.id = fact.source where fact.id = ?", (fact_id,)
            ).fetchone()
            if row:
                seqs.append(row[0])
                answer = db.execute(
                    "select seq from turn where seq = ? and who = 'assistant'", (row[0] + 1,)
                ).fetchone()
                seqs += answer or ()
        return _delete(db, seqs, ids)


def expire(store: OwnerStore, retention_days: int, now: datetime) -> Forgotten:
    """Forget the turns older than this, and the facts that ended before; facts that hold stay. 0 keeps all."""
    if retention_days <= 0:
        return Forgotten()
    limit_ms = diary.to_ms(now - timedelta(days=retention_days))
    with store.transaction() as db:
        seqs = [row[0] for row in db.execute("select seq from turn where at_ms < ?", (limit_ms,))]
        old = [row[0] for row in db.execute("select id from fact where valid_to_ms < ?", (limit_ms,))]
        return Forgotten(diary.delete(db, seqs), facts.delete(db, old))


def _delete(db: sqlite3.Connection, seqs: Sequence[int], fact_ids: Sequence[int]) -> Forgotten:
    """Delete turns with the facts that they told, and these facts."""
    told = list(fact_ids)
    for seq in seqs:
        told += [
            row[0]
            for row in db.execute(
                "select fact.id from fact join turn on fact.source = turn.id where turn.seq = ?", (seq,)
            )
        ]
    return Forgotten(diary.delete(db, seqs), facts.delete(db, told))


def scrub(store: OwnerStore) -> None:
    """Remove what deleted rows left in the files. On a connection of its own, in any thread; may take seconds.

    Set-aside files go as well: what could be read of them has been in the database since. Raises PersonaError.
    """
    try:
        with contextlib.closing(schema.connect(store.file, busy_ms=_SCRUB_BUSY_MS)) as db:
            if db.execute("select 1 from sqlite_master where name = 'turn_words'").fetchone():
                db.execute("insert into turn_words (turn_words) values ('optimize')")
            db.execute("vacuum")
            busy = db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    except sqlite3.Error as exc:
        raise explained(exc, store.file) from exc
    for path in [*store.folder.glob("damaged-*"), *store.folder.glob("salvaged-*")]:
        path.unlink(missing_ok=True)
    if busy:
        log.warning("别的程序正在读 %s，忘掉的内容要到它读完才会从日志文件里消失。", store.file)
