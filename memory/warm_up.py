"""What is compiled when it is first needed, compiled ahead: nobody should wait for that."""

from __future__ import annotations

from datetime import datetime

from xiaozhi_persona.memory import spoken
from xiaozhi_persona.memory.facts.rules import find_facts
from xiaozhi_persona.memory.time_words import find_ranges
from xiaozhi_persona.memory.words import query_terms


def warm_up() -> None:
    """Go once through the rules for time words, facts, commands and words. Takes a thread's time."""
    find_ranges("昨天 昨日 yesterday", datetime.now())
    find_facts("我", datetime.now())
    spoken.parse_command("我")
    query_terms("warm")
