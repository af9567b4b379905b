"""The database of one owner: how it is opened, and its tables in numbered steps."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.language import tr
from xiaozhi_persona.memory.facts.kinds import RULES_VERSION
from xiaozhi_persona.memory.words import INDEX_VERSION

FACTS_VERSION = "facts_version"
"""Key of the table meta: by which rules the facts were found."""
BUSY_MS = 250
"""How long a write waits for another process. Turns that wait longer go to the pending file."""
_CACHE_KIB = 2048


def connect(
    file: Path, *, busy_ms: int = BUSY_MS, readonly: bool = False, immutable: bool = False
) -> sqlite3.Connection:
    """Open a database. Transactions are begun and ended by hand. Raises sqlite3.Error.

    `immutable` is for a folder that cannot be written to: nobody else can be writing there.
    """
    mode = "ro&immutable=1" if immutable else "ro" if readonly else "rwc"
    address = f"{file.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(
        address, uri=True, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        if not readonly and not immutable:
            db.execute("pragma journal_mode = wal")
            # A commit survives the end of the process; the log is synced within a second of it for power cuts.
            db.execute("pragma synchronous = normal")
        db.execute("pragma secure_delete = on")
        db.execute(f"pragma cache_size = -{_CACHE_KIB}")
        db.execute("pragma trusted_schema = off")
    except BaseException:
        db.close()
        raise
    return db


def upgrade(db: sqlite3.Connection) -> None:
    """Run the steps that the database has not seen. Raises PersonaError for one from a later version."""
    version = int(db.execute("pragma user_version").fetchone()[0])
    if version > len(_STEPS):
        raise PersonaError(
            tr(
                "记忆的数据库是更新的版本（{version}）写的，本程序只认识到 {count}。请升级 xiaozhi-persona。",
                version=version,
                count=len(_STEPS),
            )
        )
    if version == len(_STEPS):
        return
    db.execute("begin immediate")
    try:
        version = int(db.execute("pragma user_version").fetchone()[0])  # another process may have been faster
        for number, step in enumerate(_STEPS[version:], version + 1):
            step(db)
            db.execute(f"pragma user_version = {number}")
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise


def create_text_index(db: sqlite3.Connection) -> None:
    """Make the empty full-text index, in place of one that is there or damaged."""
    try:
        db.execute("drop table if exists turn_words")
    except sqlite3.DatabaseError:
        _tear_out(db, "turn_words")
    # Contentless, rows without positions: the words are made in Python, and scored there.
    db.execute("create virtual table turn_words using fts5(words, content='', detail=none, tokenize='ascii')")
    set_meta(db, "index_version", INDEX_VERSION)


def _tear_out(db: sqlite3.Connection, table: str) -> None:
    """Remove a virtual table that is too damaged to be dropped, with the tables behind it."""
    db.execute("pragma writable_schema = on")
    db.execute("delete from sqlite_master where name = ?", (table,))
    db.execute("pragma writable_schema = reset")
    for part in ("data", "idx", "content", "docsize", "config"):
        db.execute(f"drop table if exists {table}_{part}")


def get_meta(db: sqlite3.Connection, key: str) -> str:
    """Return a value of the owner's file, "" when it is not set."""
    row = db.execute("select value from meta where key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Set a value of the owner's file."""
    db.execute("insert or replace into meta values (?, ?)", (key, value))


def _first(db: sqlite3.Connection) -> None:
    db.execute("create table meta (key text primary key, value text not null) without rowid")
    # The truth: what was said, in the order in which it became known. `local_ms` is the wall clock of the place
    # where it was said, so that "yesterday" means yesterday as it was lived, whatever zone the question comes from.
    db.execute(
        """create table turn (
            seq integer primary key,
            id text not null unique,
            who text not null,
            text text not null,
            at_ms integer not null,
            offset_min integer not null,
            local_ms integer not null,
            speaker text not null,
            role text not null
        )"""
    )
    db.execute("create index turn_local on turn (local_ms)")
    # Derived from turn: how many there are on each local day (days since 1970), and where they lie.
    db.execute(
        """create table day (
            day integer primary key, turns integer not null, first_seq integer not null, last_seq integer not null
        )"""
    )
    # A fact is closed by a newer one, never overwritten. `closed_by` opens it again when that one is forgotten.
    db.execute(
        """create table fact (
            id integer primary key,
            subject text not null,
            attribute text not null,
            value text not null,
            match_key text not null,
            valid_from_ms integer not null,
            valid_to_ms integer,
            closed_by integer,
            source text not null,
            confidence real not null,
            pinned integer not null,
            starts_ms integer,
            ends_ms integer
        )"""
    )
    db.execute("create index fact_key on fact (subject, attribute, match_key)")
    db.execute("create index fact_value on fact (match_key)")
    db.execute("create index fact_starts on fact (starts_ms) where starts_ms is not null")
    # What lasts is little beside the appointments of years.
    db.execute("create index fact_lasting on fact (attribute) where starts_ms is null")
    create_text_index(db)
    set_meta(db, FACTS_VERSION, RULES_VERSION)


def _second(db: sqlite3.Connection) -> None:
    # Derived from turn: on which days it happens that it tells of, by the wall clock.
    db.execute(
        """create table event (
            seq integer not null, start_ms integer not null, end_ms integer not null, again text not null
        )"""
    )
    db.execute("create index event_start on event (start_ms)")
    db.execute("create index event_seq on event (seq)")
    db.execute("create index event_again on event (seq) where again != ''")
    # Which of the facts that a turn told no longer hold.
    db.execute("create index fact_over on fact (source) where valid_to_ms is not null")
    if db.execute("select 1 from turn").fetchone():
        set_meta(db, FACTS_VERSION, "")  # they are read again


def _third(db: sqlite3.Connection) -> None:
    # Derived from turn, where there is an embedder: see vectors.py.
    db.execute("create table vector (seq integer primary key, data blob not null)")


def _fourth(db: sqlite3.Connection) -> None:
    # Derived from turn, where there is a chat model: see digests.py. `day` is the first one, in days since 1970.
    db.execute(
        "create table digest (kind text not null, day integer not null, text text not null, primary key (kind, day))"
        " without rowid"
    )


_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first, _second, _third, _fourth)
VERSION = len(_STEPS)
"""Of the tables, as `pragma user_version` gives it."""
