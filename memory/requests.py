"""What a chat model asks of an open memory in its owner's name. What it is shown carries ids, by which it asks again.

f12 is a fact, t345 a turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xiaozhi_persona.memory import diary, spoken
from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.draft import Draft
from xiaozhi_persona.memory.facts import reading, writing
from xiaozhi_persona.memory.facts.kinds import NOTE, PROFILE, SELF, Fact, Finding
from xiaozhi_persona.memory.facts.questions import facts_asked
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.facts.writing import CORRECTED
from xiaozhi_persona.memory.forget import Marked, mark_facts, told_by
from xiaozhi_persona.memory.future_words import find_future
from xiaozhi_persona.memory.render import day_heading, fact_line, quoted, turn_line
from xiaozhi_persona.memory.store import OwnerStore

_ID = re.compile(r"([ft])(\d{1,15})")
_IDS = re.compile(r"\s*[ft]\d{1,15}(?:[\s,，、;；和]+[ft]\d{1,15})*\s*", re.IGNORECASE)
_OWN = re.compile("^(?:我|用户|主人)的")
_MAX_EXAMPLES = 3
_EXAMPLE_CHARS = 40


def shown(draft: Draft, now: datetime) -> str:
    """Return what was found, each fact and turn with its id; "" when nothing was."""
    offset_min = (diary.aware(now).utcoffset() or timedelta()) // timedelta(minutes=1)
    lines = [_fact(fact, offset_min) for fact in draft.facts]
    # What the draft says of a whole range: how much there is, or that there is nothing.
    lines += [line for line in draft.text.splitlines() if line.endswith("。") and not line.startswith("- ")]
    day = None
    for turn in draft.turns:
        if turn.local.date() != day:
            day = turn.local.date()
            lines.append(day_heading(turn.local))
        lines.append(f"t{turn.seq} {turn_line(turn)[2:]}")
    return "\n".join(lines)


def listed(found: Iterable[Fact], now: datetime) -> str:
    """Return facts as lines with their ids."""
    offset_min = (diary.aware(now).utcoffset() or timedelta()) // timedelta(minutes=1)
    return "\n".join(_fact(fact, offset_min) for fact in found)


def facts_named(store: OwnerStore, name: str, now: datetime) -> list[Fact]:
    """Return the facts that hold and that an id or words such as 住处 and 妈妈的生日 name, the likeliest ones only."""
    known = reading.current(store.writer, diary.to_ms(now))
    match = _ID.fullmatch(name.strip().lower())
    if match and match[1] == "f":
        return [fact for fact in known if fact.id == int(match[2])]
    if match:
        turn = diary.by_seq(store.writer, [int(match[2])]).get(int(match[2]))
        return [fact for fact in known if turn and fact.source == turn.id]
    subjects, attributes, words = _about(name)
    own = [fact for fact in known if fact.subject in subjects]
    exact = [fact for fact in own if fact.attribute == words]
    first = [fact for fact in own if fact.attribute in attributes[:1]]
    others = [fact for fact in own if fact.attribute in attributes]
    notes = [fact for fact in own if fact.attribute in (NOTE, PROFILE) and words and words in fact.value]
    return exact or first or others or notes


def put(store: OwnerStore, name: str, value: str, now: datetime) -> list[Fact]:
    """Put the right value in place of the fact that is named, or keep it where nothing is known yet.

    Returns the facts between which to choose when the name fits several, and then nothing is changed; else [].
    Raises KeyError for an id that names no fact that holds.
    """
    found = facts_named(store, name, now)
    if len(found) > 1:
        return found
    if not found and _ID.fullmatch(name.strip().lower()):
        raise KeyError(name)
    at_ms, local = diary.to_ms(now), diary.aware(now).replace(tzinfo=None)
    value = diary.storable(value)
    with store.transaction() as db:
        if found:
            fact = found[0]
            if fact.attribute in (NOTE, PROFILE) and not _ID.fullmatch(name.strip().lower()):
                value = _sentence(name, value)
            when = None
            if fact.starts_ms is not None:
                value, when = _appointment(fact, value, local)
            writing.correct(db, fact.id, value, at_ms, when)
        else:
            for finding in _findings(name, value, local):
                writing.keep(db, finding, at_ms, confidence=writing.CORRECTED, pinned=True)
    return []


@dataclass(frozen=True)
class Choice:
    """What is to be forgotten, and what to tell about it."""

    marked: Marked = Marked()
    everything: bool = False
    turns: int = 0
    facts: int = 0
    examples: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of the kind."""
        return not self.turns and not self.facts


