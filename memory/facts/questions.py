"""Which facts a question asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xiaozhi_persona.memory.facts.kinds import DISLIKES, KIN, KINDS, OTHERS, PETS, PROFILE_WORDS, subject_of
from xiaozhi_persona.memory.patterns import pattern

_CUES = tuple((pattern(kind.asks, re.IGNORECASE), kind) for kind in KINDS if kind.asks)
_FRIENDS = pattern(r"\bfriends?\b", re.IGNORECASE)
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
    for cue, kind in _CUES:
        if cue.search(text):
            attributes += (kind.name, *kind.also)
            if kind.name == DISLIKES:
                break  # 不喜欢 holds 喜欢
    attributes += _OTHER_ATTRIBUTES.findall(text)
    people = [*_WHO.findall(text), *(["朋友"] if _FRIENDS.search(text) else [])]
    subjects = tuple(dict.fromkeys(map(subject_of, people)))
    if not attributes and not subjects:
        return None
    return Asked(subjects, tuple(dict.fromkeys(attributes)), bool(_PAST.search(text)))
