"""Forgetting: rows go at once, then their traces in the file.

A row that SQLite deleted leaves its words in the full-text index until that is merged, and in the log until that is
truncated; `scrub` does both and takes seconds for a long diary, in which turns wait in the pending file. That it is
still to be done stands in the database from the moment the rows go, so that it survives the end of the process.

Damaged databases that were set aside, and what was read of them, go when anything is forgotten: nobody can tell what
they hold. What merely grows older than the settings keep takes along only those that are as old.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory import diary, schema, text_index, wall_clock
from xiaozhi_persona.memory.facts import writing
from xiaozhi_persona.memory.facts.english import BEINGS
from xiaozhi_persona.memory.facts.kinds import NAME, PETS, match_key, spellings_of, subject_of
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.store import FORGOTTEN, TO_SCRUB, OwnerStore, explained, set_aside_files
from xiaozhi_persona.memory.words import index_terms

log = logging.getLogger(__name__)

_SCRUB_BUSY_MS = 5000
_MAX_READ = 200  # turns that hold the words of a fact, read to find whether one told it again
_ERASED = "erased"  # of the table meta: up to which forgetting set-aside files are gone
_OTHER_WORDS = re.compile(
    "熊猫|猫头鹰|猫腻|热狗|狗血|企鹅|天鹅|[大姨舅姑干婶]妈|[表堂]?哥们|学[哥姐弟妹]|[姐妹]夫|弟媳|弟子|妹子"
)
_TITLES = frozenset(("先生", "太太"))  # of anybody, unless it is 我先生
_OWN_PETS = frozenset(PETS.split("|"))
_OURS_IN_ENGLISH = pattern(rf"\b(?:my|our) ({'|'.join(BEINGS)})\b")


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten."""

    turns: int = 0
    facts: int = 0


@dataclass(frozen=True)
class Marked:
    """What is to be forgotten: turns, with the facts that they told, and other facts."""

    seqs: tuple[int, ...] = ()
    fact_ids: tuple[int, ...] = ()

    def __add__(self, other: Marked) -> Marked:
        return Marked(self.seqs + other.seqs, self.fact_ids + other.fact_ids)

    def __and__(self, other: Marked) -> Marked:
        seqs, fact_ids = set(other.seqs), set(other.fact_ids)
        return Marked(
            tuple(seq for seq in self.seqs if seq in seqs),
            tuple(fact_id for fact_id in self.fact_ids if fact_id in fact_ids),
        )


def forget_marked(store: OwnerStore, marked: Marked) -> Forgotten:
    """Forget what was marked."""
    with store.transaction() as db:
        return _delete(db, marked.seqs, marked.fact_ids)


def forget_all(store: OwnerStore) -> Forgotten:
    """Forget everything. The empty file stays, as other processes may have it open, and so does whether it is off
    the record.
    """
    store.append([])
    with store.transaction() as db:
        diary.note_last(db)
        turns = db.execute("delete from turn").rowcount
        known = db.execute("delete from fact").rowcount
        db.execute("delete from event")
        db.execute("delete from vector")
        db.execute("delete from digest")
        text_index.rebuild(db)
        diary.rebuild_days(db)
        _note_forgetting(db)
    store.index_state = "ok"
    return Forgotten(turns, known)


def forget_range(store: OwnerStore, start: datetime, end: datetime) -> Forgotten:
    """Forget what was said in a local range [start, end), and the facts that only it told or that were set in it.

    A turn knows the wall clock of its place. A fact set by hand, or whose turn is gone, has only its instant: for
    those the zone of `start` and `end` counts, this machine's when they name none.
    """
    store.append([])  # takes in what waits in the pending file
    return forget_marked(store, mark_range(store.writer, start, end))