def choose(store: OwnerStore, what: str, now: datetime, asking: Sequence[str] = ()) -> Choice:
    """Return what ids or words mean to forget. Nothing is forgotten yet.

    `asking` are the ids of the turns in which it is asked for, the first one first: they go along, and count for
    nothing.
    """
    command = spoken.parse_command(what) or spoken.parse_command(f"忘掉{what}")
    db = store.writer
    if command and command.kind in ("ask_forget_all", "forget_all"):
        store.append([])
        return Choice(everything=True, turns=diary.count(db), facts=len(reading.everything(db)))
    if _IDS.fullmatch(what):
        store.append([])
        marked = _mark_ids(store, what.lower())
    else:
        named = command.what if command and command.kind == "forget" else what
        marked = spoken.mark(store, named, now, before=asking[0] if asking else "")
    of_asking = Marked(tuple(diary.seqs_of(db, asking)))
    turns = diary.by_seq(db, sorted({*marked.seqs} - {*of_asking.seqs}))
    fact_ids = {*marked.fact_ids, *told_by(db, list(turns))} - {*told_by(db, of_asking.seqs)}
    gone = [fact for fact in reading.everything(db) if fact.id in fact_ids]
    return Choice(
        Marked(tuple(turns), tuple(fact.id for fact in gone)) + of_asking,
        turns=len(turns),
        facts=len(gone),
        examples=_examples(gone, list(turns.values())),
    )


def _fact(fact: Fact, offset_min: int) -> str:
    line = fact_line(fact, offset_min)[2:]
    if not fact.said or fact.starts_ms is not None or fact.confidence >= CORRECTED:  # the line names it
        return f"f{fact.id} {line}"
    value = quoted(fact.value, max_chars=_EXAMPLE_CHARS)[1:-1]
    return f"f{fact.id} {quoted(fact.attribute)[1:-1]}：{value}，{line}"


def _examples(gone: list[Fact], turns: list[Entry]) -> tuple[str, ...]:
    told = [turn.text for turn in turns if turn.who == "user"] or [turn.text for turn in turns]
    named = [f"{fact.attribute}：{fact.value}" for fact in gone if not fact.said]
    shown = [quoted(text, max_chars=_EXAMPLE_CHARS)[1:-1] for text in named]
    said = [fact.said for fact in gone if fact.said] + told
    shown += [quoted(text, max_chars=_EXAMPLE_CHARS) for text in said]
    return tuple(dict.fromkeys(shown))[:_MAX_EXAMPLES]


def _mark_ids(store: OwnerStore, ids: str) -> Marked:
    """Return the facts and turns of these ids, with the turns that told the facts and the answers to the turns."""
    found = _ID.findall(ids)
    seqs = [int(number) for kind, number in found if kind == "t"]
    turns = diary.by_seq(store.writer, [near for seq in seqs for near in (seq, seq + 1)])
    answers = [
        seq + 1
        for seq in seqs
        if seq in turns
        and turns[seq].who == "user"
        and seq + 1 in turns
        and turns[seq + 1].who == "assistant"
    ]
    known = mark_facts(store.writer, [int(number) for kind, number in found if kind == "f"])
    return Marked((*seqs, *answers)) + known


def _about(name: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return whose facts words name, which attributes, the likeliest first, and the words without the owner."""
    words = _OWN.sub("", diary.storable(name).strip(" ，。?？"))
    asked = facts_asked(words)
    attributes = tuple(a for a in asked.attributes if "*" not in a) if asked else ()
    subjects = asked.subjects if asked and asked.subjects else (SELF,)
    return subjects, attributes, words


def _findings(name: str, value: str, local: datetime) -> list[Finding]:
    """Return a new fact: of the attribute that the words name, else what the sentence tells, else a note."""
    subjects, attributes, words = _about(name)
    if attributes:
        return [Finding(subjects[0], attributes[0], value)]
    sentence = _sentence(words, value)
    return find_facts(sentence, local) or [Finding(SELF, NOTE, sentence)]


def _sentence(name: str, value: str) -> str:
    words = _OWN.sub("", name.strip())
    return value if words in value or not words else f"我的{words}是{value}"


def _appointment(fact: Fact, value: str, local: datetime) -> tuple[str, tuple[datetime, datetime] | None]:
    """Return what an appointment is and when, after a correction that gives one of the two, or both."""
    for finding in find_facts(value, local):
        if finding.starts and finding.ends:
            return finding.value, (finding.starts, finding.ends)
    day = next(iter(find_future(value, local)), None)
    if day is None:
        return value, None
    return value.replace(day.text, "").strip(" ，。的") or fact.value, (day.start, day.end)
