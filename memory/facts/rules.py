"""Facts that people tell about themselves, found by rules in Chinese.

A rule looks at one clause. Questions, what is only supposed, and what others are said to have said tell nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from itertools import chain

from xiaozhi_persona.memory.appointments import find_appointment
from xiaozhi_persona.memory.facts import rules_life, rules_person, rules_tastes
from xiaozhi_persona.memory.facts.clauses import (
    ASKED_BACK,
    CLAUSE,
    CONDITION,
    FOUND_OUT,
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
    TAKEN_BACK,
)
from xiaozhi_persona.memory.facts.english import find_english
from xiaozhi_persona.memory.facts.japanese import find_japanese, names_another
from xiaozhi_persona.memory.facts.kinds import (
    HOME,
    JOB,
    SCHOOL,
    SELF,
    WORKPLACE,
    Finding,
    is_single,
    subject_of,
)
from xiaozhi_persona.memory.facts.rules_life import passed_away
from xiaozhi_persona.memory.facts.subjects import Speaking
from xiaozhi_persona.memory.patterns import pattern

MAX_CHARS = 600
"""What comes later in a text is not read."""
_MAX_CLAUSE_CHARS = 60
_SENTENCE_ENDS = frozenset("。！!？?；;\n")

_ENGLISH_STOP = re.compile(r"(?<=[A-Za-z]{3})\.(?:\s+|$)")
_JOINING = re.compile("(?<=[^，。\\s])(?=但是|可是|而且|因为|所以|又搬|后来|不过我)")
_LISTED = pattern(
    "(?:(?<=喜欢)|(?<=热爱)|(?<=爱[吃喝看听玩]))(?P<a>[^，。、的]{1,8}的[^，。、]{1,6})，(?P<b>[^，。、我]{1,6}(?:和|以及|还有|、)[^，。、我]{1,6})(?=[。！!~]|$)"
)
_BUT_NOT = pattern("(?P<so>我.{2,40}?)而?不是(?P<not>.{1,20})")
_NOT_SO = re.compile(rf"(?P<who>{SUBJECT})不是(?P<rest>.+)")
_PAST = re.compile(f".*(?:{PAST})(?!就|一直|到现在|以来)", re.DOTALL)
_BEGAN = re.compile("搬|开始|婚|辞职|退休")
_THEN = re.compile(f".*(?:{ONE_TIME})", re.DOTALL)
_BEGAN_THEN = re.compile("搬|移居|定居|换|开始|起|成为|[当做到]了")
_BEGINNINGS = frozenset("我俺本给帮叫喊称你以可就都要")
"""With one of these begins whatever a rule matches."""
_PAUSE = re.compile("(?<=[\u4e00-\u9fff]) +(?=[\u4e00-\u9fff])")
_TAKEN_BACK_LATER = pattern(
    "(?:(?:我|刚才|那)*(?:都|只|就|是|跟你|和你)*(?:逗你(?:玩)?|骗你|开(?:个|的)?玩笑|说着玩|闹着玩|说笑)(?:的|呢|啦|而已|哈)+了?"
    "|我(?:刚才)?(?:是|都是|就是)?(?:瞎说|胡说|乱说|瞎编|编)的?|(?:i(?:'m| was| am) )?(?:just |only )(?:kidding|joking)|jk)[。！!～~.]*",
    re.IGNORECASE,
)
"""Of the turn before; 骗人 and 开玩笑吧 are said to whoever answered."""
_LAUGHTER = re.compile("^[哈嘻呵嘿]{1,10}[，,。！!～~ ]+")
_IS = re.compile("^(?P<who>我的?[^是]{0,4}?)就?是")
_STATES = frozenset({HOME, WORKPLACE, SCHOOL, JOB})
"""What 去年 says of these was so last year, and is not said of now; 去年养了一只猫 still holds."""


def find_facts(text: str, at: datetime, speaker: str = "") -> list[Finding]:
    """Return the facts that an owner's words tell. `at` is when he said them: local and naive.

    The subject is the speaker when he is known, else 我; or a relative (女儿) or a pet (猫).
    """
    findings: list[Finding] = []
    sentence = 0  # how many there were before this sentence
    before = 0  # and before the sentence before
    not_ours = False  # until the sentence ends: somebody else speaks, or it is only supposed
    another = False  # once somebody else was named in Japanese, which leaves subjects out
    speaking = Speaking()
    text = _ENGLISH_STOP.sub("。", QUOTATION.sub(_unquoted, text[:MAX_CHARS]))
    for said, mark in CLAUSE.findall(
        _LISTED.sub(r"\g<a>、\g<b>", _JOINING.sub("，", _PAUSE.sub("，", text)))
    ):
        raw = FOUND_OUT.sub("", LEAD.sub("", said.strip()))
        clause = raw.rstrip(TAIL).strip()
        not_ours = not_ours or _begins_anothers(clause)
        if ASKED_BACK.fullmatch(raw):
            del findings[sentence:]
        if TAKEN_BACK.fullmatch(clause):
            del findings[sentence if len(findings) > sentence else before :]
            speaking.nobody()
            continue
        another = another or names_another(clause)
        if not_ours or not _is_stated(raw, mark):
            speaking.nobody()
        elif clause and len(clause) <= _MAX_CLAUSE_CHARS:
            found = (
                _in_clause(clause, speaking)
                or passed_away(clause)
                or find_japanese(clause, only_with_i=another)
                or ([] if speaking.of_another(clause) else find_appointment(clause, at, findings[sentence:]))
                or find_english(clause)
            )
            speaking.heard(clause, found)
            findings += found
        if mark in _SENTENCE_ENDS:
            not_ours, before, sentence = False, sentence, len(findings)
            speaking.end_sentence()
    return [_as_spoken(finding, speaker) for finding in _last_of_each(findings)]


def stated(text: str) -> list[str]:
    """Return the clauses that a text states: not its questions, what it only supposes, what others say; none of a joke."""
    kept = []
    not_ours = False
    for said, mark in CLAUSE.findall(QUOTATION.sub(_unquoted, text[:MAX_CHARS])):
        clause = said.strip().rstrip(TAIL)
        if TAKEN_BACK.fullmatch(clause) or ASKED_BACK.fullmatch(said.strip()):
            return []
        not_ours = not_ours or _begins_anothers(clause)
        if not not_ours and _is_stated(said.strip(), mark):
            kept.append(said)
        not_ours = not_ours and mark not in _SENTENCE_ENDS
    return kept


def _begins_anothers(clause: str) -> bool:
    """Whether from this clause on, the sentence is only supposed, or somebody else speaks."""
    return bool(CONDITION.search(clause) or OTHERS_WORDS.search(clause))


def _is_stated(clause: str, mark: str) -> bool:
    """Whether a clause that ends with a mark is neither a question nor said to be uncertain."""
    plain = clause.rstrip(TAIL).strip()
    asks = mark in ("?", "？") or QUESTION.search(clause) or QUESTION.search(plain)
    return not asks and not SUPPOSED.search(plain)


def takes_back(text: str) -> bool:
    """Whether a whole text makes a joke of what was said before it."""
    return bool(_TAKEN_BACK_LATER.fullmatch(_LAUGHTER.sub("", text.strip()[:40])))


def _last_of_each(findings: list[Finding]) -> list[Finding]:
    """Let of what has one value at a time only the last hold: what came before it in one text is over."""
    last = {
        (finding.subject, finding.attribute): place
        for place, finding in enumerate(findings)
        if finding.tense == "is" and is_single(finding.subject, finding.attribute)
    }
    return [
        replace(finding, tense="was")
        if finding.tense == "is" and last.get((finding.subject, finding.attribute), place) != place
        else finding
        for place, finding in enumerate(findings)
    ]


def _unquoted(quotation: re.Match[str]) -> str:
    """Return a quotation as it stands, but for one in which somebody speaks of himself."""
    return "…" if OF_ONESELF.search(quotation[0]) else quotation[0]


def _as_spoken(finding: Finding, speaker: str) -> Finding:
    return replace(finding, subject=speaker) if speaker and finding.subject == SELF else finding


def _in_clause(clause: str, speaking: Speaking) -> list[Finding]:
    whole = speaking.completed(clause)
    texts = [clause]
    if whole:
        texts += dict.fromkeys((whole, _IS.sub(r"\g<who>", whole)))
    for text in texts:
        if found := _by_rule(text):
            return found
        match = _NOT_SO.fullmatch(text)
        if match:
            denied = _by_rule(match["who"] + match["rest"]) or _by_rule(f"{match['who']}是{match['rest']}")
            return [replace(finding, tense="not") for finding in denied if finding.tense == "is"]
        match = _BUT_NOT.fullmatch(text) if "不是" in text else None
        if match and (found := _by_rule(match["so"])):
            return found
    return []


def _by_rule(text: str) -> list[Finding]:
    if text[:1] not in _BEGINNINGS:
        return []
    for clause, rule in chain(rules_person.RULES, rules_tastes.RULES, rules_life.RULES):
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
