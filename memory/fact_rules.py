"""Facts that people tell about themselves, found by rules in Chinese.

A rule looks at one clause. Questions, what is only supposed, and what others are said to have said tell nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from itertools import chain

from xiaozhi_persona.memory import fact_rules_life, fact_rules_person, fact_rules_tastes
from xiaozhi_persona.memory.appointments import find_appointment
from xiaozhi_persona.memory.english_facts import find_english
from xiaozhi_persona.memory.fact_patterns import (
    ASKED_BACK,
    CLAUSE,
    CONDITION,
    LEAD,
    OF_ONESELF,
    ONE_TIME,
    OTHERS_WORDS,
    PAST,
    QUESTION,
    QUOTATION,
    SUBJECT,
    SUPPOSED,
    TAIL,
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
from xiaozhi_persona.memory.patterns import pattern

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
_PAST = re.compile(f".*(?:{PAST})(?!就|一直|到现在|以来)", re.DOTALL)
_BEGAN = re.compile("搬|开始|婚|辞职|退休")
_THEN = re.compile(f".*(?:{ONE_TIME})", re.DOTALL)
_BEGAN_THEN = re.compile("搬|移居|定居|换|开始|起|成为|[当做到]了")
_OTHER_SUBJECT = re.compile("[它他她]")
_ITS = re.compile("^[它她他](?:的)?")
_IS = re.compile("^就?是")
_KINDS = {PET: pattern(PETS), FAMILY: pattern(KIN)}
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
    text = _ENGLISH_STOP.sub("。", QUOTATION.sub(_unquoted, text[:MAX_CHARS]))
    for said, mark in CLAUSE.findall(_JOINING.sub("，", text)):
        raw = LEAD.sub("", said.strip())
        clause = raw.rstrip(TAIL).strip()
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


def _unquoted(quotation: re.Match[str]) -> str:
    """Return a quotation as it stands, but for one in which somebody speaks of himself."""
    return "…" if OF_ONESELF.search(quotation[0]) else quotation[0]


def _as_spoken(finding: Finding, speaker: str) -> Finding:
    return replace(finding, subject=speaker) if speaker and finding.subject == SELF else finding


def _in_clause(clause: str, subject: str) -> list[Finding]:
    texts = [clause]
    if subject and not clause.startswith(_OWN) and not (subject == "我" and _OTHER_SUBJECT.match(clause)):
        rest = _ITS.sub("", clause)
        texts += [subject + rest, subject + _IS.sub("", rest)]
    for text in texts:
        if found := _by_rule(text):
            return found
        match = _NOT_SO.fullmatch(text)
        if match:
            denied = _by_rule(match["who"] + match["rest"]) or _by_rule(f"{match['who']}是{match['rest']}")
            return [replace(finding, tense="not") for finding in denied if finding.tense == "is"]
    return []


def _by_rule(text: str) -> list[Finding]:
    for clause, rule in chain(fact_rules_person.RULES, fact_rules_tastes.RULES, fact_rules_life.RULES):
        match = clause.fullmatch(text)
        if match:
            other = match.groupdict().get("other")
            found = rule(match, subject_of(other) if other else SELF)
            if found:
                return [past for finding in found if (past := _as_it_was(finding, text))]
    return []


def _as_it_was(finding: Finding, text: str) -> Finding | None:
    """Return a fact as one that once was, when the words around its value say so; None for what once was not."""
    around = text.replace(finding.value, "", 1)
    was = _is_over(finding.attribute, around)
    if finding.tense == "was" or not was:
        return finding
    return replace(finding, tense="was") if finding.tense == "is" else None


def _is_over(attribute: str, around: str) -> bool:
    """Whether the words around a value are of the past, and do not say that it began then."""
    past = _PAST.match(around)
    if past and not _BEGAN.search(around, past.end()):
        return True
    then = _THEN.match(around) if attribute in _STATES else None
    return then is not None and not _BEGAN_THEN.search(around, then.end())


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
    if first.attribute in _KINDS:
        kinds = _KINDS[first.attribute].findall(first.value)
        return f"我的{subject_of(kinds[-1])}" if kinds else "我"
    return "我" if first.subject == SELF else f"我的{first.subject}"
