"""The full-text index of one owner's turns: words in SQLite's FTS5, ranked here.

The score is BM25's, of the turn and, with less weight, of the turn before and the turn after it: an answer
often stands next to the words that it is found by. The neighbours are looked at when a question is asked, from
the same postings, which gives what a second column would, while writing a turn touches no other row, and
forgetting a turn leaves nothing of it in its neighbours' rows.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.memory.schema import create_text_index, get_meta
from xiaozhi_persona.memory.words import INDEX_VERSION, Term, finder, index_terms, normalized

NEIGHBOUR_WEIGHT = 0.4
NEIGHBOUR_GAP_MS = 3_600_000
"""Turns further apart than this are not of one conversation."""
# Postings read for each word of a question. A word that occurs oftener says little: its newest turns stand for it.
_MAX_POSTINGS = 3000
_MIN_POSTINGS = 250
_CANDIDATES = 40
_ENOUGH = 30
_NEVER_SAID = 0.6
_K1, _B, _MEAN_CHARS = 1.2, 0.4, 20.0


@dataclass(frozen=True)
class Hit:
    """A turn that was found."""

    seq: int
    score: float
    coverage: float
    """Which share of the question's words, by weight, it and its neighbours hold: 0 to 1."""
    own: bool
    """Whether it holds any of them itself."""


def add(db: sqlite3.Connection, seq: int, text: str) -> None:
    """Index a turn."""
    db.execute("insert into turn_words (rowid, words) values (?, ?)", (seq, index_terms(text)))


def remove(db: sqlite3.Connection, seq: int, text: str) -> None:
    """Take a turn out of the index. Its words are gone from the file after `optimize`."""
    db.execute(
        "insert into turn_words (turn_words, rowid, words) values ('delete', ?, ?)", (seq, index_terms(text))
    )


def rebuild(db: sqlite3.Connection) -> int:
    """Make the index anew from the turns, in the transaction that is open. Returns how many turns it holds."""
    create_text_index(db)
    indexed = 0
    for seq, text in db.execute("select seq, text from turn order by seq"):
        add(db, seq, text)
        indexed += 1
    return indexed


def state(db: sqlite3.Connection) -> str:
    """Return "ok", or what is wrong with the index: "missing", "outdated" or "behind"; looks at last rows only."""
    try:
        indexed = db.execute("select max(id) from turn_words_docsize").fetchone()[0]
        db.execute("select 1 from turn_words where turn_words match 'a' limit 1").fetchone()
    except sqlite3.DatabaseError:
        return "missing"
    if get_meta(db, "index_version") != INDEX_VERSION:
        return "outdated"
    return "ok" if indexed == db.execute("select max(seq) from turn").fetchone()[0] else "behind"


