"""The turns that hold the words of a question, with what was said around them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from xiaozhi_persona.memory import diary, text_index
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.events.store import told_of
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.text_index import Hit
from xiaozhi_persona.memory.who_spoke import said_by
from xiaozhi_persona.memory.words import Term

MIN_COVERAGE, MIN_COVERAGE_OF_US = 0.25, 0.1
"""Where no turn holds more of the words of a question about the world, or about us, none is what is asked for."""
_WITH_SURROUNDINGS = 4
"""So many of the first bring along what was said around them, whatever its words."""
_MEANING, _NEAR = 0.3, 2.0
"""What a standard deviation of nearness counts beside the words, whose best hit counts 1; and from where on it counts
by itself (bench/recall.py)."""
_NOTHING: Mapping[int, float] = {}
_OF_US = pattern(
    r"我|咱|[聊说谈讲提记问]|告诉|\b(?:i|me|my|we|our|us|said|say|talk\w*|told|tell)\b", re.IGNORECASE
)


def is_about_us(question: str) -> bool:
    """Whether a question is about those who talk, or about what they said."""
    return _OF_US.search(question) is not None


def find_turns(
    db: sqlite3.Connection,
    terms: Sequence[Term],
    question: str,
    count: int,
    unwanted: Collection[str],
    told: Sequence[str] = (),
    near: Mapping[int, float] = _NOTHING,
) -> list[Entry]:
    """Return about `count` turns, the best first, and those around the first of them; none of the ids `unwanted`.

    `told` are ids of turns that are wanted whatever their words: those that told the facts that are shown; `near` is,
    by number, how near turns are to the question by what they mean (Meaning.near).
    """
    # The unwanted ones take no place from the others: so many more are looked for.
    wide = (2 if near else 1) * count  # what words rank lower may be near
    hits = text_index.search(db, terms, wide + len(unwanted), said_by=said_by(question))
    least = MIN_COVERAGE_OF_US if is_about_us(question) else MIN_COVERAGE
    if not any(hit.own and hit.coverage >= least for hit in hits):
        hits = []
    seqs = by_words_and_meaning(hits, near)[: count + len(unwanted)]
    sources = diary.seqs_of(db, told)
    turns = diary.by_seq(db, [*sources, *seqs])
    asked = question.strip()
    found = [turns[seq] for seq in [*sources, *seqs] if seq in turns]
    found = [turn for turn in found if turn.id not in unwanted and turn.text.strip() != asked]
    found = _different_first(found)
    first = [turn.seq for turn in found[:_WITH_SURROUNDINGS]]
    turns |= diary.by_seq(db, [seq + step for seq in first for step in (1, 2, -1, -2)])
    wanted: dict[int, Entry] = {}
    for place, turn in enumerate(found):
        wanted[turn.seq] = turn
        if place < _WITH_SURROUNDINGS:
            wanted.update((near.seq, near) for near in _around(turn, turns) if near.id not in unwanted)
    return list(wanted.values())


def _different_first(turns: Sequence[Entry]) -> list[Entry]:
    """Put what says the same in the same words as one before it behind all others."""
    said: set[tuple[str, str]] = set()
    first: list[Entry] = []
    again: list[Entry] = []
    for turn in turns:
        (again if (turn.who, turn.text) in said else first).append(turn)
        said.add((turn.who, turn.text))
    return first + again


def by_words_and_meaning(hits: Sequence[Hit], near: Mapping[int, float]) -> list[int]:
    """Return the numbers of turns that words or meaning find, the best first."""
    if not near:
        return [hit.seq for hit in hits]
    most = max((hit.score for hit in hits), default=1.0)
    scores = {seq: _MEANING * far for seq, far in near.items() if far >= _NEAR}
    for hit in hits:
        scores[hit.seq] = _MEANING * max(near.get(hit.seq, 0.0), 0.0) + hit.score / most
    return sorted(scores, key=lambda seq: (-scores[seq], -seq))


def events_between(
    db: sqlite3.Connection, start: datetime, end: datetime, terms: Sequence[Term], unwanted: Collection[str]
) -> list[Entry]:
    """Return the turns that tell of what happens in a local range: those with the most of the words first."""
    seqs = told_of(db, start, end)
    turns = diary.by_seq(db, seqs)
    found = [turns[seq] for seq in seqs if seq in turns and turns[seq].id not in unwanted]
    return sorted(
        found, key=lambda turn: -sum(term.weight for term in terms if term.text in turn.text.lower())
    )


def _around(turn: Entry, turns: Mapping[int, Entry]) -> Iterator[Entry]:
    """Yield the turns after and before one, out of `turns` by their seq, as far as they are of its conversation."""
    for step in (1, -1):
        last = turn
        while (
            (near := turns.get(last.seq + step)) and abs(near.seq - turn.seq) <= 2 and _together(last, near)
        ):
            yield near
            last = near


def _together(before: Entry, after: Entry) -> bool:
    return abs(after.at_ms - before.at_ms) <= text_index.NEIGHBOUR_GAP_MS
