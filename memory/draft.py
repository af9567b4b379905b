"""What a recall has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from xiaozhi_persona.memory.diary import Entry
from xiaozhi_persona.memory.facts.kinds import Fact
from xiaozhi_persona.memory.time_words import TimeRange


@dataclass
class Draft:
    """What was found so far. Read by another thread when the deadline comes: `text` is always whole."""

    text: str = ""
    turns: list[Entry] = field(default_factory=list)
    """What the text shows of the diary, oldest first."""
    facts: list[Fact] = field(default_factory=list)
    ranges: list[TimeRange] = field(default_factory=list)
    turns_in_range: int = 0
    """How many turns there are in the ranges, of which the text may show a part."""
    complete: bool = False
