"""Which facts a question asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xiaozhi_persona.memory.facts.kinds import (
    AGE,
    ALLERGY,
    APPOINTMENT,
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
    PROFILE_WORDS,
    SCHOOL,
    SURNAME,
    WORKPLACE,
    subject_of,
)
from xiaozhi_persona.memory.patterns import followed, pattern

_CUES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (pattern(words, re.IGNORECASE), attributes)
    for words, attributes in (
        ("叫什么|叫啥|名字|是谁|叫我|称呼|记得我$|记得我吗|认识我|my name|who am i|called", (NAME, CALLED)),
        ("姓什么|贵姓|姓啥|surname", (SURNAME, NAME)),
        ("住(?!院)|家在|地址|搬|哪个城市|live", (HOME,)),
        (f"老家|家乡|籍贯|哪里人|哪儿人|{followed('where', ' from')}", (HOMETOWN,)),
        ("生日|出生|几号生|birthday", (BIRTHDAY,)),
        ("多大|几岁|年龄|年纪|how old", (AGE, BIRTHDAY)),
        ("不喜欢|讨厌|不爱|最烦|hate|dislike", (DISLIKES, AVOIDS)),
        (
            "喜欢|爱吃|爱喝|爱看|爱听|爱玩|爱好|最爱|偏好|口味|favou?rite|like|love",
            (LIKES, "喜欢的*", "爱好"),
        ),
        ("忌口|不吃|不能吃|吃什么|能吃|点菜|做饭|点什么菜", (AVOIDS, ALLERGY, LIKES, DISLIKES)),
        ("过敏|allerg", (ALLERGY,)),
        ("家人|家里有|几口人|亲人|孩子|family", (FAMILY,)),
        ("朋友|friend", (FRIEND,)),
        ("宠物|养了?什么|养的|养过|\\bpets?\\b", (PET,)),
        ("结婚|单身|离婚|married", (MARRIAGE,)),
        ("工作|上班|职业|公司|做什么的|干什么的|单位|\\bjob\\b|\\bwork\\b", (JOB, WORKPLACE)),
        ("学校|上学|大学|school", (SCHOOL,)),
        ("安排|日程|有什么事|有啥事|什么计划|要做什么|约了|appointment|schedule", (APPOINTMENT,)),
    )
)
_OTHER_ATTRIBUTES = pattern(PROFILE_WORDS)
_WHO = pattern(f"{KIN}|{OTHERS}|{PETS}")
_PAST = pattern("以前|之前|原来|曾经|过去|从前|原先|used to|before", re.IGNORECASE)
_ABOUT_US = pattern(r"我|咱|\b(?:i|me|my|i'm)\b", re.IGNORECASE)
_ADDRESSED = pattern(r"你(?:还?记得|知道|猜|说|觉得|能|可以|告诉|帮)|\b(?:do|can) you\b", re.IGNORECASE)
_ABOUT_YOU = pattern(r"你|\byou(?:r)?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """Which facts are asked for."""

    subjects: tuple[str, ...] = ()
    """Relatives or pets that are named; () for the owner himself."""
    attributes: tuple[str, ...] = ()
    past: bool = False
    """Whether it is asked what was."""


def facts_asked(question: str) -> Asked | None:
    """Return which facts a question asks for, None when for none: also when it asks about the assistant."""
    text = question[:200]
    rest = _ADDRESSED.sub("", text)
    if _ABOUT_YOU.search(rest) and not _ABOUT_US.search(rest):
        return None
    attributes: list[str] = []
    for cue, found in _CUES:
        if cue.search(text):
            attributes += found
            if found == (DISLIKES, AVOIDS):
                break  # 不喜欢 holds 喜欢
    attributes += _OTHER_ATTRIBUTES.findall(text)
    subjects = tuple(dict.fromkeys(subject_of(word) for word in _WHO.findall(text)))
    if not attributes and not subjects:
        return None
    return Asked(subjects, tuple(dict.fromkeys(attributes)), bool(_PAST.search(text)))
