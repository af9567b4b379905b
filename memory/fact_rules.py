"""Facts that people tell about themselves, found by rules in Chinese.

A rule looks at one clause. Questions, what is only supposed, and what others are said to have said tell nothing.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from datetime import datetime

from xiaozhi_persona.memory import fact_rules_life, fact_rules_person, fact_rules_tastes
from xiaozhi_persona.memory.appointments import find_appointment
from xiaozhi_persona.memory.english_facts import find_english
from xiaozhi_persona.memory.fact_patterns import (
    ASKED_BACK,
    CLAUSE,
    CONDITION,
    LEAD,
    ONE_TIME,
    OTHERS_WORDS,
    PAST,
    QUESTION,
    QUOTATION,
    SUBJECT,
    SUPPOSED,
    TAIL,
    Rule,
)
from xiaozhi_persona.memory.fact_types import (
    FAMILY,
    HOME,
    JOB,
    KIN,
    PET,
    PETS,
    SCHOOL,
    SELF,
    WORKPLACE,
    Finding,
    subject_of,
)

MAX_CHARS = 600
"""What comes later in a text is not read."""
_MAX_CLAUSE_CHARS = 60
_SENTENCE_ENDS = frozenset("。！!？?；;\n")

_ENGLISH_STOP = re.compile(r"(?<=[A-Za-z]{3})\.(?:\s+|$)")
_JOINING = re.compile("(?<=[^，。\\s])(?=但是|可是|而且|因为|所以)")
_OWN = ("我", "俺", "你")
_ANOTHER = re.compile("[^我它他她]{1,6}?(?:是|在|有|叫|住|说|喜欢|也|对)|[你他她它]|我们|大家")
"""Begins a clause about somebody else than the clause before."""
_SUBJECT = re.compile(SUBJECT)
_NOT_SO = re.compile(rf"(?P<who>{SUBJECT})不是(?P<rest>.+)")
_WAS = re.compile(f"(?:{PAST})(?!就|一直|到现在|以来)(?!.*(?:搬|开始|婚|辞职|退休))")
_WAS_THEN = re.compile(f"(?:{ONE_TIME})(?!.*(?:搬|移居|定居|换|开始|起|成为|[当做到]了))")
_STATES = frozenset({HOME, WORKPLACE, SCHOOL, JOB})
"""What 去年 says of these was so last year, and is not said of now; 去年养了一只猫 still holds."""


def find_facts(text: str, at: datetime, speaker: str = "") -> list[Finding]:
    """Return the facts that an owner's words tell. `at` is when he said them: local and naive.

    The subject is the speaker when he is known, else 我; or a relative (女儿) or a pet (猫).
    """
    findings: list[Finding] = []
    sentence = 0  # how many there were before this sentence
    subject = ""  # of the clause before: what follows may leave it out
    not_ours = False  # until the sentence ends: somebody else speaks, or it is only supposed
    text = _ENGLISH_STOP.sub("。", QUOTATION.sub("…", text[:MAX_CHARS]))
    for said, mark in CLAUSE.findall(_JOINING.sub("，", text)):
        raw = LEAD.sub("", said.strip())
        clause = TAIL.sub("", raw).strip()
        if CONDITION.search(clause) or OTHERS_WORDS.search(clause):
            not_ours = True
        if ASKED_BACK.fullmatch(raw):
            del findings[sentence:]
        asks = mark in ("?", "？") or QUESTION.search(raw) or QUESTION.search(clause)
        if not_ours or asks or SUPPOSED.search(clause):
            subject = ""
        elif clause and len(clause) <= _MAX_CLAUSE_CHARS:
            found = _in_clause(clause, subject) or find_appointment(clause, at) or find_english(clause)
            subject = _carried(found, clause, subject)
            findings += found
        if mark in _SENTENCE_ENDS:
            not_ours, sentence = False, len(findings)
    return [_as_spoken(finding, speaker) for finding in findings]


def _as_spoken(finding: Finding, speaker: str) -> Finding:
    return replace(finding, subject=speaker) if speaker and finding.subject == SELF else finding


def _in_clause(clause: str, subject: str) -> list[Finding]:
    texts = [clause]
    if subject and not clause.startswith(_OWN) and not (subject == "我" and re.match("[它他她]", clause)):
        rest = re.sub("^[它她他](?:的)?", "", clause)
        texts += [subject + rest, subject + re.sub("^就?是", "", rest)]
    for text in texts:
        if found := _by_rule(text):
            return found
        match = _NOT_SO.fullmatch(text)
        if match:
            denied = _by_rule(match["who"] + match["rest"]) or _by_rule(f"{match['who']}是{match['rest']}")
            return [replace(finding, tense="not") for finding in denied if finding.tense == "is"]
    return []


@functools.cache
def _rules() -> list[tuple[re.Pattern[str], Rule]]:
    rules = [*fact_rules_person.RULES, *fact_rules_tastes.RULES, *fact_rules_life.RULES]
    return [(re.compile(pattern), rule) for pattern, rule in rules]


def _by_rule(text: str) -> list[Finding]:
    for pattern, rule in _rules():
        match = pattern.fullmatch(text)
        if match:
            other = match.groupdict().get("other")
            found = rule(match, subject_of(other) if other else SELF)
            if found:
                return [past for finding in found if (past := _as_it_was(finding, text))]
    return []


def _as_it_was(finding: Finding, text: str) -> Finding | None:
    """Return a fact as one that once was, when the words around its value say so; None for what once was not."""
    around = text.replace(finding.value, "", 1)
    was = _WAS.search(around) or (finding.attribute in _STATES and _WAS_THEN.search(around))
    if finding.tense == "was" or not was:
        return finding
    return replace(finding, tense="was") if finding.tense == "is" else None


def _carried(found: list[Finding], clause: str, subject: str) -> str:
    """Return the subject that a clause without one would have after this clause."""
    if not found:
        own = _SUBJECT.match(clause)
        if own and not clause.startswith("们", own.end()):
            other = own["other"]
            about_it = clause.startswith("的", own.end())  # 我弟弟的朋友 is neither of them
            return "" if about_it else f"我的{subject_of(other)}" if other else "我"
        return "" if _ANOTHER.match(clause) else subject
    first = found[-1]
    if first.attribute in (PET, FAMILY):
        kinds = re.findall(PETS if first.attribute == PET else KIN, first.value)
        return f"我的{subject_of(kinds[-1])}" if kinds else "我"
    return "我" if first.subject == SELF else f"我的{first.subject}"
