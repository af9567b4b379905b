"""Facts that people tell about themselves, found by rules in English."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.fact_types import (
    AGE,
    ALLERGY,
    BIRTHDAY,
    CALLED,
    DISLIKES,
    HOME,
    JOB,
    LIKES,
    NAME,
    PET,
    SELF,
    WORKPLACE,
    Finding,
    subject_of,
)
from xiaozhi_persona.memory.patterns import pattern

_PETS = {
    "cat": "猫",
    "kitten": "猫",
    "dog": "狗",
    "puppy": "狗",
    "rabbit": "兔子",
    "hamster": "仓鼠",
    "parrot": "鹦鹉",
}
_KIN = {
    "wife": "老婆", "husband": "老公", "son": "儿子", "daughter": "女儿", "mother": "妈妈", "mom": "妈妈", "father": "爸爸",
    "dad": "爸爸", "brother": "兄弟", "sister": "姐妹", "girlfriend": "女朋友", "boyfriend": "男朋友", **_PETS,
}  # fmt: skip
_ADVERB = r"(?:really |also |still |just |now |actually )*"
_THING = r"(?!(?:you|it|this|that|these|those|them|him|her|me|us|to be|when|how|what|where|who)\b)(.{2,30})"
_NO_JOB = (
    "(?:listener|lover|player|believer|beginner|winner|loser|member|customer|user|owner|stranger|sister|brother|father|mother"
    "|daughter|learner|smoker|drinker|sleeper|eater|speaker|thinker|bother|survivor|visitor|minor|neighbor|tourist|optimist|pessimist)"
)
_PATTERNS = [
    (pattern(words, re.IGNORECASE), attribute, tense)
    for words, attribute, tense in (
        (r"my name(?:'s| is) (?!not )([a-z][a-z .'-]{0,30})", NAME, "is"),
        (r"(?:please )?call me ([a-z][a-z .'-]{0,30})", CALLED, "is"),
        (rf"i(?: am|'m) {_ADVERB}not allergic to {_THING}", ALLERGY, "not"),
        (rf"i(?: am|'m) {_ADVERB}allergic to {_THING}", ALLERGY, "is"),
        (rf"i {_ADVERB}(?:live in|(?:have )?moved to) (.{{2,30}})", HOME, "is"),
        (r"i used to live in (.{2,30})", HOME, "was"),
        (r"my birthday is (?:on )?(.{3,30})", BIRTHDAY, "is"),
        (r"i(?: am|'m) (\d{1,3}) years old", AGE, "is"),
        (rf"i {_ADVERB}(?:do not|don't) {_ADVERB}like {_THING}", DISLIKES, "is"),
        (rf"i {_ADVERB}(?:hate|dislike) {_THING}", DISLIKES, "is"),
        (rf"i {_ADVERB}(?:like|love|enjoy) {_THING}", LIKES, "is"),
        (rf"i {_ADVERB}work (?:at|for) (.{{2,30}})", WORKPLACE, "is"),
        (
            rf"i(?: am|'m) {_ADVERB}an? (?!.*{_NO_JOB}$)([a-z ]{{0,20}}(?:er|or|ist|nurse|student|chef))",
            JOB,
            "is",
        ),
    )
]
_OF_ONESELF = pattern(r"i\b|i'm|my\b|call|please", re.IGNORECASE)
_AND = pattern(r" and (?=i\b|i'm\b|my\b)", re.IGNORECASE)
_WHEN = pattern(
    r" (?:last (?:week|month|year)|(?:a|two|three|\d+) (?:days?|weeks?|months?|years?) ago|yesterday|recently|now|today)$",
    re.IGNORECASE,
)
_NAMED = pattern(
    rf"(?:i have an? .{{0,15}}?({'|'.join(_PETS)}),? (?:named|called)|my ({'|'.join(_KIN)})(?:'s name is| is (?:called|named)))"
    r" ([a-z][a-z '-]{0,30})",
    re.IGNORECASE,
)


def find_english(clause: str) -> list[Finding]:
    """Return the facts that an English clause tells."""
    parts = _AND.split(clause)
    return [finding for part in parts for finding in _in_part(_WHEN.sub("", part.strip(" .")))]


def _in_part(clause: str) -> list[Finding]:
    if not _OF_ONESELF.match(clause):
        return []
    named = _NAMED.fullmatch(clause)
    if named:
        word = (named[1] or named[2]).lower()
        subject = subject_of(_KIN[word])
        pet = [Finding(SELF, PET, subject)] if word in _PETS else []
        return [*pet, Finding(subject, NAME, named[3])]
    for words, attribute, tense in _PATTERNS:
        match = words.fullmatch(clause)
        if match:
            return [Finding(SELF, attribute, match[1].strip(), tense)]  # type: ignore[arg-type]
    return []
