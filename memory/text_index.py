"""The full-text index of one owner's turns: words in SQLite's FTS5, ranked here.

The score is BM25's, of the turn and, with falling weight, of the two turns before and the two after it: an answer
often stands next to the words that it is found by. The neighbours are looked at when a question is asked, from
the same postings, which gives what a second column would, while writing a turn touches no other row, and
forgetting a turn leaves nothing of it in its neighbours' rows.
"""

from __future__ import annotations

import math
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.memory.schema import create_text_index, get_meta
from xiaozhi_persona.memory.words import (
    INDEX_VERSION,
    Term,
    index_terms,
    places,
)
from xiaozhi_persona.text.measures import MAX_COMPARED_CHARS, normalized

NEIGHBOUR_WEIGHTS = (0.5, 0.3)
"""What the score of the next turn and of the one behind it counts, on both sides (bench/recall.py)."""
NEIGHBOUR_GAP_MS = 3_600_000
"""Turns further apart than this are not of one conversation."""
MAX_READ = 600
"""How many turns `rank` is for: where there are more, `search` is faster."""
_MAX_READ_CHARS = 40_000
# Postings read for each word of a question. A word that occurs oftener says little: its newest turns stand for it.
_MAX_POSTINGS = 2000
_MIN_POSTINGS = 250
_CANDIDATES = 20
_ENOUGH = 30
_NEVER_SAID = 0.6
# The mean is in bytes of UTF-8: three for a Chinese character, about six for an English word.
_K1, _B, _MEAN_BYTES = 1.2, 0.4, 120.0
_FALL = np.array([0.0, *NEIGHBOUR_WEIGHTS, 0.0])
"""By distance; what is further away counts nothing."""
_BESIDE = np.array(
    [offset for offset in range(-len(NEIGHBOUR_WEIGHTS), len(NEIGHBOUR_WEIGHTS) + 1) if offset]
)
_SAID = "case when speaker = '' then text else speaker || ' ' || text end"  # what the index knows of a turn
_BETWEEN = "\x1f"  # separates texts that are read as one
# They are in no word, and without them most Chinese text is normal as it is: that is found out 50 times as fast.
_FULL_WIDTH_MARKS = "，！？：；（）～…"


class Hit(NamedTuple):
    """A turn that was found."""

    seq: int
    score: float
    coverage: float
    """Which share of the question's words, by weight, it and its neighbours hold: 0 to 1."""
    own: bool
    """Whether it holds any of them itself."""


def add(db: sqlite3.Connection, seq: int, text: str, speaker: str) -> None:
    """Index a turn: its words and the name of who spoke."""
    db.execute("insert into turn_words (rowid, words) values (?, ?)", (seq, index_terms(f"{speaker} {text}")))


def remove(db: sqlite3.Connection, seq: int, text: str, speaker: str) -> None:
    """Take a turn out of the index. Its words are gone from the file after `optimize`."""
    db.execute(
        "insert into turn_words (turn_words, rowid, words) values ('delete', ?, ?)",
        (seq, index_terms(f"{speaker} {text}")),
    )


