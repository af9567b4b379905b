"""Of whom a clause speaks that does not say it: of the person or the thing that was introduced last, or nobody knows.

我有个同学，对花生过敏 tells nothing of its speaker. Where it is not sure, there is no subject, and so no fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from xiaozhi_persona.memory.facts.clauses import OF_ONESELF, SUBJECT, TAIL
from xiaozhi_persona.memory.facts.kinds import (
    APPOINTMENT,
    BIRTHDAY,
    FAMILY,
    KIN,
    KINDS,
    OTHERS,
    PET,
    PETS,
    PROFILE_WORDS,
    SELF,
    Finding,
    subject_of,
)
from xiaozhi_persona.memory.patterns import Words, pattern

OWN = "我"
_SUBJECT = pattern(SUBJECT)
_OWN_NAME = pattern(rf"我?(?:还|也)?有过?一?个?(?P<n>{PROFILE_WORDS})(?:名|号)?")
_NAMES_GIVEN = pattern(
    r"我?(?:昨天|今天|刚才?|最近)?(?:给|帮|为)(?P<whom>.{1,8}?)(?:改|起|取|换)了?一?个?(?:新|小|好听的?)?(?:名字?|外号|绰号|昵称)了?"
)
_COUNTED = pattern(
    r"(?:(?<![第这那每某哪星周月])[一两二三四五六七八九十几\d]|(?<=[有是了过着到识见请买养捡上下交收])) ?"
    r"(?:个|位|名|只|条|头|匹|本|部|首|款|家|间|所|种|辆|台|群|对|张|篇|门|座|幢|套|栋|支|棵|株|档|集|场|伙|帮|项)"
    r"(?!月|小时|钟头|半|人住|头[高低]|星期|礼拜)(?P<n>[^，。]*)"
)
_SELF_DESCRIBED = pattern("(?:是|当|做|成为?|算是?|像|作为)了?$")
_HAVING = pattern("(?:有了?|养了?|领养了?|收养了?|捡到?了?|买了?|生了|多了)[一两二三四五六七八九十几\\d]?$")
_MADE_FRIENDS = pattern("(?:认识|交|结识|新交)了?[一两二三几]?$")
_FRIENDS = frozenset(("朋友", "好朋友", "闺蜜"))
_BEINGS = pattern(rf"(?P<other>{KIN}|{PETS}|{OTHERS})$")
_SAYS_NOTHING_ELSE = Words(
    "我|这个人|这人|自己|本人|呢|吧|啊|嘛|其实|真的|很|也|都|就|已经|刚刚|刚|才|最近|今年|去年|今天|昨天|又|还|搬家|换工作|毕业|回国|下班|上班|放假|工作|上学"
    "|过生日|长大|老|胖|瘦|累|忙|开心|高兴|认识你|你好|大家好|好|谢谢|谢谢你|请多关照|多多关照|单身|已婚|未婚|可爱|漂亮|帅|乖|聪明|调皮|活泼|了|的"
)
_OF_A_THING = frozenset((APPOINTMENT, *(kind.name for kind in KINDS if kind.is_thing)))
_NAMES_IT = pattern("(?:名字|现在|就|是|它|他|她)*(?:叫|姓|名叫)")
_ONE_OF_THEM = pattern(
    "(?:其中|另外?|还有)*(?:一(?:只|条|个|头|位)|[大小公母]的|老[大二三四五])(?:就?叫|名叫|是叫)(?P<n>.+)"
)
_OF_BEINGS = pattern(
    rf"(?P<one>{KIN}|{PETS})(?:的?名?字?叫|[一二三四五六七八九十两\d]{{1,3}}岁|今年|是|喜欢|对)"
)


class Speaking:
    """Of whom the clauses of one text speak, one after the other."""

    def __init__(self) -> None:
        self.subject = ""
        """What a clause begins with that leaves its subject out: 我, 我的猫; "" when nobody knows."""
        self._thing = False  # whether the last clause of 我 named a thing, whose name could follow
        self._birthday = False  # whether the last clause was about a birthday
        self._another = False  # whether the sentence speaks of somebody else
        self._beings: set[str] = set()

    def nobody(self) -> None:
        """What comes next has to say of whom it speaks."""
        self.subject = ""

    def end_sentence(self) -> None:
        """Forget of whom else the sentence spoke; what it introduced may still be what the next one speaks of."""
        self._another = False

    def of_another(self, clause: str) -> bool:
        """Whether a clause that names nobody goes on about somebody else than the owner."""
        return self._another and not _OURS.search(clause)

    def completed(self, clause: str) -> str:
        """Return a clause with the subject that it leaves out, "" when it has its own or nobody knows."""
        if clause.startswith(("我", "俺", "你")):
            return ""
        named = _OF_BEINGS.match(clause)
        if named and self._beings and subject_of(named["one"])[-1:] in {being[-1:] for being in self._beings}:
            return f"我的{clause}"
        if not self.subject:
            return ""
        one = _ONE_OF_THEM.fullmatch(clause) if self._beings else None
        if one:
            return f"{self.subject}叫{one['n']}"
        if self._birthday and clause.startswith(("是", "应该是")):
            return f"{self.subject}的生日{clause}"
        if self.subject == OWN and (clause[0] in "它他她" or (self._thing and _NAMES_IT.match(clause))):
            return ""
        return self.subject + _ITS.sub("", clause)

    def heard(self, clause: str, found: Sequence[Finding]) -> None:
        """Take note of a clause and the facts that it told."""
        self._beings |= {being for f in found if f.attribute in (PET, FAMILY) for being in _last(f.value)}
        self._thing = any(finding.attribute in _OF_A_THING for finding in found)
        own = _SUBJECT.match(clause)
        if own:
            self._another = bool(own["other"])
        self._birthday = any(finding.attribute == BIRTHDAY for finding in found)
        self.subject = self._after(clause, found)

    def _after(self, clause: str, found: Sequence[Finding]) -> str:
        own_name = _OWN_NAME.fullmatch(clause)
        if own_name:
            return f"我的{own_name['n']}"
        given = _NAMES_GIVEN.fullmatch(clause)
        if given:
            whom = _BEINGS.search(given["whom"])
            return f"我的{subject_of(whom['other'])}" if whom else ""
        for finding in reversed(found):
            if finding.attribute in (PET, FAMILY) and finding.tense == "is":
                return next((f"我的{being}" for being in _last(finding.value)), "")
        if found and _ONE_OF_THEM.fullmatch(clause):
            return self.subject
        introduced = _introduced(clause)
        if introduced is not None:
            return introduced
        if found:
            last = found[-1].subject
            return OWN if last == SELF else f"我的{last}"
        own = _SUBJECT.match(clause)
        if own:
            rest = clause[own.end() :]
            who = f"我的{subject_of(own['other'])}" if own["other"] else OWN
            return who if _SAYS_NOTHING_ELSE.make_up(rest) else ""
        return self.subject if _SAYS_NOTHING_ELSE.make_up(clause) else ""


def own_clauses(clauses: Sequence[str]) -> list[str]:
    """Return those clauses of a text that may be about whoever says it: 我认识一个医生，住在北京 has one of them."""
    own = []
    introduced = False
    for clause in clauses:
        if OF_ONESELF.search(clause):
            introduced = False
        if not introduced:
            own.append(clause)
        introduced = introduced or _introduced(clause) is not None
    return own


_OURS = re.compile("[我俺咱]")
_ITS = re.compile("^[它他她](?:的)?")


def _introduced(clause: str) -> str | None:
    """Return whom a clause introduces as a subject, "" for somebody or something else, None when it introduces none."""
    for counted in _COUNTED.finditer(clause):
        before = clause[: counted.start()]
        if _SELF_DESCRIBED.search(before):
            continue
        being = _BEINGS.search(counted["n"].rstrip(TAIL))
        subject = _SUBJECT.match(before)
        own = being and subject and not subject["other"]
        if (
            own
            and being
            and (_HAVING.search(before) or (_MADE_FRIENDS.search(before) and being["other"] in _FRIENDS))
        ):
            return f"我的{subject_of(being['other'])}"
        return ""
    return None


def _last(value: str) -> list[str]:
    being = _BEINGS.search(value)
    return [subject_of(being["other"])] if being else []
