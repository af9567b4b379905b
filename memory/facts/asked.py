"""The facts that help to answer a question."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

from xiaozhi_persona.memory.facts import reading
from xiaozhi_persona.memory.facts.kinds import APPOINTMENT, KIN, NOTE, OTHERS, PETS, PROFILE, SELF, Fact
from xiaozhi_persona.memory.facts.questions import Asked
from xiaozhi_persona.memory.words import Term

_MIN_NOTE_COVERAGE = 0.3
_MAX_NOTES = 5
_SOMEBODY_ELSE = re.compile(f"{KIN}|{OTHERS}|{PETS}")


def facts_of(db: sqlite3.Connection, asked: Asked, start_ms: int, end_ms: int) -> list[Fact]:
    """Return the facts that are asked for and that held at any time in [start_ms, end_ms] (UTC).

    What was is put before what is when the question asks for it.
    """
    attributes = [name for name in asked.attributes if name != APPOINTMENT]
    found: list[Fact] = []
    if asked.subjects:
        for subject in asked.subjects:
            found += reading.find(db, subject, attributes, start_ms, end_ms)
        if not found:  # 我养的猫叫什么: a cat without a name is only a fact of the owner
            own = _own(reading.find(db, "", [], start_ms, end_ms))
            found = [fact for fact in own if any(subject in fact.value for subject in asked.subjects)]
    elif attributes:
        found = _own(reading.find(db, "", attributes, start_ms, end_ms))
    found = [
        fact for fact in found if fact.valid_to_ms != fact.valid_from_ms
    ]  # what was corrected never held
    return sorted(found, key=lambda fact: fact.valid_to_ms is None) if asked.past else found


def facts_named(
    db: sqlite3.Connection, question: str, asked: Asked | None, start_ms: int, end_ms: int
) -> list[Fact]:
    """Return the facts whose value stands in the question, and what it asks for of whoever has that name."""
    named = reading.mentioned(db, question, end_ms)
    found = list(named)
    for fact in named:  # 咪咪 is the name of the 猫: what else is known of it?
        if fact.subject != SELF and asked:
            found += reading.find(db, fact.subject, asked.attributes, start_ms, end_ms)
    return found


def notes(db: sqlite3.Connection, terms: Sequence[Term], now_ms: int) -> list[Fact]:
    """Return the notes that hold the words, those with the most first."""
    total = sum(term.weight for term in terms)
    found = []
    for fact in reading.find(db, SELF, [NOTE, PROFILE], now_ms, now_ms) if total else ():
        matched = sum(term.weight for term in terms if term.text in fact.match_text)
        if matched / total >= _MIN_NOTE_COVERAGE:
            found.append((matched, fact))
    found.sort(key=lambda item: -item[0])
    return [fact for _, fact in found[:_MAX_NOTES]]


def _own(found: Sequence[Fact]) -> list[Fact]:
    """Return the facts of whoever speaks with the device: not those of relatives and pets."""
    return [fact for fact in found if not _SOMEBODY_ELSE.fullmatch(fact.subject)]
