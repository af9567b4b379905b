"""Rules for what somebody likes, dislikes, does not eat, and is allergic to."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.facts.clauses import ADVERBS, MEAL, POINTED_AT, SUBJECT, Rules, adding_to, things
from xiaozhi_persona.memory.facts.kinds import ALLERGY, AVOIDS, DIET, DISLIKES, LIKES, Finding
from xiaozhi_persona.memory.patterns import Words

RULES: Rules = []
_rule = adding_to(RULES)

_EATEN = re.compile("一?[吃喝碰](?=.)")
_WHEN_EATEN = Words("都|就|也|会")
_NOT_SURE = Words("好像|应该|可能|似乎|其实|现在|已经|也|都")
_AND_NOT = re.compile("(?:也|又)?(?:不|从不)(?:能|会)?[吃喝抽碰]")
_MORE_OR_LESS = Words("还|就|可能|应该|当然|肯定|要数|一直|始终|永远|大概")
_LOVE = "爱(?!人|犬|女|子|妻|车|徒|将|情|心(?!理))"
"""Not of 我爱人在医院上班, who is somebody."""
_SO = re.compile("了$")
_NO_FAVOURITE = re.compile("[不你他她它这那]")
_NO_ALLERGEN = re.compile(
    "^点|不|没|皮肤|鼻子|眼睛|[脸手脚身嘴]|季节|经常|容易|老是|总是?|又|突然|严重|最近|今天|昨天|每年|每次|从小|还|已经|一直|好像|可能|有点|.天$"
)


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:不(?:是|会)?对(?P<v>.{{1,20}}?)|对(?P<v2>.{{1,20}}?){ADVERBS}(?:不(?:会|再|是)?|没有?))(?:很|太|那么)?过敏了?"
)
def _not_allergic(match: re.Match[str], who: str) -> list[Finding]:
    told = match["v"] or match["v2"]
    return [Finding(who, ALLERGY, thing, "not") for thing in things(told[: _NOT_SURE.tail(told)])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:是|会|有点)?对(?P<v>.{{1,20}}?)(?:都|也|有点儿?|严重|会|很|特别|轻微|是)*过敏的?"
)
@_rule(rf"{SUBJECT}有?(?P<v>[^对会的是有]{{1,8}}?)过敏症?")
def _allergic(match: re.Match[str], who: str) -> list[Finding]:
    told = match["v"][: _WHEN_EATEN.tail(match["v"], least=1)]
    eaten = _EATEN.match(told)
    told = told[eaten.end() :] if eaten else told
    return [] if _NO_ALLERGEN.search(told) else [Finding(who, ALLERGY, thing) for thing in things(told)]


@_rule(rf"{SUBJECT}{ADVERBS}不再?(?P<v>吃素|吃斋|吃荤)了?")
def _no_diet(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, DIET, match["v"], "not")] if match["v"] != "吃荤" else [Finding(who, DIET, "吃素")]


@_rule(rf"{SUBJECT}{ADVERBS}(?:是|只|改)?(?P<v>吃素|吃斋)(?:的|了)?")
def _diet(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, DIET, match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:喜欢|爱)(?P<do>[吃喝看听玩])的(?P<a>[^是不人]{{0,4}}?)(?:就是|还是|是)(?P<v>.{{1,20}})"
)
def _does_best(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_FAVOURITE.match(match["v"]):
        return []
    return [Finding(who, LIKES, thing) for thing in things(match["do"] + match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?P<how>喜欢|爱|讨厌|怕|想去)的(?P<a>[^是不]{{0,8}}?)(?:还|就|可能|应该|当然|肯定|要数|一直|始终|永远)?(?:是|叫)(?P<v>.{{1,20}})"
)
def _favourite(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_FAVOURITE.match(match["v"]):
        return []
    how = {"爱": "喜欢"}.get(match["how"], match["how"])
    named = match["a"][: _MORE_OR_LESS.tail(match["a"])]
    if named:
        value = _SO.sub("", match["v"])
        return [] if POINTED_AT.search(value) else [Finding(who, f"{how}的{named}", value)]
    attribute = {"怕": DISLIKES, "讨厌": DISLIKES, "喜欢": LIKES}.get(how)
    return [Finding(who, attribute, thing) for thing in things(match["v"])] if attribute else []


@_rule(rf"{SUBJECT}{ADVERBS}(?:不能?|不会|从不|从来不|戒了?)(?:吃|喝|抽)?(?<=[吃喝抽了戒])(?P<v>.{{1,20}})")
def _avoids(match: re.Match[str], who: str) -> list[Finding]:
    told = _AND_NOT.split(match["v"])
    return [Finding(who, AVOIDS, one) for part in told for one in things(part) if not MEAL.search(one)]


@_rule(rf"{SUBJECT}{ADVERBS}(?<=现在)(?:能|可以|又|也|开始|会)*[吃喝](?P<v>.{{1,12}}?)了")
def _eats_again(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, AVOIDS, thing, "not") for thing in things(match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:再也不|不再|不再那么)(?:喜欢|{_LOVE})(?P<v>.{{1,24}})")
def _likes_no_more(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, LIKES, thing, "not") for thing in things(match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:再也不|不再|不怎么|不太|不)(?:讨厌|烦|恨|怕)(?P<v>.{{1,24}})")
def _hates_no_more(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, DISLIKES, thing, "not") for thing in things(match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:不(?:太|怎么|大|是很|是特别)?(?:喜欢|{_LOVE})|讨厌|烦|受不了|恨(?!铁不成钢))(?P<v>.{{1,24}})"
)
def _dislikes(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, DISLIKES, thing) for thing in things(match["v"])]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:喜欢上了|喜欢|热爱|酷爱|偏爱|迷上了?|爱上(?![海班学课网])了?|{_LOVE})(?P<v>.{{1,24}})"
)
def _likes(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, LIKES, thing) for thing in things(match["v"])]
