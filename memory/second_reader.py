"""The second reader: a chat model reads what was said since the last time, and what it finds is checked before it counts.

Whatever the model answers, a fact must name a turn of the user's in which its words stand, and be of a kind that there is.
A turn that gives the memory orders closes nothing: those are the rules' business. How far was read stands in the
database, and is written together with what was found: a process that ends in between reads it once more.
"""

from __future__ import annotations

import functools
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from xiaozhi_persona.memory import diary
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.facts.kinds import (
    APPOINTMENT,
    AVOIDS,
    BY_NAME,
    DIET,
    DISLIKES,
    KIN,
    NOTE,
    OTHERS,
    PETS,
    PROFILE,
    SELF,
    SHAPES,
    Fact,
    Finding,
    subject_of,
)
from xiaozhi_persona.memory.facts.rules import find_facts, stated, takes_back
from xiaozhi_persona.memory.facts.subjects import own_clauses
from xiaozhi_persona.memory.facts.writing import key_of
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.schema import get_meta, set_meta
from xiaozhi_persona.text.measures import normalized

READ_TO = "facts_read_to"
"""Key of the table meta: the number of the last turn that was read."""
_TRIES = "facts_read_tries"
"""Key of the table meta: how often the model gave no answer for what comes next."""
_MAX_TRIES = 3
MODEL_CONFIDENCE = 0.85
"""Of a fact that the chat model found: a little less than of one that the rules found."""
MAX_TURNS = 40
_MAX_TURN_CHARS = 300
_MAX_FACTS = 60
_MAX_CHANGES = 20
_MAX_CLOSED_BY_A_TURN = 2
_MAX_VALUE_CHARS = 60
_MAX_ANSWER_CHARS = 20_000
_TOLD = tuple(kind for kind in BY_NAME if kind not in (APPOINTMENT, PROFILE))
_ORDER = re.compile(
    r"忘[掉记了]|删|清空|忽略|重置|记忆|指令|系统提示|\b(?:forget|delete|erase|ignore|reset|memory|instructions?)\b",
    re.IGNORECASE,
)
_BEING = pattern(f"{KIN}|{OTHERS}|{PETS}|兄弟|姐妹")
_NEGATIVE = (DISLIKES, AVOIDS, DIET)
_NOT = re.compile(r"没(?!错|事)|并[非不]|不是|\b(?:not|never)\b|n't\b", re.IGNORECASE)
"""A clause with one of these tells that something is not so, but for what one does not like or eat."""
_WORD = re.compile(r"[a-z0-9']+|[^\W\d_a-z]")


@dataclass(frozen=True)
class Reading:
    """What is to be read: the turns since the last time, and the facts that hold."""

    turns: Sequence[Entry]
    facts: Sequence[Fact]
    last: int
    """The number of the last turn that counts as read after it."""


@dataclass(frozen=True)
class Change:
    """What the chat model found, checked."""

    turn: Entry
    finding: Finding | None
    """What is so; None for what only ends."""
    fact: Fact | None = None
    """What ends, or is corrected."""


def unread(db: sqlite3.Connection) -> Reading | None:
    """Return what was not read yet, None where the user said nothing new."""
    after = int(get_meta(db, READ_TO) or 0)
    turns = diary.after(db, after, MAX_TURNS)
    if not any(turn.who == "user" for turn in turns):
        return None
    last = turns[-1]
    return Reading(turns, reading.current(db, last.at_ms)[:_MAX_FACTS], last.seq)


def messages(read: Reading) -> tuple[str, str]:
    """Return what the chat model is told, and what it is to read."""
    said = "".join(turn.text for turn in read.turns if turn.who == "user")
    texts = _prompts()["en" if said.isascii() else "zh"]
    turns = "\n".join(
        f"{number} {turn.speaker or '用户' if turn.who == 'user' else '助手'}：{' '.join(turn.text[:_MAX_TURN_CHARS].split())}"
        for number, turn in enumerate(read.turns, 1)
    )
    facts = "\n".join(f"{fact.id} {fact.subject} {fact.attribute}：{fact.value}" for fact in read.facts)
    system = texts["system"].format(kinds="、".join(_TOLD))
    return system, texts["user"].format(turns=turns, facts=facts or texts["nothing"])


def checked(answer: str, read: Reading) -> list[Change] | None:
    """Return what of the model's answer counts; None where it is no answer, and is to be asked for again."""
    data = _parsed(answer)
    if data is None:
        return None
    changes: list[Change] = []
    closed: Counter[str] = Counter()
    facts = {fact.id: fact for fact in read.facts}
    for kind, item in _items(data):
        turn = _turn(item, read.turns)
        fact = facts.get(item["fact"]) if isinstance(item.get("fact"), int) else None
        if turn is None or (kind != "add" and (fact is None or fact.valid_from_ms > turn.at_ms)):
            continue
        if kind == "close":
            closed[turn.id] += 1
            if closed[turn.id] <= _MAX_CLOSED_BY_A_TURN and not _ORDER.search(turn.text):
                changes.append(Change(turn, None, fact))
            continue
        value = str(item.get("value", "")).strip()
        if not value or len(value) > _MAX_VALUE_CHARS:
            continue
        finding = (
            Finding(fact.subject, fact.attribute, value)
            if kind == "correct" and fact
            else _finding(item, value, turn, read)
        )
        if (
            finding
            and _stands_in(finding, turn, read.turns)
            and _has_shape(finding)
            and not _is_denied(finding, turn)
        ):
            changes.append(Change(turn, finding, fact if kind == "correct" else None))
    return changes[:_MAX_CHANGES]


