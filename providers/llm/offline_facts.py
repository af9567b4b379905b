"""Facts that people tell about themselves: how they are told, asked for and said back. Rules only, no model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from xiaozhi_persona.memory.facts.kinds import (
    AGE,
    ALLERGY,
    BIRTHDAY,
    CALLED,
    DISLIKES,
    HOME,
    LIKES,
    NAME,
    SELF,
)
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.patterns import Words, pattern
from xiaozhi_persona.providers.llm.offline_recall import Statement


@dataclass(frozen=True)
class Fact:
    """One kind of fact: how it is told, how it is asked for, and how it is said back."""

    tells: tuple[re.Pattern[str], ...]
    asks: re.Pattern[str]
    says: str
    says_en: str
    denies: tuple[re.Pattern[str], ...] = ()
    """How it is taken back; the last word about a value holds."""
    many: bool = False
    """Whether several values can hold at the same time."""
    kinds: frozenset[str] = frozenset()
    """What the memory calls it."""


@dataclass(frozen=True)
class Known:
    """A fact with its value, and the statement that told it."""

    fact: Fact
    value: str
    kind: str
    source: Statement


def said_back(found: Sequence[Known], english: bool = False) -> str:
    """Return facts of one kind in the second person: 你对花生、牛奶过敏."""
    first, values = found[0], (" and " if english else "、").join(item.value for item in found[:5])
    return (first.fact.says_en if english else first.fact.says).format(value=values, kind=first.kind)


def told_in(statement: Statement, fact: Fact) -> Iterator[Known]:
    """Yield the facts of one kind in a statement."""
    agreed = _found(statement.text)
    for words in fact.tells:
        for match in words.finditer(statement.text) if not agreed.isdisjoint(fact.kinds) else ():
            if not any(denial.search(match[0]) for denial in fact.denies):
                for value in _values(fact, match):
                    yield Known(fact, value, _kind(match), statement)


@lru_cache(maxsize=64)
def _found(text: str) -> frozenset[str]:
    """Return which kinds of facts the memory's rules find in a text: where they are not sure, neither are we."""
    return frozenset(
        finding.attribute if finding.subject == SELF else f"{finding.attribute} of others"
        for finding in find_facts(text, _ANY_DAY)
        if finding.tense == "is"
    )


def known(fact: Fact, said: Sequence[Statement], kind: str = "") -> list[Known]:
    """Return what holds of one kind of fact, newest first: one, or several where several can hold."""
    found: list[Known] = []
    taken_back: set[str] = set()
    for statement in said:
        for item in told_in(statement, fact):
            is_new = item.value not in taken_back and item.value not in [other.value for other in found]
            if is_new and same_kind(kind, item.kind or item.value):
                found.append(item)
        denials = (match for words in fact.denies for match in words.finditer(statement.text))
        taken_back.update(value for match in denials for value in _values(fact, match))
    return found if fact.many else found[:1]


def same_kind(asked: str, told: str) -> bool:
    """Whether what is asked for is of the kind that was told: 小猫 and 猫咪, 宠物 and 狗, 吃 and 吃苹果."""
    asked, told = asked.strip("小的那只咪"), told.strip("小的那只咪")
    return (
        not asked
        or asked in told
        or told in asked
        or (asked == "宠物" and not set("猫狗兔鸟鱼龟鼠").isdisjoint(told))
    )


def asked_for(question: str) -> tuple[Fact, str] | None:
    """Return the kind of fact that a question asks for, and the word after which it asks (猫 in 我的猫叫什么)."""
    for fact in FACTS:
        if match := fact.asks.search(question):
            return fact, _kind(match)
    return None


def _values(fact: Fact, match: re.Match[str]) -> list[str]:
    groups = match.groupdict()
    value = (groups.get("value") or groups.get("value2") or "").strip()
    parts = _BETWEEN.split(value) if fact.many else [value]
    return [part[: _AFTER.tail(part, least=1)] for part in map(str.strip, parts)]


