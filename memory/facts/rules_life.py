"""Rules for whom somebody lives with and what he does: pets, family, friends, work."""

from __future__ import annotations

import re

from xiaozhi_persona.memory.facts.clauses import ADVERBS, NAMED, SUBJECT, Rules, adding_to
from xiaozhi_persona.memory.facts.kinds import (
    ANY,
    FAMILY,
    JOB,
    JOBS,
    KIN,
    LASTING,
    MARRIAGE,
    NAME,
    OTHERS,
    PET,
    PETS,
    PLACES,
    PROFILE_WORDS,
    SCHOOL,
    SELF,
    WORKPLACE,
    Finding,
    N,
    subject_of,
)
from xiaozhi_persona.memory.patterns import pattern

RULES: Rules = []
_rule = adding_to(RULES)

_NO_PET = re.compile("^[年天月过的不]|热狗|玩具|毛绒|机器|电子|招财|布[猫狗]|熊猫|一样|似的")
_NO_WORKPLACE = re.compile(
    "^(?:[一某两几][个家所间]|家|公司|单位|这|那|学校|外面|认真|努力|好好|拼命|专心|安心|加班|忙|远程|偷偷|一直|线上|地铁|路上|楼)|[地着边]$"
)
_PARTNERS = ("女朋友", "男朋友", "老公", "老婆", "未婚妻", "未婚夫")
_CHANGED = {
    "手机": ("手机号", "手机", "电话"), "电话": ("手机号", "手机", "电话"), "号": ("手机号", "手机", "电话"), "微信": ("微信",),
    "邮箱": ("邮箱",), "车牌": ("车牌",), "工作": (WORKPLACE,), "学校": (SCHOOL,),
}  # fmt: skip
_WHEN = "在?(?:上周|上个?月|昨天|前天|今天|去年|前年|今年|前几年|前几天|几年前|刚刚?|已经|也|都|就|突然|不幸|因病|生病|老)"
_GONE = "去世|过世|病逝|离世|死|走丢|跑丢|丢|不在|没|送人|去喵星|去汪星"
_NAMED_GONE = pattern(
    rf"(?!我(?!们?家))(?:我们?家?的?)?(?P<v>[\u4e00-\u9fff]{{2,5}}?)(?:{_WHEN})?(?:{_GONE})了"
)
_IN_DIGITS = frozenset(("电话", "手机号", "邮箱", "车牌", "身高", "体重", "鞋码", "微信", "学号"))
_DIGITS = re.compile(f"{N}|[A-Za-z]")
_PETS = pattern(PETS)
_PLACE = pattern(f"(?:{PLACES})[市省]?")
_NO_JOB = re.compile("^[你他她打过了]|[不梦的]|是|时候|[会成党团队人动学球伤病教社]员$|大师$|宗师$|一员$")


@_rule(rf"我(?:们?家)?里?(?:有|养了?)(?:{N}只?|了)?(?P<a>{PETS})(?:和|跟)?{N}?只?条?(?P<b>{PETS})")
def _pets(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(SELF, PET, match["a"]), Finding(SELF, PET, match["b"])]


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
    rf"我(?:们家|家里?)?还?有了?{N}*(?:个|位|名)?(?P<v>{KIN})(?:了|的?名?字?叫做?{NAMED.replace('<v>', '<n>')})?"
)
def _family(match: re.Match[str], who: str) -> list[Finding]:
    kin = subject_of(match["v"])
    single = [Finding(SELF, MARRIAGE, "单身", "not")] if kin in _PARTNERS else []
    return [*single, Finding(SELF, FAMILY, kin)] + ([Finding(kin, NAME, match["n"])] if match["n"] else [])


@_rule(rf"我有{N}*(?:个|位|名)?(?P<who>{OTHERS})(?:的?名?字?叫做?){NAMED}")
def _friend(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(subject_of(match["who"]), NAME, match["v"])]


