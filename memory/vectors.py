"""The vectors of one owner's turns, by which they are found by what they mean. Works on an open database.

A vector is kept in its turn's row of a table of its own, as bytes: its direction, each component in 8 bits. They are of
one model; another one makes them all anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xiaozhi_persona.memory.schema import get_meta, set_meta

MODEL = "vectors_of"
"""Key of the table meta: the model that made them."""
MIN_CHARS = 2
MAX_CHARS = 500
"""Of a longer turn the beginning stands for all of it."""


class Missing(NamedTuple):
    """A turn without a vector."""

    seq: int
    text: str


def is_of(db: sqlite3.Connection, name: str) -> bool:
    """Whether the vectors are of this model."""
    return get_meta(db, MODEL) == name


def is_of_another(db: sqlite3.Connection, name: str) -> bool:
    """Whether there are vectors, or were, of another model."""
    return get_meta(db, MODEL) not in ("", name)


def use_model(db: sqlite3.Connection, name: str) -> None:
    """Drop the vectors of another model, in the transaction that is open."""
    if not is_of(db, name):
        db.execute("delete from vector")
        set_meta(db, MODEL, name)


def missing(db: sqlite3.Connection, name: str, count: int) -> list[Missing]:
    """Return the oldest turns that have no vector of this model yet: they are made in the order of writing."""
    last = db.execute("select coalesce(max(seq), 0) from vector").fetchone()[0] if is_of(db, name) else 0
    rows = db.execute(
        "select seq, substr(text, 1, ?) from turn where seq > ? and length(text) >= ? order by seq limit ?",
        (MAX_CHARS, last, MIN_CHARS, count),
    )
    return [Missing(*row) for row in rows]


def keep(db: sqlite3.Connection, made: Sequence[tuple[Missing, NDArray[np.float32]]]) -> list[int]:
    """Keep vectors, in the transaction that is open: of turns that still say that. Returns their numbers."""
    kept = []
    for (seq, text), vector in made:
        row = db.execute("select substr(text, 1, ?) from turn where seq = ?", (MAX_CHARS, seq)).fetchone()
        if row and row[0] == text:
            db.execute("insert or replace into vector values (?, ?)", (seq, packed(vector).tobytes()))
            kept.append(seq)
    return kept


def read(db: sqlite3.Connection, after: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Return the numbers of all turns with vectors, those behind `after`, ascending; and the vectors, a row each."""
    rows = db.execute("select seq, data from vector where seq > ? order by seq", (after,)).fetchall()
    size = len(rows[-1][1]) if rows else 0
    rows = [row for row in rows if len(row[1]) == size]
    seqs = np.array([row[0] for row in rows], np.int64)
    data = np.frombuffer(b"".join(row[1] for row in rows), np.int8).reshape(len(rows), size or 1)
    return seqs, data


def packed(vector: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return a vector's direction in 8 bits a component."""
    most = float(np.abs(vector).max()) or 1.0
    rounded: NDArray[np.int8] = np.rint(vector * (127.0 / most)).astype(np.int8)
    return rounded