def mark_range(db: sqlite3.Connection, start: datetime, end: datetime) -> Marked:
    """Return what forget_range() forgets."""
    turns = db.execute(
        "select seq from turn where local_ms >= ? and local_ms < ?",
        (wall_clock.to_local_ms(start), wall_clock.to_local_ms(end)),
    )
    # Of what only once was, the end is when it was told.
    known = db.execute(
        "select id from fact where not exists (select 1 from turn where turn.id = fact.source)"
        " and case valid_from_ms when ? then valid_to_ms else valid_from_ms end between ? and ?",
        (writing.UNKNOWN_MS, diary.to_ms(start), diary.to_ms(end) - 1),
    )
    return Marked(tuple(row[0] for row in turns), tuple(row[0] for row in known))


def forget_turns(store: OwnerStore, seqs: Sequence[int]) -> Forgotten:
    """Forget single turns, and the facts that only they told."""
    store.append([])
    with store.transaction() as db:
        return _delete(db, seqs, [])


def forget_mention(store: OwnerStore, name: str) -> Forgotten:
    """Forget a person, a pet or a thing: what mentions it, by its own name too, what it said, and what is known."""
    store.append([])
    return forget_marked(store, mark_mention(store.writer, name))


def mark_mention(db: sqlite3.Connection, name: str) -> Marked:
    """Return what forget_mention() forgets."""
    name = diary.storable(name).strip()
    if not name:
        return Marked()
    subject = subject_of(BEINGS.get(name.lower(), name))
    own_names = db.execute(
        "select value from fact where attribute = ? and subject in (?, ?)", (NAME, name, subject)
    ).fetchall()
    words = {_plain(word) for word in (name, *(row[0] for row in own_names if len(row[0].strip()) > 1))}
    subjects = words | {_plain(subject)} | {subject_of(word) for word in words}
    is_one_of_them = name in _OWN_PETS and name != subject  # a 金毛 is not every 狗
    words |= set() if is_one_of_them else _other_words(name, subject)
    seqs = [
        seq
        for seq, text, speaker in db.execute("select seq, text, speaker from turn order by seq")
        if _mentions(text, words)
        or (speaker and _plain(speaker) in words)
        or any(
            BEINGS[being] == subject and not is_one_of_them
            for being in _OURS_IN_ENGLISH.findall(_plain(text))
        )
    ]
    facts = db.execute("select id, subject, value from fact order by id").fetchall()
    # What told them may not name it, and would tell them again.
    told = mark_facts(db, [fact_id for fact_id, whose, _ in facts if _plain(whose) in subjects])
    ids = [fact_id for fact_id, _, value in facts if _mentions(value, words)]
    return Marked(tuple(sorted({*seqs, *told.seqs})), tuple(sorted({*ids, *told.fact_ids})))


def _other_words(name: str, subject: str) -> set[str]:
    """Return by what else a relative or a pet is spoken of: 妈妈 as 老妈 and 我妈."""
    spellings = {subject, *spellings_of(subject)} - {name}
    return {f"我{word}" if len(word) == 1 or word in _TITLES else word for word in spellings}


def forget_facts(store: OwnerStore, ids: Sequence[int]) -> Forgotten:
    """Forget facts, and the turns that told them with the answers to these: else they would be found there."""
    store.append([])
    return forget_marked(store, mark_facts(store.writer, ids))


def mark_facts(db: sqlite3.Connection, ids: Sequence[int]) -> Marked:
    """Return what forget_facts() forgets."""
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
    return Marked(tuple(seqs), tuple(ids))


def _plain(text: str) -> str:
    """Return the whole text in lower case and half width."""
    return unicodedata.normalize("NFKC", text).lower()


def _mentions(text: str, words: Iterable[str]) -> bool:
    """Whether a text holds one of the words; 妈 and 我妈 not only inside of a word for something else."""
    plain = _plain(text)
    return any(
        word in plain and (len(word.removeprefix("我")) > 1 or word in _OTHER_WORDS.sub("", plain))
        for word in words
    )


