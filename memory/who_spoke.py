"""Who said what a question asks for: 你给我推荐过哪些书 the assistant, 我说过想去哪儿 the user, 小明喜欢什么 whoever is 小明."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.text.measures import normalized

_NAMED = 1.6
"""How much more a turn counts of the speaker whom a question names (bench/recall.py: .708 becomes .737)."""
_MEANT = 1.25
_SAYS = "说|讲|告诉|推荐|建议|介绍|教|提|答应|保证|提醒|劝|夸|安慰|出过?.{0,2}主意|念|背|唱|回答|解释|推"
_ADDRESSED = pattern(
    r"你(?:还?记得|知道|猜|觉得|能不能|能|可以|帮我(?:想|查|找))|\b(?:do|can|could) you\b", re.IGNORECASE
)
_YOU_SAID = pattern(
    rf"你[^，。？！我]{{0,6}}(?:[给跟对帮和]我)?[^，。？！我]{{0,4}}(?:{_SAYS})"
    r"|\byou (?:\w+ )?(?:tell|told|sa(?:y|id)|recommend|suggest|advi[sc]e|mention|promise|explain|propose)"
    r"|\byour (?:advice|suggestion|recommendation|idea|answer|opinion)",
    re.IGNORECASE,
)
_I_DID = pattern(r"我(?!们)|\b(?:i|i'm|i've|my|me|mine)\b", re.IGNORECASE)


def said_by(question: str) -> Callable[[str, str], float]:
    """Return how much more a turn counts of (user or assistant, the speaker's name) than another one."""
    asked = normalized(question)
    rest = _ADDRESSED.sub(" ", asked)
    meant = "assistant" if _YOU_SAID.search(rest) else "user" if _I_DID.search(rest) else ""

    @functools.cache
    def weight(who: str, speaker: str) -> float:
        named = _NAMED if speaker and normalized(speaker) in asked else 1.0
        return named * (_MEANT if who == meant else 1.0)

    return weight
