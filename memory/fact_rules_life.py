"""Rules for whom somebody lives with and what he does: pets, family, friends, work."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.fact_patterns import ADVERBS, JOBS, NAMED, SUBJECT, N, Rules, adding_to
from xiaozhi_persona.memory.fact_types import (
    FAMILY,
    FRIEND,
    JOB,
    KIN,
    MARRIAGE,
    NAME,
    OTHERS,
    PET,
    PETS,
    PROFILE_WORDS,
    SCHOOL,
    SELF,
    WORKPLACE,
    Finding,
    subject_of,
)
from xiaozhi_persona.memory.patterns import pattern

RULES: Rules = []
_rule = adding_to(RULES)

_NO_PET = re.compile("^[年天月过的不]|热狗|玩具|毛绒|机器|电子|招财|布[猫狗]|熊猫|一样|似的")
_NO_WORKPLACE = re.compile(
    "^(?:家|公司|单位|这|那|学校|外面|认真|努力|好好|拼命|专心|安心|加班|忙|远程|偷偷|一直|线上|地铁|路上|楼)|[地着边]$"
)
_IN_DIGITS = frozenset(("电话", "手机号", "邮箱", "车牌", "身高", "体重", "鞋码", "微信", "学号"))
_DIGITS = re.compile(f"{N}|[A-Za-z]")
_PETS = pattern(PETS)
_NO_JOB = re.compile("^[你他她打过了]|[不梦的]|是|时候|[会成党团队人动学球伤病教社]员$|大师$|宗师$|一员$")


@_rule(
    rf"我(?:们家|家里?)?{ADVERBS}(?:养了?|有了?|领养了?|收养了?|买了?|捡了?){N}*(?:只|条|头|个|匹|对)?"
    rf"(?P<v>[\u4e00-\u9fff]{{0,4}}?(?:{PETS}))(?:[名它]?的?名?字?叫做?{NAMED.replace('<v>', '<n>')})?"
)
def _pet(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_PET.search(match["v"]):
        return []
    pet = _PETS.findall(match["v"])[-1]
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
    rf"{SUBJECT}{ADVERBS}(?:换了工作)?(?:换到|在)(?P<p>[^的]{{2,16}}?)"
    rf"(?P<how>上班|工作|任职|实习|就职|上学|读书|念书|读大学|读研|(?:当|做)(?P<v>{JOBS}))了?"
)
def _workplace(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_WORKPLACE.search(match["p"]):
        return []
    study = not {"学", "书", "研"}.isdisjoint(match["how"])
    found = [Finding(who, SCHOOL if study and not match["v"] else WORKPLACE, match["p"])]
    return found + ([Finding(who, JOB, match["v"])] if match["v"] else [])


@_rule(
    rf"{SUBJECT}{ADVERBS}不(?:再)?在(?P<v>[^的]{{2,16}}?)(?:上班|工作|任职|实习|就职|(?P<study>上学|读书|念书))了?"
)
def _left(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_WORKPLACE.search(match["v"]):
        return []
    return [Finding(who, SCHOOL if match["study"] else WORKPLACE, match["v"], "not")]


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:的职业)?(?:是|当|做)了?(?:一?(?:名|个|位))?(?P<v>[\u4e00-\u9fff]{{0,6}}?(?:{JOBS}))"
)
def _job(match: re.Match[str], who: str) -> list[Finding]:
    return [] if _NO_JOB.search(match["v"]) else [Finding(who, JOB, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}不(?:再|是)?(?:当|做)?(?P<v>{JOBS})了?")
def _no_longer(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, JOB, match["v"], "not")]


@_rule(rf"我的?(?P<a>{PROFILE_WORDS})(?:号码?)?(?:是|叫|：|:)(?P<v>.{{1,40}})")
def _profile(match: re.Match[str], who: str) -> list[Finding]:
    value = match["v"].strip()
    has_digits = match["a"] not in _IN_DIGITS or _DIGITS.search(value)
    return [Finding(SELF, match["a"], value)] if has_digits and not value.endswith("的") else []
