"""The facts of a memory whose turns were read by other rules: what those found wrongly goes, what they missed comes.

What the owner set or corrected by hand stays, and so do facts whose turn is gone. Works on an open database.
"""

from __future__ import annotations

import sqlite3

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.facts.corrections import cut_at_correction
from xiaozhi_persona.memory.facts.kinds import RULES_VERSION
from xiaozhi_persona.memory.facts.rules import MAX_CHARS, find_facts
from xiaozhi_persona.memory.facts.writing import RULE_CONFIDENCE, delete, key_of, learn
from xiaozhi_persona.memory.schema import FACTS_VERSION, get_meta, set_meta


def is_outdated(db: sqlite3.Connection) -> bool:
    """Whether the facts were found by rules of another version."""
    return get_meta(db, FACTS_VERSION) != RULES_VERSION


def reread(db: sqlite3.Connection) -> int:
    """Read all turns again, in the transaction that is open. Returns how many facts there were that went."""
    told: dict[str, list[tuple[int, tuple[str, str, str]]]] = {}
    for fact_id, source, *which in db.execute(
        "select id, source, subject, attribute, match_key from fact where source != '' and not pinned"
        " and confidence = ? order by id desc",  # what the chat model found, or the owner set, stays
        (RULE_CONFIDENCE,),
    ):
        told.setdefault(source, []).append((fact_id, (which[0], which[1], which[2])))
    wrong = []
    for turn in diary.everything(db):
        if turn.id in told and turn.who == "user":
            right = _told_by(turn)
            wrong += [fact_id for fact_id, which in told[turn.id] if which not in right]
    gone = delete(db, wrong)
    for turn in list(diary.everything(db)):
        learn(db, turn)
    set_meta(db, FACTS_VERSION, RULES_VERSION)
    return gone


def _told_by(turn: diary.Entry) -> set[tuple[str, str, str]]:
    text = turn.text[:MAX_CHARS]
    return {
        (finding.subject, finding.attribute, key_of(finding))
        for part in {text, *cut_at_correction(text)}
        for finding in find_facts(part, turn.local, turn.speaker)
    }