def put_off(db: sqlite3.Connection, read: Reading) -> None:
    """Note, in the transaction that is open, that the model gave no answer: after some times the turns count as read."""
    tries = int(get_meta(db, _TRIES) or 0) + 1
    if tries >= _MAX_TRIES:
        set_meta(db, READ_TO, str(read.last))
    set_meta(db, _TRIES, str(tries % _MAX_TRIES))


def apply(db: sqlite3.Connection, read: Reading, changes: Sequence[Change]) -> int:
    """Write what was found, in the transaction that is open, and that it was read. Returns how much changed.

    What is gone or was changed meanwhile stays as it is.
    """
    changed = 0
    for change in changes:
        if not diary.seqs_of(db, [change.turn.id]):
            continue  # forgotten while the model read
        if change.fact and not _holds(db, change.fact):
            continue
        at_ms, source = change.turn.at_ms, change.turn.id
        if change.fact and (change.finding is None or change.fact.pinned):
            changed += 0 if change.fact.pinned else writing.close(db, change.fact.id, at_ms)
        elif change.fact and change.finding:
            writing.close(db, change.fact.id, at_ms)
            changed += writing.keep(db, change.finding, at_ms, source, confidence=MODEL_CONFIDENCE)
        elif change.finding:
            changed += writing.keep(db, change.finding, at_ms, source, confidence=MODEL_CONFIDENCE)
    set_meta(db, READ_TO, str(read.last))
    set_meta(db, _TRIES, "0")
    return changed


def _holds(db: sqlite3.Connection, fact: Fact) -> bool:
    row = db.execute("select value, valid_to_ms from fact where id = ?", (fact.id,)).fetchone()
    return row is not None and row[0] == fact.value and row[1] is None


def _parsed(answer: str) -> Mapping[str, Any] | None:
    answer = answer[:_MAX_ANSWER_CHARS].rpartition("</think>")[2]
    written = answer[answer.find("{") : answer.rfind("}") + 1]
    if not written.startswith("{"):
        return None
    try:
        data = json.loads(written)
    except (ValueError, RecursionError):
        try:
            import json_repair  # seldom needed
        except ImportError:
            return None
        try:
            data = json_repair.loads(written)
        except (ValueError, RecursionError):
            return None
    return data if isinstance(data, dict) else None


def _items(data: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (kind, item)
        for kind in ("correct", "close", "add")
        if isinstance(data.get(kind), list)
        for item in data[kind]
        if isinstance(item, dict)
    ]


def _turn(item: Mapping[str, Any], turns: Sequence[Entry]) -> Entry | None:
    number = item.get("turn")
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if not isinstance(number, int) or not 0 < number <= len(turns):
        return None
    turn = turns[number - 1]
    return turn if turn.who == "user" else None


def _finding(item: Mapping[str, Any], value: str, turn: Entry, read: Reading) -> Finding | None:
    kind, who = str(item.get("kind", "")).strip(), str(item.get("who", "") or SELF).strip()
    if kind == NOTE or kind not in _TOLD:
        return Finding(SELF, NOTE, value)
    speaker = turn.speaker or SELF
    if who in (SELF, speaker):
        return Finding(speaker, kind, value)
    who = subject_of(who)
    return Finding(who, kind, value) if _is_known(who, read) else None


def _has_shape(finding: Finding) -> bool:
    shape = SHAPES.get(finding.attribute)
    return shape is None or bool(shape.fullmatch(finding.value))


def _is_known(who: str, read: Reading) -> bool:
    """Whether somebody was spoken of: a relative or a pet may go by another word for it, anybody else by no other name."""
    said = "".join(one.text for one in read.turns if one.who == "user")
    return (
        bool(_BEING.fullmatch(who))
        or any(fact.subject == who for fact in read.facts)
        or bool(who)
        and who in said
    )


def _is_denied(finding: Finding, turn: Entry) -> bool:
    """Whether the rules are sure that what the turn says of this is something else: of whom, of what kind, that it is not."""
    key = key_of(finding)
    return any(
        key_of(sure) == key
        and (sure.subject, sure.attribute, sure.tense) != (finding.subject, finding.attribute, "is")
        for sure in find_facts(turn.text, turn.local, turn.speaker)
    )


def _stands_in(finding: Finding, turn: Entry, turns: Sequence[Entry]) -> bool:
    """Whether the words of a value stand in what a turn states, or in what the same person said next, and he did not
    make a joke of it.
    """
    place = turns.index(turn)
    near = [one for one in turns[place : place + 3] if (one.who, one.speaker) == (turn.who, turn.speaker)]
    if any(takes_back(one.text) for one in near):
        return False
    is_own = finding.attribute != NOTE and finding.subject in (SELF, turn.speaker)
    told = [stated(one.text) for one in near]
    clauses = [clause for one in told for clause in (own_clauses(one) if is_own else one)]
    if finding.attribute not in _NEGATIVE:
        clauses = [clause for clause in clauses if not _NOT.search(clause)]
    words = _WORD.findall(normalized(finding.value))
    return bool(words) and set(words) <= set(_WORD.findall(normalized("，".join(clauses))))


@functools.cache
def _prompts() -> dict[str, dict[str, str]]:
    text = (resources.files("xiaozhi_persona.memory") / "second_reader.yaml").read_text(encoding="utf-8")
    prompts: dict[str, dict[str, str]] = yaml.safe_load(text)
    return prompts