def _kind(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return groups.get("kind") or groups.get("kind2") or ""


_ANY_DAY = datetime(2000, 1, 1)  # none of these facts depends on it
_BETWEEN = pattern(r"(?<=.)(?:和|跟|以及|还有|、| and )(?=.)")
_AFTER = Words("了|的|这里|那边|都|也|很|会|严重")
# A value ends at punctuation, is no question, and is no person but a name.
_OF_VALUE = r"(?![我你您他她它人了过不])(?:(?!什么|啥|哪|谁|[吗吧呢呀]$)[^，。！？；,.!?;])"
_VALUE = rf"(?P<value>{_OF_VALUE}+)"
_BRIEF = rf"(?P<value>{_OF_VALUE}{{1,40}})"  # what stands before a word that must come
# Names are short, and the next thing may follow without punctuation, which recognizers leave out.
_NAME = r"(?P<value>(?![我你您他她它人了过不])(?:(?!什么|啥|哪|谁|[吗吧呢呀]$)[^，。！？、；,.!?;]){1,8}?)(?=[，。！？、；,.!?;]|$|我|[今昨][年天]|吧$)"
_WORDS = r"(?P<value>[A-Za-z][A-Za-z' -]*)"
_KIND = r"(?P<kind>吃|喝|玩|看|听|做|去|养)?"
_MUCH = r"(?:也|最|很|特别|非常|超级?|真的?|还|就|都|更|一直)*"
_LIKED = (rf"我{_MUCH}(?:喜欢|爱|热爱|迷上了?){_VALUE}", rf"\bi (?:really )?(?:like|love) {_WORDS}")
_DISLIKED = (
    rf"我[^，。]{{0,3}}(?:不(?:太|再|怎么|是很)*(?:喜欢|爱)了?|讨厌){_VALUE}",
    rf"\bi (?:do not|don't) like {_WORDS}",
)


def _fact(
    tells: tuple[str, ...],
    asks: str,
    says: str,
    says_en: str,
    denies: tuple[str, ...] = (),
    many: bool = False,
    kinds: tuple[str, ...] = (),
) -> Fact:
    def compiled(words: str) -> re.Pattern[str]:
        return pattern(words, re.IGNORECASE)

    return Fact(
        tuple(map(compiled, tells)),
        compiled(asks),
        says,
        says_en,
        tuple(map(compiled, denies)),
        many,
        frozenset(kinds),
    )


FACTS: Sequence[Fact] = (
    _fact(
        (
            rf"我(?:的名字(?:是|叫)|改?名叫|(?:现在|其实)?(?:是)?叫做?){_NAME}",
            rf"^(?:你?(?:可以|就|以后)*)叫我(?!起|来|去|回|一声){_NAME}",
            rf"\bmy name is {_WORDS}|\bcall me (?P<value2>[A-Za-z]+)",
        ),
        r"我(?:是)?(?:叫什么|叫啥|是谁)|我的名字(?:[是叫](?:什么|啥)|你?还?记得|$)|what(?:'s| is) my name|who am i",
        "你叫{value}",
        "your name is {value}",
        kinds=(NAME, CALLED),
    ),
    _fact(
        (
            r"我(?:们)?(?:家?的|家(?:里)?(?:有|养了?)?|有|养了?|(?=[爸妈哥姐弟妹爷奶]))(?:了?[一两]?[只条个匹位头])?"
            rf"(?P<kind>(?:(?!名字)[^，。,叫我的是]){{1,6}}?)[，, ]*(?:的?名字(?:是|叫)|[它他她]?(?:现在|改名|也)*(?:叫做?|是叫)){_NAME}",
            rf"\bmy (?P<kind>[a-z]+)(?:'s name is| is called| is named) {_WORDS}",
        ),
        r"我(?:们)?家?的?(?P<kind>[^，。我的]{1,6}?)(?:叫什么|叫啥|的?名字(?:[是叫](?:什么|啥)|你?还?记得|吗|呢|$))|what(?:'s| is) my (?P<kind2>[a-z]+)'?s? (?:name|called)",
        "你的{kind}叫{value}",
        "your {kind} is called {value}",
        kinds=(f"{NAME} of others",),
    ),
    _fact(
        (rf"(?:我|^|[，,])(?:们|从小|一直|也|还)*对{_BRIEF}过敏", rf"\bi(?:'m| am) allergic to {_WORDS}"),
        r"对(?:什么|啥|哪些?)[^，。]{0,40}过敏|过敏的?(?:东西)?(?:是|有)?(?:什么|哪)|what am i allergic to",
        "你对{value}过敏",
        "you are allergic to {value}",
        (
            rf"我[^，。]{{0,3}}对{_BRIEF}(?:已经|现在)*(?:不|没有?)过敏",
            rf"\bi(?:'m| am) not allergic to {_WORDS}",
        ),
        many=True,
        kinds=(ALLERGY,),
    ),
    _fact(
        (
            rf"我(?:们)?家?(?:现在|目前|已经)?(?:住在?|搬(?:家)?(?:到|去)了?|家?(?:就)?在(?=.{{0,40}}[市省区县路街村镇]$)){_VALUE}",
            rf"\bi (?:live in|moved to) {_WORDS}",
        ),
        r"我(?:们)?家?(?:现在)?(?:是)?(?:住|搬|家)(?:在|到|去)?了?(?:哪|什么地方)|我的?家在哪|where do i live",
        "你住在{value}",
        "you live in {value}",
        kinds=(HOME,),
    ),
    _fact(
        _LIKED,
        rf"我(?:最|都|还|平时)*(?:喜欢|爱){_KIND}(?:些?什么|啥|哪些)(?:东西|来着|呢|的)*$|what do i like",
        "你喜欢{value}",
        "you like {value}",
        _DISLIKED,
        many=True,
        kinds=(LIKES,),
    ),
    _fact(
        _DISLIKED,
        rf"我(?:最|都|还)*(?:不(?:喜欢|爱)|讨厌){_KIND}(?:些?什么|啥|哪些)(?:东西|来着|呢|的)*$|what do i not like",
        "你不喜欢{value}",
        "you do not like {value}",
        _LIKED,
        many=True,
        kinds=(DISLIKES,),
    ),
    _fact(
        (
            rf"我的?生日(?:就)?(?:是|在)(?!今天|明天|昨天|后天|几){_VALUE}",
            r"\bmy birthday is (?P<value>[A-Za-z0-9 ]+)",
        ),
        r"我的?生日(?:是|在)?(?:哪|什么时候|几)|when is my birthday",
        "你的生日是{value}",
        "your birthday is {value}",
        kinds=(BIRTHDAY,),
    ),
    _fact(
        (
            r"我(?:叫[^，。]{1,8}?[，, ]*)?(?:今年|现在|已经|刚|快|都|满)*(?P<value>[0-9零一二两三四五六七八九十百]+岁半?)",
            r"\bi(?:'m| am) (?P<value>\d+ years old)",
        ),
        r"我(?:今年|现在)?(?:是)?(?:几岁|多大|多少岁)|how old am i",
        "你{value}",
        "you are {value}",
        kinds=(AGE,),
    ),
)