def rebuild(db: sqlite3.Connection) -> int:
    """Make the index anew from the turns, in the transaction that is open. Returns how many turns it holds."""
    create_text_index(db)
    indexed = 0
    for row in db.execute("select seq, text, speaker from turn order by seq"):
        add(db, *row)
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
    said_by: Callable[[str, str], float] | None = None,
    neighbours: bool = True,
) -> list[Hit]:
    """Return the k best turns for the words, best first, the newer one where two are equal.

    `seqs` (first, last) and `local_ms` (start, end) confine it to a part of the diary; `said_by` tells how much more a
    turn counts for who said it (who_spoke.py). Raises sqlite3.Error.
    """
    top = _top(db)
    if not terms or not top or k <= 0:
        return []
    first, last = seqs or (0, top)
    limit = max(_MIN_POSTINGS, _MAX_POSTINGS // len(terms))
    words = [_look_up(db, term, first, last, limit) for term in terms if term.weight >= 1]
    if sum(len(word.turns) for word in words) < _ENOUGH:  # single characters help where the pairs find little
        words += [_look_up(db, term, first, last, limit // 4) for term in terms if term.weight < 1]
    if not any(len(word.turns) for word in words):
        return []
    weights = np.array([_weight(word.term, len(word.turns), word.span, top) for word in words])
    candidates = _best(words, weights, max(_CANDIDATES, k + 10), neighbours)
    turns, local, has, speakers = _read(db, words, candidates)
    # Those beside them as well: they may hold none of the words.
    asked: NDArray[np.bool_] | bool = True
    if local_ms:
        asked = (local >= local_ms[0]) & (local < local_ms[1])
    said = np.array([len(word.turns) > 0 for word in words])
    counts = np.array([said_by(*speaker) for speaker in speakers]) if said_by else 1.0
    return _ranked(turns, asked, has, said, weights, k, neighbours, counts)


def rank(
    db: sqlite3.Connection, terms: Sequence[Term], k: int, local_ms: tuple[int, int]
) -> list[Hit] | None:
    """Return the k best turns of a short range [start, end), as `search` does, by reading all that is in it: the
    index knows no short way into the middle of a common word's list. None if it is too much. Raises sqlite3.Error.
    """
    # As one text: a row at a time costs twice as much.
    seqs, at_ms, said = db.execute(
        f"select group_concat(seq), group_concat(at_ms), group_concat({_SAID}, ?) from turn"
        " where local_ms >= ? and local_ms < ?",
        (_BETWEEN, *local_ms),
    ).fetchone()
    if not terms or not seqs:
        return []
    if len(said) > _MAX_READ_CHARS or said.count(_BETWEEN) != seqs.count(","):
        return None
    texts = _plain(said)
    words = [term for term in terms if term.weight >= 1]
    has = _holding(words, texts)
    if has.sum() < _ENOUGH:
        singles = [term for term in terms if term.weight < 1]
        words, has = words + singles, np.concatenate([has, _holding(singles, texts)])
    top, counts = _top(db), has.sum(axis=1)
    weights = np.array(
        [_weight(term, count, len(texts), top) for term, count in zip(words, counts.tolist(), strict=True)]
    )
    turns = (
        np.fromstring(seqs, np.int64, sep=","),
        np.fromstring(at_ms, np.int64, sep=","),
        np.fromiter(map(len, said.encode().split(_BETWEEN.encode())), np.int64, len(texts)),
    )
    return _ranked(turns, True, has, counts > 0, weights, k, True)


def _top(db: sqlite3.Connection) -> int:
    return int(db.execute("select coalesce(max(seq), 0) from turn").fetchone()[0])


@dataclass(frozen=True)
class _Word:
    """Where a word of the question stands."""

    term: Term
    turns: NDArray[np.int64]
    """Ascending."""
    cut_off: bool
    """Whether it stands in older turns as well."""
    span: int
    """Over how many turns these are spread."""


def _look_up(db: sqlite3.Connection, term: Term, first: int, last: int, limit: int) -> _Word:
    """Find the newest turns with a word."""
    # As one text: a row at a time costs several times as much.
    row = db.execute(
        "select group_concat(rowid) from (select rowid from turn_words where turn_words match ?"
        " and rowid between ? and ? order by rowid desc limit ?)",
        (f'"{term.text}"', first, last, limit),
    ).fetchone()
    turns = np.sort(np.fromstring(row[0], np.int64, sep=",")) if row[0] else np.empty(0, np.int64)
    cut_off = len(turns) >= limit
    return _Word(term, turns, cut_off, int(turns[-1] - turns[0] if cut_off else last - first) + 1)


def _weight(term: Term, count: int, span: int, top: int) -> float:
    """Return how much a word counts that stands in `count` of `span` turns: the rarer it is, the more."""
    df = min(count / max(span, 1), 1.0) * top
    return term.weight * math.log(1 + (top - df + 0.5) / (df + 0.5))


def _best(
    words: Sequence[_Word], weights: NDArray[np.float64], count: int, neighbours: bool
) -> NDArray[np.int64]:
    """Return the turns with the most weight of words in them and beside them."""
    shares = np.repeat(weights, [len(word.turns) for word in words])
    turns, own = _summed(np.concatenate([word.turns for word in words]), shares)
    if not neighbours:
        return turns[_highest(turns, own, count)]
    scores = own.copy()
    for step in range(1, len(_FALL) - 1):
        falling = _FALL.take(turns[step:] - turns[:-step], mode="clip")
        scores[step:] += falling * own[:-step]
        scores[:-step] += falling * own[step:]
    return turns[_highest(turns, scores, count)]


def _highest(turns: NDArray[np.int64], scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return where the highest scores stand, the highest first, the newer turn where two are equal."""
    fit = np.arange(len(scores))
    if len(scores) > count:
        fit = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    best: NDArray[np.int64] = fit[np.lexsort((-turns[fit], -scores[fit]))[:count]]
    return best


def _summed(
    turns: NDArray[np.int64], scores: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each turn once, ascending, with the sum of its scores."""
    order = np.argsort(turns, kind="stable")  # fast, as it consists of ascending runs
    turns = turns[order]
    firsts = np.flatnonzero(np.concatenate([[True], turns[1:] != turns[:-1]]))
    return turns[firsts], np.add.reduceat(scores[order], firsts)


def _read(
    db: sqlite3.Connection, words: Sequence[_Word], candidates: NDArray[np.int64]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], NDArray[np.bool_], list[tuple[str, str]]]:
    """Return the candidates and the turns beside them as `_ranked` takes them, with their local_ms and who spoke: which words
    they hold is known from the postings that were read, and further back from the texts.
    """
    wanted = np.unique(np.append(candidates, candidates[:, None] + _BESIDE))
    cut_off = [number for number, word in enumerate(words) if word.cut_off and word.term.weight >= 1]
    oldest = max((int(words[number].turns[0]) for number in cut_off), default=0)
    rows = db.execute(
        f"select seq, at_ms, length(cast({_SAID} as blob)), local_ms, who, speaker,"
        f" case when seq < ? then substr({_SAID}, 1, {MAX_COMPARED_CHARS}) end"
        f" from turn where seq in ({','.join('?' * len(wanted))}) order by seq",
        (oldest, *wanted.tolist()),
    ).fetchall()
    seqs, at_ms, size, local = np.array([row[:4] for row in rows], np.int64).reshape(-1, 4).T
    has = np.zeros((len(words), len(rows)), np.bool_)
    for number, word in enumerate(words):
        if len(word.turns):
            has[number] = word.turns.take(word.turns.searchsorted(seqs), mode="clip") == seqs
    texts = _plain(_BETWEEN.join(row[6].replace(_BETWEEN, " ") for row in rows if row[0] < oldest))
    for number in cut_off:
        older = int(seqs.searchsorted(words[number].turns[0]))
        has[number, :older] = _holding([words[number].term], texts[:older])
    return [seqs, at_ms, size], local, has, [row[4:6] for row in rows]


def _plain(joined: str) -> list[str]:
    """Return texts that are joined with _BETWEEN one by one, normalized."""
    for mark in _FULL_WIDTH_MARKS:
        joined = joined.replace(mark, " ")
    if unicodedata.is_normalized("NFKC", joined):
        return joined.lower().split(_BETWEEN)
    return [normalized(text) for text in joined.split(_BETWEEN)]


def _holding(terms: Sequence[Term], texts: Sequence[str]) -> NDArray[np.bool_]:
    """Return which words (rows) the normalized texts (columns) hold."""
    has = np.zeros((len(terms), len(texts)), np.bool_)
    for number, term in enumerate(terms):
        has[number, places(term.text, texts)] = True
    return has


def _ranked(
    turns: Sequence[NDArray[np.int64]],
    asked: NDArray[np.bool_] | bool,
    has: NDArray[np.bool_],
    said: NDArray[np.bool_],
    weights: NDArray[np.float64],
    k: int,
    neighbours: bool,
    counts: NDArray[np.float64] | float = 1.0,
) -> list[Hit]:
    """Return the k best of the turns that are asked for: by the words in them, before them and after them.

    `turns` are their seq, at_ms and size, in the order of writing or of time; `has` has a row for each word: which
    turns hold it; `said` tells of each word whether anybody said it at all; `counts` how much a turn counts.
    """
    seqs, at_ms, size = turns
    own = (weights @ has) * (_K1 + 1) / (1 + _K1 * (1 - _B) + _K1 * _B / _MEAN_BYTES * size)
    scores, seen = own.copy(), has.copy()
    together = (seqs[1:] - seqs[:-1] == 1) & (np.abs(at_ms[1:] - at_ms[:-1]) <= NEIGHBOUR_GAP_MS)
    linked = together
    for step, weight in enumerate(NEIGHBOUR_WEIGHTS if neighbours else (), 1):
        scores[step:] += weight * own[:-step] * linked
        scores[:-step] += weight * own[step:] * linked
        seen[:, step:] |= has[:, :-step] & linked
        seen[:, :-step] |= has[:, step:] & linked
        linked = linked[:-1] & together[step:]
    scores = np.round(scores * counts, 4)
    best = np.flatnonzero(asked & (scores > 0))
    best = best[np.lexsort((-seqs[best], -scores[best]))[:k]]
    # A pair that nobody ever said mostly spans the border of two words: it counts less against the others.
    shares = np.where(said, weights, _NEVER_SAID * np.max(weights, where=said, initial=0.0))
    covered = np.minimum(shares @ seen[:, best] / (shares.sum() or 1.0), 1.0)
    return list(
        map(Hit, seqs[best].tolist(), scores[best].tolist(), covered.tolist(), (own[best] > 0).tolist())
    )
