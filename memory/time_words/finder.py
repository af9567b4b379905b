"""find_ranges(): from the text of a question to the ranges of time that it names."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from xiaozhi_persona.memory.time_words.compose import compose
from xiaozhi_persona.memory.time_words.context import hidden_spans, means_no_time, speaks_of_works
from xiaozhi_persona.memory.time_words.fold import fold
from xiaozhi_persona.memory.time_words.join import join
from xiaozhi_persona.memory.time_words.lexicon import Token, scan

MAX_CHARS = 4000
"""A longer text is read up to here; what people ask is shorter."""


class TimeRange(NamedTuple):
    """A half-open range of local time, without a zone, and the words that named it."""

    start: datetime
    end: datetime
    """The first instant that no longer belongs to it."""
    text: str
    """The words as they stand in the question."""
    granularity: str
    """minute, hour, part_of_day, day, week, month, season, year; range for every other span of time."""


def find_ranges(text: str, now: datetime) -> list[TimeRange]:
    """Return the ranges of the past that a question names, in the order of the words; [] when it names none.

    `now` is local and without a zone. Any string will do, and nothing is raised for one.
    """
    folded = fold(text[:MAX_CHARS])
    tokens = scan(folded, now)
    if _LATIN.search(folded):
        # Most texts have no English in them, and its rules take their time to compile.
        from xiaozhi_persona.memory.time_words.english import scan_english

        tokens = _merged(tokens, scan_english(folded, now))
    if not tokens:
        return []
    hidden = hidden_spans(folded)
    if hidden:
        tokens = [token for token in tokens if not any(start <= token.start < end for start, end in hidden)]
    ranges: list[TimeRange] = []
    seen = set()
    works = speaks_of_works(folded)
    for named in join(folded, compose(folded, tokens, now), now):
        if not named.windows or means_no_time(folded, named.start, named.end, named.recurs, works):
            continue
        for start, end, granularity in named.windows:
            if (start, end) not in seen and start < end:
                seen.add((start, end))
                ranges.append(TimeRange(start, end, text[named.start : named.end], granularity))
    return ranges


_LATIN = re.compile("[a-z]{2}|:[0-5]")


def _merged(tokens: list[Token], english: list[Token]) -> list[Token]:
    """Put both languages' words in order; where they overlap, the longer one stays."""
    if not english:
        return tokens
    merged: list[Token] = []
    for token in sorted([*english, *tokens], key=lambda token: (token.start, token.start - token.end)):
        if not merged or token.start >= merged[-1].end:
            merged.append(token)
    return merged
