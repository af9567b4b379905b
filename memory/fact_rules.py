"""Facts that people tell about themselves, found by rules in Chinese.

A rule looks at one clause. Questions, what is only supposed, and what others are said to have said tell nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from xiaozhi_persona.memory.appointments import find_appointment
from xiaozhi_persona.memory.english_facts import find_english
from xiaozhi_persona.memory.fact_patterns import (
    ADVERBS,
    BAD_NAME,
    BAD_PEOPLE,
    BAD_PLACE,
    BAD_THING,
    CLAUSE,
    DATE,
    JOBS,
    LEAD,
    NAMED,
    PLACE,
    QUESTION,
    SINCE,
    SUBJECT,
    SUPPOSED,
    TAIL,
    N,
)
from xiaozhi_persona.memory.fact_types import (
    AGE,
    ALLERGY,
    AVOIDS,
    BIRTHDAY,
    CALLED,
    DISLIKES,
    FAMILY,
    FRIEND,
    HOME,
    HOMETOWN,
    JOB,
    KIN,
    LIKES,
    MARRIAGE,
    NAME,
    OTHERS,
    PET,
    PETS,
    SCHOOL,
    SELF,
    SURNAME,
    WORKPLACE,
    Finding,
    subject_of,
)

MAX_CHARS = 600
"""What comes later in a text is not read."""
_MAX_CLAUSE_CHARS = 60

_Rule = Callable[[re.Match[str], str], "list[Finding]"]
_RULES: list[tuple[re.Pattern[str], _Rule]] = []


def find_facts(text: str, at: datetime, speaker: str = "") -> list[Finding]:
    """Return the facts that an owner's words tell. `at` is when he said them: local and naive.

    The subject is the speaker when he is known, else 我; or a relative (女儿) or a pet (猫).
    """
    findings: list[Finding] = []
    subject = ""  # of the clause before: what follows may leave it out
    for clause, mark in CLAUSE.findall(text[:MAX_CHARS]):
        clause = TAIL.sub("", LEAD.sub("", clause.strip())).strip()
        if len(clause) > _MAX_CLAUSE_CHARS or not clause:
            continue
        if mark in ("?", "？") or QUESTION.search(clause) or SUPPOSED.search(clause):
            subject = ""
            continue
        found = _in_clause(clause, subject) or find_appointment(clause, at) or find_english(clause)
        subject = _carried(found, clause) or subject
        findings += found
    return [_as_spoken(finding, speaker) for finding in findings]


def _as_spoken(finding: Finding, speaker: str) -> Finding:
    if not speaker or finding.subject != SELF:
        return finding
    return Finding(speaker, finding.attribute, finding.value, finding.tense, finding.starts, finding.ends)


def _in_clause(clause: str, subject: str) -> list[Finding]:
    texts = [clause]
    if subject and not clause.startswith(("我", "俺", "你")):
        texts.append(subject + re.sub("^[它她他](?:的)?", "", clause))
    for text in texts:
        for pattern, rule in _RULES:
            match = pattern.fullmatch(text)
            if match:
                found = rule(match, _who(match))
                if found:
                    return found
    return []


def _carried(found: list[Finding], clause: str) -> str:
    """Return the subject that a clause without one would have after this clause."""
    if not found:
        return "我" if re.match("我(?!们)", clause) else ""
    first = found[-1]
    if first.attribute in (PET, FAMILY):
        kinds = re.findall(PETS if first.attribute == PET else KIN, first.value)
        return f"我的{subject_of(kinds[-1])}" if kinds else "我"
    return "我" if first.subject == SELF else f"我的{first.subject}"


def _who(match: re.Match[str]) -> str:
    other = match.groupdict().get("other")
    return subject_of(other) if other else SELF


def _rule(pattern: str) -> Callable[[_Rule], _Rule]:
    def add(rule: _Rule) -> _Rule:
        _RULES.append((re.compile(pattern), rule))
        return rule

    return add


def _things(value: str) -> Iterator[str]:
    """Split 苹果、香蕉和橙子."""
    for part in re.split(r"、|还有|以及|(?<=.)和(?!平)|(?<=.)跟", value):
        thing = TAIL.sub("", part.strip("的 "))
        thing = re.sub(r"了$", "", thing)
        if thing and not BAD_THING.search(thing) and len(thing) <= 20:
            yield thing


@_rule(
    rf"{SUBJECT}的?(?:(?:大|全|本)?名字?(?:就?是|就?叫做?)|(?:现在|其实|就|是)?叫做?|改名(?:叫|为)了?){NAMED}"
)
def _name(match: re.Match[str], who: str) -> list[Finding]:
    name = match["v"].strip()
    if BAD_NAME.search(name):
        return []
    return [Finding(SELF, FRIEND, name) if who in OTHERS.split("|") else Finding(who, NAME, name)]


@_rule(rf"我不叫{NAMED}了?")
def _not_name(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(SELF, NAME, match["v"].rstrip("了"), "not")]


@_rule(
    r"(?:你们?)?(?:以后|可以|就|都|要)*(?:叫|喊|称呼)我(?:为|作)?(?P<v>[\u4e00-\u9fff·]{1,6}?|[A-Za-z][A-Za-z .'-]{0,30}?)(?:就行|就好|就可以|好了)?"
)
def _called(match: re.Match[str], who: str) -> list[Finding]:
    name = match["v"]
    bad = BAD_NAME.search(name) or re.search("起|来|去|做|回家", name)
    return [] if bad else [Finding(SELF, CALLED, name)]


@_rule(rf"{SUBJECT}姓(?P<v>[\u4e00-\u9fff]{{1,2}})")
def _surname(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, SURNAME, match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}从(?P<old>[\u4e00-\u9fffA-Za-z]{{2,10}}?)(?:搬家?|移民|回)(?:到|去|来)了?{PLACE}了?"
)
def _moved(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, HOME, match["old"], "was"), Finding(who, HOME, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:以前|之前|过去|曾经|小时候|原来|原先|从前)(?:是|都|一直)?住(?:在|过)?{PLACE}")
def _lived(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PLACE.search(match["v"]) else [Finding(who, HOME, match["v"], "was")]


@_rule(rf"{SUBJECT}{ADVERBS}不再?住(?:在)?{PLACE}了?")
def _left(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PLACE.search(match["v"]) else [Finding(who, HOME, match["v"], "not")]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:是)?(?:住在|住到|搬家?到|搬去|搬来|搬回|定居在?|移居到?|的?家住在?|的?家在|住)了?"
    rf"{PLACE}(?:了|住|这边|那边|定居|生活|附近)*"
)
def _home(match: re.Match[str], who: str) -> list[Finding]:
    place = SINCE.sub("", match["v"])
    return [] if len(place) < 2 or BAD_PLACE.search(place) else [Finding(who, HOME, place)]


@_rule(rf"{SUBJECT}的?(?:老家|家乡|籍贯)(?:是|在){PLACE}的?")
def _hometown(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, HOMETOWN, match["v"])]


@_rule(rf"{SUBJECT}(?:其实)?是(?P<v>[\u4e00-\u9fff]{{2,8}})人")
def _from(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PEOPLE.search(match["v"]) else [Finding(who, HOMETOWN, match["v"])]


@_rule(rf"{SUBJECT}的?生日(?:就?是|在)?(?:每年)?的?{DATE}")
@_rule(rf"{SUBJECT}(?:是|出生于|生于){DATE}(?:出生|生|生日|过生日)?的?")
@_rule(rf"{SUBJECT}{DATE}(?:过生日|生日|出生)的?")
def _birthday(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, BIRTHDAY, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:快|满|刚满)?(?P<v>{N}{{1,3}}岁半?)了?")
def _age(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, AGE, match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:不(?:是|会)?对(?P<v>.{{1,20}}?)|对(?P<v2>.{{1,20}}?){ADVERBS}不(?:会|再)?)过敏了?"
)
def _not_allergic(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, ALLERGY, thing, "not") for thing in _things(match["v"] or match["v2"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:是|会|有点)?对(?P<v>.{{1,20}}?)(?:都|也|有点儿?|严重|会|很|特别|轻微|是)*过敏的?"
)
@_rule(rf"{SUBJECT}有?(?P<v>[^对不没会的是有]{{1,8}}?)过敏症?")
def _allergic(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, ALLERGY, thing) for thing in _things(match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?P<how>喜欢|爱|讨厌|怕|想去)的(?P<a>[^是]{{1,8}}?)(?:就是|是|叫)(?P<v>.{{1,20}})"
)
def _favourite(match: re.Match[str], who: str) -> list[Finding]:
    how = {"爱": "喜欢"}.get(match["how"], match["how"])
    return [Finding(who, f"{how}的{match['a']}", match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:不能?|不会|从不|从来不|戒了?)(?:吃|喝|抽)?(?<=[吃喝抽了戒])(?P<v>.{{1,20}})")
def _avoids(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, AVOIDS, thing) for thing in _things(match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:不(?:太|怎么|大|再|是很|是特别)?(?:喜欢|爱)|讨厌|烦|受不了|恨)(?P<v>.{{1,24}})"
)
def _dislikes(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, DISLIKES, thing) for thing in _things(match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:喜欢上?|热爱|酷爱|偏爱|迷上|爱上|爱)了?(?P<v>.{{1,24}})")
def _likes(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, LIKES, thing) for thing in _things(match["v"])]


@_rule(
    rf"我(?:们家|家里?)?{ADVERBS}(?:养了?|有了?|领养了?|收养了?|买了?|捡了?){N}*(?:只|条|头|个|匹|对)?"
    rf"(?P<v>[\u4e00-\u9fff]{{0,4}}?(?:{PETS}))(?:[名它]?的?名?字?叫做?{NAMED.replace('<v>', '<n>')})?"
)
def _pet(match: re.Match[str], who: str) -> list[Finding]:
    pet = re.findall(PETS, match["v"])[-1]
    found = [Finding(SELF, PET, match["v"])]
    return found + ([Finding(subject_of(pet), NAME, match["n"])] if match["n"] else [])


@_rule(
    rf"我(?:们家|家里?)?还?有了?{N}*(?:个|位|名)?(?P<v>{KIN})(?:的?名?字?叫做?{NAMED.replace('<v>', '<n>')})?"
)
def _family(match: re.Match[str], who: str) -> list[Finding]:
    kin = subject_of(match["v"])
    return [Finding(SELF, FAMILY, kin)] + ([Finding(kin, NAME, match["n"])] if match["n"] else [])


@_rule(rf"我有{N}*(?:个|位|名)?(?:{OTHERS})(?:的?名?字?叫做?){NAMED}")
def _friend(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(SELF, FRIEND, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?P<v>结婚|离婚|单身|订婚|怀孕)了?")
def _marriage(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, MARRIAGE, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?P<v>辞职|离职|失业|被裁|退休)了")
def _quit(match: re.Match[str], who: str) -> list[Finding]:
    gone = [Finding(who, WORKPLACE, "", "not"), Finding(who, JOB, "", "not")]
    return [*gone, Finding(who, JOB, "退休")] if match["v"] == "退休" else gone


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:换到|换了工作)?在(?P<p>[^的]{{2,16}}?)"
    rf"(?P<how>上班|工作|任职|实习|就职|上学|读书|念书|读大学|读研|(?:当|做)(?P<v>{JOBS}))了?"
)
def _workplace(match: re.Match[str], who: str) -> list[Finding]:
    if re.match("家|公司|单位|这|那|学校", match["p"]):
        return []
    study = re.search("学|书|研", match["how"])
    found = [Finding(who, SCHOOL if study and not match["v"] else WORKPLACE, match["p"])]
    return found + ([Finding(who, JOB, match["v"])] if match["v"] else [])


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:的职业)?(?:是|当|做)了?(?:一?(?:名|个|位))?(?P<v>[\u4e00-\u9fff]{{0,6}}?(?:{JOBS}))"
)
def _job(match: re.Match[str], who: str) -> list[Finding]:
    return [] if re.match("[你他她]", match["v"]) else [Finding(who, JOB, match["v"])]


@_rule(
    r"我的?(?P<a>电话|手机号|手机|邮箱|车牌|血型|星座|生肖|身高|体重|鞋码|专业|爱好|英文名|小名|昵称|微信|学号|座右铭)(?:号码?)?(?:是|叫|：|:)(?P<v>.{1,40})"
)
def _profile(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(SELF, match["a"], match["v"].strip())]