def expire(store: OwnerStore, retention_days: int, now: datetime) -> Forgotten:
    """Forget the turns older than this, and the facts that ended before; facts that hold stay. 0 keeps all."""
    if retention_days <= 0:
        return Forgotten()
    limit = now - timedelta(days=retention_days)
    for path in set_aside_files(store.folder):
        if path.stat().st_mtime < limit.timestamp():
            path.unlink(missing_ok=True)
    limit_ms = diary.to_ms(limit)
    with store.transaction() as db:
        seqs = [row[0] for row in db.execute("select seq from turn where at_ms < ?", (limit_ms,))]
        old = [row[0] for row in db.execute("select id from fact where valid_to_ms < ?", (limit_ms,))]
        gone = Forgotten(diary.delete(db, seqs), writing.delete(db, old))
        if gone != Forgotten():
            _note_traces(db)
        return gone


def _delete(db: sqlite3.Connection, seqs: Sequence[int], fact_ids: Sequence[int]) -> Forgotten:
    """Delete turns with the facts that only they told, and these facts."""
    told = set(told_by(db, seqs)) - set(fact_ids)
    turns = diary.delete(db, seqs)
    told = {fact_id for fact_id in sorted(told) if not _told_again(db, fact_id)}
    gone = Forgotten(turns, writing.delete(db, [*fact_ids, *told]))
    if gone != Forgotten():
        _note_forgetting(db)
    return gone


def _told_again(db: sqlite3.Connection, fact_id: int) -> bool:
    """Let a fact begin with the next turn that told it while it held. Returns whether there is one."""
    value, start_ms, end_ms = db.execute(
        "select value, valid_from_ms, valid_to_ms from fact where id = ?", (fact_id,)
    ).fetchone()
    # It may have been told in other words: 吃香菜 and 香菜 are one thing.
    ways = [index_terms(value).split(), index_terms(match_key(value)).split()]
    words = " OR ".join("(" + " AND ".join(f'"{term}"' for term in terms) + ")" for terms in ways if terms)
    if not words:
        return False
    rows = db.execute(
        f"select {diary.COLUMNS} from turn where seq in (select rowid from turn_words where turn_words match ?)"
        " and who = 'user' and at_ms >= ? and at_ms < coalesce(?, 9e18) order by at_ms, seq limit ?",
        (words, start_ms, end_ms, _MAX_READ),
    ).fetchall()
    return any(writing.begin_with(db, fact_id, diary.from_row(row)) for row in rows)


def _note_forgetting(db: sqlite3.Connection) -> None:
    """Tell the other processes that something was forgotten, in the transaction in which it is."""
    schema.set_meta(db, FORGOTTEN, os.urandom(8).hex())
    _note_traces(db)


def _note_traces(db: sqlite3.Connection) -> None:
    schema.set_meta(db, TO_SCRUB, os.urandom(8).hex())


def told_by(db: sqlite3.Connection, seqs: Sequence[int]) -> list[int]:
    """Return the facts that turns told."""
    told = "select fact.id from fact join turn on fact.source = turn.id where turn.seq = ?"
    return [row[0] for seq in seqs for row in db.execute(told, (seq,))]


def scrub(store: OwnerStore) -> None:
    """Remove what deleted rows left in the files. On a connection of its own, in any thread; may take seconds.

    Raises PersonaError.
    """
    try:
        with contextlib.closing(schema.connect(store.file, busy_ms=_SCRUB_BUSY_MS)) as db:
            traces, forgotten = schema.get_meta(db, TO_SCRUB), schema.get_meta(db, FORGOTTEN)
            if db.execute("select 1 from sqlite_master where name = 'turn_words'").fetchone():
                db.execute("insert into turn_words (turn_words) values ('optimize')")
            db.execute("vacuum")
            if forgotten != schema.get_meta(db, _ERASED):
                for path in set_aside_files(store.folder):
                    path.unlink(missing_ok=True)
                schema.set_meta(db, _ERASED, forgotten)
            busy = db.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
            if busy:
                log.warning("别的程序正在读 %s，忘掉的内容要到它读完才会从日志文件里消失。", store.file)
            else:  # what was forgotten meanwhile has left a mark of its own
                db.execute("delete from meta where key = ? and value = ?", (TO_SCRUB, traces))
    except (sqlite3.Error, OSError) as exc:
        raise explained(exc, store.file) from exc
