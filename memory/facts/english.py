"""Facts that people tell about themselves, found by rules in English."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.facts.kinds import (
    AGE,
    ALLERGY,
    BIRTHDAY,
    CALLED,
    DIET,
    DISLIKES,
    HOME,
    JOB,
    LIKES,
    NAME,
    PET,
    SCHOOL,
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
BEINGS = {
    "wife": "老婆", "husband": "老公", "son": "儿子", "daughter": "女儿", "mother": "妈妈", "mom": "妈妈", "father": "爸爸",
    "dad": "爸爸", "brother": "兄弟", "sister": "姐妹", "girlfriend": "女朋友", "boyfriend": "男朋友", **_PETS,
}  # fmt: skip
"""Relatives and pets, with the words under which they are kept."""
_ADVERB = r"(?:really |also |still |just |now |actually |currently )*"
_THING = r"(?!(?:you|it|this|that|these|those|them|him|her|me|us|to be|when|how|what|where|who|the|my|your|all|i|i'm|what)\b)(.{2,30}?)"
_PLACE = (
    r"(?!(?:an?|the|my|your|his|her|this|that|fear|constant|hope|peace|here|there)\b)([a-z][a-z .,'-]{1,30}?)"
)
_NO_MORE = r"(?: any ?more| any longer| now)?"
_NO_JOB = (
    "(?:listener|lover|player|believer|beginner|winner|loser|member|customer|user|owner|stranger|sister|brother|father|mother"
    "|daughter|learner|smoker|drinker|sleeper|eater|speaker|thinker|bother|survivor|visitor|minor|neighbor|tourist|optimist|pessimist)"
)
_PATTERNS = [
    (pattern(words, re.IGNORECASE), attribute, tense)
    for words, attribute, tense in (
        (r"my name(?:'s| is) (?!not )([a-z][a-z .'-]{0,30})", NAME, "is"),
        (r"(?:please )?call me ([a-z][a-z .'-]{0,30})", CALLED, "is"),
        (rf"i(?: am|'m) {_ADVERB}(?:not|no longer) allergic to {_THING}{_NO_MORE}", ALLERGY, "not"),
        (rf"i(?: am|'m) {_ADVERB}allergic to {_THING}", ALLERGY, "is"),
        (rf"i(?:'ve| have)? {_ADVERB}(?:live in|(?:have )?moved (?:back )?to) {_PLACE}", HOME, "is"),
        (rf"i(?:'ve| have)? {_ADVERB}moved from [a-z ,'-]{{2,30}} to {_PLACE}", HOME, "is"),
        (rf"i {_ADVERB}(?:no longer live|(?:do not|don't) {_ADVERB}live) in {_PLACE}{_NO_MORE}", HOME, "not"),
        (rf"i used to live in {_PLACE}", HOME, "was"),
        (r"my birthday is (?:on )?(.{3,30})", BIRTHDAY, "is"),
        (r"i(?: am|'m) (\d{1,3})(?: years old)?", AGE, "is"),
        (rf"i(?: am|'m) {_ADVERB}(?:an? )?(vegetarian|vegan)", DIET, "is"),
        (rf"i(?: am|'m) {_ADVERB}(?:not|no longer) (?:an? )?(vegetarian|vegan){_NO_MORE}", DIET, "not"),
        (rf"i {_ADVERB}no longer (?:like|love|enjoy) {_THING}", LIKES, "not"),
        (rf"i {_ADVERB}(?:do not|don't) {_ADVERB}(?:like|love|enjoy) {_THING} any ?more", LIKES, "not"),
        (
            rf"i {_ADVERB}(?:no longer|(?:do not|don't)) {_ADVERB}(?:hate|dislike) {_THING}{_NO_MORE}",
            DISLIKES,
            "not",
        ),
        (rf"i used to (?:like|love|enjoy) {_THING}", LIKES, "was"),
        (rf"i {_ADVERB}(?:do not|don't) {_ADVERB}like {_THING}", DISLIKES, "is"),
        (rf"i {_ADVERB}(?:hate|dislike) {_THING}", DISLIKES, "is"),
        (rf"i {_ADVERB}(?:like|love|enjoy) {_THING}", LIKES, "is"),
        (rf"i used to work (?:at|for) {_PLACE}", WORKPLACE, "was"),
        (
            rf"i {_ADVERB}(?:no longer work|(?:do not|don't) {_ADVERB}work) (?:at|for) {_PLACE}{_NO_MORE}",
            WORKPLACE,
            "not",
        ),
        (rf"i {_ADVERB}work (?:at|for) {_PLACE}", WORKPLACE, "is"),
        (
            rf"i(?: am|'m) {_ADVERB}an? (?!.*{_NO_JOB}$)([a-z ]{{0,20}}(?:er|or|ist|nurse|student|chef))",
            JOB,
            "is",
        ),
    )
]
_QUIT = pattern(
    r"i(?:'ve| have)? (?:just |finally )?(?:quit|left|lost|resigned from) my job|i (?:got|was) (?:laid off|fired)|i(?:'ve| have)? (?:just )?(?:retired|resigned)",
    re.IGNORECASE,
)
_GRADUATED = pattern(r"i(?:'ve| have)? (?:just |finally )?graduated(?: from .{2,30})?", re.IGNORECASE)
_AGE = pattern(
    r"(?:he|she|it)(?:'s| is) (?:now |already )?(\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    r"|sixteen|seventeen|eighteen|nineteen|twenty)(?: (?:years|months) old)?",
    re.IGNORECASE,
)
_VALUE_ENDS = pattern(
    r" (?:but|because|since|so|although|though|while|unless|except|more than|rather than|instead of|with my|with the|with our|and (?:i|he|she|it|we|they|my))\b.*",
    re.IGNORECASE | re.DOTALL,
)
"""Where the value is over, though the clause goes on."""
_TOO = pattern(r"(?: (?:too|also|as well|so much|very much|a lot|the most))$", re.IGNORECASE)
_POINTED_AT = pattern(
    r"\b(?:them|him|her|their|his|these|those|this|that|it|its|there|you|your)\b|[.;:]|'s\b|^not\b|^to$",
    re.IGNORECASE,
)
"""Only those who were there know what it is."""
_DATE = pattern(
    r"\d|\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b",
    re.IGNORECASE,
)
_NO_VALUE = {
    NAME: pattern(
        r"^(?:(?:on|in|at|an?|the) |(?:spelled|spelt|written|pronounced|important)\b)", re.IGNORECASE
    ),
    CALLED: pattern(
        r"^(?:(?:an?|at|in|on|after) |(?:back|later|when|if|tomorrow|tonight|once|again|soon)\b)",
        re.IGNORECASE,
    ),
    JOB: pattern(r"^(?:bit|little|lot|big fan|huge fan)\b| (?:of|under|than) ", re.IGNORECASE),
    WORKPLACE: pattern(r"^(?:nights?|home(?! depot)|least|once|myself)\b", re.IGNORECASE),
}
"""What stands where a value would, and is none: my name is on the list, call me back, I work at night."""
_WITH = pattern(r" (?:with|for|near|next to|and) .*", re.IGNORECASE | re.DOTALL)
_OF_ONESELF = pattern(r"i\b|i'm|my\b|call|please", re.IGNORECASE)
_OF_KIN = pattern(
    rf"my ({'|'.join(BEINGS)}) (?:is allergic to {_THING}|lives in {_PLACE}|(?:really )?(?:likes|loves) {_THING})",
    re.IGNORECASE,
)
_LEAD = pattern(
    r"^(?:(?:actually|well|oh|no|yes|yeah|hey|hi|hello|sorry|anyway|honestly|also|but|so)\b[ ,]*)+",
    re.IGNORECASE,
)
"""What a sentence may begin with that says nothing."""
_AND_I = pattern(r"^(i\b.*?) and (?=(?:work|live) )", re.IGNORECASE)
_AND = pattern(r",? (?:and|but) (?=(?:i|my|he|she|it)\b)", re.IGNORECASE)
_WHEN = pattern(
    r" (?:last (?:week|month|year)|(?:a|two|three|\d+) (?:days?|weeks?|months?|years?) ago|yesterday|recently|now|today)$",
    re.IGNORECASE,
)
_NAMED = pattern(
    rf"(?:i have an? .{{0,15}}?({'|'.join(_PETS)}),? (?:named|called)|my ({'|'.join(BEINGS)})(?:'s name is| is (?:called|named)))"
    r" ([a-z][a-z '-]{0,30})",
    re.IGNORECASE,
)


def find_english(clause: str) -> list[Finding]:
    """Return the facts that an English clause tells."""
    found: list[Finding] = []
    for part in _AND.split(_AND_I.sub(r"\1 and I ", _LEAD.sub("", clause))):
        plain = _WHEN.sub("", part.strip(" ."))
        age = (
            _AGE.fullmatch(plain)
            if found and found[-1].attribute == NAME and found[-1].subject != SELF
            else None
        )
        found += [Finding(found[-1].subject, AGE, age[1])] if age else _in_part(plain)
    return found


def _in_part(clause: str) -> list[Finding]:
    if not _OF_ONESELF.match(clause):
        return []
    clause = _VALUE_ENDS.sub("", clause)
    if _QUIT.fullmatch(clause):
        return [Finding(SELF, WORKPLACE, "", "not"), Finding(SELF, JOB, "", "not")]
    if _GRADUATED.fullmatch(clause):
        return [Finding(SELF, SCHOOL, "", "not")]
    named = _NAMED.fullmatch(clause)
    if named:
        word = (named[1] or named[2]).lower()
        subject = subject_of(BEINGS[word])
        pet = [Finding(SELF, PET, subject)] if word in _PETS else []
        return [] if _NO_VALUE[NAME].search(named[3]) else [*pet, Finding(subject, NAME, named[3])]
    of_kin = _OF_KIN.fullmatch(clause)
    if of_kin:
        attribute, value = next(
            (what, one) for what, one in zip((ALLERGY, HOME, LIKES), of_kin.groups()[1:], strict=True) if one
        )
        return [Finding(subject_of(BEINGS[of_kin[1].lower()]), attribute, value)]
    for words, attribute, tense in _PATTERNS:
        match = words.fullmatch(clause)
        if match:
            value = _WITH.sub("", match[1]) if attribute == HOME else _TOO.sub("", match[1])
            if attribute in (LIKES, DISLIKES) and _POINTED_AT.search(value):
                return []
            if attribute in _NO_VALUE and _NO_VALUE[attribute].search(value):
                return []
            if attribute == BIRTHDAY and not _DATE.search(value):
                return []
            return [Finding(SELF, attribute, value.strip(" ,"), tense)]  # type: ignore[arg-type]
    return []
