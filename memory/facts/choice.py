"""Which of the facts that the rules of the questions name are shown for a question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xiaozhi_persona.memory.facts.kinds import LIKES, NAME, Fact
from xiaozhi_persona.memory.facts.questions import Asked, facts_asked
from xiaozhi_persona.memory.patterns import pattern
from xiaozhi_persona.memory.words import query_terms

_MAX_LIKES = 6  # where something else is asked for as well
_LIKING = pattern(
    "平时|喜欢(?:[吃喝看听玩做去]|什么样)?|爱好|最?爱[吃喝看听玩]?|偏好|口味|favou?rites?|likes?|love",
    re.IGNORECASE,
)
_OF_SOMETHING = pattern(r"[它他她]|那[部本首家只个条座款]|\b(?:its|his|her|their)\b", re.IGNORECASE)


def facts_wanted(question: str) -> Asked | None:
    """Return which facts are asked for: 它的名字 is not the owner's."""
    asked = facts_asked(question)
    if asked and not asked.subjects and _OF_SOMETHING.search(question) and "我" not in question:
        rest = tuple(name for name in asked.attributes if name != NAME)
        return Asked((), rest, asked.past) if rest else None
    return asked


def few_likes(found: Sequence[Fact], question: str) -> list[Fact]:
    """Return the facts with the likes that share a word with the question, or the newest few where none does: all
    of them only for a question that asks for nothing else.
    """
    likes = [fact for fact in found if fact.attribute == LIKES]
    if len(likes) <= _MAX_LIKES:
        return list(found)
    asked = {term.text for term in query_terms(_LIKING.sub(" ", question))}
    if not asked:
        return list(found)
    named = [fact for fact in likes if any(text in fact.value.lower() for text in asked)]
    kept = {fact.id for fact in named or likes[-_MAX_LIKES:]}
    return [fact for fact in found if fact.attribute != LIKES or fact.id in kept]
