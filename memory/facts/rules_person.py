"""Rules for who somebody is: names, homes, where he comes from, how old he is."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.facts.clauses import (
    ADVERBS,
    BAD_NAME,
    BAD_PEOPLE,
    BAD_PLACE,
    NAMED,
    PLACE,
    SINCE,
    SUBJECT,
    Rules,
    adding_to,
)
from xiaozhi_persona.memory.facts.kinds import (
    AGE,
    BIRTHDAY,
    CALLED,
    DATE,
    HOME,
    HOMETOWN,
    KIN,
    NAME,
    PETS,
    SELF,
    SURNAME,
    Finding,
    N,
    subject_of,
)
from xiaozhi_persona.memory.patterns import pattern

RULES: Rules = []
_rule = adding_to(RULES)

_STAYED = pattern("(?:已经|都)?(?:住|待|呆|生活|工作|定居)了?$|(?:这么|那么|好|很|挺)久.*|半天$")
_NOT_CALLED = re.compile("起|来|去|做|回家|^[走等吃喝干看说听买写出睡别怎快打先再滚玩唱跳帮给叫]|名字")


@_rule(
    rf"{SUBJECT}的?(?:以前|之前|曾经|原来|小时候)?(?:(?:大|全|本)?名字?(?:就?是|就?叫做?)|(?:现在|其实|就|是)?叫做?|改名(?:叫|为)了?){NAMED}"
)
def _name(match: re.Match[str], who: str) -> list[Finding]:
    name = match["v"].strip()
    if BAD_NAME.search(name):
        return []
    return [Finding(who, NAME, name)]


@_rule(
    rf"我?(?:给|帮)我?家?里?的?(?P<who>{PETS}|{KIN})(?:改|换)了?一?个?新?名字?了?(?:[，]?(?:现在)?(?:叫|叫做|改叫){NAMED})?"
)
def _renamed(match: re.Match[str], who: str) -> list[Finding]:
    whom = subject_of(match["who"])
    return [Finding(whom, NAME, "", "not")] + ([Finding(whom, NAME, match["v"])] if match["v"] else [])


@_rule(rf"我把我?家?里?的?(?P<who>{PETS}|{KIN})的?名字?(?:改|换)(?:成|为|叫)了?{NAMED}")
def _renamed_to(match: re.Match[str], who: str) -> list[Finding]:
    return _renamed(match, who)


@_rule(rf"{SUBJECT}{ADVERBS}(?:改|换)了?一?个?新?名字?了")
def _renamed_oneself(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, NAME, "", "not")]


@_rule(rf"{SUBJECT}不叫{NAMED}了?")
def _not_name(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, NAME, match["v"].rstrip("了"), "not")]


@_rule(
    r"(?:你们?)?(?:以后|可以|就|都|要)*(?:叫|喊|称呼)我(?:为|作)?(?P<v>[\u4e00-\u9fff·]{1,6}?|[A-Za-z][A-Za-z .'-]{0,30}?)(?:就行了?|就好了?|就可以了?|好了)?"
)
def _called(match: re.Match[str], who: str) -> list[Finding]:
    name = match["v"]
    return [] if BAD_NAME.search(name) or _NOT_CALLED.search(name) else [Finding(SELF, CALLED, name)]


@_rule(rf"{SUBJECT}姓(?P<v>[\u4e00-\u9fff]{{1,2}})")
def _surname(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, SURNAME, match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}从(?P<old>[\u4e00-\u9fffA-Za-z]{{2,10}}?)(?:搬家?|移民|回)(?:到|去|来)了?{PLACE}了?"
)
def _moved(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, HOME, match["old"], "was"), Finding(who, HOME, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:从.{{2,12}})?搬(?:走|离)了")
def _moved_away(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, HOME, "", "not")]


@_rule(rf"{SUBJECT}{ADVERBS}不再?住(?:在)?{PLACE}了?")
@_rule(rf"{SUBJECT}{ADVERBS}不再?在{PLACE}住了")
def _left(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PLACE.search(match["v"]) else [Finding(who, HOME, match["v"], "not")]


@_rule(rf"{SUBJECT}{ADVERBS}(?:是|都)?在?{PLACE}住过.*")
@_rule(rf"{SUBJECT}{ADVERBS}(?:是|都)?住过{PLACE}")
def _once_lived(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PLACE.search(match["v"]) else [Finding(who, HOME, match["v"], "was")]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:是)?(?:住在|住到|搬家?到|搬去|搬来|搬回|定居在?|移居到?|的?家住在?|的?家在|住)了?"
    rf"{PLACE}(?:了|去|来|住|这边|那边|定居|生活|工作|上班|上学|读书|念书|发展|打工|做生意|创业|养老)*"
)
def _home(match: re.Match[str], who: str) -> list[Finding]:
    place = _STAYED.sub("", SINCE.sub("", match["v"]))
    return [] if len(place) < 2 or BAD_PLACE.search(place) else [Finding(who, HOME, place)]


@_rule(rf"{SUBJECT}的?(?:老家|家乡|籍贯)(?:是|在){PLACE}的?")
def _hometown(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PLACE.search(match["v"]) else [Finding(who, HOMETOWN, match["v"])]


@_rule(rf"{SUBJECT}(?:其实)?是(?P<v>[\u4e00-\u9fff]{{2,8}})人")
def _from(match: re.Match[str], who: str) -> list[Finding]:
    return [] if BAD_PEOPLE.search(match["v"]) else [Finding(who, HOMETOWN, match["v"])]


@_rule(rf"{SUBJECT}的?生日不是{DATE}")
def _not_birthday(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, BIRTHDAY, match["v"], "not")]


@_rule(rf"{SUBJECT}的?生日(?:就?是|在)?(?:每年)?的?{DATE}")
@_rule(rf"{SUBJECT}(?:是{DATE.replace('<v>', '<v2>')}(?:出生|生|生日|过生日)|(?:出生于|生于){DATE})的?")
@_rule(rf"{SUBJECT}{DATE}(?:过生日|生日|出生)的?")
def _birthday(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, BIRTHDAY, match["v"] or match["v2"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:满|刚满)?(?P<v>(?:快|快要|差不多|大概)?{N}{{1,3}}岁半?)了?")
@_rule(rf"{SUBJECT}今年(?:已经|刚|满|刚满|才)?(?P<v>\d{{1,3}})了?")
def _age(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, AGE, match["v"])]