@_rule(rf"我(?:们?家里?)?的?(?P<who>{PETS}|{KIN})(?:{_WHEN})?(?:{_WHEN})?(?:{_GONE})了")
@_rule(rf"我(?:{_WHEN})?把(?:我?们?家?里?的?)?(?P<who>{PETS})(?:送人|送走|弄丢|卖)了")
def _gone(match: re.Match[str], who: str) -> list[Finding]:
    gone = subject_of(match["who"])
    kept_as = [Finding(SELF, kind, gone, "not") for kind in (PET, FAMILY)]
    return [*kept_as, Finding(gone, ANY, "", "not")]


def passed_away(clause: str) -> list[Finding]:
    """Return what ends with whoever has a name, should it be known whose it is."""
    match = _NAMED_GONE.fullmatch(clause) if clause.endswith("了") and not clause.endswith("没了") else None
    return [Finding(match["v"], ANY, match["v"], "not")] if match else []


@_rule("我(?:们|(?:和|跟|与)[^你说]{1,8}?)?(?:已经|上周|上个?月|昨天|前天|今天|最近|刚|去年)?(?:分手|散伙)了")
def _parted(match: re.Match[str], who: str) -> list[Finding]:
    return _without(("女朋友", "男朋友"))


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:大学|高中|初中|小学|硕士|博士|研究生|本科|学校|从.{{1,10}})?(?:毕业了?|退学了)"
)
def _left_school(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(who, SCHOOL, "", "not")]


@_rule(
    rf"我{ADVERBS}换了?(?:一?个)?(?:新)?(?P<a>手机号码?|电话号码?|电话|号码|号|微信号?|邮箱|车牌号?|工作|学校)了?"
)
def _changed(match: re.Match[str], who: str) -> list[Finding]:
    return [Finding(SELF, attribute, "", "not") for attribute in _CHANGED[match["a"].rstrip("码")[:2]]]


def _without(partners: tuple[str, ...]) -> list[Finding]:
    return [Finding(who, what, "", "not") for who in partners for what in (ANY, *LASTING)] + [
        Finding(SELF, FAMILY, who, "not") for who in partners
    ]


@_rule(rf"{SUBJECT}{ADVERBS}(?P<v>结婚|离婚|单身|订婚|怀孕)了?")
@_rule(rf"(?P<me>我)(?:和|跟|与)[^你说，]{{1,6}}?(?:{_WHEN})?(?P<v>结婚|离婚|订婚)了")
def _marriage(match: re.Match[str], who: str) -> list[Finding]:
    over = _without(("老公", "老婆")) if match["v"] == "离婚" and who == SELF else []
    return [*over, Finding(who, MARRIAGE, match["v"])]


@_rule(rf"{SUBJECT}{ADVERBS}跳槽(?:到|去)了?(?P<p>[^的了]{{2,16}}?)(?:上班|工作)?了?")
def _changed_jobs(match: re.Match[str], who: str) -> list[Finding]:
    return [] if _NO_WORKPLACE.search(match["p"]) else [Finding(who, WORKPLACE, match["p"])]


@_rule(rf"{SUBJECT}{ADVERBS}(?:从.{{2,12}})?(?P<v>辞职|离职|失业|被裁|退休)了")
def _quit(match: re.Match[str], who: str) -> list[Finding]:
    gone = [Finding(who, WORKPLACE, "", "not"), Finding(who, JOB, "", "not")]
    return [*gone, Finding(who, JOB, "退休")] if match["v"] == "退休" else gone


@_rule(
    rf"{SUBJECT}{ADVERBS}(?:换了工作)?(?:换到|在)(?P<p>[^的]{{2,16}}?)"
    rf"(?P<how>上班|工作|任职|实习|就职|上学|读书|念书|读大学|读研|(?:当|做)(?P<v>{JOBS}))了?"
)
def _workplace(match: re.Match[str], who: str) -> list[Finding]:
    if _NO_WORKPLACE.search(match["p"]) or _PLACE.fullmatch(match["p"]):
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
