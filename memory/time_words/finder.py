"""find(): from the text of a question to the ranges of time that it names."""

from __future__ import annotations

import re
from datetime import datetime

from xiaozhi_persona.memory.time_words import TimeRange
from xiaozhi_persona.memory.time_words.compose import compose
from xiaozhi_persona.memory.time_words.context import (
    hidden_spans,
    is_planned_then,
    means_no_time,
    speaks_of_works,
)
from xiaozhi_persona.memory.time_words.fold import fold
from xiaozhi_persona.memory.time_words.join import join
from xiaozhi_persona.memory.time_words.lexicon import MAX_TOKENS, Token, scan


def find(text: str, now: datetime) -> list[TimeRange]:
    """Return what find_ranges() does, of a whole text."""
    folded = fold(text)
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
        if ranges and is_planned_then(folded, named.start, named.end):
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
            if len(merged) == MAX_TOKENS:
                break
    return merged