def search(
    db: sqlite3.Connection,
    terms: Sequence[Term],
    k: int,
    *,
    seqs: tuple[int, int] | None = None,
    local_ms: tuple[int, int] | None = None,
    neighbour_weight: float = NEIGHBOUR_WEIGHT,
) -> list[Hit]:
    """Return the k best turns for the words, best first, the newer one where two are equal.

    `seqs` (first, last) and `local_ms` (start, end) confine it to a part of the diary. Raises sqlite3.Error.
    """
    top = int(db.execute("select coalesce(max(seq), 0) from turn").fetchone()[0])
    if not terms or not top or k <= 0:
        return []
    first, last = seqs or (0, top)
    limit = max(_MIN_POSTINGS, _MAX_POSTINGS // len(terms))
    words = [_look_up(db, term, first, last, limit) for term in terms if term.weight >= 1]
    if sum(len(word.turns) for word in words) < _ENOUGH:  # single characters help where the pairs find little
        words += [_look_up(db, term, first, last, limit // 4) for term in terms if term.weight < 1]
    weights = np.array([_weight(word, last - first + 1, top) for word in words])
    candidates = _best(words, weights, max(_CANDIDATES, 2 * k), neighbour_weight)
    return _ranked(db, words, weights, candidates, k, local_ms, neighbour_weight)


@dataclass(frozen=True)
class _Word:
    """Where a word of the question stands."""

    term: Term
    turns: NDArray[np.int64]
    """Ascending."""
    cut_off: bool
    """Whether it stands in older turns as well."""


def _look_up(db: sqlite3.Connection, term: Term, first: int, last: int, limit: int) -> _Word:
    """Find the newest turns with a word."""
    # As one text: a row at a time costs several times as much.
    row = db.execute(
        "select group_concat(rowid) from (select rowid from turn_words where turn_words match ?"
        " and rowid between ? and ? order by rowid desc limit ?)",
        (f'"{term.text}"', first, last, limit),
    ).fetchone()
    turns = np.sort(np.fromstring(row[0], np.int64, sep=",")) if row[0] else np.empty(0, np.int64)
    return _Word(term, turns, len(turns) >= limit)


def _weight(word: _Word, span: int, top: int) -> float:
    """Return how much a word counts: the rarer it is in the `span` turns that were read, the more."""
    if word.cut_off:
        span = int(word.turns[-1] - word.turns[0]) + 1
    df = min(len(word.turns) / max(span, 1), 1.0) * top
    return word.term.weight * math.log(1 + (top - df + 0.5) / (df + 0.5))


def _best(
    words: Sequence[_Word], weights: NDArray[np.float64], count: int, neighbour_weight: float
) -> NDArray[np.int64]:
    """Return the turns with the most weight of words in them and beside them."""
    shares = np.repeat(weights, [len(word.turns) for word in words])
    turns, scores = _summed(np.concatenate([word.turns for word in words]), shares)
    if neighbour_weight:
        beside = scores * neighbour_weight
        turns = np.concatenate([turns, turns - 1, turns + 1])
        turns, scores = _summed(turns, np.concatenate([scores, beside, beside]))
    if len(turns) > count:
        fit = scores >= np.partition(scores, -count)[-count]
        turns, scores = turns[fit], scores[fit]
    best: NDArray[np.int64] = turns[np.lexsort((-turns, -scores))[:count]]
    return best


def _summed(
    turns: NDArray[np.int64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each turn once, ascending, with the sum of its scores."""
    order = np.argsort(turns, kind="stable")  # fast, as it consists of ascending runs
    turns = turns[order]
    firsts = np.flatnonzero(np.diff(turns, prepend=-1))
    return turns[firsts], np.add.reduceat(scores[order], firsts)


def _ranked(
    db: sqlite3.Connection,
    words: Sequence[_Word],
    weights: NDArray[np.float64],
    candidates: NDArray[np.int64],
    k: int,
    local_ms: tuple[int, int] | None,
    neighbour_weight: float,
) -> list[Hit]:
    """Score the candidates by the words in them, before them and after them."""
    count = len(candidates)
    places = np.concatenate([candidates, candidates - 1, candidates + 1])
    marks = ",".join("?" * len(places))
    rows = {
        row[0]: row
        for row in db.execute(
            f"select seq, at_ms, local_ms, length(text) from turn where seq in ({marks})", places.tolist()
        )
    }
    has = _membership(db, words, places)
    # (words, places): in the turn itself, and in a neighbour that belongs to the same conversation.
    own, before, after = has[:, :count], has[:, count : 2 * count], has[:, 2 * count :]
    near = (before & _near(rows, candidates, -1)) | (after & _near(rows, candidates, 1))
    seen = own | near if neighbour_weight else own
    own_scores, near_scores = weights @ own, weights @ near
    # A pair that nobody ever said mostly spans the border of two words: it counts less against the others.
    said = np.array([len(word.turns) > 0 for word in words])
    share = np.where(said, weights, _NEVER_SAID * np.max(weights, where=said, initial=0.0))
    covered = (share @ seen) / (share.sum() or 1.0)
    found = []
    for place, seq in enumerate(candidates.tolist()):
        row = rows.get(seq)
        if row is None or (local_ms and not local_ms[0] <= row[2] < local_ms[1]):
            continue
        length = (_K1 + 1) / (1 + _K1 * (1 - _B + _B * row[3] / _MEAN_CHARS))
        score = round(float(own_scores[place] * length + neighbour_weight * near_scores[place]), 4)
        if score > 0:
            found.append((-score, -seq, place))
    found.sort()
    return [
        Hit(-seq, -score, min(1.0, float(covered[place])), bool(own_scores[place] > 0))
        for score, seq, place in found[:k]
    ]


def _membership(
    db: sqlite3.Connection, words: Sequence[_Word], places: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return which words (rows) the turns (columns) hold: from what was read of the index, and where that was
    cut off, from the texts.
    """
    has = np.zeros((len(words), len(places)), np.bool_)
    unknown = np.zeros_like(has)
    for number, word in enumerate(words):
        if not len(word.turns):
            continue
        at = np.minimum(np.searchsorted(word.turns, places), len(word.turns) - 1)
        has[number] = word.turns[at] == places
        if word.cut_off and word.term.weight >= 1:
            unknown[number] = places < word.turns[0]
    columns = np.flatnonzero(unknown.any(axis=0))
    if len(columns):
        marks = ",".join("?" * len(columns))
        texts = dict(
            db.execute(
                f"select seq, text from turn where seq in ({marks})", places[columns].tolist()
            ).fetchall()
        )
        finders = [finder(word.term.text) for word in words]
        for column, asked in zip(columns.tolist(), unknown[:, columns].T.tolist(), strict=True):
            text = normalized(texts.get(int(places[column]), ""))
            for number, wanted in enumerate(asked):
                if wanted:
                    has[number, column] = finders[number](text)
    return has


def _near(rows: dict[int, Any], candidates: NDArray[np.int64], shift: int) -> NDArray[np.bool_]:
    """Return whether the turn before or after each candidate belongs to its conversation."""
    return np.array(
        [
            seq in rows
            and seq + shift in rows
            and abs(rows[seq][1] - rows[seq + shift][1]) <= NEIGHBOUR_GAP_MS
            for seq in candidates.tolist()
        ],
        np.bool_,
    )
